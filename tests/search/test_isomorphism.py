"""Isomorphic genomes have one key, others another."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search.genomes import EXAMPLES, genomes, labelled, renumbered

from sparsewire.errors import RequestError
from sparsewire.search import isomorphism as module
from sparsewire.search.genome_files import genome_text
from sparsewire.search.genotype import Genome, Vertex, ordered
from sparsewire.search.isomorphism import canonical, genome_key


@given(genomes(), st.integers(0, 2**32))
def test_the_numbering_makes_no_difference(genome: Genome, seed: int) -> None:
    other = renumbered(genome, random.Random(seed))
    assert other.key == genome.key
    assert canonical(other) == canonical(genome)


@given(genomes())
def test_the_form_is_one_of_the_isomorphic_genomes(genome: Genome) -> None:
    form = canonical(genome)
    same = lambda one, other: one == other  # noqa: E731
    assert nx.is_isomorphic(form.to_networkx(), genome.to_networkx(), node_match=same)
    assert canonical(form) == form
    assert form.key == genome.key


@given(genomes(most=5, operations=("skip", "sum")), genomes(most=5, operations=("skip", "sum")))
def test_keys_agree_with_the_slow_search_for_an_isomorphism(one: Genome, other: Genome) -> None:
    assert (one.key == other.key) == isomorphic(one, other)


def isomorphic(one: Genome, other: Genome) -> bool:
    """By trying all numberings."""
    if len(one) != len(other):
        return False
    return any(
        all(one.vertices[place] == other.vertices[image] for place, image in enumerate(images))
        and {(images[tail], images[head]) for tail, head in one.edges} == set(other.edges)
        for images in permutations(range(len(one)))
    )


def every_unlabelled(count: int) -> Iterator[Genome]:
    pairs = list(combinations(range(count), 2))
    for chosen in range(1 << len(pairs)):
        edges = [pair for place, pair in enumerate(pairs) if chosen >> place & 1]
        graph = nx.Graph(edges)
        graph.add_nodes_from(range(count))
        if nx.is_connected(graph):
            yield Genome((Vertex("skip"),) * count, tuple(edges))


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 1), (3, 4), (4, 24), (5, 267)])
def test_there_are_as_many_keys_as_connected_acyclic_graphs(count: int, expected: int) -> None:
    """The numbers of unlabelled weakly connected acyclic digraphs are known (OEIS A101228)."""
    assert len({genome.key for genome in every_unlabelled(count)}) == expected


CHANGES = {
    "another operation": lambda g: replace(g, vertices=(Vertex("skip"), *g.vertices[1:])),
    "another width": lambda g: replace(g, vertices=(Vertex("conv3", 17), *g.vertices[1:])),
    "an edge less": lambda g: replace(g, edges=g.edges[1:]),
    "two vertices exchanged": lambda g: replace(g, vertices=(g.vertices[1], g.vertices[0], *g.vertices[2:])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_another_key(change: str) -> None:
    genome = EXAMPLES["triangle"]
    assert CHANGES[change](genome).key != genome.key


def test_turning_all_edges_round_makes_another_key() -> None:
    tree = labelled("skip skip skip", (0, 1), (0, 2))
    assert tree.key != labelled("skip skip skip", (0, 2), (1, 2)).key


def test_a_key_never_changes() -> None:
    """Keys are kept in stores: whoever changes the form loses what was trained."""
    assert {name: genome_key(genome)[:12] for name, genome in EXAMPLES.items()} == KEYS


KEYS = {
    "single": "a799e926f291",
    "chain": "27b7820af758",
    "triangle": "d1035cd4cbd5",
    "diamond": "b8d4bd27ad46",
    "two_sources": "6087e774f694",
    "two_sinks": "5e47a4e4743a",
    "twins": "2eba2345502e",
    "crossed": "5ce7bbd69e60",
    "bridged": "507cae028932",
    "deep": "92fe8a317fc3",
}


def two_rows(count: int, steps: set[int]) -> Genome:
    """A round bipartite graph between alike vertices, all of the second row in one sink."""
    edges = [(place, count + (place + step) % count) for place in range(count) for step in steps]
    return joined(2 * count, edges)


def joined(count: int, edges: list[tuple[int, int]]) -> Genome:
    ends = set(range(count)) - {tail for tail, _ in edges}
    return ordered([Vertex("skip")] * count + [Vertex("sum")], [*edges, *((end, count) for end in ends)])


def incidences(count: int, edges: list[tuple[int, int]]) -> Genome:
    """An undirected graph's vertices above its edges."""
    rows = [(end, count + place) for place, edge in enumerate(edges) for end in edge]
    return joined(count + len(edges), rows)


