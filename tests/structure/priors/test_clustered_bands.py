"""Clustered junctions: exact degrees, and connections in as few windows as can be."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError
from sparsewire.structure.priors.clustered_bands import clustered
from sparsewire.structure.priors.planned_junctions import planned
from sparsewire.structure.priors.regular import fixed_degree
from sparsewire.structure.windows import Layout

# (n_in, n_out, fan_out) where windows have one size s and the lowest scatter is reached.
LOWEST = [
    (4096, 512, 1),
    (512, 16, 8),
    (64, 1024, 128),
    (64, 1024, 512),
    (1024, 64, 8),
    (784, 224, 4),
    (784, 224, 112),
    (3136, 784, 16),
    (256, 256, 16),
    (8, 8, 2),
    (24, 52, 13),
    (4, 4, 4),
]
OTHERS = [(33, 6, 2), (56, 32, 12), (16, 20, 15), (5, 5, 2), (10, 10, 4), (12, 3, 2)]


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


@pytest.mark.parametrize(("n_in", "n_out", "fan_out"), LOWEST)
def test_scatter_is_as_low_as_arithmetic_allows(n_in, n_out, fan_out):
    pattern = clustered(n_in, n_out, fan_out, generator=seeded())
    assert_regular(pattern, n_in, n_out, fan_out)
    fan_in, size = n_in * fan_out // n_out, n_out // fan_out
    fewest = math.ceil(fan_in / size) / fan_in, math.ceil(fan_out / size) / fan_out
    assert scatter([pattern]).vector == pytest.approx(fewest)


@pytest.mark.parametrize("junction", LOWEST + OTHERS)
def test_clustered_is_below_random_is_below_planned(junction):
    low, middle, high = (
        sum(scatter([draw(*junction, generator=seeded())]).vector) for draw in (clustered, fixed_degree, planned)
    )
    assert low <= middle + 1e-9
    assert middle <= high + 1e-9


@settings(deadline=None, derandomize=True)
@given(junctions(), st.integers(0, 99))
def test_so_it_is_for_any_junction(junction, seed):
    patterns = [draw(*junction, generator=seeded(seed)) for draw in (clustered, fixed_degree, planned)]
    assert_regular(patterns[0], *junction)
    low, middle, high = (sum(scatter([pattern]).vector) for pattern in patterns)
    assert low <= middle + 1e-9
    assert middle <= high + 1e-9


@pytest.mark.parametrize("left", [Layout((28, 28)), Layout((28, 28), real=700)])
def test_windows_may_be_tiles(left):
    pattern = clustered(784, 112, 2, left=left, generator=seeded())
    assert_regular(pattern, 784, 112, 2)
    # 14 tiles of 56 pixels, of which a hidden neuron sees one
    assert scatter([pattern], [left, None]).vector[0] <= 1 / 14 + 1e-9


def test_many_possible_groups_are_not_all_tried():
    pattern = clustered(3000, 3000, 4, generator=seeded())
    assert_regular(pattern, 3000, 3000, 4)
    assert scatter([pattern]).vector == (0.25, 0.25)


def test_the_generator_alone_decides():
    before = torch.get_rng_state()
    first = clustered(64, 32, 4, generator=seeded(1))
    assert torch.equal(clustered(64, 32, 4, generator=seeded(1)), first)
    assert not torch.equal(clustered(64, 32, 4, generator=seeded(2)), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_in": 112, "n_out": 10, "fan_out": 3}, "fan_out: found 3"),
        ({"fan_out": 5}, "fan_out: found 5"),
        ({"fan_out": -1}, "fan_out: found -1"),
        ({"fan_out": float("nan")}, "fan_out: found nan"),
        ({"left": Layout((3, 3))}, "left: found one of shape"),
        ({"generator": None}, "generator: found None"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    request = {"n_in": 8, "n_out": 4, "fan_out": 2, "generator": seeded()} | arguments
    with pytest.raises(RequestError, match=message):
        clustered(**request)


def test_whole_numbers_of_torch_and_numpy_are_numbers():
    found = [
        clustered(n_in, n_out, fan_out, generator=torch.Generator().manual_seed(0))
        for n_in, n_out, fan_out in ((12, 8, 2), (torch.tensor(12), np.int32(8), torch.tensor(2)))
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("seed", range(5))
def test_a_small_pattern_is_improved_where_no_band_fits(seed):
    found = scatter(clustered(5, 5, 2, generator=torch.Generator().manual_seed(seed)))
    assert sum(found.vector) <= 1.2 + 1e-9  # the best band has 1.4, the best pattern 1
