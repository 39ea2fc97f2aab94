"""Small-worldness: clustered like a lattice and as close together as at random, measured against both."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sparsewire.analysis.topology.centralities import centralities
from sparsewire.analysis.topology.neighbours import Neighbours, Whole, arrays_of, neighbours_of
from sparsewire.analysis.topology.triangles import clustering
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.priors.edge_switches import switched
from sparsewire.structure.priors.given_degrees import ROUNDS
from sparsewire.structure.priors.trades import number_stream

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class SmallWorldness:
    """A graph beside random graphs with its degrees and beside a lattice of its size.

    Where a number would be divided by 0 it is NaN: of graphs without triangles at random, or no closer than a lattice.

    Attributes:
        clustering: the mean of the nodes' clustering, C.
        path_length: the mean distance of pairs that are joined, L.
        random_clustering: C of each random graph.
        random_path_length: L of each.
        lattice_clustering: C of the lattice.
        lattice_path_length: L of the lattice.

    Example:
        >>> found = SmallWorldness(0.4, 2.5, (0.1, 0.1), (2.0, 2.0), 0.5, 5.0)
        >>> found.sigma, found.omega, round(found.propensity, 4)
        (3.2, 0.0, 0.7875)
    """

    clustering: float
    path_length: float
    random_clustering: tuple[float, ...]
    random_path_length: tuple[float, ...]
    lattice_clustering: float
    lattice_path_length: float

    @property
    def sigma(self) -> float:
        """σ = (C / C_random) / (L / L_random), above 1 for small worlds (Humphries and Gurney 2008, equation 4)."""
        closer = _ratio(self.path_length, _mean(self.random_path_length))
        return _ratio(_ratio(self.clustering, _mean(self.random_clustering)), closer)

    @property
    def omega(self) -> float:
        """ω = L_random / L - C / C_lattice: near 0 for small worlds, -1 lattice, 1 random (Telesford et al. 2011)."""
        return _ratio(_mean(self.random_path_length), self.path_length) - _ratio(
            self.clustering, self.lattice_clustering
        )

    @property
    def propensity(self) -> float:
        """φ = 1 - √((Δ_C² + Δ_L²) / 2), from 0 to 1; above 0.6 for small worlds (Muldoon, Bridgeford, Bassett 2016).

        Δ_C = (C_lattice - C) / (C_lattice - C_random) and Δ_L = (L - L_random) / (L_lattice - L_random), each cut to
        between 0 and 1.
        """
        random_clustering, random_path_length = _mean(self.random_clustering), _mean(self.random_path_length)
        clusters = _ratio(self.lattice_clustering - self.clustering, self.lattice_clustering - random_clustering)
        lengths = _ratio(self.path_length - random_path_length, self.lattice_path_length - random_path_length)
        if math.isnan(clusters) or math.isnan(lengths):
            return math.nan
        return 1 - math.sqrt((min(max(clusters, 0), 1) ** 2 + min(max(lengths, 0), 1) ** 2) / 2)

    @property
    def clustering_z(self) -> float:
        """(C - mean of C_random) / its standard deviation over the draws; NaN where these are all the same."""
        return _z(self.clustering, self.random_clustering)

    @property
    def path_length_z(self) -> float:
        """The same of L."""
        return _z(self.path_length, self.random_path_length)


def small_worldness(
    graph: "NetGraph | nx.Graph",
    *,
    generator: torch.Generator,
    draws: int = 20,
    sources: int | None = None,
) -> SmallWorldness:
    """How much of a small world a graph is, without its directions: σ, ω, the propensity φ, and what they are made of.

    The random graphs have the same degrees: edges exchange ends until nothing else is left (Maslov and Sneppen 2002).
    The lattice is a ring of as many nodes and edges, each node joined to its nearest ones, after Muldoon et al.;
    Telesford et al. take one with the graph's own degrees. Distances are those of pairs that are joined: where random
    graphs fall into parts their path length is that within the parts.

    Args:
        graph: a NetGraph or a networkx graph.
        generator: where the random graphs come from.
        draws: how many there are, at least 1.
        sources: see `graph_properties`.

    Raises:
        RequestError: the graph cannot be put in layers (see `NetGraph.from_networkx`), or another argument is out of
            its range.

    Example:
        >>> import networkx as nx
        >>> graph = nx.connected_watts_strogatz_graph(200, 8, 0.1, seed=0)
        >>> found = small_worldness(graph, generator=torch.Generator().manual_seed(0))
        >>> found.sigma > 5, found.propensity > 0.6
        (True, True)
    """
    checked_generator(generator)
    number = whole("draws", draws, least=1)
    joined = neighbours_of(graph)
    rises = joined.tails < joined.heads
    low, high = joined.tails[rises], joined.heads[rises].astype(np.int64)
    stream = number_stream(generator)
    measured = [_measured(joined, sources)]
    for _ in range(number):
        exchanged = switched(joined.nodes, low, high, ROUNDS, stream, directed=False)
        measured.append(_measured(_with_edges(joined, *exchanged), sources))
    lattice = _measured(_with_edges(joined, *ring_lattice(joined.nodes, joined.edges)), sources)
    own, *random = measured
    return SmallWorldness(*own, tuple(one[0] for one in random), tuple(one[1] for one in random), *lattice)


def ring_lattice(nodes: int, edges: int) -> tuple[Whole, Whole]:
    """The lower and the higher ends of edges that join the nodes of a ring to their nearest, as many as are asked for.

    Those of the largest distance lie evenly round the ring where they are not enough for all.

    Example:
        >>> ring_lattice(4, 5)
        (array([0, 1, 2, 0, 0]), array([1, 2, 3, 3, 2]))
    """
    one, other = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    distance = 0
    while edges:
        distance += 1
        places = nodes // 2 if 2 * distance == nodes else nodes  # across the ring each edge is met from both ends
        taken = min(edges, places)
        start = np.arange(taken) * places // taken
        one.append(start)
        other.append((start + distance) % nodes)
        edges -= taken
    ends = np.concatenate(one), np.concatenate(other)
    return np.minimum(*ends), np.maximum(*ends)


def _with_edges(joined: Neighbours, low: Whole, high: Whole) -> Neighbours:
    return Neighbours(joined.sizes, *arrays_of(joined.nodes, low, high))


def _measured(joined: Neighbours, sources: int | None) -> tuple[float, float]:
    return clustering(joined).average, centralities(joined, sources=sources).mean_distance


def _mean(values: tuple[float, ...]) -> float:
    # Rounding would make the mean of equal numbers another one, and a quotient of differences out of nothing.
    return values[0] if min(values) == max(values) else sum(values) / len(values)


def _ratio(one: float, other: float) -> float:
    return one / other if other else math.nan


def _z(value: float, others: tuple[float, ...]) -> float:
    if min(others) == max(others):
        return math.nan
    return (value - _mean(others)) / float(np.std(others, ddof=1))
