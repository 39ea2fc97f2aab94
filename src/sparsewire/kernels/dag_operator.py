"""The torch operators `sparsewire::dag` and `sparsewire::dag_backward`: what compilers and exports see."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.dag_compute import compute_backward, compute_forward, kept_numbers
from sparsewire.kernels.dag_structure import Dag
from sparsewire.kernels.plain import ACTIVATIONS

_LIBRARY: Any = torch.library.Library("sparsewire", "FRAGMENT")  # type: ignore[no-untyped-call]
_DAG = "Tensor columns, Tensor starts, Tensor? first, Tensor read, int[] sizes, int activation, int wide"
_LIBRARY.define(f"dag(Tensor x, Tensor values, Tensor bias, {_DAG}, bool keep) -> (Tensor, Tensor)")
_LIBRARY.define(
    f"dag_backward(Tensor grad, Tensor x, Tensor kept, Tensor values, Tensor bias, {_DAG}) -> (Tensor, Tensor, Tensor)"
)


def operate(x: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str, wide: int, keep: bool) -> Tensor:
    """The outputs that `compute_forward` gives, by way of torch's dispatcher; differentiable.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1]))
        >>> operate(torch.ones(1, 1), torch.tensor([3.0]), torch.zeros(1), dag, "relu", 16, keep=False)
        tensor([[3.]])
    """
    how = list(dag.sizes), ACTIVATIONS.index(activation), wide
    y: Tensor = torch.ops.sparsewire.dag(x, values, bias, dag.columns, dag.starts, dag.first, dag.read, *how, keep)[0]
    return y


def refuse_twice(*_: Any) -> NoReturn:
    """Raises the RequestError about gradients of gradients."""
    raise RequestError("backward: found a gradient of a gradient, which sparse wired networks do not have")


def _described(
    columns: Tensor, starts: Tensor, first: Tensor | None, read: Tensor, sizes: Sequence[int], activation: int
) -> tuple[Dag, str]:
    return Dag(tuple(sizes), columns, starts, first, read), ACTIVATIONS[activation]


def _forward(x: Tensor, values: Tensor, bias: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    *dag, wide, keep = rest
    return compute_forward(x, values, bias, *_described(*dag), wide, keep)


def _fake_forward(x: Tensor, values: Tensor, bias: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    *dag, _, keep = rest
    network, _ = _described(*dag)
    kept = x.new_empty(kept_numbers(network, x.shape[0]) if keep else 0)
    return x.new_empty(x.shape[0], network.read.numel()), kept


def _backward(
    grad: Tensor, x: Tensor, kept: Tensor, values: Tensor, bias: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    *dag, wide = rest
    return compute_backward(grad, x, kept, values, bias, *_described(*dag), wide)


def _fake_backward(
    grad: Tensor, x: Tensor, kept: Tensor, values: Tensor, bias: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), torch.empty_like(values), torch.empty_like(bias)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, values, bias, *arrays, sizes, activation, wide, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, output[1], values, bias, *arrays)
    ctx.how = sizes, activation, wide


def _differentiate(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    found = torch.ops.sparsewire.dag_backward(grad, *ctx.saved_tensors, *ctx.how)
    return *found, *(None,) * 8


for _device in ("CPU", "CUDA"):
    _LIBRARY.impl("dag", _forward, _device)
    _LIBRARY.impl("dag_backward", _backward, _device)
torch.library.register_fake("sparsewire::dag", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("sparsewire::dag_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::dag", _differentiate, setup_context=_remember, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::dag_backward", refuse_twice, lib=_LIBRARY)
