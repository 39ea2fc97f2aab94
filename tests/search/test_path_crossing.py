"""Crossover 1 exchanges longest paths, whatever hangs on them."""

from collections import Counter

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Bounds, Genome, Vertex
from sparsewire.search.likeness import alike, changed
from sparsewire.search.path_crossing import longest_paths, swapped_paths
from sparsewire.search.random_genomes import random_genome

A, B, C = Vertex("conv3", 8), Vertex("max_pool"), Vertex("skip")
SEEDS = st.integers(0, 10_000)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(seed: int) -> tuple[Genome, Genome]:
    generator = seeded(seed)
    return random_genome(generator, depth=(1, 9)), random_genome(generator, depth=(1, 9))


def graph_of(genome: Genome) -> nx.DiGraph:
    graph = nx.DiGraph(genome.edges)
    graph.add_nodes_from(range(len(genome)))
    return graph


@given(SEEDS)
def test_longest_paths_are_all_of_them(seed):
    genome, graph = pair(seed)[0], graph_of(pair(seed)[0])
    paths = [(place,) for place in graph] + [
        tuple(path) for one in graph for two in graph for path in nx.all_simple_paths(graph, one, two)
    ]
    longest = 1 + nx.dag_longest_path_length(graph)
    found = list(longest_paths(genome, seeded(seed)))
    assert sorted(found) == sorted({path for path in paths if len(path) == longest})


@given(SEEDS)
def test_vertices_are_dealt_out_anew(seed):
    a, b = pair(seed)
    children = swapped_paths(a, b, seeded(seed))
    assert Counter(a.vertices) + Counter(b.vertices) == sum(
        (Counter(child.vertices) for child in children), start=Counter()
    )
    if children != (a, b):
        assert changed((a, b), children)
        for host, guest, child in [(a, b, children[0]), (b, a, children[1])]:
            assert len(child) == len(host) - host.depth + guest.depth
            assert child.depth >= guest.depth
            assert len(child.edges) <= len(host.edges) - host.depth + guest.depth


@given(SEEDS)
def test_the_guest_s_path_is_found_in_the_child(seed):
    a, b = pair(seed)
    child = swapped_paths(a, b, seeded(seed))[0]
    if child is not a:
        wanted = [[b.vertices[place] for place in path] for path in longest_paths(b, seeded(0))]
        paths = {(place,) for place in range(len(child))}
        for _ in range(b.depth - 1):
            paths = {(*path, onward) for path in paths for onward in child.successors[path[-1]]}
        assert any([child.vertices[place] for place in path] in wanted for path in paths)


@given(SEEDS)
def test_between_paths_of_one_length_only_labels_are_exchanged(seed):
    generator = seeded(seed)
    a, b = (random_genome(generator, depth=(7, 7)) for _ in range(2))
    children = swapped_paths(a, b, generator)
    for parent, child in zip((a, b), children, strict=True):
        assert nx.is_isomorphic(graph_of(parent), graph_of(child))


def test_a_long_path_on_a_short_one_s_place_by_hand():
    # In a C hangs on the first of three; of five it hangs on the first, too.
    b = Genome((B,) * 5, ((0, 1), (1, 2), (2, 3), (3, 4), (0, 4)))
    a = Genome((A, A, A, C), ((0, 1), (1, 2), (0, 3)))
    one, other = swapped_paths(a, b, seeded(0))
    assert alike(one, Genome((B, B, B, B, B, C), ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5))))
    # The edge that skips from q0 to q4 of b now leads from the first to the last of three.
    assert alike(other, Genome((A, A, A), ((0, 1), (1, 2), (0, 2))))


def test_what_branches_rounds_forwards_and_what_joins_backwards():
    # C leaves place 1 and joins place 3 of a path of four; of a path of two it leaves ⌊1/3⌋ = 0 and joins ⌈3/3⌉ = 1.
    a = Genome((A, A, A, C, A), ((0, 1), (1, 2), (2, 4), (1, 3), (3, 4)))
    b = Genome((B, B), ((0, 1),))
    expected = {
        "first": Genome((B, C, B), ((0, 1), (1, 2), (0, 2))),  # C hung beside the path
        "second": Genome((B, A, B), ((0, 1), (1, 2), (0, 2))),  # A did: 0 1 C 4 is as long
    }
    found = {swapped_paths(a, b, seeded(seed))[0].key for seed in range(30)}
    assert found == {genome.key for genome in expected.values()}


@given(SEEDS, st.integers(1, 3), st.integers(0, 4))
def test_bounds_are_kept_or_the_parents_come_back(seed, deeper, more):
    a, b = pair(seed)
    bounds = Bounds((1, max(a.depth, b.depth) + deeper), max(len(a), len(b)) + more)
    children = swapped_paths(a, b, seeded(seed), bounds=bounds)
    assert all(map(bounds.holds, children))
    assert changed((a, b), children) or (children[0] is a and children[1] is b)
    if children[0] is a:
        assert not any(every_child(a, b, bounds))


def every_child(a: Genome, b: Genome, bounds: Bounds) -> list[bool]:
    """For every state of 40 whether an unbounded exchange would have kept the bounds and changed anything."""
    found = [swapped_paths(a, b, seeded(seed)) for seed in range(40)]
    return [all(map(bounds.holds, children)) and changed((a, b), children) for children in found]


def test_without_a_second_layer_or_a_difference_the_parents_come_back():
    flat, chain = Genome((A,), ()), Genome((B, B), ((0, 1),))
    assert swapped_paths(flat, chain, seeded(0)) == (flat, chain)
    assert swapped_paths(chain, flat, seeded(0)) == (chain, flat)
    assert swapped_paths(chain, chain, seeded(0)) == (chain, chain)
    longer = Genome((B, B, B), ((0, 1), (1, 2)))
    assert swapped_paths(chain, longer, seeded(0)) == (chain, longer)  # they just change names


def test_the_same_state_gives_the_same_children():
    a, b = pair(5)
    assert swapped_paths(a, b, seeded(3)) == swapped_paths(a, b, seeded(3))


def test_mistakes_are_named():
    a, b = pair(0)
    for argument, call in {
        "a": lambda: swapped_paths(None, b, seeded(0)),
        "b": lambda: swapped_paths(a, "b", seeded(0)),
        "generator": lambda: swapped_paths(a, b, 0),
        "bounds": lambda: swapped_paths(a, b, seeded(0), bounds=3),
    }.items():
        with pytest.raises(RequestError, match=f"^{argument}: found"):
            call()
