"""Designing a network before it is trained: what each way to share a density among its junctions costs and promises."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from sparsewire.analysis.cost import CostTable, cost_table
from sparsewire.analysis.expected_speed import expected_speed, measured_here
from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.planning import Measure
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.drawn_patterns import PatternFunction, checked_pattern, drawn_patterns
from sparsewire.structure.priors.planned_chains import highest_scatter
from sparsewire.structure.split_choices import split_choices
from sparsewire.structure.splits import Split, checked_chain, places_of

LARGEST = 1 << 28  # weights of a junction: a gibibyte as float32
_LARGEST_DRAWN = 1 << 24  # of one whose patterns are drawn for their scatter


@dataclass(frozen=True)
class Configuration:
    """One way to connect a chain of dense layers with biases, in float32.

    Args:
        split: how many edges each junction has.
        parameters: live weights and biases.
        bytes_dense: of all weights and biases, live or not.
        bytes_sparse: the same with the live weights only, each layer in compressed rows where that is smaller; an
            estimate, see `cost_table`.
        scatter_planned: the most that regular patterns with these fan-outs can have; planned ones reach it or nearly.
        scatter: of the pattern that was asked for, the median of some draws; None where none was drawn.
        speed: how many times as fast as all dense it is expected to be, or None.
        runs_sparse: of each junction, whether the plan says that it runs sparse; empty where nothing was measured.

    Example:
        >>> Configuration(Split((8, 4), (2,)), 20, 144, 144, 1.0).as_dict()["densities"]
        [0.5]
    """

    split: Split
    parameters: int
    bytes_dense: int
    bytes_sparse: int
    scatter_planned: float
    scatter: float | None = None
    speed: float | None = None
    runs_sparse: tuple[bool, ...] = ()

    @property
    def density(self) -> float:
        """Overall: live weights / weights."""
        return self.split.density

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "sizes": list(self.split.sizes),
            "fan_outs": list(self.split.fan_outs),
            "fan_ins": list(self.split.fan_ins),
            "densities": list(self.split.densities),
            "density": self.density,
            "weights": sum(self.split.edges),
            "parameters": self.parameters,
            "bytes_dense": self.bytes_dense,
            "bytes_sparse": self.bytes_sparse,
            "scatter": self.scatter,
            "scatter_planned": self.scatter_planned,
            "speed": self.speed,
            "runs_sparse": list(self.runs_sparse),
        }


# A smaller key comes first; what is not known comes last.
SORTS: dict[str, Callable[[Configuration], Any]] = {
    "density": lambda one: (one.density, one.split.fan_outs),
    "scatter": lambda one: -max(one.scatter or 0, one.scatter_planned),
    "speed": lambda one: -(one.speed or 0),
    "parameters": lambda one: (one.parameters, one.split.fan_outs),
}


def design(
    sizes: Sequence[int],
    density: float,
    *,
    tolerance: float = 0.0,
    at_most: int = 8,
    pattern: str | PatternFunction = "fixed_degree",
    draws: int = 3,
    batch: int | None = None,
    training: bool = True,
    measure: Measure | None = None,
    sort: str = "density",
    generator: torch.Generator,
) -> list[Configuration]:
    """Ways to share a density among the junctions of a chain of dense layers, each with what it costs and promises.

    Those are shown that differ: all junctions equally dense, later ones denser, earlier ones denser, the extremes. All
    are regular; where no regular one is within the tolerance, the nearest below and above are given.

    Args:
        sizes: neurons per layer, inputs first; at least two layers, at most 2²⁸ weights between two.
        density: of all junctions together, above 0 and up to 1.
        tolerance: how far the density may be from it.
        at_most: how many configurations, at least 1.
        pattern: see `predefined`; what `scatter` is of.
        draws: how many patterns are drawn for the median of their scatter (one planned pattern); 0: none.
        batch: samples of a batch that the speed is for; None: no speed. A layer of a kind that this machine does not
            know yet is measured, in about half a second, and remembered, as by `plan`.
        training: the speed of training steps, else of forward passes.
        measure: how long layers take; None: as measured on this machine.
        sort: "density", "scatter" (highest first), "speed" (fastest first) or "parameters".
        generator: where patterns come from.

    Raises:
        RequestError: impossible sizes, density, tolerance or numbers.
        UnknownNameError: no such pattern or order.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> for one in design((64, 1024, 64), 0.25, at_most=3, draws=0, generator=generator):
        ...     print(one.split.fan_outs, one.split.densities, one.parameters, one.bytes_sparse)
        (16, 31) (0.015625, 0.484375) 33856 270856
        (128, 24) (0.125, 0.375) 33856 270856
        (256, 16) (0.25, 0.25) 33856 270856
    """
    if not isinstance(sort, str) or sort not in SORTS:
        raise UnknownNameError("order", str(sort), SORTS)
    if batch is not None:
        batch = whole("batch", batch, least=1)
        measure = measured_here() if measure is None else measure
    found = [
        configuration_of(
            split, pattern=pattern, draws=draws, batch=batch, training=training, measure=measure, generator=generator
        )
        for split in candidates(sizes, density, tolerance=tolerance, at_most=at_most)
    ]
    return sorted(found, key=SORTS[sort])


def candidates(sizes: Sequence[int], density: float, *, tolerance: float = 0.0, at_most: int = 8) -> list[Split]:
    """The splits of `split_choices`, where the layers are not too large to look at.

    Raises:
        RequestError: more than 2²⁸ weights between two layers, or impossible sizes, density or tolerance.
    """
    sizes = checked_chain(sizes)
    for place, weights in enumerate(places_of(sizes)):
        if weights > LARGEST:
            raise RequestError(
                f"sizes: found {weights:,} weights between {sizes[place]:,} and {sizes[place + 1]:,} neurons, expected "
                f"at most {LARGEST:,}"
            )
    return split_choices(sizes, density, tolerance=tolerance, at_most=at_most)


def configuration_of(
    split: Split,
    *,
    pattern: str | PatternFunction = "fixed_degree",
    draws: int = 3,
    batch: int | None = None,
    training: bool = True,
    measure: Measure | None = None,
    generator: torch.Generator,
) -> Configuration:
    """What one split costs and promises; the arguments are those of `design`, `measure` is needed with `batch`."""
    checked_generator(generator)
    checked_pattern(pattern)
    costs = _costs(split)
    drawn = None
    if whole("draws", draws, least=0) and max(split.places) <= _LARGEST_DRAWN:
        again = 1 if pattern == "planned" else draws  # a second planned pattern has the same scatter, or nearly
        drawn = statistics.median(_scatter(split, pattern, generator) for _ in range(again))
    speed, runs_sparse = (
        (None, ()) if batch is None or measure is None else expected_speed(split, batch, training, measure)
    )
    return Configuration(
        split,
        parameters=costs.parameters - costs.weights + costs.live,
        bytes_dense=costs.bytes_dense,
        bytes_sparse=sum(min(layer.bytes_dense, layer.bytes_csr) for layer in costs.layers),
        scatter=drawn,
        scatter_planned=min(highest_scatter(split.sizes, split.fan_outs)),
        speed=speed,
        runs_sparse=runs_sparse,
    )


def _costs(split: Split) -> CostTable:
    layers = [nn.Linear(n_in, n_out, device="meta") for n_in, n_out in pairwise(split.sizes)]
    # Which weights live does not matter here, only how many.
    rows = [(torch.arange(n_in) < fan_in).expand(n_out, n_in)
            for fan_in, (n_in, n_out) in zip(split.fan_ins, pairwise(split.sizes), strict=True)]  # fmt: skip
    return cost_table(nn.Sequential(*layers), {f"{place}.weight": row for place, row in enumerate(rows)})


def _scatter(split: Split, pattern: str | PatternFunction, generator: torch.Generator) -> float:
    return scatter(drawn_patterns(split.sizes, split.fan_outs, pattern, generator=generator)).minimum
