"""Stacks of sparse recurrent layers over whole sequences, in one call forward and one backward.

They are the torch operator `sparsewire::recurrent`. Calls with plain tensors go around torch's dispatcher; what they
compute is the same. Weights of any layout are taken; those in rows without blocks (`junction_of(mask, block=inputs,
group=1)`) are used where they are, others are put in that order within each call.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native, recurrent_calls, recurrent_operator, recurrent_plain
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.recurrent_calls import Stack
from sparsewire.kernels.recurrent_plain import GATES, KINDS

Outputs = tuple[Tensor, Tensor, Tensor]


class _Inputs(NamedTuple):
    x: Tensor
    h0: Tensor | None
    c0: Tensor | None
    lengths: Tensor | None
    values: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


def recurrent(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    values: Sequence[Tensor],
    biases: Sequence[Tensor],
    junctions: Sequence[Junction],
    kind: str,
    lengths: Tensor | None = None,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> Outputs:
    """What torch.nn.RNN, GRU and LSTM compute with such sparse weights; differentiable once.

    Args:
        x: shape (steps, batch, inputs), or (batch, steps, inputs) if `batch_first`; float32, float64 or bfloat16.
        h0: shape (layers · directions, batch, hidden), or None for zeros.
        c0: the same for the cell state of an "lstm".
        values: for each cell (layer by layer, in a layer forward before backward) the live weights of weight_ih and of
            weight_hh, in their junctions' order, of x's dtype.
        biases: for each cell bias_ih and bias_hh, of shape (gates · hidden,); or none at all.
        junctions: of all `values`.
        kind: "tanh", "relu", "gru" or "lstm".
        lengths: int64, shape (batch,), from 0 to steps: what comes later in a sequence is not looked at; None: all.
        bidirectional: whether each layer also has a cell that runs from the last step to the first.
        batch_first: whether the batch comes first in x and in the output.

    Returns:
        The outputs of the last layer, zeros beyond a sequence's length; the state of each cell after a sequence's last
        step; the same of the cell state, empty but for an "lstm".

    Raises:
        RequestError: shapes, dtypes or devices do not fit.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction, one = junction_of(torch.tensor([[True]])), torch.ones(1)
        >>> recurrent(torch.ones(3, 1, 1), None, None, [one, one], [], [junction] * 2, "relu")[0].flatten()
        tensor([1., 2., 3.])
    """
    stack = Stack(kind, tuple(junctions), bool(biases), bidirectional, batch_first)
    given = _Inputs(x, h0, c0, lengths, tuple(values), tuple(biases))
    if torch.is_autocast_enabled(x.device.type):
        given = _cast(given)
    _check(given, stack)
    if not _is_native(given.x):
        weights = [junction.weight_of(some) for junction, some in zip(stack.junctions, given.values, strict=True)]
        states = given.x, given.h0, given.c0
        return recurrent_plain.recurrent(
            *states, weights, given.biases, kind, given.lengths, bidirectional, batch_first
        )
    if torch.compiler.is_compiling() or not _is_ordinary(x):
        return recurrent_operator.call(stack, *given, keep=torch.is_grad_enabled())
    tensors = (given.x, given.h0, given.c0, *given.values, *given.biases)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        result: Outputs = _Recurrent.apply(stack, given.lengths, *tensors)  # type: ignore[no-untyped-call]
        return result
    return recurrent_calls.forward(stack, *given, keep=False)[:3]


def _is_native(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in native.DTYPES and native.is_at_hand()


def _is_ordinary(x: Tensor) -> bool:
    """Whether nobody but autograd wants to see the operator."""
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch._C._is_tracing()
    )


class _Recurrent(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, stack: Stack, lengths: Tensor | None, x: Tensor, h0: Tensor | None, c0: Tensor | None, *rest: Tensor
    ) -> Outputs:
        count = len(stack.junctions)
        values, biases = rest[:count], rest[count:]
        output, hn, cn, workspace = recurrent_calls.forward(stack, x, h0, c0, lengths, values, biases, keep=True)
        ctx.save_for_backward(workspace, lengths, *values)
        ctx.stack, ctx.shape, ctx.biases = stack, x.shape, len(biases)
        ctx.set_materialize_grads(False)
        if stack.kind != "lstm":
            ctx.mark_non_differentiable(cn)
        return output, hn, cn

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        workspace, lengths, *values = ctx.saved_tensors
        found = recurrent_calls.backward(
            ctx.stack, grads, ctx.shape, lengths, values, workspace, list(ctx.needs_input_grad[2:])
        )
        return None, None, *found


def _cast(given: _Inputs) -> _Inputs:
    """To the dtype of autocast, where there are kernels for it."""
    wanted = torch.get_autocast_dtype(given.x.device.type)
    wanted = wanted if wanted in native.DTYPES else torch.float32
    x, h0, c0, lengths, values, biases = given
    h0, c0 = (None if state is None else state.to(wanted) for state in (h0, c0))
    return _Inputs(
        x.to(wanted), h0, c0, lengths, tuple(v.to(wanted) for v in values), tuple(b.to(wanted) for b in biases)
    )


def _check(given: _Inputs, stack: Stack) -> None:
    if stack.kind not in KINDS:
        raise UnknownNameError("kind of recurrent layer", stack.kind, KINDS)
    count, x = len(stack.junctions), given.x
    whole = count and not count % (2 * stack.directions) and len(given.values) == count
    if not whole or len(given.biases) not in (0, count):
        raise RequestError(
            f"values, biases, junctions: found {len(given.values)}, {len(given.biases)} and {count}; expected two "
            f"for each of the {stack.directions} direction(s) of each layer, or no biases"
        )
    if x.ndim != 3 or x.shape[2] != stack.inputs or not x.shape[stack.batch_first]:
        names = "(batch, steps ≥ 1, {})" if stack.batch_first else "(steps ≥ 1, batch, {})"
        raise RequestError(f"x: found shape {tuple(x.shape)}, expected {names.format(stack.inputs)}")
    state = (count // 2, x.shape[1 - stack.batch_first], stack.hidden)
    expected: list[tuple[str, Tensor | None, tuple[int, ...]]] = [("h0", given.h0, state), ("c0", given.c0, state)]
    for k, junction in enumerate(stack.junctions):
        rows, columns = stack.shape_of(k)
        if (junction.outputs, junction.inputs) != (rows, columns):
            raise RequestError(f"junctions[{k}]: found {junction}, expected one of shape ({rows}, {columns})")
        expected.append((f"values[{k}]", given.values[k], (junction.count,)))
    expected += [(f"biases[{k}]", bias, (GATES[stack.kind] * stack.hidden,)) for k, bias in enumerate(given.biases)]
    for name, tensor, shape in expected:
        if tensor is not None and (tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device):
            raise RequestError(
                f"{name}: found {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, expected "
                f"{x.dtype} of shape {shape} on {x.device}, as x has"
            )
    if given.lengths is not None and (given.lengths.shape != state[1:2] or given.lengths.dtype != torch.int64):
        found = f"{given.lengths.dtype} of shape {tuple(given.lengths.shape)}"
        raise RequestError(
            f"lengths: found {found}, expected torch.int64 of shape ({state[1]},), one for each sequence"
        )
