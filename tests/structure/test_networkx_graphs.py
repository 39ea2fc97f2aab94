"""Layers of networkx graphs, against networkx's own longest paths."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.networkx_graphs import layers_of_networkx
from sparsewire.structure.priors import lightning_paths

SEEDS = st.integers(0, 2**32 - 1)


def random_graph(seed, nodes=12, probability=0.25):
    graph = nx.gnp_random_graph(nodes, probability, seed=seed % 2**31)
    rng = np.random.default_rng(seed)
    for one, other in graph.edges:
        graph[one][other]["weight"] = float(rng.standard_normal())
    return graph


def longest_path_from_a_source(graph):
    """Node → length, on the graph directed from lower to higher numbers."""
    directed = nx.DiGraph()
    directed.add_nodes_from(sorted(graph))
    directed.add_edges_from((min(edge), max(edge)) for edge in graph.edges)
    return {
        node: nx.dag_longest_path_length(directed.subgraph(nx.ancestors(directed, node) | {node})) for node in directed
    }


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, probability=st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_layers_are_longest_paths_and_edges_are_kept(seed, probability):
    graph = random_graph(seed, probability=probability)
    layer = longest_path_from_a_source(graph)
    sizes, blocks = layers_of_networkx(graph)
    members = [[node for node in sorted(graph) if layer[node] == number] for number in range(len(sizes))]
    assert [len(nodes) for nodes in members] == list(sizes)
    found = {}
    for (source, target), block in blocks.items():
        for row, column in zip(*block.nonzero(), strict=True):
            found[members[source][column], members[target][row]] = float(block[row, column])
    assert found == {(min(edge), max(edge)): graph.edges[edge]["weight"] for edge in graph.edges}


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_there_and_back_again(seed):
    graph = NetGraph.from_networkx(random_graph(seed))
    assert NetGraph.from_networkx(graph.to_networkx()) == graph


@pytest.mark.parametrize(
    "graph",
    [
        NetGraph((3,), {}),
        # neurons 1 and 2 of layer 1 have no edge in, though one of them has one out
        NetGraph(
            (2, 3, 2), {(0, 1): csr_array([[1.0, 2], [0, 0], [0, 0]]), (1, 2): csr_array([[3.0, 4, 0], [0, 0, 0]])}
        ),
        NetGraph((1, 2, 1), {(0, 2): csr_array([[0.5]])}),  # layer 1 is alone
        lightning_paths((6, 5, 4, 3), 2, generator=torch.Generator().manual_seed(0)),
    ],
    ids=repr,
)
def test_neurons_that_nothing_leads_to_stay_in_their_layer(graph):
    assert NetGraph.from_networkx(graph.to_networkx()) == graph


@pytest.mark.parametrize(
    "layers",
    [{0: 0, 1: 1}, {0: 0, 1: 0, 2: 1}, {0: 0, 1: 1, 2: 3}, {0: "in", 1: "hidden", 2: "out"}, {0: -1, 1: 0, 2: 1}],
)
def test_stated_layers_that_cannot_be_are_of_no_account(layers):
    chain = nx.path_graph(3)
    nx.set_node_attributes(chain, layers, "layer")
    assert NetGraph.from_networkx(chain).sizes == (1, 1, 1)


def test_by_hand():
    # 0-2, 2-3, 1-3, 0-3: layer 0 = {0, 1}, layer 1 = {2}, layer 2 = {3}; 0-3 and 1-3 lead past layer 1.
    graph = NetGraph.from_networkx(nx.Graph([(3, 2), (2, 0), (1, 3), (0, 3)]))
    assert graph.sizes == (2, 1, 1)
    assert {key: block.toarray().tolist() for key, block in graph.blocks.items()} == {
        (0, 1): [[1, 0]],
        (0, 2): [[1, 1]],
        (1, 2): [[1]],
    }
    back = graph.to_networkx()
    assert dict(back.nodes(data="layer")) == {0: 0, 1: 0, 2: 1, 3: 2}
    assert dict(back.nodes(data="index")) == {0: 0, 1: 1, 2: 0, 3: 0}
    assert set(back.edges(data="weight")) == {(0, 2, 1.0), (0, 3, 1.0), (1, 3, 1.0), (2, 3, 1.0)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (nx.DiGraph, ((2, 1), {(0, 1): [[2, 3]]})),  # as they are directed: z and 1 lead to a
        (nx.Graph, ((1, 1, 1), {(0, 1): [[2]], (1, 2): [[3]]})),  # in the graph's own order: z, a, 1
    ],
)
def test_edges_between_other_labels_keep_their_direction_or_go_by_the_order_of_the_graph(kind, expected):
    graph = kind()
    graph.add_nodes_from(["z", "a", 1])
    graph.add_edge("z", "a", weight=2)
    graph.add_edge(1, "a", weight=3)
    sizes, blocks = layers_of_networkx(graph)
    assert (sizes, {key: block.toarray().tolist() for key, block in blocks.items()}) == expected


def test_a_directed_edge_to_a_lower_number_is_turned_round():
    assert NetGraph.from_networkx(nx.DiGraph([(2, 1), (1, 0)])) == NetGraph.from_networkx(nx.path_graph(3))


def test_an_edge_of_weight_zero_is_an_edge():
    graph = nx.Graph()
    graph.add_edge(0, 1, weight=0)
    assert NetGraph.from_networkx(graph).edges == 1


def loop():
    return nx.Graph([(0, 1), (1, 1)])


def weighted(weight):
    graph = nx.Graph()
    graph.add_edge("a", "b", weight=weight)
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.Graph(), "found no nodes"),
        (None, "found NoneType, expected a networkx graph"),
        (loop(), "node 1 has an edge to itself"),
        (nx.DiGraph([(0, 1), (1, 0)]), "two edges between 1 and 0"),
        (nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")]), "directed edges in a circle"),
        (nx.MultiGraph([(0, 1), (0, 1)]), "two edges between 0 and 1"),
        (weighted("much"), r"edge \('a', 'b'\) is 'much', expected a real number"),
        (weighted(None), "is None, expected a real number"),
    ],
)
def test_impossible_graphs_are_refused(graph, message):
    with pytest.raises(RequestError, match=message):
        layers_of_networkx(graph)
