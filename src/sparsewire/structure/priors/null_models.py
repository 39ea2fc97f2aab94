"""Null models: graphs that share the degrees of a given one, and nothing else."""

from typing import Literal

import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges, numbered_edges
from sparsewire.structure.priors.connected_draws import first_connected
from sparsewire.structure.priors.edge_switches import switched
from sparsewire.structure.priors.given_degrees import ROUNDS
from sparsewire.structure.priors.trades import number_stream

Kept = Literal["directed", "undirected"]


def rewired_graph(
    graph: NetGraph,
    *,
    generator: torch.Generator,
    swaps: int = ROUNDS,
    keep: Kept = "directed",
    connected: bool = False,
    tries: int = 10,
) -> NetGraph:
    """The graph after its edges exchanged ends until only the degrees are left of it: a null model.

    Nodes are those of the graph, layer by layer, and edges lead from lower to higher ones as before. Layers are found
    anew, as longest paths. A value goes with an edge.

    Args:
        graph: what is rewired; it stays as it is.
        generator: where the draws come from.
        swaps: how often each edge is offered to another for an exchange, at least 0; half of the offers, or fewer, are
            taken. A deep graph of short edges, such as a ring that was hardly rewired, takes many more if it is kept
            directed, for of its edges only near ones can be exchanged.
        keep: "directed": each node keeps how many edges lead to it and how many from it, and so sources and sinks stay
            what they are. "undirected": it keeps only their sum, as the properties of undirected graphs want it.
        connected: whether a result in pieces is drawn again; do so only for a graph in one piece.
        tries: how many graphs are drawn at most.

    Raises:
        RequestError: an argument is out of its range, or all of `tries` graphs were in pieces.

    Example:
        >>> from sparsewire.structure.priors.small_worlds import watts_strogatz
        >>> generator = torch.Generator().manual_seed(0)
        >>> graph = watts_strogatz(100, 6, 0.1, generator=generator)
        >>> other = rewired_graph(graph, generator=generator)
        >>> other.edges == graph.edges, other.sizes[0] == graph.sizes[0], other.sizes == graph.sizes
        (True, True, False)

    Reference:
        Maslov and Sneppen 2002 for the null model; `priors/edge_switches.py` for how edges are exchanged.
    """
    if not isinstance(graph, NetGraph):
        raise RequestError(
            f"graph: found {type(graph).__name__}, expected a NetGraph; NetGraph.from_networkx makes one"
        )
    if keep not in ("directed", "undirected"):
        raise RequestError(f"keep: found {keep!r}, expected 'directed' or 'undirected'")
    rounds = whole("swaps", swaps, least=0)
    stream = number_stream(checked_generator(generator))
    nodes = sum(graph.sizes)
    low, high, values = numbered_edges(graph.sizes, graph.blocks)

    def draw() -> tuple[Array, Array]:
        return switched(nodes, low, high, rounds, stream, directed=keep == "directed")

    hint = "take connected=False, or a graph with more edges"
    return NetGraph(
        *layers_of_edges(nodes, *first_connected(nodes, draw, connected=connected, tries=tries, hint=hint), values)
    )
