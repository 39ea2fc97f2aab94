"""Trees and grids."""

import math
from typing import Literal

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.trades import checked_labels, number_stream

Root = Literal["source", "sink"]


def tree(branching: int, height: int, *, root: Root = "source") -> NetGraph:
    """A balanced tree: every node but the leaves has `branching` children, and the leaves are `height` edges away.

    Args:
        branching: children of a node, at least 1.
        height: edges from the root to a leaf, at least 0.
        root: "source": the edges lead from the root, layer 0, to the leaves. "sink": from the leaves, layer 0, to the
            root.

    Raises:
        RequestError: an argument is out of its range, or the tree is too large to be numbered.

    Example:
        >>> tree(2, 3), tree(3, 2, root="sink")
        (NetGraph(1-2-4-8, 14 edges, density 0.3333), NetGraph(9-3-1, 12 edges, density 0.4))
    """
    branching, height = whole("branching", branching, least=1), whole("height", height, least=0)
    if root not in ("source", "sink"):
        raise RequestError(f"root: found {root!r}, expected 'source' or 'sink'")
    if branching > 1 and height * math.log2(branching) > 64:
        raise RequestError(f"height: found {height}, which gives more than 2^64 leaves; take a smaller one")
    count = (branching ** (height + 1) - 1) // (branching - 1) if branching > 1 else height + 1
    nodes = checked_labels("height, the nodes of the tree", count)
    child = np.arange(1, nodes)
    parent = (child - 1) // branching
    if root == "sink":
        return NetGraph(*layers_of_edges(nodes, nodes - 1 - child, nodes - 1 - parent))
    return NetGraph(*layers_of_edges(nodes, parent, child))


def random_tree(n: int, *, generator: torch.Generator) -> NetGraph:
    """A tree of n numbered nodes, all nⁿ⁻² of them being equally probable.

    Edges lead from the lower to the higher number; a node's layer is the longest path from a source.

    Args:
        n: nodes, at least 1.
        generator: where the draws come from.

    Raises:
        RequestError: an argument is out of its range.

    Example:
        >>> random_tree(20, generator=torch.Generator().manual_seed(0)).edges
        19

    Reference: Prüfer 1918: the code of a tree; networkx's random_labeled_tree.
    """
    n = checked_labels("n", whole("n", n, least=1))
    stream = number_stream(checked_generator(generator))
    code = stream.integers(n, size=max(n - 2, 0)) if n > 2 else np.zeros(0, np.int64)
    missing = (np.bincount(code, minlength=n) + 1).tolist()  # edges that each node has yet to get
    ends: list[tuple[int, int]] = []
    first = leaf = next(node for node in range(n) if missing[node] == 1)
    for other in code.tolist():
        ends.append((leaf, other))
        missing[other] -= 1
        if other < first and missing[other] == 1:
            leaf = other  # it is the lowest leaf now
            continue
        first = next(node for node in range(first + 1, n) if missing[node] == 1)
        leaf = first
    if n > 1:
        ends.append((leaf, n - 1))
    edges = np.sort(np.array(ends, np.int64).reshape(-1, 2), axis=1)
    return NetGraph(*layers_of_edges(n, edges[:, 0], edges[:, 1]))


def grid(*sides: int, periodic: bool = False) -> NetGraph:
    """A grid of nodes, each joined to the next one along every axis.

    Layer l holds the nodes l steps from the first corner, without the edges that close a period.

    Args:
        sides: nodes along each axis, at least 1; at least one axis.
        periodic: whether the last node of a row of at least three is joined to the first, too.

    Raises:
        RequestError: a side is out of its range, there is none, or the grid is too large to be numbered.

    Example:
        >>> grid(3, 3), grid(2, 2, 2).edges, grid(5, periodic=True).edges
        (NetGraph(1-2-3-2-1, 12 edges, density 0.75), 12, 5)
    """
    if not sides:
        raise RequestError("sides: found none, expected the number of nodes along at least one axis")
    shape = tuple(whole(f"sides[{axis}]", side, least=1) for axis, side in enumerate(sides))
    if not isinstance(periodic, bool):
        raise RequestError(f"periodic: found {periodic!r}, expected True or False")
    nodes = checked_labels("sides, the nodes of the grid", math.prod(shape))
    shape = tuple(side for side in shape if side > 1) or (1,)  # numpy has not any number of axes
    numbers = np.arange(nodes).reshape(shape)
    lows, highs = [], []
    for axis, side in enumerate(shape):
        lows.append(numbers.take(range(side - 1), axis).ravel())
        highs.append(numbers.take(range(1, side), axis).ravel())
        if periodic and side > 2:
            lows.append(numbers.take(0, axis).ravel())
            highs.append(numbers.take(side - 1, axis).ravel())
    return NetGraph(*layers_of_edges(nodes, np.concatenate(lows), np.concatenate(highs)))
