"""Patterns of single weights that fix how many of each group or row are kept."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.top_k import keep_top_of_rows
from sparsewire.structure.allocation import nearest_set_bits, sums_of_multiples
from sparsewire.structure.blocks import whole
from sparsewire.structure.patterns.contract import Grid, Pattern, Site, impossible


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
            raise impossible(self, total, grids, [sum(possible.values())])
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
            raise impossible(self, total, grids, possible)
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
