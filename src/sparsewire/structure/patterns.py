"""The shapes that a mask may have.

A pattern says what is kept or dropped as one *unit* (a weight, a block, a whole neuron) and which counts of units a
layer may keep. It sees every weight as a matrix: one row per output (neuron, gate of a neuron, channel), one column per
input (of a kernel: channel by channel, position by position).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.top_k import keep_top, keep_top_of_rows
from sparsewire.structure.allocation import nearest_set_bits, sums_of_multiples
from sparsewire.structure.blocks import whole

Grid = tuple[int, ...]


class Site(NamedTuple):
    """A weight as a pattern sees it; recurrent layers stack their gates, so neuron j has the rows j, j + neurons, …."""

    name: str
    rows: int
    inputs: int
    gates: int = 1


@dataclass(frozen=True)
class Pattern:
    """What patterns can do; these defaults are those of single weights, of which any number may be kept.

    A pattern of your own is a frozen subclass that replaces what differs.
    """

    def grid(self, site: Site) -> Grid:
        """The shape of the tensor that has one entry per unit.

        Raises:
            RequestError: this weight cannot be cut into such units.
        """
        return (site.rows, site.inputs)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """One number per unit, the sum over its weights: from shape (rows, inputs) to the grid."""
        return values

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """One entry per weight, that of its unit: from the grid to shape (rows, inputs)."""
        return units

    def room(self, live: Tensor) -> int:
        """How many units can be kept at most where only the `live` ones (a bool grid) still exist."""
        return int(live.count_nonzero())

    def settle(self, total: int, grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> int:
        """How many units are kept of all layers together where `total` are asked for: as many, or an error.

        Raises:
            RequestError: the pattern cannot keep so many; it names the nearest density that is possible.
        """
        return total

    def fit(self, counts: Mapping[str, int], grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> dict[str, int]:
        """The counts that the pattern allows nearest to what each layer was allotted, with the same (settled) total."""
        return dict(counts)

    def choose(self, scores: Tensor, count: int) -> Tensor:
        """The `count` best units as a bool grid; ties to the lower index."""
        return keep_top(scores, count)


@dataclass(frozen=True)
class Unstructured(Pattern):
    """Every weight for itself.

    Example:
        >>> import torch
        >>> Unstructured().choose(torch.tensor([[1.0, 5.0], [4.0, 3.0]]), 2).int().tolist()
        [[0, 1], [1, 0]]
    """


@dataclass(frozen=True)
class Neurons(Pattern):
    """Whole neurons: all weights into a neuron, or into an output channel; density is that of the neurons.

    In recurrent layers a neuron has one row for each gate, and they go together; the weights from the inputs and those
    from the neurons themselves are two junctions, each decided for itself.

    Example:
        >>> import torch
        >>> Neurons().pool(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), Site("weight", 2, 2))
        tensor([3., 7.])
    """

    def grid(self, site: Site) -> Grid:
        """One entry per neuron, its gates together."""
        return (site.rows // site.gates,)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over all inputs and gates of a neuron."""
        return values.reshape(site.gates, site.rows // site.gates, site.inputs).sum((0, 2))

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight into a neuron has the neuron's entry."""
        # The gates are stacked one after the other, so the neurons' entries are tiled, not repeated row by row.
        return units.repeat(site.gates)[:, None].expand(site.rows, site.inputs)


@dataclass(frozen=True)
class Block(Pattern):
    """Blocks of `rows` outputs times `columns` inputs.

    Raises:
        RequestError: a size is not a positive whole number; later, a weight is not made of whole blocks.

    Example:
        >>> import torch
        >>> Block(1, 2).pool(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), Site("weight", 1, 4))
        tensor([[3., 7.]])
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        whole("rows", self.rows, least=1)
        whole("columns", self.columns, least=1)

    def grid(self, site: Site) -> Grid:
        """One entry per block; the weight must be made of whole ones."""
        if site.rows % self.rows or site.inputs % self.columns:
            raise RequestError(
                f"pattern: {self} does not divide {site.name!r}, which has {site.rows} rows (outputs) and "
                f"{site.inputs} columns (inputs); choose divisors of these, or leave it out with only="
            )
        return (site.rows // self.rows, site.inputs // self.columns)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over each block."""
        down, across = self.grid(site)
        return values.reshape(down, self.rows, across, self.columns).sum((1, 3))

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight in a block has the block's entry."""
        return units.repeat_interleave(self.rows, 0).repeat_interleave(self.columns, 1)


@dataclass(frozen=True)
class NM(Pattern):
    """`n` weights of every `m` consecutive inputs of each neuron: of each layer exactly the fraction n / m.

    Reference: Mishra et al. 2021, section 3 (2:4).

    Raises:
        RequestError: not 0 < n <= m; later, a weight's inputs are not whole groups, or the density is not n / m.

    Example:
        >>> import torch
        >>> NM(1, 2).choose(torch.tensor([[1.0, 2.0, 9.0, 8.0]]), 2).int().tolist()
        [[0, 1, 1, 0]]
    """

    n: int
    m: int

    def __post_init__(self) -> None:
        whole("n", self.n, least=1)
        whole("m", self.m, least=1)
        if self.n > self.m:
            raise RequestError(f"n: found {self.n} of every {self.m}, expected at most m = {self.m}")

    def grid(self, site: Site) -> Grid:
        """One entry per weight; the inputs must be whole groups."""
        if site.inputs % self.m:
            raise RequestError(
                f"pattern: {self} needs groups of {self.m} inputs, but {site.name!r} has {site.inputs} inputs; "
                "choose a divisor as m, or leave it out with only="
            )
        return (site.rows, site.inputs)

    def room(self, live: Tensor) -> int:
        """At most `n` of each group."""
        return int(live.reshape(-1, self.m).sum(1).clamp(max=self.n).sum())

    def settle(self, total: int, grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> int:
        """Exactly n / m of each layer, or an error."""
        possible = self.fit({}, grids, rooms)
        if total != sum(possible.values()):
            raise _impossible(self, total, grids, [sum(possible.values())])
        for name, count in possible.items():
            if rooms[name] < count:
                raise RequestError(
                    f"masks: in {name!r} some groups of {self.m} inputs have fewer than {self.n} weights left, which "
                    f"{self} would keep; choose a smaller n, or start from other masks"
                )
        return total

    def fit(self, counts: Mapping[str, int], grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> dict[str, int]:
        """The fraction n / m of each layer, whatever it was allotted."""
        return {name: math.prod(grid) * self.n // self.m for name, grid in grids.items()}

    def choose(self, scores: Tensor, count: int) -> Tensor:
        """The `n` best of each group."""
        return keep_top_of_rows(scores.reshape(-1, self.m), self.n).view(scores.shape)


@dataclass(frozen=True)
class FixedFanIn(Pattern):
    """Every neuron of a layer (every row) keeps the same number of inputs.

    Layers can then only keep whole multiples of their neurons. The total stays exact all the same: layers with many
    neurons take the multiple nearest to what their scope allots them, those with fewer make up the difference.

    Args:
        nearest: take the nearest density that is possible, in place of an error.

    Reference: Lasby et al. 2024 (constant fan-in).

    Example:
        >>> import torch
        >>> FixedFanIn().choose(torch.tensor([[1.0, 2.0, 3.0], [9.0, 8.0, 7.0]]), 4).int().tolist()
        [[0, 1, 1], [1, 1, 0]]
    """

    nearest: bool = False

    def room(self, live: Tensor) -> int:
        """As many from each row as the row has that has fewest."""
        return len(live) * int(live.sum(1).min()) if live.numel() else 0

    def settle(self, total: int, grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> int:
        """The total, if multiples of the layers' neurons add up to it; else the nearest that is one, or an error."""
        bits = sums_of_multiples(*self._steps(grids, rooms))[-1]
        if bits >> total & 1:
            return total
        possible = nearest_set_bits(bits, total)
        if not self.nearest:
            raise _impossible(self, total, grids, possible)
        return min(possible, key=lambda other: abs(other - total))

    def fit(self, counts: Mapping[str, int], grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> dict[str, int]:
        """Multiples of each layer's neurons; layers with many neurons choose first."""
        rows, most = self._steps(grids, rooms)
        totals, left = sums_of_multiples(rows, most), sum(counts.values())
        fitting = {}
        for i, name in reversed(list(enumerate(self._by_neurons(grids)))):
            wanted = counts[name] / max(1, rows[i])
            by_distance = sorted(range(most[i] + 1), key=lambda k: abs(k - wanted))
            fan_in = next(k for k in by_distance if k * rows[i] <= left and totals[i] >> (left - k * rows[i]) & 1)
            fitting[name] = fan_in * rows[i]
            left -= fan_in * rows[i]
        return fitting

    def _by_neurons(self, grids: Mapping[str, Grid]) -> list[str]:
        return sorted(grids, key=lambda name: grids[name][0])

    def _steps(self, grids: Mapping[str, Grid], rooms: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """Each layer's neurons and its largest fan-in, layers with few neurons first."""
        names = self._by_neurons(grids)
        return [grids[name][0] for name in names], [rooms[name] // max(1, grids[name][0]) for name in names]

    def choose(self, scores: Tensor, count: int) -> Tensor:
        """The best of each row, as many of each."""
        return keep_top_of_rows(scores, count // max(1, len(scores)))


def _impossible(pattern: Pattern, total: int, grids: Mapping[str, Grid], possible: list[int]) -> RequestError:
    size = sum(math.prod(grid) for grid in grids.values())
    digits = len(str(size)) + 1  # enough for the printed density to give the count again
    densities = " and ".join(f"{count / size:.{digits}f}".rstrip("0").rstrip(".") for count in possible)
    return RequestError(
        f"density: found {total:,} of {size:,} weights ({total / size:.4g}), which {pattern} cannot keep; "
        f"the nearest possible: {densities}"
    )
