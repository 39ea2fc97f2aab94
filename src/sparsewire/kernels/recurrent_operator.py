"""The torch operators `sparsewire::recurrent` and `sparsewire::recurrent_backward`: what compilers and exports see."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native, recurrent_calls
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.recurrent_stack import Stack

_NUMBERS = 5  # of a junction in `shapes`
_LIBRARY: Any = torch.library.Library("sparsewire", "FRAGMENT")  # type: ignore[no-untyped-call]
_STACK = "Tensor[] columns, Tensor[] starts, int[] shapes, str kind, bool bidirectional, bool batch_first"
_LIBRARY.define(
    "recurrent(Tensor x, Tensor? h0, Tensor? c0, Tensor? lengths, Tensor[] values, Tensor[] biases, "
    f"{_STACK}, bool keep) -> (Tensor, Tensor, Tensor, Tensor)"
)
# An empty tensor stands for a gradient that is not needed: a list of tensors in a schema has no place for None.
_LIBRARY.define(
    "recurrent_backward(Tensor? output, Tensor? hn, Tensor? cn, SymInt[] shape, Tensor? lengths, Tensor[] values, "
    f"Tensor workspace, {_STACK}, bool[] needs) -> Tensor[]"
)


def call(
    stack: Stack,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    values: Sequence[Tensor],
    biases: Sequence[Tensor],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same as `recurrent_calls.forward`, through torch's dispatcher; differentiable."""
    output, hn, cn, _ = torch.ops.sparsewire.recurrent(
        x, h0, c0, lengths, list(values), list(biases), *_flattened(stack), keep
    )
    return output, hn, cn


def _flattened(stack: Stack) -> tuple[Any, ...]:
    columns, starts = [j.columns for j in stack.junctions], [j.starts for j in stack.junctions]
    shapes = [n for j in stack.junctions for n in (j.outputs, j.inputs, j.block, j.group, j.count)]
    return columns, starts, shapes, stack.kind, stack.bidirectional, stack.batch_first


def _stack_of(
    columns: Sequence[Tensor],
    starts: Sequence[Tensor],
    shapes: Sequence[int],
    kind: str,
    bidirectional: bool,
    batch_first: bool,
) -> Stack:
    junctions = []
    for k, (column, start) in enumerate(zip(columns, starts, strict=True)):
        outputs, inputs, block, group, count = shapes[k * _NUMBERS : (k + 1) * _NUMBERS]
        junctions.append(Junction(outputs, inputs, block, group, column, start, count))
    return Stack(kind, tuple(junctions), bidirectional, batch_first)


def _forward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    values: list[Tensor],
    biases: list[Tensor],
    *rest: Any,
) -> tuple[Tensor, ...]:
    if not native.is_at_hand():
        raise RequestError(
            "sparsewire::recurrent: found no native library, which this traced network needs; install a C++ compiler "
            "and sparsewire again, or trace the network here"
        )
    return recurrent_calls.forward(_stack_of(*rest[:-1]), x, h0, c0, lengths, values, biases, rest[-1])


def _fake_forward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    values: list[Tensor],
    biases: list[Tensor],
    *rest: Any,
) -> tuple[Tensor, ...]:
    return recurrent_calls.empty_results(_stack_of(*rest[:-1]), x, rest[-1])


def _backward(
    output: Tensor | None,
    hn: Tensor | None,
    cn: Tensor | None,
    shape: Sequence[int],
    lengths: Tensor | None,
    values: list[Tensor],
    workspace: Tensor,
    *rest: Any,
) -> list[Tensor]:
    stack, needs = _stack_of(*rest[:-1]), rest[-1]
    found = recurrent_calls.backward(stack, (output, hn, cn), shape, lengths, values, workspace, needs)
    return [values[0].new_empty(0) if grad is None else grad for grad in found]


def _fake_backward(
    output: Tensor | None,
    hn: Tensor | None,
    cn: Tensor | None,
    shape: Sequence[int],
    lengths: Tensor | None,
    values: list[Tensor],
    workspace: Tensor,
    *rest: Any,
) -> list[Tensor]:
    found = recurrent_calls.empty_gradients(_stack_of(*rest[:-1]), shape, values, rest[-1])
    return [values[0].new_empty(0) if grad is None else grad for grad in found]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, h0, c0, lengths, values, biases, *rest = inputs
    columns, starts, *others, _ = rest
    ctx.save_for_backward(output[3], lengths, *values, *columns, *starts)
    ctx.rest, ctx.shape, ctx.count, ctx.biases = others, x.shape, len(values), len(biases)
    ctx.needs = [tensor is not None and tensor.requires_grad for tensor in (x, h0, c0, *values, *biases)]


def _differentiate(ctx: Any, output: Tensor, hn: Tensor, cn: Tensor, _: Tensor) -> tuple[Any, ...]:
    workspace, lengths, *tensors = ctx.saved_tensors
    count = ctx.count
    values, columns, starts = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
    found = torch.ops.sparsewire.recurrent_backward(
        output, hn, cn, ctx.shape, lengths, values, workspace, columns, starts, *ctx.rest, ctx.needs
    )
    grads = [grad if need else None for grad, need in zip(found, ctx.needs, strict=True)]
    per_value, per_bias = grads[3 : 3 + count], grads[3 + count :]
    indices = [None] * count
    return *grads[:3], None, per_value, per_bias, indices, indices, *(None,) * 5


def refuse_twice(*_: Any) -> NoReturn:
    """Raises the RequestError about gradients of gradients."""
    raise RequestError(
        "sparse recurrent layers: found a gradient of a gradient, which the kernels do not have; "
        "SPARSEWIRE_NATIVE=0 computes it"
    )


_LIBRARY.impl("recurrent", _forward, "CPU")
_LIBRARY.impl("recurrent_backward", _backward, "CPU")
torch.library.register_fake("sparsewire::recurrent", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("sparsewire::recurrent_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::recurrent", _differentiate, setup_context=_keep, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::recurrent_backward", refuse_twice, lib=_LIBRARY)
