"""What a model costs: parameters, live weights, multiply-adds and bytes, layer by layer."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from sparsewire.analysis.forward_pass import uses_of_modules
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convolution import SparseConv2d
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import maskable
from sparsewire.structure.sparse_weights import sparse_weights


class LayerCost(NamedTuple):
    """What one layer costs.

    Args:
        name: the module's name; empty for the model itself.
        kind: its class.
        parameters: all numbers it learns, biases included.
        weights: those that a mask may be about; of a sparse layer those too that it does not store.
        live: those that the masks keep; of a sparse layer, of those that it stores.
        multiply_adds: multiplications, each with an addition, for one sample with all weights; None if only an example
            could tell.
        live_multiply_adds: the same with the live weights only.
        bytes_dense: of its parameters as they are stored now.
        bytes_csr: an estimate of the same with the live weights in compressed rows: value and 4-byte column of each,
            4 bytes per row and 4 more; biases and the like as they are.
    """

    name: str
    kind: str
    parameters: int
    weights: int
    live: int
    multiply_adds: int | None
    live_multiply_adds: int | None
    bytes_dense: int
    bytes_csr: int

    @property
    def density(self) -> float:
        """Live weights / weights; 1 without weights."""
        return self.live / self.weights if self.weights else 1.0


@dataclass(frozen=True)
class CostTable:
    """What each layer of a model costs; print it for a table, or read the sums.

    Args:
        layers: one row per module that has parameters of its own.
        batch: for how many samples the sums of multiply-adds are.
    """

    layers: tuple[LayerCost, ...]
    batch: int = 1

    @property
    def parameters(self) -> int:
        """All numbers that the model learns."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def weights(self) -> int:
        """The weights that a mask may be about."""
        return sum(layer.weights for layer in self.layers)

    @property
    def live(self) -> int:
        """The weights that the masks keep."""
        return sum(layer.live for layer in self.layers)

    @property
    def density(self) -> float:
        """Live weights / weights."""
        return self.live / self.weights if self.weights else 1.0

    @property
    def multiply_adds(self) -> int | None:
        """For the whole batch with all weights; None if a layer's is unknown."""
        return _times(_sum(layer.multiply_adds for layer in self.layers), self.batch)

    @property
    def live_multiply_adds(self) -> int | None:
        """For the whole batch with the live weights only; None if a layer's is unknown."""
        return _times(_sum(layer.live_multiply_adds for layer in self.layers), self.batch)

    @property
    def bytes_dense(self) -> int:
        """Bytes of all parameters as they are stored now; buffers are not counted."""
        return sum(layer.bytes_dense for layer in self.layers)

    @property
    def bytes_csr(self) -> int:
        """Estimated bytes with the live weights in compressed rows."""
        return sum(layer.bytes_csr for layer in self.layers)

    def __str__(self) -> str:
        heads = (
            "layer",
            "kind",
            "parameters",
            "weights",
            "live",
            "density",
            "mult-adds",
            "live",
            "bytes",
            "as CSR (est.)",
        )
        rows = [heads, *(_row(layer, layer.name or "(model)", layer.kind) for layer in self.layers)]
        rows.append(_row(self, "total", f"batch of {self.batch:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                text.ljust(width) if place < 2 else text.rjust(width)
                for place, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )


def cost_table(
    model: nn.Module, masks: Mapping[str, Tensor] | None = None, batch: int = 1, *, example: Any = None
) -> CostTable:
    """What the model costs with these masks, layer by layer and in all.

    Live weights are counted from the masks, not from the values: a kept weight that is zero just now is live. Only
    products with weights count as multiply-adds: no biases, activations, norms, or attention scores.

    Args:
        model: any module.
        masks: parameter name → bool tensor; a weight without a mask is all live.
        batch: for how many samples the totals of multiply-adds are, at least 1.
        example: one batch of inputs, from which the number of uses of each weight is learned by a forward pass; a tuple
            for several arguments. Needed by convolutions, and by layers that are used at every position or time step;
            without it a dense and a recurrent layer count once, which is per time step.

    Raises:
        RequestError: a mask has another shape than its weight, or `batch` is not a positive number.
        UnknownNameError: a mask is about no weight of the model.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> print(cost_table(model, {"0.weight": torch.eye(3, 4).bool()}, batch=10))
        layer  kind         parameters  weights  live  density  mult-adds  live  bytes  as CSR (est.)
        0      Linear               15       12     3     25 %         12     3     60             52
        2      Linear                8        6     6    100 %          6     6     32             68
        total  batch of 10          23       18     9     50 %        180    90     92            120
    """
    weights = _weights_of(model, masks or {})
    uses = _uses_of_weights(model, example)
    seen: set[int] = set()  # a shared parameter is stored once, and stands where it is met first
    layers = []
    for name, module in model.named_modules():
        stored = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in seen]
        seen.update(map(id, stored))
        if stored:
            layers.append(_layer(name, module, stored, weights, uses))
    return CostTable(tuple(layers), whole("batch", batch, least=1))


