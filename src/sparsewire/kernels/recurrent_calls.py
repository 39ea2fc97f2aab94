"""The native functions for recurrent layers, called with raw addresses."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from sparsewire.kernels import native
from sparsewire.kernels.recurrent_plain import KINDS
from sparsewire.kernels.recurrent_stack import Stack


def forward(
    stack: Stack,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    values: Sequence[Tensor],
    biases: Sequence[Tensor],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The outputs, the last states, the last cell states, and the workspace if it is to be kept for the backward."""
    x = _with_rows(x)
    output, hn, cn, workspace = empty_results(stack, x, keep)
    steps, batch = stack.extent(x.shape)
    h0, c0 = (None if state is None else state.contiguous() for state in (h0, c0))
    lengths = None if lengths is None else lengths.contiguous()
    values, biases = [v.contiguous() for v in values], [b.contiguous() for b in biases]
    states = [native.address(tensor) for tensor in (h0, c0, hn, cn if stack.kind == "lstm" else None, lengths)]
    _call(
        "recurrent_forward",
        x.dtype,
        [
            *_sizes(stack, steps, batch),
            *(*_sequence(x, stack), *_sequence(output, stack), *states, workspace.data_ptr() if keep else 0),
            *(0,) * 10,
            *_matrices(stack, values, biases, None, None),
        ],
    )
    return output, hn, cn, workspace


def backward(
    stack: Stack,
    grads: Sequence[Tensor | None],
    shape: Sequence[int],
    lengths: Tensor | None,
    values: Sequence[Tensor],
    workspace: Tensor,
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients with respect to x, h0, c0, every value and every bias, or None where `needs` says so.

    Args:
        stack: as for the forward.
        grads: those of the output, the last states and the last cell states; None is zero.
        shape: of x.
        lengths: as for the forward.
        values: as for the forward.
        workspace: what the forward kept.
        needs: in the order of the result.
    """
    count, like = len(stack.junctions), values[0]
    steps, batch = stack.extent(shape)
    found = empty_gradients(stack, shape, values, needs)
    output, hn, cn = (None if grad is None or not grad.numel() else grad for grad in grads)
    output = None if output is None else _with_rows(output)
    hn, cn = (None if grad is None else grad.contiguous() for grad in (hn, cn))
    lengths = None if lengths is None else lengths.contiguous()
    values = [v.contiguous() for v in values]
    wanted = [native.address(tensor) for tensor in (hn, cn, found[1], found[2])]
    _call(
        "recurrent_backward",
        like.dtype,
        [
            *(*_sizes(stack, steps, batch), *(0,) * 10, native.address(lengths), workspace.data_ptr()),
            *(*_sequence(output, stack), *_sequence(found[0], stack), *wanted),
            *_matrices(stack, values, values[:0], found[3 : 3 + count], found[3 + count :]),
        ],
    )
    return found


def empty_results(stack: Stack, x: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The tensors that `forward` fills."""
    steps, batch = stack.extent(x.shape)
    output = x.new_empty(*x.shape[:2], stack.hidden * stack.directions)
    hn = x.new_empty(stack.cells, batch, stack.hidden)
    cn = torch.empty_like(hn) if stack.kind == "lstm" else x.new_empty(0)
    wide = torch.float32 if x.dtype == torch.bfloat16 else x.dtype
    workspace = x.new_empty(stack.size(steps, batch, wide.itemsize) if keep else 0, dtype=wide)
    return output, hn, cn, workspace


def empty_gradients(
    stack: Stack, shape: Sequence[int], values: Sequence[Tensor], needs: Sequence[bool]
) -> list[Tensor | None]:
    """The tensors that `backward` fills."""
    count, (_, batch) = len(values), stack.extent(shape)
    state, like = (stack.cells, batch, stack.hidden), values[0]
    shapes = [shape, state, state, *((len(v),) for v in values), *((stack.rows,),) * (len(needs) - 3 - count)]
    return [like.new_empty(s) if need else None for s, need in zip(shapes, needs, strict=True)]


def _call(name: str, dtype: torch.dtype, numbers: list[int]) -> None:
    network = (ctypes.c_int64 * len(numbers))(*numbers)
    native.function(name, "ii")(native.DTYPES[dtype], ctypes.addressof(network))


def _sizes(stack: Stack, steps: int, batch: int) -> tuple[int, ...]:
    kind, directions, threads = KINDS.index(stack.kind), stack.directions, torch.get_num_threads()
    return kind, steps, batch, stack.inputs, stack.hidden, stack.cells // directions, directions, threads


def _sequence(tensor: Tensor | None, stack: Stack) -> tuple[int, int, int]:
    """Where a sequence lies, and how far apart its steps and its samples are."""
    if tensor is None:
        return 0, 0, 0
    first, second = tensor.stride(0), tensor.stride(1)
    return (tensor.data_ptr(), second, first) if stack.batch_first else (tensor.data_ptr(), first, second)


def _matrices(
    stack: Stack,
    values: Sequence[Tensor],
    biases: Sequence[Tensor],
    grads: Sequence[Tensor | None] | None,
    bias_grads: Sequence[Tensor | None] | None,
) -> list[int]:
    """The array of `Layer` structs of junctions.hpp."""
    numbers: list[int] = []
    for k, junction in enumerate(stack.described):
        numbers += junction
        grad = grads[k] if grads else None
        bias_grad = bias_grads[k] if bias_grads else None
        numbers += (
            values[k].data_ptr(),
            biases[k].data_ptr() if biases else 0,
            0,
            0 if grad is None else grad.data_ptr(),
            0 if bias_grad is None else bias_grad.data_ptr(),
        )
    return numbers


def _with_rows(x: Tensor) -> Tensor:
    """The same numbers, those of a step of a sequence side by side."""
    return x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
