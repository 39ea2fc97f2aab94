"""The forms in which sequences come: padded, packed or single."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from sparsewire.errors import RequestError

State = Tensor | tuple[Tensor, Tensor]  # of an RNN or GRU, and of an LSTM


class Unpacked(NamedTuple):
    """A padded batch, the states before its first step, and the lengths of its sequences (int64), if they differ."""

    x: Tensor
    hx: State | None
    lengths: Tensor | None


def checked_lengths(lengths: Tensor | None, batch: int, steps: int) -> Tensor | None:
    """The lengths as int64 on the CPU.

    Raises:
        RequestError: not a whole number from 1 to `steps` for each sequence.

    Example:
        >>> checked_lengths(torch.tensor([2, 3], dtype=torch.int32), 2, 3)
        tensor([2, 3])
    """
    if lengths is None:
        return None
    whole = isinstance(lengths, Tensor) and lengths.dtype in (torch.int64, torch.int32, torch.int16, torch.uint8)
    if not whole or lengths.shape != (batch,):
        found = f"{lengths.dtype} of shape {tuple(lengths.shape)}" if isinstance(lengths, Tensor) else lengths
        raise RequestError(f"lengths: found {found}, expected whole numbers of shape ({batch},), one for each sequence")
    if lengths.dtype != torch.int64 or not lengths.is_cpu:
        lengths = lengths.to("cpu", torch.int64)
    if batch and not torch.compiler.is_compiling():  # a trace knows no numbers; the kernels bear any
        numbers = lengths.tolist()
        if min(numbers) < 1 or max(numbers) > steps:
            raise RequestError(
                f"lengths: found {min(numbers)} to {max(numbers)}, expected 1 to {steps}, the steps of the input"
            )
    return lengths


def unpacked(packed: PackedSequence, hx: State | None, batch_first: bool) -> Unpacked:
    """The padded batch in the order in which a PackedSequence has it, longest first, and the states in that order.

    Example:
        >>> packed = pack_padded_sequence(torch.ones(2, 1, 3), torch.tensor([2]))
        >>> unpacked(packed, None, batch_first=False).lengths
        tensor([2])
    """
    x, lengths = pad_packed_sequence(PackedSequence(packed.data, packed.batch_sizes), batch_first)
    return Unpacked(x, _ordered(hx, packed.sorted_indices), lengths)


def packed_again(
    output: Tensor, state: State, packed: PackedSequence, given: Unpacked, batch_first: bool
) -> tuple[PackedSequence, State]:
    """The outputs packed like the input, and the states in the order of the batch before it was packed."""
    assert given.lengths is not None
    data = pack_padded_sequence(output, given.lengths, batch_first).data
    result = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    ordered = _ordered(state, packed.unsorted_indices)
    assert ordered is not None
    return result, ordered


def with_batch(x: Tensor, hx: State | None, batch_first: bool) -> Unpacked:
    """A sequence (steps, features) and its states (cells, hidden) as a batch of one."""
    for state in hx if isinstance(hx, tuple) else (hx,):
        if isinstance(state, Tensor) and state.ndim != 2:
            raise RequestError(f"hx: found shape {tuple(state.shape)} for an input without batch, expected two sides")
    return Unpacked(x.unsqueeze(0 if batch_first else 1), _each(hx, lambda state: state.unsqueeze(1)), None)


def without_batch(output: Tensor, state: State, batch_first: bool) -> tuple[Tensor, State]:
    """The way back."""
    single = _each(state, lambda some: some.squeeze(1))
    assert single is not None
    return output.squeeze(0 if batch_first else 1), single


def _ordered(hx: State | None, indices: Tensor | None) -> State | None:
    return hx if indices is None else _each(hx, lambda state: state.index_select(1, indices))


def _each(hx: State | None, use: Callable[[Tensor], Tensor]) -> State | None:
    if hx is None or isinstance(hx, Tensor):
        return None if hx is None else use(hx)
    first, second = hx
    return use(first), use(second)
