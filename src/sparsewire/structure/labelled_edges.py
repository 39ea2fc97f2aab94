"""Edges between labelled nodes, as others state them: which way they lead, and in which layers the nodes are."""

import heapq
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from sparsewire.structure.blocks import Array, Block, Junction
from sparsewire.structure.layering import layers_of_edges

# Makes the error of a text and of the number of the edge that it is about, -1 where it is about all.
Fault = Callable[[str, int], Exception]


@dataclass(frozen=True, eq=False)
class LabelledEdges:
    """A graph as a file or another library states it.

    Args:
        labels: of the nodes, in their own order.
        tails: where each edge begins, as a place among the labels.
        heads: where it ends.
        weights: one an edge.
        directed: whether the edges have a direction.
        stated: what each node says of its layer.
    """

    labels: Sequence[Hashable]
    tails: Array
    heads: Array
    weights: Array
    directed: bool
    stated: Sequence[object]


def layers_of_labelled(graph: LabelledEdges, fault: Fault) -> tuple[tuple[int, ...], dict[Junction, Block]]:
    """The sizes and blocks of a labelled graph, every edge led from its lower to its higher node.

    If all labels are integers, lower is the smaller number. Else a directed edge keeps its direction, and an undirected
    one leads from the node that is listed earlier to the later one. The layers are those that the nodes state, if all
    do, no layer is empty and every edge rises; else the longest paths from a source. In a layer the nodes keep their
    order, of numbers or of the list.

    Raises:
        Exception: what `fault` makes, for there are no nodes, an edge from a node to itself, two edges between the same
            nodes, or directed edges in a circle.

    Example:
        >>> column = np.array([1, 0])
        >>> graph = LabelledEdges([7, 5, 9], np.array([0, 2]), np.array([1, 0]), np.ones(2), False, [None] * 3)
        >>> layers_of_labelled(graph, lambda text, edge: ValueError(text))[0]  # 5 to 7, 7 to 9
        (1, 1, 1)
    """
    nodes = len(graph.labels)
    if not nodes:
        raise fault("found no nodes, expected at least one", -1)
    loops = np.flatnonzero(graph.tails == graph.heads)
    if loops.size:
        label = graph.labels[graph.tails[loops[0]]]
        raise fault(f"node {label!r} has an edge to itself; a feed-forward graph cannot hold it", int(loops[0]))
    _refuse_repeats(graph, fault)
    rank = _ranks(graph, fault)
    one, other = rank[graph.tails], rank[graph.heads]
    low, high = np.minimum(one, other), np.maximum(one, other)
    by_rank = np.empty(nodes, np.int64)
    by_rank[rank] = np.arange(nodes)
    layer = stated_layers([graph.stated[place] for place in by_rank.tolist()], low, high)
    return layers_of_edges(nodes, low, high, graph.weights, layer)


def stated_layers(stated: Sequence[object], low: Array, high: Array) -> Array | None:
    """The layers that the nodes state, or none if these cannot be the layers of the graph.

    Example:
        >>> stated_layers([0, 0, 1], np.array([0]), np.array([2])), stated_layers([0, 0], np.array([0]), np.array([1]))
        (array([0, 0, 1]), None)
    """
    if not all(isinstance(one, Integral) and 0 <= int(one) < len(stated) for one in stated):
        return None
    layer = np.array([int(one) for one in stated], np.int64)  # type: ignore[call-overload]
    fits = bool(np.bincount(layer).all() and (layer[low] < layer[high]).all())
    return layer if fits else None


def _refuse_repeats(graph: LabelledEdges, fault: Fault) -> None:
    keys = np.minimum(graph.tails, graph.heads) * len(graph.labels) + np.maximum(graph.tails, graph.heads)
    order = np.argsort(keys, kind="stable")
    repeats = order[1:][np.diff(keys[order]) == 0]
    if repeats.size:
        edge = int(repeats.min())
        one, other = graph.labels[graph.tails[edge]], graph.labels[graph.heads[edge]]
        raise fault(f"found two edges between {one!r} and {other!r}, expected at most one", edge)


def _ranks(graph: LabelledEdges, fault: Fault) -> Array:
    """The number of each node in an order in which edges rise."""
    nodes = len(graph.labels)
    if all(isinstance(label, Integral) for label in graph.labels):
        numbers: list[Any] = list(graph.labels)
        order = sorted(range(nodes), key=numbers.__getitem__)
    elif graph.directed:
        order = _in_direction(nodes, graph.tails, graph.heads)
    else:
        order = list(range(nodes))
    if len(order) < nodes:
        raise fault(
            "found directed edges in a circle, expected none; number the nodes 0, 1, … to lead edges from lower to "
            "higher ones",
            -1,
        )
    rank = np.empty(nodes, np.int64)
    rank[order] = np.arange(nodes)
    return rank


def _in_direction(nodes: int, tails: Array, heads: Array) -> list[int]:
    """The nodes in the first order in which every edge leads to a later one; fewer than all if there is none."""
    order = np.argsort(tails, kind="stable")
    after = heads[order].tolist()
    begins = np.append(0, np.cumsum(np.bincount(tails, minlength=nodes))).tolist()
    missing = np.bincount(heads, minlength=nodes).tolist()
    ready = [node for node in range(nodes) if not missing[node]]  # a sorted list is a heap
    found = []
    while ready:
        node = heapq.heappop(ready)
        found.append(node)
        for head in after[begins[node] : begins[node + 1]]:
            missing[head] -= 1
            if not missing[head]:
                heapq.heappush(ready, head)
    return found
