"""A network of recurrent cells whose wiring is a graph: what is the same for all batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native
from sparsewire.kernels.recurrent_plain import GATES

# The layers whose outputs a cell reads, side by side, () for the network's inputs; and the layer it belongs to.
Wiring: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]

KINDS = {"tanh": 0, "relu": 1, "gru": 2, "lstm": 3, "linear": 4}  # their numbers in wired_network.hpp
PARTS = 4  # tensors of a cell: the weights of its inputs and of its states, the biases of both
_RECORDED = {"tanh": 0, "relu": 0, "gru": 4, "lstm": 6, "linear": 0}  # kept of a unit's step for the backward
_LINE = 64  # bytes; the columns of a tile come in such units
_MOST = 2**31 - 1  # a place is an int32


class Cell(NamedTuple):
    """One cell of a plan.

    Args:
        kind: of `KINDS`.
        units: how many states it has, or outputs.
        layers: whose outputs it reads, in order; () are the network's inputs.
        target: the layer to whose output it adds.
        at: where that layer's features begin.
        own: where its own states begin; the same, if its layer has no other cell.
        adds: whether an earlier cell has the same target.
        sources: int32; of each of its inputs the feature.
    """

    kind: str
    units: int
    layers: tuple[int, ...]
    target: int
    at: int
    own: int
    adds: bool
    sources: Tensor

    @property
    def rows(self) -> int:
        """Of its weights."""
        return GATES.get(self.kind, 1) * self.units

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of its four tensors; those of a linear map's states are empty."""
        columns = len(self.sources)
        if self.kind == "linear":
            return (self.rows, columns), (0, 0), (self.rows,), (0,)
        return (self.rows, columns), (self.rows, self.units), (self.rows,), (self.rows,)


@dataclass(frozen=True, eq=False)
class WiredPlan:
    """The cells of a network in the order in which they run, and where their numbers lie.

    Every cell reads whole layers and adds to the output of one. A *feature* is whatever has a history: the network's
    inputs, the outputs of all layers, then the states of the cells that share their layer with others.

    Args:
        kind: "tanh" or "relu" (torch.nn.RNN), "gru" or "lstm".
        inputs: features of a step.
        sizes: units per layer.
        wiring: of each cell the layers it reads and its own, lower layers first.
        maps_inputs: whether cells that read the network's inputs are linear maps without a state.

    Raises:
        RequestError: a cell reads a layer that is made after it, or a layer that there is not.
        UnknownNameError: there is no such kind.

    Example:
        >>> plan = WiredPlan("gru", 3, (2, 1), (((), 0), ((0,), 1)))
        >>> [cell.shapes[0] for cell in plan.cells], plan.nodes, plan.features
        ([(6, 3), (3, 2)], 3, 6)
    """

    kind: str
    inputs: int
    sizes: tuple[int, ...]
    wiring: Wiring
    maps_inputs: bool = False

    def __post_init__(self) -> None:
        if self.kind not in GATES:
            raise UnknownNameError("kind of recurrent cell", self.kind, GATES)
        done = 0
        for sources, target in self.wiring:
            if target < done or target >= len(self.sizes) or any(not 0 <= source < target for source in sources):
                raise RequestError(
                    f"wiring: found a cell that reads layers {sources} and adds to layer {target}; expected layers of "
                    f"0 to {len(self.sizes) - 1}, each read only by higher ones, and the cells in their order"
                )
            done = target
        if self.features > _MOST or self.inputs < 1:
            raise RequestError(
                f"plan: found {self.inputs:,} inputs and {self.features:,} features, too few or too many"
            )

    @property
    def nodes(self) -> int:
        """Outputs of all layers."""
        return sum(self.sizes)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """In the order of the wiring."""
        begins = [self.inputs + sum(self.sizes[:layer]) for layer in range(len(self.sizes))]
        targets = [target for _, target in self.wiring]
        free, made = self.inputs + self.nodes, []
        for number, (layers, target) in enumerate(self.wiring):
            kind = "linear" if self.maps_inputs and not layers else self.kind
            units, own = self.sizes[target], begins[target]
            if targets.count(target) > 1:
                own, free = free, free + units
            read = [torch.arange(begins[layer], begins[layer] + self.sizes[layer]) for layer in layers]
            sources = torch.cat(read) if read else torch.arange(self.inputs)
            adds = target in targets[:number]
            made.append(Cell(kind, units, layers, target, begins[target], own, adds, sources.to(torch.int32)))
        return tuple(made)

    @cached_property
    def features(self) -> int:
        """Whatever has a history."""
        targets = [target for _, target in self.wiring]
        shared = sum(self.sizes[target] for target in targets if targets.count(target) > 1)
        return self.inputs + self.nodes + shared

    @cached_property
    def unread(self) -> tuple[int, ...]:
        """The layers below the last that no cell reads."""
        read = {layer for layers, _ in self.wiring for layer in layers}
        return tuple(layer for layer in range(len(self.sizes) - 1) if layer not in read)

    @cached_property
    def weights(self) -> int:
        """Of all cells, without biases, those of zero too."""
        return sum(rows * columns for cell in self.cells for rows, columns in (cell.shapes[0], cell.shapes[1]))

    def size(self, steps: int, batch: int, itemsize: int) -> int:
        """Numbers in the workspace; the same formula as in wired_network.hpp."""
        unit = _LINE // itemsize
        recorded = sum(_RECORDED[cell.kind] * cell.units for cell in self.cells)
        return unit + -(-batch // unit) * unit * (self.features * (steps + 2) + recorded * steps)

    def rows(
        self,
        tensors: Sequence[Tensor | None],
        gradients: Sequence[Tensor | None] = (),
        masks: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """The fields of `Wire` in wired_network.hpp, cell by cell.

        Args:
            tensors: four of each cell, contiguous.
            gradients: likewise, or none at all.
            masks: bool; of each cell those of its two weights, or none at all.
        """
        none = [None] * len(tensors)
        values, slopes, kept = tensors, gradients or none, masks or none
        table = []
        for k, cell in enumerate(self.cells):
            own = values[PARTS * k : PARTS * (k + 1)], slopes[PARTS * k : PARTS * (k + 1)], kept[2 * k : 2 * k + 2]
            (w, u, b, c), (dw, du, db, dc), (m, n) = ([native.address(tensor) for tensor in part] for part in own)
            place = [KINDS[cell.kind], cell.units, len(cell.sources), cell.at, cell.own, int(cell.adds)]
            table.append([*place, cell.sources.data_ptr(), w, dw, m, u, du, n, b, c, db, dc])
        return torch.tensor(table)


@lru_cache(maxsize=1024)
def plan_of(kind: str, inputs: int, sizes: tuple[int, ...], wiring: Wiring, maps_inputs: bool) -> WiredPlan:
    """The plan of these arguments of `WiredPlan`, the same one each time.

    Example:
        >>> plan_of("relu", 2, (1,), (((), 0),), True) is plan_of("relu", 2, (1,), (((), 0),), True)
        True
    """
    return WiredPlan(kind, inputs, sizes, wiring, maps_inputs)