class _Weight(NamedTuple):
    """A weight in its own shape, though a sparse layer stores less: its size, its rows, and how many are live."""

    size: int
    rows: int
    live: int


def _weights_of(model: nn.Module, masks: Mapping[str, Tensor]) -> dict[int, _Weight]:
    """By the parameters' ids: what a mask may be about."""
    weights, sparse = maskable(model), sparse_weights(model)
    shapes = {name: sparse[name].shape if name in sparse else tuple(weight.shape) for name, weight in weights.items()}
    live = {name: weight.numel() for name, weight in weights.items()}
    for name, mask in masks.items():
        if name not in weights:
            raise UnknownNameError("weight of the model", name, weights)
        if tuple(mask.shape) != shapes[name]:
            raise RequestError(
                f"masks[{name!r}]: found shape {tuple(mask.shape)}, expected {shapes[name]}, the weight's"
            )
        live[name] = int(((sparse[name].values_of(mask) if name in sparse else mask) != 0).sum())
    return {
        id(weight): _Weight(math.prod(shapes[name]), shapes[name][0], live[name]) for name, weight in weights.items()
    }


def _layer(
    name: str,
    module: nn.Module,
    stored: list[nn.Parameter],
    weights: Mapping[int, _Weight],
    uses: Mapping[int, int | None],
) -> LayerCost:
    own = [(weights[id(parameter)], uses[id(parameter)]) for parameter in stored if id(parameter) in weights]
    csr = 0
    for parameter in stored:
        size, weight = parameter.element_size(), weights.get(id(parameter))
        csr += parameter.numel() * size if weight is None else weight.live * (size + 4) + 4 * (weight.rows + 1)
    return LayerCost(
        name,
        type(module).__name__,
        sum(parameter.numel() for parameter in stored),
        sum(weight.size for weight, _ in own),
        sum(weight.live for weight, _ in own),
        _sum(_times(weight.size, used) for weight, used in own),
        _sum(_times(weight.live, used) for weight, used in own),
        sum(parameter.numel() * parameter.element_size() for parameter in stored),
        csr,
    )


def _uses_of_weights(model: nn.Module, example: Any) -> dict[int, int | None]:
    """By the weights' ids: how often a sample uses each, over all layers that share it."""
    called = None if example is None else uses_of_modules(model, example)
    uses: dict[int, int | None] = {}
    for name, module in model.named_modules():
        once = None if isinstance(module, nn.modules.conv._ConvNd | SparseConv2d) else 1
        own = once if called is None else called.get(name, 0)
        for parameter in module.parameters(recurse=False):
            uses[id(parameter)] = _sum([uses.get(id(parameter), 0), own])
    return uses


def _row(cost: LayerCost | CostTable, name: str, kind: str) -> tuple[str, ...]:
    numbers = (cost.parameters, cost.weights, cost.live)
    adds = (cost.multiply_adds, cost.live_multiply_adds)
    return (
        name,
        kind,
        *(f"{number:,}" for number in numbers),
        f"{100 * cost.density:.3g} %",
        *("?" if number is None else f"{number:,}" for number in adds),
        f"{cost.bytes_dense:,}",
        f"{cost.bytes_csr:,}",
    )


def _times(number: int | None, factor: int | None) -> int | None:
    return None if number is None or factor is None else number * factor


def _sum(numbers: Iterable[int | None]) -> int | None:
    total: int | None = 0
    for number in numbers:
        total = None if number is None or total is None else total + number
    return total
