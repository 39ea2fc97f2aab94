"""Random patterns: exactly so many edges, anywhere, all patterns equally probable."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.priors import random_pattern


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.001, 1))
@example(10, 10, 0.965)
def test_the_number_of_edges_is_exact(n_in, n_out, density):
    edges = math.floor(density * (n_in * n_out) + 0.5)
    if edges:
        pattern = random_pattern(n_in, n_out, density, generator=seeded(0))
        assert pattern.dtype == torch.bool
        assert pattern.shape == (n_out, n_in)
        assert int(pattern.sum()) == edges
    else:
        with pytest.raises(RequestError, match=r"density: found .*, less than half an edge"):
            random_pattern(n_in, n_out, density, generator=seeded(0))


@pytest.mark.parametrize(("density", "outcomes"), [(1 / 6, 6), (1 / 3, 15), (1 / 2, 20), (2 / 3, 15), (5 / 6, 6)])
def test_all_patterns_are_equally_probable(density, outcomes):
    generator = seeded(0)
    counts = Counter(random_pattern(3, 2, density, generator=generator).numpy().tobytes() for _ in range(3000))
    assert len(counts) == outcomes
    expected = 3000 / outcomes
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < outcomes - 1 + 3 * math.sqrt(2 * (outcomes - 1))


def test_the_generator_alone_decides():
    before = torch.get_rng_state()
    assert torch.equal(random_pattern(9, 9, 0.3, generator=seeded(1)), random_pattern(9, 9, 0.3, generator=seeded(1)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, 0.5), "n_in: found 0"),
        ((3, 2.5, 0.5), "n_out: found 2.5"),
        ((3, 3, 0), "density: found 0, expected a number above 0"),
        ((3, 3, 1.5), "density: found 1.5"),
        ((3, 3, math.nan), "density: found nan"),
        ((3, 3, True), "density: found True"),
        ((3, 3, None), "density: found none, expected exactly one"),
        ((3, 3, 0.01), r"density: found 0.01, less than half an edge .* nearest request is 0.111111, one edge"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        random_pattern(*arguments, generator=seeded(0))
