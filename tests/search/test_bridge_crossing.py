"""Crossover 2 exchanges what lies behind bridges; networkx says which edges these are."""

from collections import Counter
from itertools import product

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.bridge_crossing import bridges, swapped_behind_bridges
from sparsewire.search.genotype import Bounds, Genome, Vertex, ordered
from sparsewire.search.likeness import changed
from sparsewire.search.random_genomes import random_genome

A, B, C = Vertex("conv3", 8), Vertex("max_pool"), Vertex("skip")
RING = Genome((A,) * 4, ((0, 1), (0, 2), (1, 3), (2, 3)))
SEEDS = st.integers(0, 10_000)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(seed: int) -> tuple[Genome, Genome]:
    generator = seeded(seed)
    return tuple(random_genome(generator, depth=(1, 8), branches=(0, 3), channels=(8,)) for _ in range(2))


def reference_bridges(genome: Genome) -> dict[tuple[int, int], frozenset[int]]:
    graph = nx.Graph(genome.edges)
    found = {}
    for edge in map(sorted, nx.bridges(graph) if genome.edges else ()):
        rest = graph.copy()
        rest.remove_edge(*edge)
        found[tuple(edge)] = frozenset(nx.node_connected_component(rest, edge[1]))
    return found


def reference_children(a: Genome, b: Genome) -> list[tuple[Genome, Genome]]:
    """Of all pairs of bridges, by cutting and tying a graph of both parents."""
    found = []
    for (one, behind), (other, after) in product(reference_bridges(a).items(), reference_bridges(b).items()):
        cut = [("a", *edge) for edge in a.edges if edge != one] + [("b", *edge) for edge in b.edges if edge != other]
        edges = [((side, tail), (side, head)) for side, tail, head in cut]
        edges += [(("a", one[0]), ("b", other[1])), (("b", other[0]), ("a", one[1]))]
        nodes = [("a", place) for place in range(len(a))] + [("b", place) for place in range(len(b))]
        first = {("a", place) for place in range(len(a)) if place not in behind} | {("b", place) for place in after}
        children = []
        for side in (first, set(nodes) - first):
            rank = {node: number for number, node in enumerate(node for node in nodes if node in side)}
            vertices = [(a if node[0] == "a" else b).vertices[node[1]] for node in rank]
            children.append(ordered(vertices, [(rank[x], rank[y]) for x, y in edges if x in side]))
        found.append(tuple(children))
    return found


@given(SEEDS)
def test_bridges_are_those_of_networkx(seed):
    for genome in pair(seed):
        assert bridges(genome) == reference_bridges(genome)


@given(SEEDS, st.integers(0, 3), st.integers(0, 4))
def test_children_are_some_of_all_possible_ones_and_the_parents_only_if_there_is_none(seed, deeper, more):
    a, b = pair(seed)
    bounds = Bounds((min(a.depth, b.depth), max(a.depth, b.depth) + deeper), max(len(a), len(b)) + more)
    for limit in (bounds, None):
        children = swapped_behind_bridges(a, b, seeded(seed), bounds=limit)
        possible = {
            (one.key, other.key)
            for one, other in reference_children(a, b)
            if changed((a, b), (one, other)) and (limit is None or (limit.holds(one) and limit.holds(other)))
        }
        if possible:
            assert (children[0].key, children[1].key) in possible
        else:
            assert children[0] is a
            assert children[1] is b


@given(SEEDS)
def test_vertices_and_edges_are_dealt_out_anew(seed):
    a, b = pair(seed)
    one, other = swapped_behind_bridges(a, b, seeded(seed))
    assert Counter(one.vertices) + Counter(other.vertices) == Counter(a.vertices) + Counter(b.vertices)
    assert len(one.edges) + len(other.edges) == len(a.edges) + len(b.edges)


def test_pairs_that_change_anything_are_equally_probable():
    # 2 · 2 pairs of bridges; (first, first) and (second, second) leave chains of 3 and 3, the others make 2 and 4.
    a, b = Genome((A, A, A), ((0, 1), (1, 2))), Genome((B, B, B), ((0, 1), (1, 2)))
    generator = seeded(0)
    counts = Counter(
        tuple(vertex.operation for vertex in swapped_behind_bridges(a, b, generator)[0].vertices) for _ in range(2000)
    )
    assert len(counts) == 4
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 17


def test_further_sources_behind_the_bridge_go_along():
    a = Genome((A, C, A), ((0, 2), (1, 2)))  # two bridges into 2: behind each is the other's source
    b = Genome((B, B), ((0, 1),))
    one, other = swapped_behind_bridges(a, b, seeded(0))
    keys = {Genome((A, B), ((0, 1),)).key, Genome((C, B), ((0, 1),)).key}
    assert one.key in keys
    assert len(other) == 3
    assert len(other.sources) == 2


def test_without_a_bridge_or_a_difference_the_parents_come_back():
    chain = Genome((A, A), ((0, 1),))
    for a, b in [(RING, chain), (chain, RING), (chain, chain), (chain, Genome((A,), ()))]:
        assert swapped_behind_bridges(a, b, seeded(0)) == (a, b)


def test_the_same_state_gives_the_same_children():
    a, b = pair(7)
    assert swapped_behind_bridges(a, b, seeded(3)) == swapped_behind_bridges(a, b, seeded(3))


def test_mistakes_are_named():
    for argument, call in {
        "a": lambda: swapped_behind_bridges(None, RING, seeded(0)),
        "b": lambda: swapped_behind_bridges(RING, "b", seeded(0)),
        "generator": lambda: swapped_behind_bridges(RING, RING, 0),
        "bounds": lambda: swapped_behind_bridges(RING, RING, seeded(0), bounds=3),
    }.items():
        with pytest.raises(RequestError, match=f"^{argument}: found"):
            call()
