"""Layers of numbered edges: from nodes 0, 1, … and edges that lead from lower to higher ones to sizes and blocks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from sparsewire.structure.blocks import Array, Block, Junction, block_of_sorted, ends


def layers_of_edges(
    nodes: int, low: Array, high: Array, values: Array | None = None, stated: Array | None = None
) -> tuple[tuple[int, ...], dict[Junction, Block]]:
    """The sizes and blocks of a graph of numbered nodes, as `NetGraph` takes them; a million edges take a second or so.

    Args:
        nodes: how many there are, at least 1.
        low: where each edge comes from, 0 to nodes - 1; in any order, no edge twice.
        high: where it leads to, each above its `low`.
        values: one an edge; else all are one, in float32.
        stated: the layer of each node, where it is to be another than the longest path from a source; each edge must
            rise, and no layer up to the highest be empty.

    Example:
        >>> sizes, blocks = layers_of_edges(4, np.array([0, 2, 1, 0]), np.array([2, 3, 3, 3]))
        >>> sizes, blocks[0, 2].toarray().tolist()
        ((2, 1, 1), [[1.0, 1.0]])
    """
    layer = longest_paths(nodes, low, high) if stated is None else np.asarray(stated, np.int64)
    order = np.argsort(layer, kind="stable")  # in a layer the nodes keep their order
    place = np.empty(nodes, np.int64)
    place[order] = np.arange(nodes)
    sizes = np.bincount(layer)
    starts = np.append(0, np.cumsum(sizes))
    junction = layer[low] * sizes.size + layer[high]
    low, high = place[low], place[high]
    ranks = np.lexsort((high * nodes + low, junction))
    low, high, junction = low[ranks], high[ranks], junction[ranks]
    bounds = np.flatnonzero(np.diff(junction, prepend=-1, append=-1))  # where one block ends and the next begins
    values = np.ones(low.size, np.float32) if values is None else values[ranks]
    blocks: dict[Junction, Block] = {}
    for begin, end in pairwise(bounds.tolist()):
        source, target = divmod(int(junction[begin]), sizes.size)
        blocks[source, target] = block_of_sorted(
            high[begin:end] - starts[target],
            low[begin:end] - starts[source],
            values[begin:end],
            (int(sizes[target]), int(sizes[source])),
        )
    return tuple(sizes.tolist()), blocks


def longest_paths(nodes: int, low: Array, high: Array) -> Array:
    """How many edges the longest path from a source to each node has; edges lead from lower to higher numbers.

    Example:
        >>> longest_paths(4, np.array([0, 2, 0]), np.array([2, 3, 3]))
        array([0, 0, 1, 2])

    Reference: Stier and Granitzer (2019), "Structural analysis of sparse neural networks": the layer index ind(v).
    """
    order = np.argsort(low, kind="stable")  # by the lower node: what leads to it has been seen by then
    layer = [0] * nodes
    for one, other in zip(low[order].tolist(), high[order].tolist(), strict=True):
        least = layer[one] + 1
        if layer[other] < least:
            layer[other] = least
    return np.array(layer, np.int64)


def numbered_edges(sizes: Sequence[int], blocks: Mapping[Junction, Block]) -> tuple[Array, Array, Array]:
    """All edges of a graph in layers: from which node, to which, and the value; nodes count layer by layer.

    Example:
        >>> low, high, values = numbered_edges(*layers_of_edges(3, np.array([0, 1]), np.array([1, 2])))
        >>> low.tolist(), high.tolist(), values.tolist()
        ([0, 1], [1, 2], [1.0, 1.0])
    """
    starts = np.append(0, np.cumsum(sizes))
    parts = []
    for (source, target), block in blocks.items():
        heads, tails = ends(block)
        parts.append((tails + starts[source], heads + starts[target], block.data))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    low, high, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return low, high, values
