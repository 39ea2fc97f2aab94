"""Layers of networkx graphs, against networkx's own longest paths."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.networkx_graphs import layers_of_networkx

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


def test_other_labels_go_by_the_order_of_the_graph():
    graph = nx.DiGraph()
    graph.add_nodes_from(["z", "a", 1])
    graph.add_edge("z", "a", weight=2)
    graph.add_edge(1, "a", weight=3)  # against the order: turned round
    sizes, blocks = layers_of_networkx(graph)
    assert sizes == (1, 1, 1)
    assert {key: block.toarray().tolist() for key, block in blocks.items()} == {(0, 1): [[2]], (1, 2): [[3]]}


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
        (loop(), "node 1 has an edge to itself"),
        (nx.DiGraph([(0, 1), (1, 0)]), "two edges between 1 and 0"),
        (nx.MultiGraph([(0, 1), (0, 1)]), "two edges between 0 and 1"),
        (weighted("much"), r"edge \('a', 'b'\) is 'much', expected a real number"),
        (weighted(None), "is None, expected a real number"),
    ],
)
def test_impossible_graphs_are_refused(graph, message):
    with pytest.raises(RequestError, match=message):
        layers_of_networkx(graph)
