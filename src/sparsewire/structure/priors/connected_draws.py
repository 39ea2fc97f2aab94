"""Drawing again until a graph is in one piece."""

from collections.abc import Callable

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, whole


def first_connected(
    nodes: int, draw: Callable[[], tuple[Array, Array]], *, connected: bool, tries: int, hint: str
) -> tuple[Array, Array]:
    """The edges of the first drawn graph that is in one piece; of the first one if any will do.

    Args:
        nodes: how many there are.
        draw: gives both ends of each edge of another graph.
        connected: whether a graph in pieces is drawn again.
        tries: how many graphs are drawn at most.
        hint: what the error advises.

    Raises:
        RequestError: all were in pieces, or `tries` or `connected` is out of its range.

    Example:
        >>> first_connected(3, lambda: (np.array([0]), np.array([1])), connected=False, tries=1, hint="")
        (array([0]), array([1]))
    """
    tries = whole("tries", tries, least=1)
    if not isinstance(connected, bool):
        raise RequestError(f"connected: found {connected!r}, expected True or False")
    for _ in range(tries):
        low, high = draw()
        if not connected or is_connected(nodes, low, high):
            return low, high
    raise RequestError(f"connected: each of {tries} drawn graphs of {nodes} nodes was in pieces; {hint}")


def is_connected(nodes: int, low: Array, high: Array) -> bool:
    """Whether the undirected graph of these edges is in one piece.

    Example:
        >>> is_connected(3, np.array([0, 1]), np.array([2, 2])), is_connected(3, np.array([0]), np.array([2]))
        (True, False)
    """
    if low.size < nodes - 1:
        return False
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(low.size, np.int8), (low, high)), shape=(nodes, nodes))
    pieces, _ = connected_components(graph, directed=False)
    return bool(pieces == 1)
