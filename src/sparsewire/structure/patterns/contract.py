"""What a pattern is: which weights live and die together as a unit, and which counts of units a layer may keep."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.top_k import keep_top

Grid = tuple[int, ...]


class Site(NamedTuple):
    """A weight as a pattern sees it, or those rows of it that are meant.

    Args:
        name: the weight's.
        rows: outputs.
        inputs: of one output.
        gates: how many a recurrent layer has stacked one after the other: neuron j has the rows j, j + neurons, ….
        projections: how many an attention has stacked, of its queries, keys and values.
        kernel: the shape of a convolution's kernel; () where the weight is a matrix.
    """

    name: str
    rows: int
    inputs: int
    gates: int = 1
    projections: int = 1
    kernel: tuple[int, ...] = ()


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

    def groups(self, sites: Mapping[str, Site]) -> list[list[str]]:
        """The names of the weights that keep and lose their units together, most often each by itself.

        Those of a group have grids of one shape; the score of a unit is the sum of its scores in all of them, and it is
        one unit of the total.
        """
        return [[name] for name in sites]

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


def impossible(pattern: Pattern, total: int, grids: Mapping[str, Grid], possible: list[int]) -> RequestError:
    """The error that names the nearest densities which a pattern can keep."""
    size = sum(math.prod(grid) for grid in grids.values())
    digits = len(str(size)) + 1  # enough for the printed density to give the count again
    densities = " and ".join(f"{count / size:.{digits}f}".rstrip("0").rstrip(".") for count in possible)
    return RequestError(
        f"density: found {total:,} of {size:,} weights ({total / size:.4g}), which {pattern} cannot keep; "
        f"the nearest possible: {densities}"
    )
