"""The 23 properties: networkx's to 1e-9, stated rules where networkx refuses, samples that say so."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from sparsewire.analysis.topology import centralities
from sparsewire.analysis.topology.properties import graph_properties
from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.structure.graphs import NetGraph

COUNTS = ["layers", "nodes", "edges", "source_nodes", "sink_nodes"]
MEASURES = ["eccentricity", "degree", "closeness", "nodes_betweenness", "edge_betweenness"]
SPREADS = [f"{measure}_{part}" for measure in MEASURES for part in ("mean", "var", "std")]
NAMES = [*COUNTS, "diameter", "density", "average_shortest_path_length", *SPREADS]


def by_networkx(graph: nx.Graph) -> dict[str, float]:
    """What the paper's code asks of networkx, with pandas' variances."""
    both = graph.to_undirected()
    found: dict[str, float] = {
        "nodes": both.number_of_nodes(),
        "edges": both.number_of_edges(),
        "diameter": nx.diameter(both),
        "density": nx.density(both) / 2,
        "average_shortest_path_length": nx.average_shortest_path_length(both),
    }
    measures = {
        "eccentricity": nx.eccentricity(both),
        "degree": nx.degree_centrality(both),
        "closeness": nx.closeness_centrality(both),
        "nodes_betweenness": nx.betweenness_centrality(both),
        "edge_betweenness": nx.edge_betweenness_centrality(both),
    }
    for name, values in measures.items():
        numbers = np.array(list(values.values()))
        found |= {
            f"{name}_mean": numbers.mean(),
            f"{name}_var": numbers.var(ddof=1),
            f"{name}_std": numbers.std(ddof=1),
        }
    layer: dict[int, int] = {}
    for node in sorted(both):
        layer[node] = 1 + max((layer[other] for other in both[node] if other < node), default=-1)
    per_layer = np.bincount(list(layer.values()))
    return found | {"layers": per_layer.size, "source_nodes": per_layer[0], "sink_nodes": per_layer[-1]}


def papers(seed: int) -> nx.Graph:
    """A graph as paper 001 draws them; every fourth is a grid or a tree instead."""
    nodes = 10 + seed * 7 % 41
    if seed % 4 == 3:
        grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(2 + nodes % 5, 3))
        return grid if seed % 8 == 3 else nx.random_labeled_tree(nodes, seed=seed)
    if seed % 2:
        return nx.connected_watts_strogatz_graph(nodes, max(2, nodes // 5), 1.0, tries=1000, seed=seed)
    each = max(1, nodes // 10)
    return nx.barabasi_albert_graph(nodes, each, seed=seed, initial_graph=nx.star_graph(range(each, -1, -1)))


@pytest.mark.parametrize("first", [0, 20, 40, 60])
def test_all_are_networkxs(first):
    for seed in range(first, first + 20):
        graph = papers(seed)
        found, expected = graph_properties(graph), by_networkx(graph)
        assert list(found) == NAMES
        assert found.exact
        assert found.components == 1
        assert found.estimated == ()
        for name in NAMES:
            assert found[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-12), (seed, name)


def test_a_net_graph_and_its_networkx_form_have_the_same():
    for seed in range(12):
        net = NetGraph.from_networkx(papers(seed))
        expected = pytest.approx(dict(graph_properties(papers(seed))), rel=1e-12, abs=1e-15)
        assert dict(graph_properties(net)) == expected
        assert dict(graph_properties(net.to_networkx())) == expected


def test_without_the_native_library_they_are_the_same(monkeypatch):
    graph = papers(6)
    expected = pytest.approx(dict(graph_properties(graph)), rel=1e-12, abs=1e-15)
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    assert dict(graph_properties(graph)) == expected


def test_a_line_of_four_by_hand():
    found = graph_properties(nx.path_graph(4))
    assert (found["layers"], found["source_nodes"], found["sink_nodes"]) == (4, 1, 1)
    assert found["density"] == 3 / 12
    assert found["average_shortest_path_length"] == pytest.approx((3 * 1 + 2 * 2 + 3) / 6)
    assert found["eccentricity_mean"] == 2.5
    assert found["eccentricity_var"] == pytest.approx(1 / 3)
    assert found["closeness_mean"] == pytest.approx((3 / 6 + 3 / 4) / 2)
    assert found["nodes_betweenness_mean"] == pytest.approx((0 + 2 / 3) / 2)
    assert found["edge_betweenness_mean"] == pytest.approx((3 + 4 + 3) / 6 / 3)


def test_a_graph_in_parts_counts_distances_within_them():
    graph = nx.Graph([(0, 1), (1, 2), (3, 4)])
    graph.add_node(5)
    found = graph_properties(graph)
    assert found.components == 3
    assert found["diameter"] == 2
    assert found["average_shortest_path_length"] == pytest.approx((2 * 1 + 2 + 1) / 4)
    assert found["eccentricity_mean"] == pytest.approx((2 + 1 + 2 + 1 + 1 + 0) / 6)
    assert found["closeness_mean"] == pytest.approx(np.mean(list(nx.closeness_centrality(graph).values())))
    between = list(nx.betweenness_centrality(graph).values())
    assert found["nodes_betweenness_var"] == pytest.approx(np.var(between, ddof=1))


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_graphs_without_edges_have_finite_numbers(nodes):
    found = graph_properties(nx.empty_graph(nodes))
    assert all(math.isfinite(value) for value in found.values())
    assert found["diameter"] == found["average_shortest_path_length"] == found["edge_betweenness_mean"] == 0
    assert found["degree_mean"] == (1 if nodes == 1 else 0)  # as networkx has it
    assert found["source_nodes"] == found["sink_nodes"] == nodes


def test_directions_and_labels():
    turned = nx.DiGraph([(2, 0), (2, 1), (3, 2)])  # led from lower to higher numbers
    assert graph_properties(turned) == graph_properties(nx.Graph(turned))
    named = nx.DiGraph([("c", "a"), ("c", "b"), ("d", "c")])
    found = graph_properties(named)
    assert (found["layers"], found["source_nodes"], found["sink_nodes"]) == (3, 1, 2)
    stated = NetGraph.from_networkx(nx.path_graph(3)).to_networkx()
    stated.remove_edge(0, 1)
    assert graph_properties(stated)["layers"] == 3  # as the nodes state


def test_a_sample_says_that_it_is_one_and_is_near():
    graph = nx.barabasi_albert_graph(600, 4, seed=0)
    exact, found = graph_properties(graph), graph_properties(graph, sources=300)
    assert not found.exact
    assert 150 < found.sources <= 300
    assert set(found.estimated) == set(NAMES) - {
        "layers",
        "nodes",
        "edges",
        "source_nodes",
        "sink_nodes",
        "density",
    } - {
        "degree_mean",
        "degree_var",
        "degree_std",
    }
    for name in NAMES:
        assert found[name] == pytest.approx(exact[name], rel=0.25), name
    assert found == graph_properties(graph, sources=300)
    other = graph_properties(graph, sources=300, generator=torch.Generator().manual_seed(1))
    assert other != found
    assert graph_properties(graph, sources=600).exact
    assert graph_properties(graph, sources=10**9) == exact


def test_samples_are_unbiased():
    graph = nx.barabasi_albert_graph(60, 2, seed=0)
    exact = graph_properties(graph)
    drawn = [graph_properties(graph, sources=20, generator=torch.Generator().manual_seed(seed)) for seed in range(300)]
    for name in ("closeness_mean", "nodes_betweenness_mean", "nodes_betweenness_var", "edge_betweenness_var"):
        values = np.array([one[name] for one in drawn])
        error = values.std(ddof=1) / math.sqrt(values.size)
        assert abs(values.mean() - exact[name]) < 4 * error, name


def test_too_large_graphs_are_sampled_without_being_asked(monkeypatch):
    monkeypatch.setattr(centralities, "STEPS", 1)
    graph = nx.gnm_random_graph(300, 600, seed=0)
    found = graph_properties(graph)
    assert not found.exact
    assert found["edges"] == 600
    assert graph_properties(graph, sources=300).exact
    assert graph_properties(nx.path_graph(100)).exact  # at least 256


@pytest.mark.parametrize(
    ("graph", "more", "message"),
    [
        (3, {}, "graph: found int, expected"),
        (nx.Graph(), {}, "graph: found no nodes"),
        (nx.Graph([(0, 0)]), {}, "edge to itself"),
        (nx.DiGraph([(0, 1), (1, 0)]), {}, "two edges between"),
        (nx.MultiGraph([(0, 1), (1, 0)]), {}, "two edges between"),
        (nx.DiGraph([("a", "b"), ("b", "a")]), {}, "two edges|circle"),
        (nx.path_graph(3), {"sources": 1}, "sources: found 1, expected a whole number of at least 2"),
        (nx.path_graph(3), {"sources": 2.5}, "sources: found 2.5"),
        (nx.path_graph(3), {"sources": True}, "sources: found True"),
        (nx.path_graph(3), {"sources": math.nan}, "sources: found nan"),
        (nx.path_graph(3), {"generator": 0}, "generator: found 0"),
    ],
)
def test_mistakes_are_said(graph, more, message):
    with pytest.raises(RequestError, match=message):
        graph_properties(graph, **more)
