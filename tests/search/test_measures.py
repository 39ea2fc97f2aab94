"""The 56 features: worked out by hand, networkx's and the slow obvious version's, the same whoever stands beside."""

import math
import random
import statistics

import networkx as nx
import numpy as np
import pytest

from sparsewire.analysis.prediction.feature_tables import feature_table as checked_table
from sparsewire.analysis.topology.properties import graph_properties
from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, Genome, Vertex
from sparsewire.search.measures import FEATURE_GROUPS, FEATURES, feature_table, features

KINDS = ("conv", "max_pool", "avg_pool", "sum", "concat", "skip")


def drawn(seed: int, most: int = 30) -> Genome:
    """Any connected graph; some are lines, some stars, some nearly complete."""
    chance = random.Random(seed)
    size = chance.randint(1, most)
    reach = chance.choice([1, 3, size])
    edges = {(chance.randrange(max(0, head - reach), head), head) for head in range(1, size)}
    for _ in range(chance.choice([0, size // 2, 4 * size]) if size > 1 else 0):
        tail, head = sorted(chance.sample(range(size), 2))
        edges.add((tail, head))
    # Turned round in place, so that there are many sources as well as many sinks.
    if seed % 2:
        edges = {(size - 1 - head, size - 1 - tail) for tail, head in edges}
    operations = [chance.choice(OPERATIONS) for _ in range(size)]
    vertices = [Vertex(name, chance.randint(1, 64) if name in CONVOLUTIONS else 0) for name in operations]
    return Genome(tuple(vertices), tuple(edges))


def spread(name: str, values: list[float], parts: str) -> dict[str, float]:
    var = statistics.variance(values) if len(values) > 1 else 0.0
    mean = statistics.fmean(values) if values else 0.0
    found = {"mean": mean, "var": var, "std": math.sqrt(var)}
    return {f"{name}_{part}": found[part] for part in parts.split()}


def slowly(genome: Genome, input_channels: int = 3) -> dict[str, float]:
    """All 56, one vertex after the other, and by networkx."""
    made: list[float] = []
    mass: list[float] = []
    reached: list[float] = []
    lengths: dict[str, list[float]] = {"shortest_path": [], "longest_path": [], "random_walk": []}
    for place, before in enumerate(genome.predecessors):
        operation, channels = genome.vertices[place]
        read = [made[other] for other in before] or [input_channels]
        made.append(channels or (max(read) if operation == "sum" else sum(read)))
        mass.append(made[place] * sum(read))
        parts = [reached[other] / len(genome.successors[other]) for other in before]
        reached.append(sum(parts) if before else 1 / len(genome.sources))
        for name, choose in (("shortest_path", min), ("longest_path", max)):
            lengths[name].append(choose((lengths[name][other] + 1 for other in before), default=0))
        steps = [part * (lengths["random_walk"][other] + 1) for part, other in zip(parts, before, strict=True)]
        lengths["random_walk"].append(sum(steps) / reached[place])
    found = spread("layer_mass", mass, "mean std")
    kinds = ["conv" if vertex.operation in CONVOLUTIONS else vertex.operation for vertex in genome.vertices]
    for name, numbers in lengths.items():
        for kind in KINDS:
            own = [number for number, other in zip(numbers, kinds, strict=True) if other == kind]
            found |= spread(f"{name}_{kind}", own, "mean std")
    found |= {"depth": genome.depth, "nodes": len(genome), "edges": len(genome.edges)}
    graph = undirected(genome)
    measures = {
        "edge_betweenness": nx.edge_betweenness_centrality(graph),
        "eccentricity": nx.eccentricity(graph),
        "closeness": nx.closeness_centrality(graph),
        "average_neighbour_degree": nx.average_neighbor_degree(graph),
        "degree": nx.degree_centrality(graph),
    }
    for name, by_node in measures.items():
        found |= spread(name, [float(value) for value in by_node.values()], "mean var std")
    return found


def undirected(genome: Genome) -> nx.Graph:
    graph = nx.empty_graph(len(genome))
    graph.add_edges_from(genome.edges)
    return graph


def close(values):
    return pytest.approx(values, rel=1e-9, abs=1e-12)


def test_there_are_56_in_three_groups():
    assert len(FEATURES) == len(set(FEATURES)) == 56
    sizes = {group: len(names) for group, names in FEATURE_GROUPS.items()}
    assert sizes == {"layer masses": 2, "path lengths": 36, "graph properties": 18}
    assert sum(FEATURE_GROUPS.values(), ()) == FEATURES
    assert tuple(features(drawn(5))) == tuple(feature_table([])) == FEATURES


@pytest.mark.parametrize("first", [0, 40, 80])
def test_all_are_those_of_the_slow_version_and_of_networkx(first):
    for seed in range(first, first + 40):
        genome = drawn(seed)
        assert features(genome) == close(slowly(genome)), seed
        assert features(genome, input_channels=1) == close(slowly(genome, 1)), seed


def test_what_graph_properties_has_too_is_the_same():
    measures = ("edge_betweenness", "eccentricity", "closeness", "degree")
    shared = ["nodes", "edges", *(f"{name}_{part}" for name in measures for part in ("mean", "var", "std"))]
    for seed in range(30):
        genome = drawn(seed)
        found, expected = features(genome), graph_properties(undirected(genome))
        assert {name: found[name] for name in shared} == close({name: expected[name] for name in shared})
        assert found["depth"] == expected["layers"]


def test_two_sources_and_a_circle_by_hand():
    #  conv3 16 (0) ────────────┐
    #      └──► sum (2) ► conv5 32 (3) ► concat (4)
    #  max_pool (1) ─┘
    genome = Genome(
        (Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum"), Vertex("conv5", 32), Vertex("concat")),
        ((0, 2), (1, 2), (2, 3), (0, 4), (3, 4)),
    )
    # Masses of an image of 3 channels: 16·3, 3·3, 16·(16 + 3), 32·16, (16 + 32)·(16 + 32); the mean is 3177 / 5.
    expected = {"layer_mass_mean": 635.4, "layer_mass_std": math.sqrt(3646695.2 / 4)}
    # Lengths to the convolutions 0 and 3: 0 and 2 by all paths; to the concatenation 1 from vertex 0 and 3 by way of
    # the sum, where half of the walks from 0 (a quarter of all) and all from 1 go: 1/4 · 1 + 3/4 · 3.
    for length, to_concat in (("shortest_path", 1), ("longest_path", 3), ("random_walk", 2.5)):
        means = {"conv": 1, "max_pool": 0, "avg_pool": 0, "sum": 1, "concat": to_concat, "skip": 0}
        expected |= {f"{length}_{kind}_mean": mean for kind, mean in means.items()}
        expected |= {f"{length}_{kind}_std": math.sqrt(2) if kind == "conv" else 0 for kind in means}
    expected |= {"depth": 4, "nodes": 5, "edges": 5}
    # Of ten pairs, edges 0-2, 1-2, 2-3, 0-4, 3-4 lie between 3½, 4, 3½, 2½, 2½.
    expected |= {"edge_betweenness_mean": 0.32, "edge_betweenness_var": 0.0045}
    # Farthest are 2, 3, 2, 2, 3; the distances add up to 6, 8, 5, 6, 7.
    expected |= {"eccentricity_mean": 2.4, "eccentricity_var": 0.3}
    closeness = [4 / 6, 4 / 8, 4 / 5, 4 / 6, 4 / 7]
    expected |= {"closeness_mean": sum(closeness) / 5, "closeness_var": statistics.variance(closeness)}
    # There are 2, 1, 3, 2, 2 neighbours, and theirs are 5/2, 3, 5/3, 5/2, 2.
    expected |= {"average_neighbour_degree_mean": 7 / 3, "degree_mean": 0.5, "degree_var": 0.03125}
    expected |= {"average_neighbour_degree_var": (2 / 36 + 4 / 9 + 4 / 9 + 1 / 9) / 4}
    expected |= {name.replace("_var", "_std"): math.sqrt(value) for name, value in expected.items() if "_var" in name}
    assert features(genome) == close(expected)


def test_a_line_by_hand():
    found = features(
        Genome((Vertex("conv3", 4), Vertex("skip"), Vertex("conv7", 8)), ((0, 1), (1, 2))), input_channels=1
    )
    assert (found["layer_mass_mean"], found["layer_mass_std"]) == close(((4 + 16 + 32) / 3, math.sqrt(592 / 3)))
    for length in ("shortest_path", "longest_path", "random_walk"):
        assert (found[f"{length}_conv_mean"], found[f"{length}_conv_std"]) == close((1, math.sqrt(2)))
        assert (found[f"{length}_skip_mean"], found[f"{length}_skip_std"]) == (1, 0)
    assert (found["edge_betweenness_mean"], found["edge_betweenness_std"]) == close((2 / 3, 0))
    assert (found["closeness_mean"], found["eccentricity_mean"]) == close((7 / 9, 5 / 3))


def test_a_lone_vertex_and_kinds_that_are_not_there():
    found = features(Genome((Vertex("conv3", 16),), ()))
    assert {name: value for name, value in found.items() if value} == {
        "layer_mass_mean": 48,
        "depth": 1,
        "nodes": 1,
        "degree_mean": 1,  # as networkx has it
    }


def test_a_genome_has_the_same_numbers_whoever_stands_beside_it():
    genomes = [drawn(seed) for seed in range(25)]
    table = feature_table(genomes)
    assert {column.shape for column in table.values()} == {(25,)}
    assert {column.dtype for column in table.values()} == {np.dtype(np.float64)}
    for place, genome in enumerate(genomes):
        assert features(genome) == {name: column[place] for name, column in table.items()}
    backwards = feature_table(genome for genome in reversed(genomes))
    assert all((backwards[name][::-1] == table[name]).all() for name in FEATURES)


def test_how_the_vertices_are_numbered_changes_nothing():
    for seed in range(20):
        genome = drawn(seed)
        graph = nx.DiGraph(list(genome.edges))
        graph.add_nodes_from(range(len(genome)))
        chance = random.Random(seed)
        keys = {node: chance.random() for node in graph}
        order = list(nx.lexicographical_topological_sort(graph, keys.__getitem__))
        rank = {node: number for number, node in enumerate(order)}
        again = Genome(
            tuple(genome.vertices[node] for node in order), tuple((rank[a], rank[b]) for a, b in genome.edges)
        )
        assert features(again) == close(features(genome))


def test_without_the_native_library_they_are_the_same(monkeypatch):
    genomes = [drawn(seed) for seed in range(12)]
    expected = feature_table(genomes)
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    found = feature_table(genomes)
    assert all(found[name] == close(expected[name]) for name in FEATURES)


def test_numbers_stay_numbers_where_genomes_are_extreme():
    # 60 concatenations of all before double the channels each time; walks go down 1,100 forks with probability 2^-1100.
    doubling = Genome((Vertex("concat"),) * 60, tuple((a, b) for b in range(60) for a in range(b)))
    down = [(2 * stage, 2 * stage + step) for stage in range(1100) for step in (1, 2)]
    forks = Genome((Vertex("sum"),) * 2201, tuple(down))
    wide = Genome((Vertex("conv3", 10**400), Vertex("conv3", 10**400)), ((0, 1),))
    table = feature_table([doubling, forks, wide], input_channels=10**400)
    assert all(np.isfinite(column).all() and (np.abs(column) <= 1e30).all() for column in table.values())
    assert table["random_walk_sum_mean"][1] == close(table["longest_path_sum_mean"][1])  # there is one path to each


def test_a_table_is_what_regressors_take():
    table = feature_table([drawn(seed) for seed in range(40)])
    checked = checked_table(table)
    assert checked.names == FEATURES
    assert (checked.values == np.column_stack(list(table.values()))).all()


LONE = Genome((Vertex("skip"),), ())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: features("conv3"), "genome: found str, expected a Genome"),
        (lambda: features([LONE]), "genome: found list, expected a Genome"),
        (lambda: features(LONE, input_channels=0), "input_channels: found 0"),
        (lambda: features(LONE, input_channels=True), "input_channels: found True"),
        (lambda: features(LONE, input_channels=1.5), "input_channels: found 1.5"),
        (lambda: feature_table(LONE), r"genomes: found a single genome, expected several: \[genome, …\]"),
        (lambda: feature_table(None), "genomes: found NoneType, expected several"),
        (lambda: feature_table([LONE, 7]), r"genomes\[1\]: found int, expected a Genome"),
        (lambda: feature_table([], input_channels=-1), "input_channels: found -1"),
        (lambda: feature_table([], input_channels=math.nan), "input_channels: found nan"),
    ],
)
def test_other_requests_are_refused(asked, message):
    with pytest.raises(RequestError, match=message):
        asked()
