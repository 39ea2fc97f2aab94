"""The 23 properties of a graph from which paper 001 foretells the accuracy of a network."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from sparsewire.analysis.topology.centralities import Centralities, Moments, centralities, moments
from sparsewire.analysis.topology.neighbours import Neighbours, neighbours_of
from sparsewire.structure.graphs import NetGraph

if TYPE_CHECKING:
    import networkx as nx

SAMPLED = ("eccentricity", "closeness", "nodes_betweenness", "edge_betweenness")


class GraphProperties(dict[str, float]):
    """A dict of the 23 properties that also says how exact they are.

    Attributes:
        sources: from how many nodes the shortest paths were followed.
        exact: whether that was all of them.
        estimated: the names of the properties that are estimates; empty where all are exact.
        components: how many parts the graph has that no edge joins; distances count within them.

    Example:
        >>> found = GraphProperties({"nodes": 3}, sources=3, exact=True, components=1)
        >>> found, found.exact, found.estimated
        ({'nodes': 3}, True, ())
    """

    sources: int
    exact: bool
    components: int

    def __init__(self, values: Mapping[str, float], *, sources: int, exact: bool, components: int) -> None:
        super().__init__(values)
        self.sources, self.exact, self.components = sources, exact, components

    @property
    def estimated(self) -> tuple[str, ...]:
        """Which properties are estimates."""
        names = ("diameter", "average_shortest_path_length")
        return () if self.exact else tuple(name for name in self if name in names or name.startswith(SAMPLED))


def graph_properties(
    graph: "NetGraph | nx.Graph", *, sources: int | None = None, generator: torch.Generator | None = None
) -> GraphProperties:
    """23 numbers that say what a graph is like, those of paper 001, as a dict of floats.

    `layers`, `source_nodes` (neurons of the first layer) and `sink_nodes` (of the last) are of the graph in layers, the
    others of the graph without directions:

        density = edges / (nodes · (nodes - 1)), half of that of an undirected graph, as in the paper's code
        degree(v) = neighbours / (nodes - 1)
        closeness(v) = r / Σ d(v, u) · r / (nodes - 1) over the r other nodes u that v reaches, at distances d
        eccentricity(v) = the largest d(v, u); diameter = the largest eccentricity
        average_shortest_path_length = the mean of d(v, u) over all pairs
        nodes_betweenness(v) = the mean over all pairs of other nodes of the share of their shortest paths through v
        edge_betweenness(e) = the mean over all pairs of nodes of the share of their shortest paths through e

    and of eccentricity, degree, closeness, nodes_betweenness and edge_betweenness the `_mean`, `_var` (with n - 1) and
    `_std`. These are networkx's, normalised.

    Where a graph is not connected, networkx refuses distances; here they count between nodes that reach one another:
    an eccentricity is that within a node's component, the mean distance that over pairs in the same component, and 0
    where there is no pair. A variance of fewer than two numbers is 0. `components` of the result counts them.

    Args:
        graph: a NetGraph, or a networkx graph, put in layers as by `NetGraph.from_networkx`.
        sources: from how many nodes shortest paths are followed, at least 2. All, or more, is exact, in time in
            proportion to nodes · edges. None: all where that is no more than 4 · 10⁹ steps, else a sample of that many
            steps, at least 256. What is then estimated is in the result's `estimated`. The means are unbiased, also
            both variances of betweenness, but that none is negative; the diameter is the largest distance seen.
        generator: draws the sample; None: one with seed 0, so that the same graph gives the same numbers.

    Raises:
        RequestError: the graph is none or cannot be put in layers (see `NetGraph.from_networkx`), `sources` or
            `generator` is none, or two nodes have more than 1.8e308 shortest paths between them.

    Example:
        >>> import networkx as nx
        >>> found = graph_properties(nx.path_graph(4))
        >>> len(found), found.exact, found["diameter"], found["density"], round(found["closeness_mean"], 4)
        (23, True, 3.0, 0.25, 0.625)

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.3, Table 1, and its code. Betweenness after Brandes (2001), of a sample after Brandes and Pich (2007).
    """
    joined = neighbours_of(graph)
    found = centralities(joined, sources=sources, generator=generator)
    values: dict[str, float] = {**_counts(joined), **_distances(joined, found)}
    for name, spread in _spreads(joined, found).items():
        values |= {f"{name}_mean": spread.mean, f"{name}_var": spread.var, f"{name}_std": spread.std}
    components = int(joined.components.max()) + 1
    return GraphProperties(values, sources=found.sources, exact=found.exact, components=components)


def _counts(joined: Neighbours) -> dict[str, float]:
    return {
        "layers": float(len(joined.sizes)),
        "nodes": float(joined.nodes),
        "edges": float(joined.edges),
        "source_nodes": float(joined.sizes[0]),
        "sink_nodes": float(joined.sizes[-1]),
    }


def _distances(joined: Neighbours, found: Centralities) -> dict[str, float]:
    pairs = joined.nodes * (joined.nodes - 1)
    return {
        "diameter": float(found.eccentricity.max()),
        "density": joined.edges / pairs if pairs else 0.0,
        "average_shortest_path_length": found.mean_distance,
    }


def _spreads(joined: Neighbours, found: Centralities) -> dict[str, Moments]:
    # networkx says of a lone node that its degree is 1.
    degree = joined.degrees / (joined.nodes - 1) if joined.nodes > 1 else np.ones(1)
    return {
        "eccentricity": moments(found.eccentricity),
        "degree": moments(degree),
        "closeness": moments(found.closeness),
        "nodes_betweenness": found.nodes_betweenness,
        "edge_betweenness": found.edge_betweenness,
    }
