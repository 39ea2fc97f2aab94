"""Correlations with what numpy and scipy say of the same points."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparsewire.errors import RequestError
from sparsewire.experiments.predefined.correlation import correlation, pearson, spearman

POINTS = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=12
).filter(lambda pairs: all(len(set(side)) > 1 for side in zip(*pairs, strict=True)))  # fmt: skip


@given(POINTS)
def test_both_are_those_of_scipy(pairs) -> None:
    xs, ys = zip(*pairs, strict=True)
    assert pearson(xs, ys) == pytest.approx(stats.pearsonr(xs, ys).statistic, abs=1e-9)
    assert spearman(xs, ys) == pytest.approx(stats.spearmanr(xs, ys).statistic, abs=1e-9)


@pytest.mark.parametrize("values", [([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([1.0], [2.0])])
def test_without_variation_there_is_none(values) -> None:
    assert math.isnan(pearson(*values))
    assert math.isnan(spearman(*values))


def test_the_same_points_have_the_same_interval_and_it_holds_the_value() -> None:
    source = np.random.default_rng(3)
    xs = source.normal(size=40)
    ys = xs + source.normal(size=40)
    one, other = correlation(list(xs), list(ys)), correlation(list(xs), list(ys))
    assert one == other
    assert one.pearson_interval[0] < one.pearson < one.pearson_interval[1]
    assert one.spearman_interval[0] < one.spearman < one.spearman_interval[1]
    # Fisher's interval of normal pairs is another road to the same place.
    exact = stats.pearsonr(xs, ys).confidence_interval(0.95)
    assert one.pearson_interval == pytest.approx((exact.low, exact.high), abs=0.12)


@pytest.mark.parametrize(
    ("ys", "verdict"),
    [
        ([0, 1, 2, 3, 4, 5], "they rise together"),
        ([5, 4, 3, 2, 1, 0], "one falls as the other rises"),
        ([0, 1, 0, 1, 0, 1], "no correlation was shown"),
        ([1, 1, 1, 1, 1, 1], "too few points"),
    ],
)
def test_verdicts(ys, verdict) -> None:
    assert correlation([0, 1, 2, 3, 4, 5], ys).verdict == verdict


def test_three_points_have_no_interval() -> None:
    found = correlation([0, 1, 2], [0, 1, 2])
    assert (found.pearson, found.pearson_interval, found.verdict) == (1.0, None, "too few points")


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(RequestError, match="ys: found 1 numbers, expected 2"):
        correlation([1, 2], [1])
