"""Small worlds: rings of which edges were rewired."""

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.connected_draws import first_connected
from sparsewire.structure.priors.random_edges import checked_probability
from sparsewire.structure.priors.trades import checked_labels, number_stream


def watts_strogatz(
    n: int, k: int, p: float = 1.0, *, generator: torch.Generator, connected: bool = True, tries: int = 10
) -> NetGraph:
    """A small world: a ring in which each node is joined to its k nearest, and of each edge one end may be moved.

    Each of the n·⌊k/2⌋ edges (u, u + j) is with probability p replaced by (u, w), w drawn among the nodes that are not
    joined to u. Edges lead from the lower to the higher number; a node's layer is the longest path from a source.

    Args:
        n: nodes, at least 1.
        k: nearest neighbours in the ring, 0 to n; an odd one counts as k - 1, and k = n gives the complete graph.
        p: probability of a rewiring, 0 to 1; at 1, as in the paper, hardly a small world is left.
        generator: where the draws come from.
        connected: whether a graph in pieces is drawn again.
        tries: how many graphs are drawn at most.

    Raises:
        RequestError: an argument is out of its range, or all of `tries` graphs were in pieces.

    Example:
        >>> watts_strogatz(30, 6, generator=torch.Generator().manual_seed(0)).edges
        90

    Reference:
        Watts and Strogatz 1998; networkx's connected_watts_strogatz_graph, which the paper uses with k = n // 5 for n
        from 10 to 50: the same law.
    """
    n, k = checked_labels("n", whole("n", n, least=1)), whole("k", k, least=0)
    if k > n:
        raise RequestError(f"k: found {k}, expected at most {n}, the nodes")
    p = checked_probability("p", p)
    stream = number_stream(checked_generator(generator))

    def draw() -> tuple[Array, Array]:
        return _complete(n) if k == n else _rewired_ring(n, k // 2, p, stream)

    hint = f"the ring joins each node to {k // 2 * 2} others; take a larger k or p, or connected=False"
    low, high = first_connected(n, draw, connected=connected, tries=tries, hint=hint)
    return NetGraph(*layers_of_edges(n, low, high))


def _complete(nodes: int) -> tuple[Array, Array]:
    low, high = np.triu_indices(nodes, 1)
    return low, high


def _rewired_ring(nodes: int, reach: int, p: float, stream: np.random.Generator) -> tuple[Array, Array]:
    """Edge after edge as in networkx, for whether (u, w) is free depends on all that came before."""
    ring = np.arange(nodes)
    neighbours = [(ring + step) % nodes for step in range(1, reach + 1)]
    present = {key for other in neighbours for key in _keys(ring, other, nodes)}
    degrees = [2 * reach] * nodes
    for other in neighbours:
        moved = np.flatnonzero(stream.random(nodes) < p)
        old, new = other[moved], stream.integers(nodes, size=moved.size)
        columns = (moved.tolist(), old.tolist(), new.tolist(), _keys(moved, old, nodes), _keys(moved, new, nodes))
        for one, end, drawn, leaves, comes in zip(*columns, strict=True):
            if degrees[one] >= nodes - 1:
                continue  # it is joined to all
            while comes in present or drawn == one:
                drawn = int(stream.integers(nodes))
                comes = min(one, drawn) * nodes + max(one, drawn)
            present.remove(leaves)
            present.add(comes)
            degrees[end] -= 1
            degrees[drawn] += 1
    keys = np.sort(np.fromiter(present, np.int64, len(present)))
    return keys // nodes, keys % nodes


def _keys(one: Array, other: Array, nodes: int) -> list[int]:
    keys: list[int] = (np.minimum(one, other) * nodes + np.maximum(one, other)).tolist()
    return keys
