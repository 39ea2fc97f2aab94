"""Genomes drawn at random: of the depth that was asked for, and everything can come."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, PAPER_INITIAL, Bounds, Genome
from sparsewire.search.random_genomes import CHANNELS, random_genome


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(count: int, **settings: Any) -> list[Genome]:
    generator = seeded()
    return [random_genome(generator, **settings) for _ in range(count)]


@given(st.integers(0, 2**60), st.integers(1, 12), st.integers(0, 12), st.integers(0, 5), st.integers(0, 5))
def test_depth_branches_and_channels_are_within_what_was_asked_for(
    seed: int, depth: int, more_depth: int, branches: int, more_branches: int
) -> None:
    genome = random_genome(
        seeded(seed),
        depth=(depth, depth + more_depth),
        branches=(branches, branches + more_branches),
        channels=(3, 5),
    )
    assert depth <= genome.depth <= depth + more_depth
    assert len(genome) <= genome.depth + 3 * (branches + more_branches)
    assert {vertex.channels for vertex in genome.vertices} <= {0, 3, 5}


def test_the_same_state_gives_the_same_genome_and_the_global_seed_stays() -> None:
    before = torch.get_rng_state()
    assert random_genome(seeded(5)) == random_genome(seeded(5)) != random_genome(seeded(6))
    assert torch.equal(torch.get_rng_state(), before)


def test_as_drawn_by_default_all_are_within_the_bounds_of_a_search() -> None:
    assert all(Bounds(PAPER_INITIAL).holds(genome) for genome in drawn(200))
    assert all(Bounds().holds(genome) for genome in drawn(50, depth=(10, 36)))


def test_without_branches_there_is_a_path() -> None:
    for genome in drawn(20, branches=(0, 0)):
        assert genome.edges == tuple((place, place + 1) for place in range(len(genome) - 1))


def test_depths_are_uniform() -> None:
    """Of 1,400 draws each of seven depths takes 200, give or take four standard deviations."""
    found = Counter(genome.depth for genome in drawn(1400, branches=(0, 1)))
    assert set(found) == set(range(6, 13))
    slack = 4 * math.sqrt(1400 * (1 / 7) * (6 / 7))
    assert all(abs(count - 200) < slack for count in found.values())


def test_operations_of_a_path_are_uniform_and_so_are_channels() -> None:
    vertices = [vertex for genome in drawn(400, branches=(0, 0)) for vertex in genome.vertices]
    operations = Counter(vertex.operation for vertex in vertices)
    widths = Counter(vertex.channels for vertex in vertices if vertex.operation in CONVOLUTIONS)
    for found, kinds in ((operations, OPERATIONS), (widths, CHANNELS)):
        total, share = sum(found.values()), 1 / len(kinds)
        assert set(found) == set(kinds)
        slack = 4 * math.sqrt(total * share * (1 - share))
        assert all(abs(count - total * share) < slack for count in found.values())


def test_half_of_what_has_several_inputs_merges_and_some_more() -> None:
    merging = Counter(
        genome.vertices[place].operation in ("sum", "concat")
        for genome in drawn(400)
        for place, before in enumerate(genome.predecessors)
        if len(before) > 1
    )
    total, share = sum(merging.values()), 1 / 2 + 1 / 2 * 2 / 8
    assert abs(merging[True] - total * share) < 4 * math.sqrt(total * share * (1 - share))


def test_every_kind_of_graph_comes() -> None:
    genomes = drawn(300)
    assert {min(len(genome.sources), 3) for genome in genomes} == {1, 2, 3}
    assert {min(len(genome.sinks), 3) for genome in genomes} == {1, 2, 3}
    several = {
        genome.vertices[place].operation
        for genome in genomes
        for place, before in enumerate(genome.predecessors)
        if len(before) > 1
    }
    assert several == set(OPERATIONS)
    assert len({genome.key for genome in genomes}) == 300


def test_a_single_vertex_can_be_drawn() -> None:
    assert all(len(genome) == 1 for genome in drawn(5, depth=(1, 1)))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "depth 0": ({"depth": (0, 3)}, r"depth\[0\]: found 0"),
    "a single depth": ({"depth": 6}, "depth: found 6, expected a pair"),
    "a depth turned round": ({"depth": (8, 6)}, "depth: found .8, 6."),
    "a fractional depth": ({"depth": (1, 2.0)}, r"depth\[1\]: found 2.0"),
    "a depth of a million": ({"depth": (6, 10**6)}, "depth: found up to 1,000,000, expected at most 1,024"),
    "negative branches": ({"branches": (-1, 2)}, r"branches\[0\]: found -1"),
    "flags for branches": ({"branches": (False, True)}, r"branches\[0\]: found False"),
    "no channels": ({"channels": ()}, r"channels: found \(\)"),
    "channels 0": ({"channels": (16, 0)}, r"channels\[1\]: found 0"),
    "channels that are a number": ({"channels": 16}, "channels: found 16"),
    "channels in words": ({"channels": "16"}, "channels: found '16'"),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible_requests_are_refused(case: str) -> None:
    settings, message = BAD[case]
    with pytest.raises(RequestError, match=message):
        random_genome(seeded(), **settings)


@pytest.mark.parametrize("generator", [None, 3])
def test_a_generator_is_needed(generator: Any) -> None:
    with pytest.raises(RequestError, match="generator: found"):
        random_genome(generator)
