"""Graphs of networkx as layers and blocks, and back."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Block, Junction, ends
from sparsewire.structure.labelled_edges import LabelledEdges, layers_of_labelled

if TYPE_CHECKING:
    import networkx as nx


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
    labels = list(graph.nodes)
    places = {label: place for place, label in enumerate(labels)}
    tails, heads, weights = [], [], []
    for one, other, weight in graph.edges(data="weight", default=1.0):
        if not isinstance(weight, Real):
            raise RequestError(f"graph: the weight of edge ({one!r}, {other!r}) is {weight!r}, expected a real number")
        tails.append(places[one])
        heads.append(places[other])
        weights.append(float(weight))
    stated = [layer for _, layer in graph.nodes(data="layer")]
    columns = (np.array(tails, np.int64), np.array(heads, np.int64), np.array(weights, np.float64))
    listed = LabelledEdges(labels, *columns, directed=graph.is_directed(), stated=stated)
    return layers_of_labelled(listed, lambda text, _: RequestError(f"graph: {text}"))


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
