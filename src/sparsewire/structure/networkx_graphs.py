"""Graphs of networkx as layers and blocks, and back."""

from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Block, Junction, block_of_edges, ends

if TYPE_CHECKING:
    import networkx as nx

Edge = tuple[int, int, float]


def layers_of_networkx(graph: "nx.Graph") -> tuple[tuple[int, ...], dict[Junction, Block]]:
    """The sizes and blocks of a networkx graph.

    Every edge leads from the lower to the higher node, so that there is no cycle. If all nodes are integers, lower is
    the smaller number, and a directed edge against it is turned round. Other nodes have no numbers: there a directed
    edge keeps its direction, and an undirected one leads from the node that is earlier in the graph's own order to the
    later one.

    A node's layer is 0 if nothing leads to it, else one more than the highest layer of its predecessors: the longest
    path from a source. Layers that the nodes themselves state as attribute "layer", as in `networkx_of_layers`, come
    before that, if all nodes do, no layer is empty and every edge rises. In each layer the nodes keep their order.
    Values are the edge attribute "weight", 1 where there is none.

    Raises:
        RequestError: the graph has no nodes, a node with an edge to itself, two edges between the same nodes (also one
            there and one back), directed edges in a circle, or a weight that is no real number.

    Reference:
        Stier and Granitzer (2019), "Structural analysis of sparse neural networks": the layer index ind(v).
    """
    if not hasattr(graph, "nodes"):
        raise RequestError(f"graph: found {type(graph).__name__}, expected a networkx graph")
    nodes = list(graph.nodes)
    if not nodes:
        raise RequestError("graph: found no nodes, expected at least one")
    if all(isinstance(node, Integral) for node in nodes):
        nodes.sort()
    else:
        nodes = _in_direction(graph, nodes)
    edges = _rising_edges(graph, {node: place for place, node in enumerate(nodes)})
    layer = _stated_layers([graph.nodes[node].get("layer") for node in nodes], edges)
    layer = layer or _longest_paths(len(nodes), edges)
    sizes = [0] * (max(layer) + 1)
    index = []
    for place in layer:
        index.append(sizes[place])
        sizes[place] += 1
    return tuple(sizes), _blocks(edges, layer, index, sizes)


def networkx_of_layers(sizes: Sequence[int], blocks: Mapping[Junction, Block]) -> "nx.DiGraph":
    """The networkx graph of layers and blocks.

    Nodes are 0, 1, … layer by layer, with the attributes "layer" and "index" (the neuron's place in its layer); edges
    have the attribute "weight".
    """
    import networkx as nx

    graph: nx.DiGraph = nx.DiGraph()
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    for layer, size in enumerate(sizes):
        graph.add_nodes_from((starts[layer] + index, {"layer": layer, "index": index}) for index in range(size))
    for (source, target), block in blocks.items():
        heads, tails = ends(block)
        graph.add_weighted_edges_from(
            zip((tails + starts[source]).tolist(), (heads + starts[target]).tolist(), block.data.tolist(), strict=True)
        )
    return graph


def _in_direction(graph: "nx.Graph", nodes: list[Hashable]) -> list[Hashable]:
    """The nodes in an order in which every directed edge leads to a later one; else in the given order."""
    import networkx as nx

    if not isinstance(graph, nx.DiGraph):  # a MultiDiGraph is one too
        return nodes
    places = {node: place for place, node in enumerate(nodes)}
    try:
        return list(nx.lexicographical_topological_sort(graph, key=places.__getitem__))
    except nx.NetworkXUnfeasible:
        raise RequestError(
            "graph: found directed edges in a circle, expected none; number the nodes 0, 1, … to lead edges from lower "
            "to higher ones"
        ) from None


def _rising_edges(graph: "nx.Graph", places: Mapping[Hashable, int]) -> list[Edge]:
    edges: dict[tuple[int, int], float] = {}
    for one, other, weight in graph.edges(data="weight", default=1.0):
        if one == other:
            raise RequestError(f"graph: node {one!r} has an edge to itself; a feed-forward graph cannot hold it")
        if not isinstance(weight, Real):
            raise RequestError(f"graph: the weight of edge ({one!r}, {other!r}) is {weight!r}, expected a real number")
        low, high = sorted((places[one], places[other]))
        if (low, high) in edges:
            raise RequestError(f"graph: found two edges between {one!r} and {other!r}, expected at most one")
        edges[low, high] = float(weight)
    return [(low, high, weight) for (low, high), weight in edges.items()]


def _stated_layers(stated: Sequence[object], edges: Sequence[Edge]) -> list[int]:
    """The layers that the nodes state, or none if these cannot be the layers of the graph."""
    layer = [int(one) for one in stated if isinstance(one, Integral)]
    if len(layer) < len(stated) or set(layer) != set(range(max(layer) + 1)):
        return []
    return layer if all(layer[low] < layer[high] for low, high, _ in edges) else []


def _longest_paths(nodes: int, edges: Sequence[Edge]) -> list[int]:
    layer = [0] * nodes
    for low, high, _ in sorted(edges):  # by the lower node: what leads to it has been seen by then
        layer[high] = max(layer[high], layer[low] + 1)
    return layer


def _blocks(
    edges: Sequence[Edge], layer: Sequence[int], index: Sequence[int], sizes: Sequence[int]
) -> dict[Junction, Block]:
    parts: dict[Junction, list[Edge]] = {}
    for low, high, weight in edges:
        parts.setdefault((layer[low], layer[high]), []).append((index[high], index[low], weight))
    blocks = {}
    for (source, target), part in parts.items():
        targets, sources, weights = (np.array(column) for column in zip(*part, strict=True))
        blocks[source, target] = block_of_edges(targets, sources, weights, (sizes[target], sizes[source]))
    return blocks
