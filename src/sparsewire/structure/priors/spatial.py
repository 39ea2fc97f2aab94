"""Graphs of nodes in space: joined to those nearby, and perhaps to a few far away."""

import itertools
import math
from numbers import Real

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.connected_draws import first_connected
from sparsewire.structure.priors.trades import checked_labels, number_stream

_MOST_OFFSETS = 1 << 26


def random_geometric(
    n: int, radius: float, *, dim: int = 2, generator: torch.Generator, connected: bool = False, tries: int = 10
) -> NetGraph:
    """A graph of random points in the unit cube, any two of which are joined if they are at most `radius` apart.

    Edges lead from the lower to the higher number; a node's layer is the longest path from a source.

    Args:
        n: points, at least 1.
        radius: at least 0; a square's diagonal is √2.
        dim: dimensions of the cube, at least 1.
        generator: where the draws come from.
        connected: whether a graph in pieces is drawn again.
        tries: how many graphs are drawn at most.

    Raises:
        RequestError: an argument is out of its range, or all of `tries` graphs were in pieces.

    Example:
        >>> random_geometric(5, 1.5, generator=torch.Generator().manual_seed(0)).edges  # all pairs
        10

    Reference:
        Gilbert 1961; the same law as networkx's random_geometric_graph.
    """
    n, dim = checked_labels("n", whole("n", n, least=1)), whole("dim", dim, least=1)
    radius = _checked_amount("radius", radius)
    stream = number_stream(checked_generator(generator))

    def draw() -> tuple[Array, Array]:
        from scipy.spatial import cKDTree

        pairs = cKDTree(stream.random((n, dim))).query_pairs(radius, output_type="ndarray")
        return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)

    hint = "take a larger radius, or connected=False"
    low, high = first_connected(n, draw, connected=connected, tries=tries, hint=hint)
    return NetGraph(*layers_of_edges(n, np.minimum(low, high), np.maximum(low, high)))


def kleinberg(
    side: int, *, p: int = 1, q: int = 1, r: float = 2.0, dim: int = 2, generator: torch.Generator
) -> NetGraph:
    """A lattice in which each node is joined to all nodes nearby and to a few drawn by how far they are.

    Each node has an edge to every other at a distance of at most p, in steps along the axes, and to q others, each
    drawn with a probability in proportion to distance⁻ʳ. What is drawn twice, or is near, is one edge. Nodes are
    numbered row by row; edges lead from the lower to the higher number; a node's layer is the longest path from a
    source.

    Args:
        side: nodes along each axis, at least 1.
        p: the distance up to which nodes are joined, at least 0.
        q: drawn contacts of each node, at least 0.
        r: the exponent, at least 0; with r = dim short paths can be found by who knows the lattice alone.
        dim: dimensions, at least 1.
        generator: where the draws come from.

    Raises:
        RequestError: an argument is out of its range.

    Example:
        >>> kleinberg(3, q=0, generator=torch.Generator().manual_seed(0))  # the lattice
        NetGraph(1-2-3-2-1, 12 edges, density 0.75)

    Reference:
        Kleinberg 2000, "The small-world phenomenon: an algorithmic perspective", where contacts are directed. The same
        is meant by networkx's navigable_small_world_graph, which (in 3.6) leads each contact with a lower number than
        the node's own to the one after it, perhaps the node itself.
    """
    side, dim = whole("side", side, least=1), whole("dim", dim, least=1)
    p, q = whole("p", p, least=0), whole("q", q, least=0)
    r = _checked_amount("r", r)
    if dim * math.log2(2 * side - 1) > math.log2(_MOST_OFFSETS):  # the power itself may be beyond all memory
        raise RequestError(f"side: found {side} in {dim} dimensions, expected (2·side - 1)^dim up to {_MOST_OFFSETS:,}")
    stream = number_stream(checked_generator(generator))
    dim = dim if side > 1 else 1  # of one node in any number of dimensions, which numpy does not have
    nodes = side**dim
    keys = [_near(side, dim, p)]
    if q and nodes > 1:
        keys.append(_contacts(side, dim, q, r, stream))
    joined = np.sort(np.concatenate(keys))
    joined = joined[np.diff(joined, prepend=-1) > 0]
    return NetGraph(*layers_of_edges(nodes, joined // nodes, joined % nodes))


def _near(side: int, dim: int, p: int) -> Array:
    """The keys low · nodes + high of all pairs at a distance of at most p."""
    places = np.indices((side,) * dim).reshape(dim, -1)
    reach = range(-min(p, side - 1), min(p, side - 1) + 1)
    # Of each offset and its reverse, the one that rises.
    offsets = [step for step in itertools.product(reach, repeat=dim) if step > (0,) * dim and sum(map(abs, step)) <= p]
    found = [_keys(places, places + np.array(offset)[:, None], side) for offset in offsets]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _contacts(side: int, dim: int, q: int, r: float, stream: np.random.Generator) -> Array:
    """The keys of q contacts of each node."""
    steps = np.indices((2 * side - 1,) * dim).reshape(dim, -1) - (side - 1)
    distance = np.abs(steps).sum(0)
    weights = np.where(distance > 0, np.maximum(distance, 1).astype(np.float64) ** -r, 0.0)
    reached = np.cumsum(weights)
    places = np.repeat(np.indices((side,) * dim).reshape(dim, -1), q, axis=1)
    found = []
    while places.shape[1]:  # a step out of the lattice is drawn again, which leaves the law of those inside
        drawn = np.searchsorted(reached, stream.random(places.shape[1]) * reached[-1], side="right")
        targets = places + steps[:, drawn]
        inside = ((targets >= 0) & (targets < side)).all(0)
        found.append(_keys(places[:, inside], targets[:, inside], side))
        places = places[:, ~inside]
    return np.concatenate(found)


def _keys(places: Array, targets: Array, side: int) -> Array:
    inside = ((targets >= 0) & (targets < side)).all(0)
    scale = side ** np.arange(len(places))[::-1]
    one, other = scale @ places[:, inside], scale @ targets[:, inside]
    keys: Array = np.minimum(one, other) * side ** len(places) + np.maximum(one, other)
    return keys


def _checked_amount(argument: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise RequestError(f"{argument}: found {value!r}, expected a number of at least 0")
    return float(value)
