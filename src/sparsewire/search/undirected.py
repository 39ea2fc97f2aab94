"""Where vertices and edges lie in their genomes, directions aside: distances, centralities, degrees."""

from typing import NamedTuple

import numpy as np

from sparsewire.kernels.centrality import shortest_paths_sweep
from sparsewire.search.joined_genomes import JoinedGenomes, Reals, Whole


class Undirected(NamedTuple):
    """Numbers of every vertex (of `edge_betweenness`: of every edge) of genomes side by side.

    Attributes:
        edge_betweenness: the mean over all pairs of vertices of the share of their shortest paths through the edge.
        eccentricity: the largest distance to another vertex.
        closeness: (vertices - 1) / Σ distances to the others.
        average_neighbour_degree: the mean number of neighbours of the neighbours.
        degree: neighbours / (vertices - 1).
    """

    edge_betweenness: Reals
    eccentricity: Reals
    closeness: Reals
    average_neighbour_degree: Reals
    degree: Reals


def undirected_of(joined: JoinedGenomes) -> Undirected:
    """The numbers, as networkx has them; a lone vertex has degree 1, and 0 of all others.

    Example:
        >>> from sparsewire.search.genotype import Genome, Vertex
        >>> from sparsewire.search.joined_genomes import side_by_side
        >>> line = Genome((Vertex("skip"),) * 3, ((0, 1), (1, 2)))
        >>> found = undirected_of(side_by_side([line]))
        >>> found.eccentricity, found.degree, found.average_neighbour_degree
        (array([2., 1., 2.]), array([0.5, 1. , 0.5]), array([2., 1., 2.]))
    """
    heads = np.concatenate([joined.heads, joined.tails])
    tails = np.concatenate([joined.tails, joined.heads])
    order = np.lexsort((heads, tails))
    neighbours = np.bincount(tails, minlength=joined.vertices)
    arcs, distances, farthest = _swept(joined, heads[order], neighbours)
    others = joined.sizes[joined.owner] - 1
    pairs = (joined.sizes * (joined.sizes - 1))[joined.owner[joined.tails]]
    edge_of = order % max(1, joined.tails.size)  # of an arc, which comes once from each end
    around = np.bincount(tails, weights=neighbours[heads], minlength=joined.vertices)
    return Undirected(
        edge_betweenness=np.bincount(edge_of, weights=arcs, minlength=joined.tails.size) / np.maximum(1, pairs),
        eccentricity=farthest.astype(np.float64),
        closeness=others / np.maximum(1, distances),
        average_neighbour_degree=around / np.maximum(1, neighbours),
        degree=np.where(others > 0, neighbours / np.maximum(1, others), 1.0),
    )


def _swept(joined: JoinedGenomes, heads: Whole, neighbours: Whole) -> tuple[Reals, Whole, Whole]:
    """Per arc its part in all shortest paths; per vertex the sum of its distances, and the largest."""
    arcs = np.empty(heads.size)
    distances, farthest = np.empty((2, joined.vertices), np.int64)
    starts = np.concatenate([[0], np.cumsum(neighbours)])
    first = 0
    # One genome at a time: no digit of one is to depend on those beside it, as sums over groups of sources would.
    for size in joined.sizes.tolist():
        last = first + size
        begin, end = starts[first], starts[last]
        own = np.ascontiguousarray(heads[begin:end] - first, np.int32)
        sweep = shortest_paths_sweep(starts[first : last + 1] - begin, own, np.arange(size))
        arcs[begin:end] = sweep.arcs
        distances[first:last], farthest[first:last] = sweep.distances, sweep.farthest
        first = last
    return arcs, distances, farthest
