"""Clustering: how many neighbours of a node are neighbours of one another; and how many neighbours nodes have."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsewire.analysis.topology.neighbours import Neighbours, neighbours_of
from sparsewire.structure.graphs import NetGraph

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Clustering:
    """How clustered a graph is.

    Attributes:
        local: per node, layer by layer, the share of the pairs of its neighbours that are neighbours; 0 of fewer than
            two neighbours.
        transitivity: the same share over all such pairs of all nodes; 0 where there is none.
    """

    local: NDArray[np.float64]
    transitivity: float

    @property
    def average(self) -> float:
        """The mean of `local`: the clustering coefficient of Watts and Strogatz (1998)."""
        return float(self.local.mean())


def clustering(graph: "NetGraph | nx.Graph | Neighbours") -> Clustering:
    """The clustering of a graph without its directions: networkx's `clustering` and `transitivity`.

        local(v) = 2 · triangles with v / (degree(v) · (degree(v) - 1))

    Args:
        graph: a NetGraph or a networkx graph.

    Raises:
        RequestError: the graph is none or cannot be put in layers (see `NetGraph.from_networkx`).

    Example:
        >>> import networkx as nx
        >>> found = clustering(nx.Graph([(0, 1), (1, 2), (0, 2), (2, 3)]))
        >>> found.average, found.transitivity
        (0.5833333333333334, 0.6)

    Reference:
        Watts and Strogatz (1998), "Collective dynamics of 'small-world' networks".
    """
    joined = neighbours_of(graph)
    triangles = _triangles(joined)
    pairs = joined.degrees * (joined.degrees - 1) // 2
    return Clustering(triangles / np.maximum(pairs, 1), float(triangles.sum() / max(1, pairs.sum())))


def degree_distribution(graph: "NetGraph | nx.Graph | Neighbours") -> NDArray[np.int64]:
    """How many nodes have 0, 1, 2, … neighbours, up to the largest degree that occurs; directions do not matter.

    Raises:
        RequestError: the graph is none or cannot be put in layers (see `NetGraph.from_networkx`).

    Example:
        >>> import networkx as nx
        >>> degree_distribution(nx.star_graph(4))
        array([0, 4, 0, 0, 1])
    """
    return np.bincount(neighbours_of(graph).degrees)


def _triangles(joined: Neighbours) -> NDArray[np.float64]:
    """In how many triangles each node is.

    Every edge is led to the end with more neighbours: none then leads to more than √(2 · edges) nodes, which bounds the
    work however many neighbours a hub has. In a triangle u → v → w, u → w each node has its own place.
    """
    rank = np.empty(joined.nodes, np.int64)
    rank[np.argsort(joined.degrees, kind="stable")] = np.arange(joined.nodes)
    rises = rank[joined.tails] < rank[joined.heads]
    ends = joined.tails[rises], joined.heads[rises]
    led = sparse.csr_array((np.ones(ends[0].size), ends), shape=(joined.nodes, joined.nodes))
    outer = (led @ led).multiply(led)  # at (u, w)
    inner = (led.T @ led).multiply(led)  # at (v, w)
    sums: NDArray[np.float64] = outer.sum(axis=1) + outer.sum(axis=0) + inner.sum(axis=1)
    return sums
