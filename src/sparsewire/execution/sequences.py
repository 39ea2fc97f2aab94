"""Sequences whose sparse layers hand activations on in the kernels' own layout."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sparse_module import is_observed
from sparsewire.kernels import products
from sparsewire.kernels.junctions import GROUP, Junction, junction_of

ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
_LARGEST_BLOCK = 16384
# Up to so many weights a dense layer costs no more within a chain than on its own (measured at batches 32 and 256).
SMALL = 16384


class Run(NamedTuple):
    """Children that follow each other and are one call of the kernels.

    Args:
        layers: the linear ones.
        activations: after each of them.
        children: how many children of the sequence these are.
    """

    layers: tuple[nn.Linear | SparseLinear, ...]
    activations: tuple[str, ...]
    children: int


class SparseSequential(nn.Sequential):
    """An `nn.Sequential` that runs its sparse linear layers, with the activations after them, in one call.

    Such a run is as long as it can be: SparseLinear and small nn.Linear, each perhaps with nn.ReLU, nn.Tanh or
    nn.Sigmoid behind it. Everything else, and whatever has hooks or wants dense gradients, is called child by child, as
    is everything while torch.compile, torch.export or a dispatch mode looks on. The result is the same up to rounding.

    Example:
        >>> first = SparseLinear(3, 4, torch.ones(4, 3, dtype=torch.bool))
        >>> model = SparseSequential(first, nn.ReLU(), nn.Linear(4, 2), nn.Softmax(dim=1))
        >>> [run.children for run in model.runs()], model(torch.ones(5, 3)).shape
        ([3, 1], torch.Size([5, 2]))
    """

    def forward(self, x: Tensor) -> Tensor:
        """The last child's output."""
        if is_observed() or not isinstance(x, Tensor) or x.is_meta or _has_global_hooks():
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        children, place = tuple(self._modules.values()), 0
        for run in self.runs():
            x = self._chain(run, x) if run.layers else children[place](x)
            place += run.children
        return x

    def runs(self) -> tuple[Run, ...]:
        """How the children would be called just now; a child that is called by itself is a run without layers.

        Example:
            >>> SparseSequential(nn.ReLU()).runs()
            (Run(layers=(), activations=(), children=1),)
        """
        children = tuple(self._modules.values())
        # All that the runs depend on, as to find them takes longer than a small layer.
        state = [(child, type(child), _is_bare(child)) for child in children if child is not None]
        known: tuple[object, tuple[Run, ...]] | None = self.__dict__.get("_known_runs")
        if known is not None and known[0] == state:
            return known[1]
        found: list[Run] = []
        while (place := sum(run.children for run in found)) < len(children):
            found.append(run_from(children, place))
        self.__dict__["_known_runs"] = (state, tuple(found))
        return tuple(found)

    def _chain(self, run: Run, x: Tensor) -> Tensor:
        junctions = [
            layer.junction("weight") if isinstance(layer, SparseLinear) else self._full(layer) for layer in run.layers
        ]
        # Looked up where they are, not by nn.Module's __getattr__: at batch 1 that is a tenth of the time.
        own: list[dict[str, Any]] = [layer._parameters for layer in run.layers]
        values = [one["weight"] for one in own]
        flat = [value if value.ndim == 1 else value.reshape(-1) for value in values]
        return products.chain(x, flat, [one["bias"] for one in own], junctions, run.activations)

    def _full(self, linear: nn.Linear) -> Junction:
        """The junction of a dense layer, in which the values lie row by row: one block, and groups that share all."""
        known: dict[tuple[int, int, torch.device], Junction] = self.__dict__.setdefault("_full_junctions", {})
        key = (linear.out_features, linear.in_features, linear.weight.device)
        if key not in known:
            mask = torch.ones(key[:2], dtype=torch.bool, device=key[2])
            known[key] = junction_of(mask, block=max(linear.in_features, 1), group=GROUP)
        return known[key]

    def __getstate__(self) -> dict[str, object]:
        state = super().__getstate__()  # type: ignore[no-untyped-call]
        return {key: value for key, value in state.items() if key not in ("_full_junctions", "_known_runs")}


def run_from(children: Sequence[nn.Module | None], place: int) -> Run:
    """The longest run that begins with this child; one child without layers where it is called by itself.

    Example:
        >>> run_from([nn.Linear(2, 2), nn.ReLU()], 0)
        Run(layers=(), activations=(), children=1)
    """
    layers: list[nn.Linear | SparseLinear] = []
    activations: list[str] = []
    end = place
    while end < len(children):
        layer = children[end]
        if not isinstance(layer, nn.Linear | SparseLinear) or not _joins(layer) or not _follows(layers, layer):
            break
        following = children[end + 1] if end + 1 < len(children) else None
        activation = ACTIVATIONS.get(type(following)) if following is not None and _is_bare(following) else None
        layers.append(layer)
        activations.append(activation or "identity")
        end += 1 if activation is None else 2
    if end - place < 2 or not any(isinstance(layer, SparseLinear) for layer in layers):
        return Run((), (), 1)
    return Run(tuple(layers), tuple(activations), end - place)


def _joins(layer: nn.Module) -> bool:
    if type(layer) is SparseLinear:
        return _is_bare(layer)
    if type(layer) is not nn.Linear or layer.in_features > _LARGEST_BLOCK:
        return False
    # Functions that reparametrize set another tensor than the Parameter, in its place.
    return layer.in_features * layer.out_features <= SMALL and "weight" in layer._parameters and _is_bare(layer)


def _follows(layers: list[nn.Linear | SparseLinear], layer: nn.Linear | SparseLinear) -> bool:
    """Whether the layer takes what the last one gives; if not, its own call says so best."""
    return not layers or layers[-1].out_features == layer.in_features


def _is_bare(module: nn.Module) -> bool:
    """Whether calling it does nothing but its class's forward, with the usual gradients."""
    own = module.__dict__
    return not (
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
        or "forward" in own
        or own.get("wants_dense_gradients")
    )


def _has_global_hooks() -> bool:
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
