"""Distances, closeness and betweenness of a graph: from all nodes, or estimated from some."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.analysis.topology.neighbours import Neighbours
from sparsewire.kernels.centrality import Sweep, reverse_arcs, shortest_paths_sweep
from sparsewire.structure.blocks import checked_generator, whole

Reals = NDArray[np.float64]

STEPS = 4 * 10**9  # from an arc to the next, which are done without being asked for: some seconds
LEAST_SOURCES = 256


class Moments(NamedTuple):
    """Mean and variance (with n - 1; 0 of fewer than two numbers)."""

    mean: float
    var: float

    @property
    def std(self) -> float:
        """The root of the variance."""
        return float(np.sqrt(self.var))


@dataclass(frozen=True, eq=False)
class Centralities:
    """What the shortest paths from some sources tell.

    Attributes:
        sources: how many sources there are; the next two have a number for each.
        eccentricity: the largest distance to a node that the source reaches.
        closeness: see `graph_properties`.
        mean_distance: over all pairs of a source and a node that it reaches; 0 where there is none.
        nodes_betweenness: over all nodes.
        edge_betweenness: over all edges.
        exact: whether the sources are all nodes.
    """

    sources: int
    eccentricity: Reals
    closeness: Reals
    mean_distance: float
    nodes_betweenness: Moments
    edge_betweenness: Moments
    exact: bool


def centralities(
    joined: Neighbours, *, sources: int | None = None, generator: torch.Generator | None = None
) -> Centralities:
    """The centralities; see `graph_properties` for the arguments.

    A sample of k sources is two independent ones of k / 2. Both betweennesses are estimated from each, and with noises
    that are independent the covariance of the two is the variance without the noise; it is unbiased but may come out
    negative, and is then 0. What belongs to the sources themselves is that of the nodes that were drawn, each once.
    """
    if generator is not None:
        checked_generator(generator)
    count = _sources(joined, sources)
    if count >= joined.nodes:
        sweep = shortest_paths_sweep(joined.starts, joined.heads, np.arange(joined.nodes))
        own = _nodes_share(joined, sweep, joined.nodes), _edges_share(joined, sweep, joined.nodes)
        return _of_sources(joined, np.arange(joined.nodes), sweep, *(moments(share) for share in own))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    halves = [torch.randperm(joined.nodes, generator=generator)[:half].numpy() for half in (count // 2, -(-count // 2))]
    sweeps = [shortest_paths_sweep(joined.starts, joined.heads, half) for half in halves]
    nodes, edges = (
        _moments_of_two(*(share(joined, sweep, half.size) for sweep, half in zip(sweeps, halves, strict=True)))
        for share in (_nodes_share, _edges_share)
    )
    together = Sweep(*(np.concatenate(part) for part in zip(*sweeps, strict=True)))
    return _of_sources(joined, np.concatenate(halves), together, nodes, edges)


def moments(values: NDArray[Any]) -> Moments:
    """Mean and variance.

    Example:
        >>> moments(np.array([1, 3])), moments(np.array([5]))
        (Moments(mean=2.0, var=2.0), Moments(mean=5.0, var=0.0))
    """
    if not values.size:
        return Moments(0.0, 0.0)
    return Moments(float(values.mean()), float(values.var(ddof=1)) if values.size > 1 else 0.0)


def _sources(joined: Neighbours, sources: int | None) -> int:
    if sources is not None:
        return whole("sources", sources, least=2)
    affordable = max(LEAST_SOURCES, STEPS // max(1, joined.heads.size))
    return min(joined.nodes, affordable)


def _moments_of_two(one: Reals, other: Reals) -> Moments:
    """Of numbers that are known from two independent estimates each."""
    mean = (one.mean() + other.mean()) / 2 if one.size else 0.0
    var = np.cov(one, other)[0, 1] if one.size > 1 else 0.0
    return Moments(float(mean), max(0.0, float(var)))


def _nodes_share(joined: Neighbours, sweep: Sweep, sources: int) -> Reals:
    # networkx leaves the sums of fewer than three nodes, which are 0, as they are.
    others = max(1, joined.nodes - 1) * max(1, joined.nodes - 2)
    return sweep.nodes * (joined.nodes / sources / others)


def _edges_share(joined: Neighbours, sweep: Sweep, sources: int) -> Reals:
    both = sweep.arcs + sweep.arcs[reverse_arcs(joined.starts, joined.heads)]
    each = both[joined.heads > joined.tails]
    return each * (joined.nodes / sources / max(1, joined.nodes * (joined.nodes - 1)))


def _of_sources(
    joined: Neighbours, sources: NDArray[Any], sweep: Sweep, nodes: Moments, edges: Moments
) -> Centralities:
    drawn = np.unique(sources, return_index=True)[1]
    distances, reached, farthest = (part[drawn].astype(np.float64) for part in sweep[2:])
    closeness = reached**2 / (np.maximum(1, distances) * max(1, joined.nodes - 1))
    mean = float(distances.sum() / max(1.0, float(reached.sum())))
    return Centralities(drawn.size, farthest, closeness, mean, nodes, edges, drawn.size == joined.nodes)