def rook() -> list[tuple[int, int]]:
    """All pairs of fields of a 4 × 4 board that a rook moves between: strongly regular (16, 6, 2, 2)."""
    return [(one, two) for one, two in combinations(range(16), 2) if (one // 4 == two // 4) != (one % 4 == two % 4)]


def shrikhande() -> list[tuple[int, int]]:
    """The other strongly regular graph with these parameters; no refinement of colours tells the two apart."""
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    return [
        (one, two)
        for one, two in combinations(range(16), 2)
        if ((one // 4 - two // 4) % 4, (one % 4 - two % 4) % 4) in steps
    ]


REGULAR = {
    "a circle": two_rows(31, {0, 1}),
    "a projective plane of order 5": two_rows(31, {1, 5, 11, 24, 25, 27}),
    "all pairs but opposite ones": two_rows(20, set(range(1, 20))),
    "all pairs": two_rows(31, set(range(31))),
    "a cube of five dimensions": joined(64, [(one, 32 + (one ^ 1 << bit)) for one in range(32) for bit in range(5)]),
    "alike chains": joined(
        60, [(3 * chain + step, 3 * chain + step + 1) for chain in range(20) for step in range(2)]
    ),
    "alike chains from one source": joined(
        61, [edge for at in range(20) for edge in ((0, 3 * at + 1), (3 * at + 1, 3 * at + 2), (3 * at + 2, 3 * at + 3))]
    ),
    "full layers": joined(
        56, [(8 * row + one, 8 * row + 8 + two) for row in range(6) for one in range(8) for two in range(8)]
    ),
    "layers without the straight edges": joined(
        56, [(8 * row + a, 8 * row + 8 + b) for row in range(6) for a in range(8) for b in range(8) if a != b]
    ),
    "a rook's moves": incidences(16, rook()),
    "Shrikhande's graph": incidences(16, shrikhande()),
}  # fmt: skip


@pytest.mark.parametrize("name", REGULAR)
def test_regular_genomes_are_named_too(name: str) -> None:
    """Also with little work: a hundredth of what is allowed."""
    genome = REGULAR[name]
    chance = random.Random(3)
    assert {renumbered(genome, chance).key for _ in range(2)} == {genome.key}
    search = module._Search(genome.predecessors, genome.successors, module._first_colours(genome))
    search.ranks()
    assert module._MOST_RANKINGS - search.left < 400_000


def test_what_looks_alike_to_every_refinement_is_told_apart() -> None:
    assert REGULAR["a rook's moves"].key != REGULAR["Shrikhande's graph"].key
    # Two circles of six against one of twelve.
    two = joined(
        12,
        [(6 * half + 2 * at, 6 * half + (2 * at + step) % 6) for half in (0, 1) for at in range(3) for step in (1, 5)],
    )
    one = joined(12, [(2 * at, (2 * at + step) % 12) for at in range(6) for step in (1, 11)])
    assert two.key != one.key


def test_a_search_that_takes_too_long_ends_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_RANKINGS", 1000)
    with pytest.raises(RequestError, match="found 63 vertices in a pattern too regular to name"):
        genome_key(REGULAR["a projective plane of order 5"])


def test_the_text_of_the_form_is_one_for_all() -> None:
    one = labelled("skip conv3:8 sum", (0, 2), (1, 2))
    other = labelled("conv3:8 skip sum", (0, 2), (1, 2))
    assert genome_text(one) != genome_text(other)
    assert genome_text(canonical(one)) == genome_text(canonical(other))
