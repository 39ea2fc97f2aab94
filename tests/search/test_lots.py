"""Draws are uniform, and what cannot be drawn or bounded is refused in one message."""

from collections import Counter

import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import OPERATIONS, Bounds, Genome, Vertex, checked_genome
from sparsewire.search.lots import (
    below,
    checked_bounds,
    drawn_vertex,
    one_of,
    shuffled,
    within,
)
from sparsewire.search.random_genomes import checked_channels


def chi_square(counts: Counter[object], kinds: int) -> float:
    expected = counts.total() / kinds
    assert len(counts) <= kinds
    return sum((count - expected) ** 2 / expected for count in counts.values()) + (kinds - len(counts)) * expected


def test_draws_are_uniform():
    generator = torch.Generator().manual_seed(0)
    assert chi_square(Counter(below(5, generator) for _ in range(2000)), 5) < 18  # beyond in 1 of 1000, 4 degrees
    assert chi_square(Counter(one_of("abc", generator) for _ in range(2000)), 3) < 14
    assert chi_square(Counter("".join(shuffled("abc", generator)) for _ in range(2000)), 6) < 20
    assert chi_square(Counter(drawn_vertex(generator).operation for _ in range(2000)), 8) < 24
    convolutions = [vertex.channels for vertex in (drawn_vertex(generator, channels=(3, 4)) for _ in range(3000))]
    assert chi_square(Counter(count for count in convolutions if count), 2) < 11
    others = Counter(drawn_vertex(generator, besides="skip").operation for _ in range(2000))
    assert chi_square(others, 7) < 22
    assert set(others) == set(OPERATIONS) - {"skip"}


def test_nothing_and_a_single_thing_are_shuffled_without_a_draw():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert shuffled([], generator) == []
    assert shuffled((7,), generator) == [7]
    assert torch.equal(before, generator.get_state())


@pytest.mark.parametrize("channels", [(), [], 16, None, "16", (0,), (-1,), (1.5,), (True,), (16, float("nan"))])
def test_channels_that_none_can_have_are_refused(channels):
    with pytest.raises(RequestError, match=r"^channels"):
        checked_channels(channels)


def test_channels_come_out_as_ints():
    assert checked_channels([np.int64(3)]) == (3,)
    assert type(checked_channels([np.int64(3)])[0]) is int


@pytest.mark.parametrize("bounds", [(6, 36), 64, "none", Bounds, False])
def test_bounds_that_are_none_are_refused(bounds):
    with pytest.raises(RequestError, match=r"^bounds: found"):
        checked_bounds(bounds)


@pytest.mark.parametrize("bounds", [Bounds((3, 2)), Bounds((0, 2)), Bounds((1, 2), 0), Bounds((9, 9), 8)])
def test_bounds_that_hold_nothing_are_refused(bounds):
    with pytest.raises(RequestError, match=r"^(depth|vertices)"):
        checked_bounds(bounds)


def test_who_is_no_genome_or_out_of_bounds_is_named():
    genome = Genome((Vertex("skip"),), ())
    assert within(None, "a", genome) is checked_genome("a", genome) is genome
    with pytest.raises(RequestError, match=r"^b: found depth 1 and 1 vertices, expected depth 6 to 36 and at most 64"):
        within(Bounds(), "b", genome)
    with pytest.raises(RequestError, match=r"^genome: found NoneType, expected a Genome"):
        within(None, "genome", None)
