"""Neighbours: a graph of neurons without its directions, as the arrays that the measures of topology work on."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import stated_layers
from sparsewire.structure.layering import longest_paths

if TYPE_CHECKING:
    import networkx as nx

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours of each node; nodes are counted layer by layer.

    Attributes:
        sizes: how many nodes each layer has.
        starts: where in `heads` the neighbours of each node begin, and the last one's end.
        heads: the neighbours of node after node, rising; every edge stands at both of its ends.
    """

    sizes: tuple[int, ...]
    starts: Whole
    heads: NDArray[np.int32]

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.starts.size - 1

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return self.heads.size // 2

    @property
    def degrees(self) -> Whole:
        """How many neighbours each node has."""
        return np.diff(self.starts)

    @cached_property
    def tails(self) -> Whole:
        """Whose neighbour each of `heads` is."""
        return np.repeat(np.arange(self.nodes), self.degrees)

    @cached_property
    def matrix(self) -> "sparse.csr_array[Any, tuple[int, int]]":
        """1 where two nodes are neighbours: symmetric, shape (nodes, nodes)."""
        ones = np.ones(self.heads.size)
        return sparse.csr_array((ones, self.heads, self.starts), shape=(self.nodes, self.nodes))

    @cached_property
    def components(self) -> Whole:
        """The number of the component that each node belongs to, from 0 on."""
        return np.asarray(sparse.csgraph.connected_components(self.matrix, directed=False)[1], np.int64)


def neighbours_of(graph: "NetGraph | nx.Graph | Neighbours") -> Neighbours:
    """The neighbours in a graph.

    Args:
        graph: a NetGraph; or a networkx graph, which `NetGraph.from_networkx` puts in layers.

    Raises:
        RequestError: it is neither, or a graph that cannot be put in layers: without nodes, with an edge from a node to
            itself or two between the same nodes, with directed edges in a circle between nodes without numbers.

    Example:
        >>> import networkx as nx
        >>> found = neighbours_of(nx.path_graph(3))
        >>> found.sizes, found.starts, found.heads
        ((1, 1, 1), array([0, 1, 3, 4]), array([1, 0, 2, 1], dtype=int32))
    """
    if isinstance(graph, Neighbours):
        return graph
    simple = None if isinstance(graph, NetGraph) else _simple(graph)
    if simple is not None:
        return simple
    net = graph if isinstance(graph, NetGraph) else NetGraph.from_networkx(graph)
    return Neighbours(net.sizes, *arrays_of(sum(net.sizes), *edges_of(net)))


def edges_of(graph: NetGraph) -> tuple[Whole, Whole]:
    """The lower and the higher node of each edge.

    Example:
        >>> from scipy.sparse import csr_array
        >>> edges_of(NetGraph((2, 1), {(0, 1): csr_array([[1.0, 1.0]])}))
        (array([0, 1]), array([2, 2]))
    """
    if not graph.blocks:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # A deep graph has thousands of blocks of a few edges each: all at once, not one by one.
    first = np.concatenate([[0], np.cumsum(graph.sizes)])
    sources, targets = np.array(list(graph.blocks)).T
    pointers = np.concatenate([block.indptr for block in graph.blocks.values()]).astype(np.int64)
    rows = np.array(graph.sizes)[targets]
    edges = pointers[np.cumsum(rows + 1) - 1]
    lower = np.concatenate([block.indices for block in graph.blocks.values()]) + np.repeat(first[sources], edges)
    lengths = np.delete(np.diff(pointers), np.cumsum(rows + 1)[:-1] - 1)  # not from one block's end to the next's begin
    row = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows) + np.repeat(first[targets], rows)
    return lower, np.repeat(row, lengths)


def _simple(graph: "nx.Graph") -> Neighbours | None:
    """The same as by way of a NetGraph, without its blocks; None for what only a NetGraph judges."""
    if not hasattr(graph, "nodes") or graph.is_multigraph():
        return None
    labels = list(graph)
    numbered = all(isinstance(label, Integral) for label in labels)
    if not labels or (graph.is_directed() and not numbered):
        return None
    order = sorted(range(len(labels)), key=labels.__getitem__) if numbered else list(range(len(labels)))
    rank = {labels[place]: number for number, place in enumerate(order)}
    ends = np.array([rank[label] for edge in graph.edges() for label in edge], np.int64).reshape(-1, 2)
    low, high = ends.min(axis=1), ends.max(axis=1)
    if (low == high).any() or (graph.is_directed() and np.unique(low * len(labels) + high).size < low.size):
        return None
    layer = stated_layers([graph.nodes[labels[place]].get("layer") for place in order], low, high)
    layer = longest_paths(len(labels), low, high) if layer is None else layer
    place_of = np.empty(len(labels), np.int64)
    place_of[np.argsort(layer, kind="stable")] = np.arange(len(labels))
    sizes = tuple(np.bincount(layer).tolist())
    return Neighbours(sizes, *arrays_of(len(labels), place_of[low], place_of[high]))


def arrays_of(nodes: int, lower: Whole, higher: Whole) -> tuple[Whole, NDArray[np.int32]]:
    """`starts` and `heads` of `Neighbours` for edges between these nodes, each given once."""
    ends = np.concatenate([lower, higher]), np.concatenate([higher, lower])
    joined = sparse.coo_array((np.ones(2 * lower.size, np.int8), ends), shape=(nodes, nodes)).tocsr()
    joined.sort_indices()
    return joined.indptr.astype(np.int64), joined.indices.astype(np.int32)
