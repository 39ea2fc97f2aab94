"""Planned junctions: exact degrees, and the highest scatter that there is, whatever the windows."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError
from sparsewire.structure.priors.planned_chains import highest_scatter
from sparsewire.structure.priors.planned_junctions import even_pattern, planned
from sparsewire.structure.windows import Layout

# (n_in, n_out, fan_out): the first ones have windows of one size.
WHOLE = [
    (4096, 512, 1),
    (3136, 784, 16),
    (64, 1024, 128),
    (1024, 64, 16),
    (784, 224, 4),
    (224, 10, 10),
    (8, 4, 2),
    (5, 5, 1),
]
UNEQUAL = [(10, 10, 4), (30, 20, 6), (100, 60, 9), (64, 1024, 48), (7, 7, 5), (3, 6, 4), (784, 100, 75)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def junctions(draw, most=24):
    n_in, n_out = draw(st.integers(1, most)), draw(st.integers(1, most))
    common = math.gcd(n_in, n_out)
    return n_in, n_out, n_out // common * draw(st.integers(1, common))


def assert_regular(pattern, n_in, n_out, fan_out):
    assert pattern.dtype == torch.bool
    assert pattern.shape == (n_out, n_in)
    assert (pattern.sum(0) == fan_out).all()
    assert (pattern.sum(1) == n_in * fan_out // n_out).all()


@pytest.mark.parametrize(("n_in", "n_out", "fan_out"), WHOLE + UNEQUAL)
def test_degrees_are_exact_and_scatter_is_the_highest(n_in, n_out, fan_out):
    pattern = planned(n_in, n_out, fan_out, generator=seeded())
    assert_regular(pattern, n_in, n_out, fan_out)
    bound = highest_scatter((n_in, n_out), (fan_out,))
    assert scatter([pattern]).vector == pytest.approx(bound)
    assert ((n_in, n_out, fan_out) in WHOLE) == (bound == (1, 1))


@settings(deadline=None)
@given(junctions(), st.integers(0, 9))
def test_no_junction_misses_the_bound(junction, seed):
    n_in, n_out, fan_out = junction
    pattern = planned(n_in, n_out, fan_out, generator=seeded(seed))
    assert_regular(pattern, n_in, n_out, fan_out)
    assert scatter([pattern]).vector == pytest.approx(highest_scatter((n_in, n_out), (fan_out,)))


def test_the_bound_is_the_best_of_all_patterns():
    """Of 4 × 4 neurons with 3 connections: all 24 regular patterns, counted out."""
    best = [0.0, 0.0]
    for missing in product(range(4), repeat=4):
        if len(set(missing)) == 4:
            pattern = torch.ones(4, 4, dtype=torch.bool)
            pattern[torch.arange(4), list(missing)] = False
            best = [max(pair) for pair in zip(best, scatter([pattern]).vector, strict=True)]
    # three windows of 4 neurons: 2, 1 and 1; one of a single neuron reaches 3 of 4: (4 + 3 + 3) / 12
    assert highest_scatter((4, 4), (3,)) == tuple(best)
    assert best == pytest.approx([10 / 12, 10 / 12])


@pytest.mark.parametrize(
    ("left", "fan_out", "n_out"),
    [
        (Layout((28, 28)), 4, 224),
        (Layout((28, 28)), 112, 224),
        (Layout((256, 4, 4)), 1, 512),
        (Layout((256, 4, 4), "channels_last"), 2, 512),
        (Layout((64, 7, 7)), 16, 784),
        (Layout((5, 7)), 3, 21),
        (Layout((32, 32), real=torch.nn.functional.pad(torch.ones(28, 28), (2, 2, 2, 2)).bool()), 1, 64),
        (Layout((32, 32), real=1000), 3, 96),
    ],
)
def test_windows_may_be_tiles_or_cuboids_and_padding_is_left_out(left, fan_out, n_out):
    pattern = planned(left.neurons, n_out, fan_out, left=left, generator=seeded())
    assert_regular(pattern, left.neurons, n_out, fan_out)
    bound = highest_scatter((left.neurons, n_out), (fan_out,), layouts=[left, None])
    assert scatter([pattern], [left, None]).vector == pytest.approx(bound)
    mirrored = planned(n_out, left.neurons, left.neurons * fan_out // n_out, right=left, generator=seeded())
    assert scatter([mirrored], [None, left]).vector == pytest.approx(bound[::-1])


@settings(deadline=None)
@given(junctions(12), st.randoms(use_true_random=False))
def test_windows_of_any_sizes_get_their_share_rounded(junction, random):
    n_in, n_out, fan_out = junction
    fan_in = n_in * fan_out // n_out
    left = np.array([random.randrange(-1, 3) for _ in range(n_in)])
    right = np.array([random.randrange(-1, 3) for _ in range(n_out)])
    pattern = even_pattern(left, right, fan_in, np.random.default_rng(0))
    assert_regular(torch.from_numpy(pattern), n_in, n_out, fan_out)
    for window in range(3):
        share = fan_in * (left == window).sum() / n_in
        counts = pattern[:, left == window].sum(1)
        assert ((counts >= math.floor(share)) & (counts <= math.ceil(share))).all()
        share = fan_out * (right == window).sum() / n_out
        counts = pattern[right == window].sum(0)
        assert ((counts >= math.floor(share)) & (counts <= math.ceil(share))).all()


@pytest.mark.parametrize("junction", [(64, 32, 8), (30, 20, 6)])
def test_the_generator_alone_decides(junction):
    before = torch.get_rng_state()
    first = planned(*junction, generator=seeded(1))
    assert torch.equal(planned(*junction, generator=seeded(1)), first)
    assert not torch.equal(planned(*junction, generator=seeded(2)), first)
    generator = seeded(1)
    planned(*junction, generator=generator)
    assert not torch.equal(planned(*junction, generator=generator), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_place_of_a_block_is_equally_probable():
    draws = torch.stack([planned(6, 4, 2, generator=seeded(seed)) for seed in range(600)]).float()
    assert (draws.mean(0) - 0.5).abs().max() < 5 * math.sqrt(0.25 / 600)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_in": 112, "n_out": 10, "fan_out": 3}, "fan_out: found 3"),
        ({"n_in": 8, "n_out": 4, "fan_out": 5}, "fan_out: found 5"),
        ({"n_in": 8, "n_out": 4, "fan_out": 0}, "fan_out: found 0"),
        ({"n_in": 8, "n_out": 4, "fan_out": 1.5}, "fan_out: found 1.5"),
        ({"n_in": 0, "n_out": 4, "fan_out": 1}, "n_in: found 0"),
        ({"n_in": 8, "n_out": True, "fan_out": 1}, "n_out: found True"),
        ({"left": Layout((3, 3))}, r"left: found one of shape \(3, 3\), expected a Layout of 8 neurons"),
        ({"right": (4,)}, r"right: found \(4,\), expected a Layout of 4 neurons"),
        ({"generator": 0}, "generator: found 0"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    request = {"n_in": 8, "n_out": 4, "fan_out": 2, "generator": seeded()} | arguments
    with pytest.raises(RequestError, match=message):
        planned(**request)


def test_each_pair_of_windows_has_a_permutation_of_its_own():
    generator = torch.Generator().manual_seed(0)
    draws = [planned(4, 4, 2, generator=generator) for _ in range(200)]
    assert len({tuple(pattern.flatten().tolist()) for pattern in draws}) == 16  # two for each of four pairs
