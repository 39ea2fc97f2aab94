"""The laws that random graphs are drawn from: against networkx's generators, or against all possible graphs."""

import itertools
import math
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import torch

from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.given_degrees import configuration_model, random_regular
from sparsewire.structure.priors.null_models import rewired_graph
from sparsewire.structure.priors.plain_shapes import random_tree
from sparsewire.structure.priors.random_edges import erdos_renyi, stochastic_block
from sparsewire.structure.priors.small_worlds import watts_strogatz
from sparsewire.structure.priors.spatial import kleinberg, random_geometric

GROUPS = [[0.7, 0.1], [0.1, 0.5]]
SOURCES = nx.Graph([(0, 3), (1, 3), (2, 3)])  # as old versions of networkx began
DRAWS = 120
# Ours, with nodes in the order of layers, and networkx's of the same law.
PAIRS = {
    "ring": (lambda g: watts_strogatz(20, 4, 0.3, generator=g), lambda s: nx.connected_watts_strogatz_graph(
        20, 4, 0.3, 10, seed=s)),
    "ring of the paper": (lambda g: watts_strogatz(20, 5, generator=g), lambda s: nx.connected_watts_strogatz_graph(
        20, 5, 1, 10, seed=s)),
    "dense ring": (lambda g: watts_strogatz(9, 6, 0.8, generator=g, connected=False), lambda s: nx.watts_strogatz_graph(
        9, 6, 0.8, seed=s)),
    "attachment": (lambda g: barabasi_albert(25, 3, generator=g), lambda s: nx.barabasi_albert_graph(
        25, 3, seed=s, initial_graph=SOURCES.copy())),
    "attachment to a star": (lambda g: barabasi_albert(25, 3, start="star", generator=g),
        lambda s: nx.barabasi_albert_graph(25, 3, seed=s)),
    "edges anywhere": (lambda g: erdos_renyi(20, 0.2, generator=g), lambda s: nx.gnp_random_graph(20, 0.2, seed=s)),
    "so many edges": (lambda g: erdos_renyi(20, edges=99, generator=g), lambda s: nx.gnm_random_graph(20, 99, seed=s)),
    "groups": (lambda g: stochastic_block((8, 12), GROUPS, generator=g), lambda s: nx.stochastic_block_model(
        (8, 12), GROUPS, seed=s)),
    "points": (lambda g: random_geometric(20, 0.4, generator=g), lambda s: nx.random_geometric_graph(20, 0.4, seed=s)),
    "points in a cube": (lambda g: random_geometric(20, 0.5, dim=3, generator=g),
        lambda s: nx.random_geometric_graph(20, 0.5, dim=3, seed=s)),
    "equal degrees": (lambda g: random_regular(14, 3, generator=g), lambda s: nx.random_regular_graph(3, 14, seed=s)),
    "trees": (lambda g: random_tree(15, generator=g), lambda s: nx.random_labeled_tree(15, seed=s)),
}  # fmt: skip


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def statistics(graph: nx.Graph) -> list[float]:
    degrees = np.array([degree for _, degree in graph.degree])
    plain = nx.Graph(graph.edges)
    return [
        float(graph.number_of_edges()),
        float(degrees.var()),
        float(degrees.max()),
        sum(nx.triangles(plain).values()) / 3,
        nx.global_efficiency(plain),
        float(nx.number_connected_components(graph)),
    ]


def layers(graph: nx.Graph) -> list[float]:
    """Of a graph directed from lower to higher numbers: how many layers, sources and sinks."""
    down = Counter(max(edge) for edge in graph.edges)
    up = Counter(min(edge) for edge in graph.edges)
    longest = nx.dag_longest_path_length(nx.DiGraph([(min(edge), max(edge)) for edge in graph.edges]))
    return [float(longest), float(len(graph) - len(down)), float(len(graph) - len(up))]


@pytest.mark.parametrize("name", PAIRS)
def test_the_law_is_that_of_networkx(name):
    ours, theirs = PAIRS[name]
    generator = seeded(1)
    found, expected = [], []
    for seed in range(DRAWS):
        graph = ours(generator)
        plain = graph.to_networkx()
        found.append(statistics(plain.to_undirected()) + layers(plain))
        other = theirs(seed)
        expected.append(statistics(other) + layers(other))
    one, two = np.array(found), np.array(expected)
    error = np.sqrt((one.var(0) + two.var(0)) / DRAWS)
    # Nine statistics of twelve laws: one in 30,000 draws of all would be beyond this; the seeds are fixed besides.
    assert (np.abs(one.mean(0) - two.mean(0)) <= 4.5 * error + 1e-9).all()


