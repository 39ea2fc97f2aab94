"""Mutation 2 puts a graph of the wanted depth in the place of one edge and leaves all else as it is."""

from collections import Counter
from itertools import pairwise

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Bounds, Genome, Vertex
from sparsewire.search.insertion import inserted, replaceable_edges
from sparsewire.search.random_genomes import random_genome

DIAMOND = Genome(tuple(Vertex("conv3", count) for count in (1, 2, 3, 4)), ((0, 1), (0, 2), (1, 3), (2, 3)))
SHORT_CUT = Genome((Vertex("conv3", 8),) * 4, ((0, 1), (1, 2), (2, 3), (0, 3)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def contexts(genome: Genome, other: Genome) -> tuple[tuple[int, int], list[int]]:
    """An edge that may have gone, and the new vertices in its place, right behind its tail."""
    count = len(other) - len(genome)
    for tail, head in genome.edges:
        old = [place if place <= tail else place + count for place in range(len(genome))]
        kept = {(old[one], old[two]) for one, two in genome.edges if (one, two) != (tail, head)}
        new = list(range(tail + 1, tail + 1 + count))
        touched = {edge for edge in other.edges if set(edge) & set(new)}
        entries = {one for one, two in touched if one not in new}
        exits = {two for one, two in touched if two not in new}
        labels = tuple(vertex for place, vertex in enumerate(other.vertices) if place not in new) == genome.vertices
        if labels and set(other.edges) - touched == kept and entries == {tail} and exits == {old[head]}:
            return (tail, head), new
    raise AssertionError("no single edge was replaced")


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_one_edge_becomes_a_graph_of_that_depth(seed, depth):
    genome = random_genome(seeded(seed), depth=(2, 10))
    other = inserted(genome, seeded(seed), depth=depth)
    edge, new = contexts(genome, other)
    assert depth <= len(new) <= 2 * depth
    inner = nx.DiGraph([one for one in other.edges if set(one) <= set(new)])
    inner.add_nodes_from(new)
    assert nx.dag_longest_path_length(inner) + 1 == depth
    sources = [place for place in new if not inner.in_degree(place)]
    sinks = [place for place in new if not inner.out_degree(place)]
    assert set(other.successors[edge[0]]) & set(new) == set(sources)
    assert all(set(other.successors[place]) - set(new) == {edge[1] + len(new)} for place in sinks)
    assert genome.depth <= other.depth <= genome.depth + depth
    through = nx.DiGraph(genome.edges)
    on_longest = any(edge in pairwise(path) for path in all_longest(through))
    assert (other.depth == genome.depth + depth) == on_longest


def all_longest(graph: nx.DiGraph) -> list[list[int]]:
    ends = [(one, two) for one in graph if not graph.in_degree(one) for two in graph if not graph.out_degree(two)]
    paths = [path for one, two in ends for path in nx.all_simple_paths(graph, one, two)]
    return [path for path in paths if len(path) == max(map(len, paths))]


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(0, 4), st.integers(0, 8))
def test_bounds_are_kept_or_no_edge_is_offered(seed, depth, deeper, more):
    genome = random_genome(seeded(seed), depth=(2, 8))
    bounds = Bounds((1, genome.depth + deeper), len(genome) + more)
    edges = replaceable_edges(genome, depth, bounds)
    roomy = {edge for edge in genome.edges if more >= depth and deepened(genome, edge, depth) <= bounds.depth[1]}
    assert set(edges) == roomy
    if edges:
        assert bounds.holds(inserted(genome, seeded(seed), depth=depth, bounds=bounds))
    else:
        with pytest.raises(RequestError, match=r"^genome: found no edge that a graph of depth"):
            inserted(genome, seeded(seed), depth=depth, bounds=bounds)


def deepened(genome: Genome, edge: tuple[int, int], depth: int) -> int:
    """How deep it gets, with a plain path in the place of the edge."""
    graph = nx.DiGraph(genome.edges)
    graph.remove_edge(*edge)
    nx.add_path(graph, [edge[0], *(f"new {place}" for place in range(depth)), edge[1]])
    return int(nx.dag_longest_path_length(graph)) + 1


def test_edges_and_shapes_are_equally_probable():
    generator, edges, shapes = seeded(0), Counter(), Counter()
    for _ in range(2000):
        other = inserted(DIAMOND, generator)
        edge, new = contexts(DIAMOND, other)
        edges[edge] += 1
        layer = [place for place in new if set(other.predecessors[place]) & set(new)]
        shapes[len(new) - len(layer), len(layer)] += 1
    assert sum((edges[edge] - 500) ** 2 / 500 for edge in DIAMOND.edges) < 17
    assert sum((shapes[one, two] - 500) ** 2 / 500 for one in (1, 2) for two in (1, 2)) < 17


def test_near_the_largest_number_of_vertices_layers_stay_narrow():
    generator = seeded(0)
    sizes = {len(inserted(SHORT_CUT, generator, depth=3, bounds=Bounds((1, 9), 8))) for _ in range(100)}
    assert sizes == {7, 8}


def test_beside_the_longest_path_nothing_gets_deeper():
    only = inserted(SHORT_CUT, seeded(0), bounds=Bounds((1, 4)))
    assert only.depth == 4
    assert contexts(SHORT_CUT, only)[0] == (0, 3)


def test_the_same_state_gives_the_same_genome():
    assert inserted(DIAMOND, seeded(3)) == inserted(DIAMOND, seeded(3))
    assert len({inserted(DIAMOND, seeded(seed)) for seed in range(20)}) > 10


@pytest.mark.parametrize("depth", [0, -1, 1.5, True, "2", float("nan")])
def test_a_depth_that_is_none_is_refused(depth):
    with pytest.raises(RequestError, match=r"^depth: found"):
        inserted(DIAMOND, seeded(0), depth=depth)


def test_other_mistakes_are_named():
    with pytest.raises(RequestError, match=r"^genome: found no edge at all"):
        inserted(Genome((Vertex("skip"),), ()), seeded(0))
    with pytest.raises(RequestError, match=r"^genome: found None"):
        inserted(None, seeded(0))
    with pytest.raises(RequestError, match=r"^generator: found None"):
        inserted(DIAMOND, None)
    with pytest.raises(RequestError, match=r"^channels"):
        inserted(DIAMOND, seeded(0), channels=(0,))
    with pytest.raises(RequestError, match=r"^bounds: found"):
        inserted(DIAMOND, seeded(0), bounds=(1, 9))
