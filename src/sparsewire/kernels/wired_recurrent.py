"""Wired networks of recurrent cells over whole sequences, in one call forward and one backward.

Batches are cut into tiles of sequences, and a tile goes through all cells and steps while its numbers are in the
caches. Input weights of zero are left out of the products, forward and back; their gradients are computed all the same.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native, wired_plain
from sparsewire.kernels.wired_plan import PARTS, WiredPlan


def wired_recurrent(
    x: Tensor, tensors: Sequence[Tensor | None], plan: WiredPlan, lengths: Tensor | None = None
) -> Tensor:
    """What `wired_plain.wired_recurrent` computes, natively where it can be; differentiable any number of times.

    A gradient of a gradient goes through plain torch.

    Args:
        x: shape (batch, steps ≥ 1, inputs).
        tensors: four of each cell, of x's dtype; see there.
        plan: the cells.
        lengths: int64, shape (batch,), from 1 to steps: what comes later in a sequence is not looked at; None: all.

    Returns:
        The outputs of all layers after each sequence's last step, shape (batch, nodes).

    Raises:
        RequestError: shapes or dtypes do not fit.

    Example:
        >>> one = torch.ones(1, 1)
        >>> plan = WiredPlan("relu", 1, (1, 1), (((), 0), ((0,), 1)), maps_inputs=True)
        >>> wired_recurrent(torch.ones(1, 3, 1), [one, None, None, None, one, one, None, None], plan)
        tensor([[1., 3.]])
    """
    _check(x, tensors, plan, lengths)
    if not is_native(x):
        return wired_plain.wired_recurrent(x, tensors, plan, lengths)
    given = (x, *tensors)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in given):
        result: Tensor = _Wired.apply(plan, lengths, *given)  # type: ignore[no-untyped-call]
        return result
    return _forward(plan, x, tensors, lengths, keep=False)[0]


def is_native(x: Tensor) -> bool:
    """Whether there are native kernels for such an input, and nobody but autograd wants to see what is done.

    Example:
        >>> is_native(torch.ones(1, 1, 1, dtype=torch.float16))
        False
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch._C._is_tracing()
        and torch.autograd.forward_ad._current_level < 0
        and native.is_at_hand()
    )


class _Wired(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: WiredPlan, lengths: Tensor | None, x: Tensor, *tensors: Tensor | None) -> Tensor:
        last, workspace = _forward(plan, x, tensors, lengths, keep=True)
        ctx.save_for_backward(workspace, lengths, x, *tensors)
        ctx.plan = plan
        return last

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        workspace, lengths, x, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            return None, None, *_with_graph(ctx.plan, grad, x, tensors, lengths, ctx.needs_input_grad[2:])
        found = _backward(ctx.plan, grad, x, tensors, lengths, workspace, ctx.needs_input_grad[2])
        needs = ctx.needs_input_grad[2:]
        return None, None, *(one if need else None for one, need in zip(found, needs, strict=True))


