"""Mutation 1 remaps so many operations and nothing else, and always makes another genome."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, Genome, Vertex
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.relabelling import relabelled

CHAIN = Genome((Vertex("conv3", 24), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_share_of_the_operations_changes_and_nothing_else(seed, share):
    genome = random_genome(seeded(seed), depth=(1, 12))
    other = relabelled(genome, seeded(seed), share=share, channels=(5, 7))
    assert other.key != genome.key
    assert other.edges == genome.edges
    pairs = [pair for pair in zip(genome.vertices, other.vertices, strict=True) if pair[0] != pair[1]]
    assert len(pairs) == max(1, math.floor(share * len(genome) + 0.5))
    for old, new in pairs:
        assert old.operation != new.operation
        if new.operation in CONVOLUTIONS:
            assert new.channels in ((old.channels,) if old.operation in CONVOLUTIONS else (5, 7))


def test_vertices_and_operations_are_equally_probable():
    generator, counts = seeded(0), Counter()
    for _ in range(2100):
        other = relabelled(CHAIN, generator)
        place = next(place for place in range(3) if other.vertices[place] != CHAIN.vertices[place])
        counts[place, other.vertices[place].operation] += 1
    assert len(counts) == 3 * (len(OPERATIONS) - 1)
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 45  # chi-square: beyond in 1 of 1000


def test_vertices_that_merely_change_places_are_drawn_again():
    # Two sources of one sum: with all three remapped nothing forbids that the sources just change their labels.
    genome = Genome((Vertex("skip"), Vertex("concat"), Vertex("sum")), ((0, 2), (1, 2)))
    generator = seeded(0)
    assert all(relabelled(genome, generator, share=2 / 3).key != genome.key for _ in range(500))


def test_the_same_state_gives_the_same_genome_and_the_global_seed_is_left_alone():
    before = torch.get_rng_state()
    assert relabelled(CHAIN, seeded(3)) == relabelled(CHAIN, seeded(3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "half", None])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(RequestError, match=r"^share: found"):
        relabelled(CHAIN, seeded(0), share=share)


def test_other_mistakes_are_named():
    with pytest.raises(RequestError, match=r"^genome: found str"):
        relabelled("conv3", seeded(0))
    with pytest.raises(RequestError, match=r"^generator: found 0"):
        relabelled(CHAIN, 0)
    with pytest.raises(RequestError, match=r"^channels"):
        relabelled(CHAIN, seeded(0), channels=())
