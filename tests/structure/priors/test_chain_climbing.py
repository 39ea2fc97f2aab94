"""What improves chains: climbing and planting change no degree and no window sum, and climbing never goes down."""

from itertools import pairwise

import numpy as np
import pytest

from sparsewire.structure.degrees import degrees
from sparsewire.structure.priors.chain_climbing import climbed, end_scatter
from sparsewire.structure.priors.chain_planting import with_thin_chain
from sparsewire.structure.priors.planned_chains import chain_windows
from sparsewire.structure.priors.planned_junctions import even_pattern
from sparsewire.structure.windows import Layout

# sizes, fan-outs, and whether there is a thinner chain with one path from each input to each output
CASES = [
    ((64, 48, 64), (6, 8), False),
    ((30, 30, 30), (4, 4), False),
    ((50, 50, 50), (8, 8), False),
    ((36, 36, 36), (7, 7), True),
    ((64, 256, 64), (8, 16), True),
    ((32, 32, 32, 32), (4, 4, 4), True),
]


def random_chain(sizes, fan_outs, layouts=None):
    asked = [degrees(*pair, fan_out=fan_out) for pair, fan_out in zip(pairwise(sizes), fan_outs, strict=True)]
    windows, ends = chain_windows(asked, layouts)
    numbers = np.random.default_rng(0)
    patterns = [
        even_pattern(windows[at][1], windows[at + 1][0], junction.fan_in[0], numbers)
        for at, junction in enumerate(asked)
    ]
    return patterns, windows, ends, numbers


def window_sums(pattern, left, right):
    columns = np.stack([pattern[:, left == window].sum(1) for window in np.unique(left)])
    rows = np.stack([pattern[right == window].sum(0) for window in np.unique(right)])
    return columns, rows


def assert_same_sums(before, after, windows):
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        for one, other in zip(
            window_sums(old, windows[at][1], windows[at + 1][0]),
            window_sums(new, windows[at][1], windows[at + 1][0]),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("sizes", "fan_outs"), [CASES[1][:2], CASES[4][:2], CASES[5][:2]])
def test_climbing_raises_the_scatter_and_keeps_sums(sizes, fan_outs):
    patterns, windows, ends, numbers = random_chain(sizes, fan_outs)
    copies = [pattern.copy() for pattern in patterns]
    found = climbed(patterns, windows, ends, 2.0, numbers)
    assert_same_sums(patterns, found, windows)
    assert end_scatter(found, ends) > end_scatter(patterns, ends)
    assert all(np.array_equal(*pair) for pair in zip(patterns, copies, strict=True))


@pytest.mark.parametrize(("sizes", "fan_outs", "exists"), CASES)
def test_a_thinner_chain_is_planted_where_there_is_one(sizes, fan_outs, exists):
    patterns, windows, ends, numbers = random_chain(sizes, fan_outs)
    found = with_thin_chain(patterns, windows, ends, 2.0, numbers)
    assert_same_sums(patterns, found, windows)
    if exists:
        assert end_scatter(found, ends) > max(1.9, end_scatter(patterns, ends))
    else:
        assert all(np.array_equal(*pair) for pair in zip(patterns, found, strict=True))


def test_padding_is_left_where_it_is():
    layouts = [Layout((36,), real=30), None, None]
    patterns, windows, ends, numbers = random_chain((36, 36, 36), (7, 7), layouts)
    for improved in (with_thin_chain, climbed):
        found = improved(patterns, windows, ends, 2.0, numbers)
        assert_same_sums(patterns, found, windows)
        assert end_scatter(found, ends) >= end_scatter(patterns, ends)
        patterns = found
