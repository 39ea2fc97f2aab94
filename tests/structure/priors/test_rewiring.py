"""Rewiring keeps every degree and holds what it is to hold."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.structure.priors import rewired


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_degrees_stay_and_held_edges_too(n_out, n_in, density, fraction, seed):
    generator = seeded(seed)
    pattern = torch.rand(n_out, n_in, generator=generator) < density
    given_pattern = pattern.clone()
    other = rewired(pattern, fraction, generator=generator)
    assert torch.equal(pattern, given_pattern)
    assert other.dtype == torch.bool
    assert other.shape == pattern.shape
    assert torch.equal(other.sum(0), pattern.sum(0))
    assert torch.equal(other.sum(1), pattern.sum(1))
    edges = int(pattern.sum())
    assert int((pattern & other).sum()) >= edges - math.floor(fraction * edges + 0.5)


def test_nothing_moves_at_nought_and_much_at_one():
    pattern = torch.eye(50, dtype=torch.bool).repeat(1, 4)
    assert torch.equal(rewired(pattern, 0.0, generator=seeded(0)), pattern)
    assert int((rewired(pattern, 1, generator=seeded(0)) & pattern).sum()) < 20  # 4 of 200 on average
    kept = [int((rewired(pattern, part, generator=seeded(0)) & pattern).sum()) for part in (0.2, 0.5, 0.8)]
    assert 160 <= kept[0] < 175
    assert 100 <= kept[1] < 115
    assert 40 <= kept[2] < 55


def test_all_patterns_with_unlike_degrees_are_equally_probable():
    # Fan-ins 2, 1, 1 and fan-outs 2, 1, 1: with the first edge of neuron 0 to 0 there are 2 · 2 · 1 patterns with an
    # edge (0, 0), namely 0 → {0, 1 or 2}, and one without it: 5 in all.
    pattern = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 1]]) > 0
    generator = seeded(0)
    counts = Counter(rewired(pattern, generator=generator).numpy().tobytes() for _ in range(1000))
    assert len(counts) == 5
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 15  # chi-square, 4 degrees of freedom


def test_what_is_free_is_dealt_uniformly_around_what_is_held():
    # Each of six freed sets of a permutation of four (fraction 1/2) is one swap: it is done half of the time.
    pattern = torch.eye(4, dtype=torch.bool)
    generator = seeded(0)
    counts = Counter(rewired(pattern, 0.5, generator=generator).numpy().tobytes() for _ in range(1200))
    assert len(counts) == 7
    assert abs(counts.pop(pattern.numpy().tobytes()) - 600) < 70
    assert all(abs(count - 100) < 35 for count in counts.values())


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (1, 6), (6, 1)])
@pytest.mark.parametrize("full", [False, True])
def test_patterns_without_a_choice_come_back(shape, full):
    pattern = torch.full(shape, full)
    assert torch.equal(rewired(pattern, generator=seeded(0)), pattern)


def test_a_transposed_or_strided_pattern_is_a_pattern():
    pattern = (torch.rand(40, 30, generator=seeded(0)) < 0.3).T[::2]
    other = rewired(pattern, generator=seeded(1))
    assert torch.equal(other.sum(0), pattern.sum(0))
    assert torch.equal(rewired(pattern.contiguous(), generator=seeded(1)), other)


def test_the_native_library_or_none_makes_no_difference(monkeypatch):
    pattern = torch.rand(33, 70, generator=seeded(5)) < torch.rand(33, 1, generator=seeded(6))
    other = rewired(pattern, 0.7, generator=seeded(1))
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    assert torch.equal(rewired(pattern, 0.7, generator=seeded(1)), other)


def test_the_generator_alone_decides():
    before = torch.get_rng_state()
    pattern = torch.rand(30, 30, generator=seeded(5)) < 0.2
    assert torch.equal(rewired(pattern, 0.7, generator=seeded(1)), rewired(pattern, 0.7, generator=seeded(1)))
    assert not torch.equal(rewired(pattern, 0.7, generator=seeded(1)), rewired(pattern, 0.7, generator=seeded(2)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("pattern", "fraction", "message"),
    [
        (torch.ones(3, 3), 1.0, r"pattern: found torch.float32 of shape \(3, 3\), expected a bool tensor"),
        (torch.ones(3, 3, 1, dtype=torch.bool), 1.0, r"pattern: found torch.bool of shape \(3, 3, 1\)"),
        ([[True]], 1.0, "pattern: found list"),
        (torch.ones(3, 3, dtype=torch.bool), -0.1, "fraction: found -0.1, expected a number from 0 to 1"),
        (torch.ones(3, 3, dtype=torch.bool), 1.1, "fraction: found 1.1"),
        (torch.ones(3, 3, dtype=torch.bool), True, "fraction: found True"),
        (torch.ones(3, 3, dtype=torch.bool), math.nan, "fraction: found nan"),
        (torch.ones(3, 3, dtype=torch.bool), None, "fraction: found None"),
    ],
)
def test_impossible_requests_are_refused(pattern, fraction, message):
    with pytest.raises(RequestError, match=message):
        rewired(pattern, fraction, generator=seeded(0))


def test_a_number_is_no_generator():
    with pytest.raises(RequestError, match="generator: found 7"):
        rewired(torch.ones(3, 3, dtype=torch.bool), generator=7)
