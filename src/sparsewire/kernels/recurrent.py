"""Stacks of sparse recurrent layers over whole sequences, in one call forward and one backward.

They are the torch operator `sparsewire::recurrent`. Calls with plain tensors go around torch's dispatcher; what they
compute is the same. Junctions of any layout are taken; weights in rows without blocks (`junction_of(mask, block=inputs,
group=1)`) are used where they are, others are put in that order within each call.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native, recurrent_calls, recurrent_operator, recurrent_plain
from sparsewire.kernels.recurrent_stack import Stack

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
    stack: Stack,
    lengths: Tensor | None = None,
) -> Outputs:
    """What torch.nn.RNN, GRU and LSTM compute with such sparse weights; differentiable once.

    Args:
        x: shape (steps, batch, inputs), or (batch, steps, inputs) if the stack is `batch_first`; float32, float64 or
            bfloat16.
        h0: shape (layers · directions, batch, hidden), or None for zeros.
        c0: the same for the cell state of an "lstm".
        values: the live weights of each junction, in its order, of x's dtype.
        biases: for each cell bias_ih and bias_hh, of shape (gates · hidden,); or none at all.
        stack: the junctions, and how they are used.
        lengths: int64, shape (batch,), from 0 to steps: what comes later in a sequence is not looked at; None: all.

    Returns:
        The outputs of the last layer, zeros beyond a sequence's length; the state of each cell after a sequence's last
        step; the same of the cell state, empty but for an "lstm".

    Raises:
        RequestError: shapes, dtypes or devices do not fit.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction, one = junction_of(torch.tensor([[True]])), torch.ones(1)
        >>> recurrent(torch.ones(3, 1, 1), None, None, [one, one], [], Stack("relu", (junction,) * 2))[0].flatten()
        tensor([1., 2., 3.])
    """
    given = _Inputs(x, h0, c0, lengths, tuple(values), tuple(biases))
    if not x.is_meta and torch.is_autocast_enabled(x.device.type):
        given = _cast(given)
    _check(given, stack)
    if not _is_native(given.x) and not x.is_meta:
        weights = [junction.weight_of(some) for junction, some in zip(stack.junctions, given.values, strict=True)]
        how = stack.kind, given.lengths, stack.bidirectional, stack.batch_first
        return recurrent_plain.recurrent(given.x, given.h0, given.c0, weights, given.biases, *how)
    if torch.compiler.is_compiling() or x.is_meta or not _is_ordinary(x):
        return recurrent_operator.call(stack, *given, keep=torch.is_grad_enabled())
    tensors = (given.x, given.h0, given.c0, *given.values, *given.biases)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        result: Outputs = _Recurrent.apply(stack, given.lengths, *tensors)  # type: ignore[no-untyped-call]
        return result
    return recurrent_calls.forward(stack, *given, keep=False)[:3]


def _is_native(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in native.DTYPES and _library_is_at_hand()


def _library_is_at_hand() -> bool:
    return native.is_at_hand()


# What torch.compiler.assume_constant_result sets; called, it would import all of torch.compile, which takes as long as
# torch itself, for everybody who never compiles.
_library_is_at_hand._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True; a gradient without graph would be taken for a constant
            recurrent_operator.refuse_twice()
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
    count, x = len(stack.junctions), given.x
    if len(given.values) != count or len(given.biases) not in (0, count):
        raise RequestError(
            f"values, biases: found {len(given.values)} and {len(given.biases)}; expected {count}, as many as "
            "there are junctions, or no biases"
        )
    if x.ndim != 3 or x.shape[2] != stack.inputs or not x.shape[stack.batch_first]:
        names = "(batch, steps ≥ 1, {})" if stack.batch_first else "(steps ≥ 1, batch, {})"
        raise RequestError(f"x: found shape {tuple(x.shape)}, expected {names.format(stack.inputs)}")
    batch = x.shape[1 - stack.batch_first]
    state, rows = (stack.cells, batch, stack.hidden), (stack.rows,)
    fits = [_fits(tensor, state, x) for tensor in (given.h0, given.c0)]
    fits += [_fits(some, (junction.count,), x) for some, junction in zip(given.values, stack.junctions, strict=True)]
    fits += [_fits(bias, rows, x) for bias in given.biases]
    if not all(fits):
        _refuse(given, stack, fits.index(False), state)
    if given.lengths is not None and (given.lengths.shape != (batch,) or given.lengths.dtype != torch.int64):
        found = f"{given.lengths.dtype} of shape {tuple(given.lengths.shape)}"
        raise RequestError(f"lengths: found {found}, expected torch.int64 of shape ({batch},), one for each sequence")


def _fits(tensor: Tensor | None, shape: tuple[int, ...], x: Tensor) -> bool:
    return tensor is None or (tensor.shape == shape and tensor.dtype == x.dtype and tensor.device == x.device)


def _refuse(given: _Inputs, stack: Stack, place: int, state: tuple[int, ...]) -> None:
    """Says what is wrong with one of h0, c0, the values and the biases."""
    count = len(stack.junctions)
    names = ["h0", "c0", *(f"values[{k}]" for k in range(count)), *(f"biases[{k}]" for k in range(count))]
    shapes = [state, state, *((junction.count,) for junction in stack.junctions), *((stack.rows,),) * count]
    found = (given.h0, given.c0, *given.values, *given.biases)[place]
    assert found is not None
    raise RequestError(
        f"{names[place]}: found {found.dtype} of shape {tuple(found.shape)} on {found.device}, expected "
        f"{given.x.dtype} of shape {shapes[place]} on {given.x.device}, as x has"
    )
