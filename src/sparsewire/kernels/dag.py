"""A whole network of nodes in layers, wired by any graph, in one call forward and one backward.

It is the torch operator `sparsewire::dag`; calls with plain tensors go around torch's dispatcher. Memory is in
proportion to the edges and to nodes · batch: nothing is of the size edges · batch. On the CPU it is computed by the
native library, elsewhere by plain torch.
"""

from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import dag_operator
from sparsewire.kernels.chain_operator import refuse_transforms
from sparsewire.kernels.dag_compute import compute_backward, compute_forward, tile_width
from sparsewire.kernels.dag_structure import Dag
from sparsewire.kernels.plain import ACTIVATIONS


def outputs_of(x: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str) -> Tensor:
    """The values of the network's outputs, shape (batch, outputs); differentiable once in x, values and bias.

    a_n = Σ_u σ(z_u) over the units u of a node n, with z_u = Σ_e v_e a_c(e) + b_u over the unit's edges e.

    Args:
        x: the values of layer 0, shape (batch, sources), float32, float64 or bfloat16.
        values: of the edges in the dag's order, shape (edges,), of x's dtype.
        bias: of the units, shape (units,).
        dag: which nodes there are and what they read.
        activation: σ, "identity", "relu", "tanh" or "sigmoid".

    Raises:
        RequestError: shapes, dtypes or devices do not fit.
        UnknownNameError: there is no such activation.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((2, 1, 1), np.array([2, 3, 3]), np.array([0, 1, 2]), read=np.array([3]))
        >>> outputs_of(torch.tensor([[5.0, 7.0]]), torch.tensor([2.0, 3.0, -1.0]), torch.zeros(2), dag, "relu")
        tensor([[11.]])
    """
    if not x.is_meta and torch.is_autocast_enabled(x.device.type):
        wanted = torch.get_autocast_dtype(x.device.type)
        x, values, bias = x.to(wanted), values.to(wanted), bias.to(wanted)
    _check(x, values, bias, dag, activation)
    stored = x.dtype
    if stored not in (torch.float32, torch.float64):  # what is stored in short is computed in float
        x, values, bias = x.float(), values.float(), bias.float()
    wide = _width(x)
    grads = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, values, bias))
    if torch.compiler.is_compiling() or not _is_ordinary(x):
        if not torch.compiler.is_compiling():
            refuse_transforms((x, values, bias))
        y = dag_operator.operate(x, values, bias, dag, activation, wide, keep=torch.is_grad_enabled())
    elif grads:
        y = _Outputs.apply(dag, activation, wide, x, values, bias)  # type: ignore[no-untyped-call]
    else:
        y = compute_forward(x, values, bias, dag, activation, wide, keep=False)[0]
    return y.to(stored)


class _Outputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dag: Dag, activation: str, wide: int, x: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        y, kept = compute_forward(x, values, bias, dag, activation, wide, keep=True)
        ctx.save_for_backward(x, kept, values, bias)
        ctx.how = dag, activation, wide
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True; a gradient without graph would be taken for a constant
            dag_operator.refuse_twice()
        refuse_transforms((grad,))
        found = compute_backward(grad, *ctx.saved_tensors, *ctx.how)
        needs = ctx.needs_input_grad[3:]
        return None, None, None, *(tensor if need else None for tensor, need in zip(found, needs, strict=True))


def _width(x: Tensor) -> int:
    """As `tile_width`; a trace, whose batch may be open, takes what suits large ones."""
    return 256 // x.dtype.itemsize if torch.compiler.is_compiling() else tile_width(len(x), x.dtype)


def _is_ordinary(x: Tensor) -> bool:
    """Whether it has numbers, and nobody but autograd wants to see the operator."""
    return (
        not x.is_meta
        and type(x) in (Tensor, torch.nn.Parameter)
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch._C._is_tracing()
    )


def _check(x: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise UnknownNameError("activation", activation, ACTIVATIONS)
    if x.ndim != 2 or x.shape[1] != dag.sources or not x.is_floating_point():
        raise RequestError(
            f"x: found {x.dtype} of shape {tuple(x.shape)}, expected real numbers of shape (batch, {dag.sources})"
        )
    for name, tensor, count in (("values", values, dag.edges), ("bias", bias, dag.units)):
        if tensor.shape != (count,) or tensor.dtype != x.dtype or tensor.device != x.device:
            raise RequestError(
                f"{name}: found {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, expected {x.dtype} "
                f"of shape {(count,)} on {x.device}, as x has"
            )
    if dag.columns.device != x.device and not x.is_meta:
        raise RequestError(f"dag: found it on {dag.columns.device} and x on {x.device}; dag.to(device) moves it")
