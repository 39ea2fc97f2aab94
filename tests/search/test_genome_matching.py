"""Which vertices of two genomes are the same ones."""

import random

from hypothesis import given
from hypothesis import strategies as st
from tests.search.genomes import EXAMPLES, genomes, labelled, renumbered

from sparsewire.search.genome_matching import changes, matched
from sparsewire.search.genotype import Genome

PATH = labelled("conv3:4 max_pool conv5:8 avg_pool sum", (0, 1), (1, 2), (2, 3), (3, 4))


@given(genomes(most=6), genomes(most=6))
def test_a_matching_is_one_to_one_and_as_large_as_can_be(one: Genome, other: Genome) -> None:
    found = matched(one, other)
    assert len(found) == len(set(found.values())) == min(len(one), len(other))
    assert set(found) <= set(range(len(one)))
    assert set(found.values()) <= set(range(len(other)))


@given(genomes(most=6))
def test_nothing_changed_in_the_same_genome(genome: Genome) -> None:
    assert changes(genome, genome) == (frozenset(), frozenset())


@given(genomes(most=6), genomes(most=6))
def test_marks_are_parts_of_the_genomes(one: Genome, other: Genome) -> None:
    for genome, marks in zip((one, other), changes(one, other), strict=True):
        assert marks <= set(range(len(genome))) | set(genome.edges)


@given(st.integers(0, 1000))
def test_numbers_do_not_matter_where_vertices_differ(seed: int) -> None:
    assert changes(PATH, renumbered(PATH, random.Random(seed))) == (frozenset(), frozenset())


def test_another_operation() -> None:
    after = labelled("conv3:4 avg_pool conv5:8 avg_pool sum", *PATH.edges)
    assert changes(PATH, after) == (frozenset({1}), frozenset({1}))


def test_other_channels() -> None:
    after = labelled("conv3:4 max_pool conv5:6 avg_pool sum", *PATH.edges)
    assert changes(PATH, after) == (frozenset({2}), frozenset({2}))


def test_a_graph_in_an_edge() -> None:
    after = labelled(
        "conv3:4 max_pool conv7:2 skip conv5:8 avg_pool sum", (0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)
    )
    assert changes(PATH, after) == (frozenset({(1, 2)}), frozenset({2, 3, (1, 2), (2, 3), (3, 4)}))


def test_one_edge_more() -> None:
    after = labelled("conv3:4 max_pool conv5:8 avg_pool sum", *PATH.edges, (0, 4))
    assert changes(PATH, after) == (frozenset(), frozenset({(0, 4)}))


def test_single_vertices() -> None:
    assert matched(EXAMPLES["single"], EXAMPLES["single"]) == {0: 0}
    assert changes(EXAMPLES["single"], labelled("skip")) == (frozenset({0}), frozenset({0}))
