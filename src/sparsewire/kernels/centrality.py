"""One sweep over all shortest paths of an undirected graph: betweenness of nodes and edges, closeness, eccentricity.

From a source s a search in breadth counts the shortest paths to every node, and on the way back every node and every
edge learns its part in them (Brandes 2001, 2008). With σ(s, v) the number of shortest paths from s to v,

    δ(s, v) = Σ over w one step farther than v:  σ(s, v) / σ(s, w) · (1 + δ(s, w)),

the term of w being the part of the arc v → w, and δ(s, v) that of v itself. The same search gives the distances.

Natively eight sources go together (Then et al. 2014, "The more the merrier"): a node that some of them reach in the
same step is visited once. The sums are those of fixed groups of sources, so that no digit depends on the threads.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from sparsewire.errors import RequestError
from sparsewire.kernels import centrality_plain, native
from sparsewire.kernels.centrality_plain import Reals, Whole

_LANES = 8  # sources that go together, as in centrality.cpp
_PARTS = 16  # sums of their own; at most so many threads
_NUMBERS = 1 << 24  # in them all


class Sweep(NamedTuple):
    """What one sweep finds.

    Attributes:
        nodes: per node the sum over the sources s of δ(s, v), 0 for s itself. Over all sources every pair of nodes
            counts twice, once from each end.
        arcs: per arc v → w the sum over the sources of its part; an edge is two arcs.
        distances: per source the sum of the distances to the nodes that it reaches.
        reached: per source how many other nodes it reaches.
        farthest: per source the largest distance to one of them, 0 where there are none.
    """

    nodes: Reals
    arcs: Reals
    distances: Whole
    reached: Whole
    farthest: Whole


def shortest_paths_sweep(starts: Whole, neighbours: NDArray[np.int32], sources: Whole) -> Sweep:
    """The sweep from these sources.

    Args:
        starts: where in `neighbours` those of each node begin, and the last one's end.
        neighbours: of node after node, each rising, no node its own; every edge from both ends.
        sources: node numbers; twice the same counts twice.

    Raises:
        RequestError: two nodes are joined by more than 1.8e308 shortest paths.

    Example:
        >>> line = np.array([0, 1, 3, 4]), np.array([1, 0, 2, 1], np.int32)
        >>> sweep = shortest_paths_sweep(*line, np.arange(3))
        >>> sweep.nodes, sweep.arcs, sweep.distances, sweep.farthest
        (array([0., 2., 0.]), array([2., 2., 2., 2.]), array([3, 2, 3]), array([2, 1, 2]))
    """
    if native.is_at_hand():
        sweep = _natively(starts, neighbours, sources)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            sweep = Sweep(*centrality_plain.swept(starts, neighbours, sources))
    if not np.isfinite(sweep.nodes).all():
        raise RequestError(
            "graph: found two nodes with more than 1.8e308 shortest paths between them, more than can be counted; "
            "expected fewer, as in a smaller grid"
        )
    return sweep


def reverse_arcs(starts: Whole, neighbours: NDArray[np.int32]) -> Whole:
    """Per arc v → w the place of the arc w → v.

    Example:
        >>> reverse_arcs(np.array([0, 1, 3, 4]), np.array([1, 0, 2, 1], np.int32))
        array([1, 0, 3, 2])
    """
    # Arcs lie in the order of (tail, head). In the order of (head, tail) the reverse of the first is the first, …
    return np.argsort(neighbours, kind="stable")


def _natively(starts: Whole, neighbours: NDArray[np.int32], sources: Whole) -> Sweep:
    count = starts.size - 1
    # Sources that are near one another reach the same nodes in the same steps.
    order = np.argsort(_near_ones_together(starts, neighbours)[sources], kind="stable")
    ordered = sources[order].astype(np.int32)
    # Of the graph and the sources alone, never of the threads, so that the sums are always the same.
    parts = max(1, min(_PARTS, -(-sources.size // _LANES), _NUMBERS // max(1, count + neighbours.size)))
    threads = min(parts, torch.get_num_threads())
    nodes, arcs = np.zeros((parts, count)), np.zeros((parts, neighbours.size))
    found = np.zeros((3, sources.size), np.int64)
    room = np.zeros((threads, 31 * count + 8), np.uint64)
    native.function("shortest_paths_sweep", "i" * 14)(
        starts.ctypes.data, neighbours.ctypes.data, count, ordered.ctypes.data, sources.size, parts, nodes.ctypes.data,
        arcs.ctypes.data, *(row.ctypes.data for row in found), room.ctypes.data, room.strides[0], threads,
    )  # fmt: skip
    per_source = np.empty_like(found)
    per_source[:, order] = found
    return Sweep(nodes.sum(axis=0), arcs.sum(axis=0), *per_source)


def _near_ones_together(starts: Whole, neighbours: NDArray[np.int32]) -> Whole:
    """The place of each node in an order in which neighbours stand near one another."""
    count = starts.size - 1
    joined: Any = sparse.csr_array((np.ones(neighbours.size, np.int8), neighbours, starts), shape=(count, count))
    place = np.empty(count, np.int64)
    place[sparse.csgraph.reverse_cuthill_mckee(joined, symmetric_mode=True)] = np.arange(count)
    return place