def graphs_with_degrees(degrees):
    pairs = list(itertools.combinations(range(len(degrees)), 2))
    for edges in itertools.combinations(pairs, sum(degrees) // 2):
        if [sum(node in edge for edge in edges) for node in range(len(degrees))] == list(degrees):
            yield frozenset(edges)


def shape(graph):
    """What tells isomorphic and numbered graphs apart as far as a graph in layers can: sizes and blocks."""
    return graph.sizes, tuple((key, (block.toarray() != 0).tobytes()) for key, block in graph.blocks.items())


def deviation(counts: Counter, weights: Counter) -> float:
    """How many standard deviations chi-square lies above what these weights give."""
    total, whole = counts.total(), weights.total()
    expected = {key: total * weight / whole for key, weight in weights.items()}
    assert counts.keys() <= expected.keys()
    chi = sum((counts[key] - wanted) ** 2 / wanted for key, wanted in expected.items())
    return (chi - (len(expected) - 1)) / math.sqrt(2 * (len(expected) - 1))


def in_layers(nodes, edges):
    from sparsewire.structure.graphs import NetGraph

    plain = nx.Graph(edges)
    plain.add_nodes_from(range(nodes))
    return shape(NetGraph.from_networkx(plain))


@pytest.mark.parametrize("degrees", [(1, 1, 1, 1), (2, 2, 2, 2, 2), (3, 2, 2, 2, 1), (1, 2, 2, 1, 2)])
def test_all_graphs_with_these_degrees_are_equally_probable(degrees):
    expected = Counter(in_layers(len(degrees), edges) for edges in graphs_with_degrees(degrees))
    generator = seeded(0)
    found = Counter(shape(configuration_model(degrees, generator=generator)) for _ in range(400))
    assert deviation(found, expected) < 4.5


def test_all_trees_are_equally_probable():
    pairs = list(itertools.combinations(range(5), 2))
    trees = [edges for edges in itertools.combinations(pairs, 4) if nx.is_connected(nx.Graph(edges))
             and len(nx.Graph(edges)) == 5]  # fmt: skip
    assert len(trees) == 125
    expected = Counter(in_layers(5, edges) for edges in trees)
    generator = seeded(0)
    found = Counter(shape(random_tree(5, generator=generator)) for _ in range(1000))
    assert deviation(found, expected) < 4.5


def test_all_graphs_with_so_many_edges_are_equally_probable():
    for edges in (2, 4):
        pairs = list(itertools.combinations(range(4), 2))
        expected = Counter(in_layers(4, chosen) for chosen in itertools.combinations(pairs, edges))
        generator = seeded(0)
        found = Counter(shape(erdos_renyi(4, edges=edges, generator=generator)) for _ in range(400))
        assert deviation(found, expected) < 4.5


@pytest.mark.parametrize("keep", ["directed", "undirected"])
def test_all_null_models_are_equally_probable(keep):
    start = watts_strogatz(6, 2, generator=seeded(2))
    plain = start.to_networkx()
    pairs = list(itertools.combinations(range(6), 2))
    degrees = [degree for _, degree in plain.degree]
    out = [degree for _, degree in plain.out_degree]
    possible = [
        edges
        for edges in itertools.combinations(pairs, start.edges)
        if [sum(node in edge for edge in edges) for node in range(6)] == degrees
        and (keep == "undirected" or [sum(low == node for low, _ in edges) for node in range(6)] == out)
    ]
    expected = Counter(in_layers(6, edges) for edges in possible)
    assert len(expected) > 2
    generator = seeded(0)
    found = Counter(shape(rewired_graph(start, generator=generator, keep=keep)) for _ in range(400))
    assert deviation(found, expected) < 4.5


def test_contacts_are_drawn_by_distance():
    """Of a lattice of 1 × 6 without near edges: the law of each node's contact, counted over all pairs."""
    expected = np.zeros((6, 6))
    for node in range(6):
        weights = np.array([abs(node - other) ** -2.0 if other != node else 0.0 for other in range(6)])
        expected[node] = weights / weights.sum()
    joined = 1 - (1 - expected) * (1 - expected.T)  # by either end
    rates = [joined[pair] for pair in itertools.combinations(range(6), 2)]
    generator = seeded(0)
    counts = [kleinberg(6, p=0, dim=1, generator=generator).edges for _ in range(300)]
    assert abs(np.mean(counts) - sum(rates)) < 4 * np.std(counts) / math.sqrt(300)
    far = sum(kleinberg(6, p=1, dim=1, r=2.0, generator=generator).edges - 5 for _ in range(300)) / 300
    assert abs(far - sum(rate for (one, other), rate in zip(itertools.combinations(range(6), 2), rates, strict=True)
                         if other > one + 1)) < 0.2  # fmt: skip


def test_the_lattice_reaches_as_far_as_asked():
    found = kleinberg(4, p=2, q=0, generator=seeded(0)).edges
    nodes = list(itertools.product(range(4), repeat=2))
    assert found == sum(abs(a - c) + abs(b - d) <= 2 for (a, b), (c, d) in itertools.combinations(nodes, 2))
    assert kleinberg(3, p=9, dim=3, q=0, generator=seeded(0)).edges == 27 * 26 // 2