def _with_graph(
    plan: WiredPlan, grad: Tensor, x: Tensor, tensors: Sequence[Tensor | None], lengths: Tensor | None,
    needs: Sequence[bool],
) -> list[Tensor | None]:  # fmt: skip
    """The same gradients by plain torch, which can be differentiated again."""
    last = wired_plain.wired_recurrent(x, tensors, plan, lengths)
    wanted = [tensor for tensor, need in zip((x, *tensors), needs, strict=True) if need and tensor is not None]
    found = iter(torch.autograd.grad(last, wanted, grad, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]


def _forward(
    plan: WiredPlan, x: Tensor, tensors: Sequence[Tensor | None], lengths: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor]:
    """The outputs, and the workspace if it is to be kept for the backward."""
    x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
    batch, steps, _ = x.shape
    last = x.new_empty(batch, plan.nodes)
    workspace = x.new_empty(plan.size(steps, batch, x.itemsize) if keep else 0)
    own = [None if tensor is None else tensor.contiguous() for tensor in tensors]
    wires, ends = plan.rows(own), None if lengths is None else lengths.contiguous()
    frame = _frame(plan, x.shape, x, ends, workspace if keep else None, None)
    _call("wired_forward", plan, x.dtype, frame, wires, last, None)
    return last, workspace


def _backward(
    plan: WiredPlan, grad: Tensor, x: Tensor, tensors: Sequence[Tensor | None], lengths: Tensor | None,
    workspace: Tensor, wants_x: bool,
) -> list[Tensor | None]:  # fmt: skip
    """The gradients of x, None if it is not wanted, and of all tensors."""
    own = [None if tensor is None else tensor.contiguous() for tensor in tensors]
    found = [None if tensor is None else torch.empty_like(tensor) for tensor in own]
    of_x = torch.empty(x.shape, dtype=x.dtype) if wants_x else None
    wires, ends = plan.rows(own, found), None if lengths is None else lengths.contiguous()
    frame = _frame(plan, x.shape, None, ends, workspace, of_x)
    _call("wired_backward", plan, x.dtype, frame, wires, None, grad.contiguous())
    return [of_x, *found]


def _frame(
    plan: WiredPlan, shape: Sequence[int], x: Tensor | None, lengths: Tensor | None, workspace: Tensor | None,
    of_x: Tensor | None,
) -> list[int]:  # fmt: skip
    """The fields of `Network` in recurrent_network.hpp."""
    batch, steps, _ = shape
    sizes = [0, steps, batch, plan.inputs, 0, 0, 1, torch.get_num_threads()]
    ends = [*(0,) * 7, native.address(lengths), native.address(workspace), *(0,) * 3]
    return [*sizes, *_sequence(x), *ends, *_sequence(of_x), *(0,) * 4]


def _sequence(x: Tensor | None) -> tuple[int, int, int]:
    return (0, 0, 0) if x is None else (x.data_ptr(), x.stride(1), x.stride(0))


def _call(
    name: str, plan: WiredPlan, dtype: torch.dtype, frame: list[int], wires: Tensor, last: Tensor | None,
    grad: Tensor | None,
) -> None:  # fmt: skip
    shape = (ctypes.c_int64 * len(frame))(*frame)
    fields = [
        *(ctypes.addressof(shape), plan.nodes, plan.features, len(plan.cells), wires.data_ptr()),
        *(1, native.address(last), native.address(grad)),
    ]
    graph = (ctypes.c_int64 * len(fields))(*fields)
    native.function(name, "ii")(native.DTYPES[dtype], ctypes.addressof(graph))


def _check(x: Tensor, tensors: Sequence[Tensor | None], plan: WiredPlan, lengths: Tensor | None) -> None:
    if x.dim() != 3 or x.shape[2] != plan.inputs or not x.shape[1]:
        raise RequestError(f"x: found shape {tuple(x.shape)}, expected (batch, steps ≥ 1, {plan.inputs})")
    if len(tensors) != PARTS * len(plan.cells):
        raise RequestError(f"tensors: found {len(tensors)}, expected {PARTS} of each of the {len(plan.cells)} cells")
    for k, cell in enumerate(plan.cells):
        for part, shape in enumerate(cell.shapes):
            tensor, stateless = tensors[PARTS * k + part], cell.kind == "linear" and part % 2
            optional = part > 1 or stateless
            if (tensor is None and optional) or (
                tensor is not None and not stateless and tensor.shape == shape and tensor.dtype == x.dtype
            ):
                continue
            found = "None" if tensor is None else f"{tensor.dtype} of shape {tuple(tensor.shape)}"
            expected = "None" if stateless else f"{x.dtype} of shape {shape}"
            raise RequestError(f"tensors[{PARTS * k + part}]: found {found}, expected {expected}")
    if lengths is not None and (lengths.shape != (len(x),) or lengths.dtype != torch.int64):
        found = f"{lengths.dtype} of shape {tuple(lengths.shape)}"
        raise RequestError(f"lengths: found {found}, expected torch.int64 of shape ({len(x)},), one for each sequence")
