"""Intervals and tests: equal to scipy's and to hand-worked numbers, and as often right as they say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sparsewire.lab.reporting import intervals

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9)


@settings(deadline=None, max_examples=60)
@given(values, st.floats(0.5, 0.999))
def test_the_interval_of_a_mean_is_students(found: list[float], level: float) -> None:
    error = stats.sem(found)
    low, high = intervals.mean_interval(found, level) or (math.nan, math.nan)
    expected = stats.t.interval(level, len(found) - 1, np.mean(found), error) if error else (found[0], found[0])
    assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(values, values)
def test_welch_is_scipys(a: list[float], b: list[float]) -> None:
    found = intervals.welch(a, b)
    if min(np.ptp(a), np.ptp(b)) < 1e-3:
        return  # there scipy warns of cancellation
    expected = stats.ttest_ind(b, a, equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert found is not None
    assert found[1] == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-9)
    assert found[0] == pytest.approx((float(ends.low), float(ends.high)), rel=1e-6, abs=1e-6)


def test_welch_of_a_textbook() -> None:
    # v = 1/3 and 4/3 of three each: d = 3 − 2 = 1, error √(5/3), f = (5/3)² / ((1/9 + 16/9) / 2) = 50/17
    interval, p = intervals.welch([1.0, 2.0, 3.0], [1.0, 3.0, 5.0]) or ((0, 0), 0)
    freedom, error = 50 / 17, math.sqrt(5 / 3)
    assert p == pytest.approx(2 * stats.t.sf(1 / error, freedom))
    assert interval[1] - interval[0] == pytest.approx(2 * error * stats.t.ppf(0.975, freedom))


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([2.0, 2.0], [3.0, 3.0]), ([], [])])
def test_welch_says_nothing_where_nothing_can_be_said(a: list[float], b: list[float]) -> None:
    assert intervals.welch(a, b) is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_sign_flips_are_all_signs(found: list[int]) -> None:
    sums = [abs(sum(sign * value for sign, value in zip(signs, found, strict=True)))
            for signs in itertools.product((1, -1), repeat=len(found))]  # fmt: skip
    assert intervals.sign_flip([float(value) for value in found]) == sum(s >= abs(sum(found)) for s in sums) / len(sums)


def test_many_pairs_are_drawn_at_random_alike_each_time() -> None:
    generator = np.random.default_rng(3)
    differences = list(generator.normal(0.3, 1.0, intervals.EXACT + 1))
    found = intervals.sign_flip(differences)
    assert found == intervals.sign_flip(differences)
    every = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    exact = float(np.mean(np.abs(every @ differences) >= abs(sum(differences)) - 1e-9))
    assert abs(found - exact) < 5 * math.sqrt(exact * (1 - exact) / 100_000)
    assert intervals.sign_flip([1.0] * 40) == pytest.approx(1 / 100_001)


def test_hedges_g_has_the_exact_correction() -> None:
    # s = 1, d = 1, 4 degrees of freedom: J = Γ(2) / (√2 Γ(3/2)) = √(2 / π)
    assert intervals.hedges_g([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]) == pytest.approx(math.sqrt(2 / math.pi))
    # with many it is near the usual 1 − 3 / (4 f − 1)
    a, b = list(np.linspace(0, 1, 40)), list(np.linspace(0.5, 1.5, 40))
    plain = 0.5 / float(np.std(a, ddof=1))
    assert intervals.hedges_g(a, b) == pytest.approx(plain * (1 - 3 / (4 * 78 - 1)), rel=1e-4)
    assert intervals.hedges_g([1.0, 1.0], [2.0, 2.0]) is None
    assert intervals.hedges_g([1.0], [2.0, 3.0]) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [([], []), ([0.5], [0.5]), ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]), ([0.9, 0.6], [1.0, 1.0])],
)
def test_holm(found: list[float], expected: list[float]) -> None:
    assert intervals.holm(found) == pytest.approx(expected)


SETS = 2_000


def _near(count: int, share: float) -> bool:
    return abs(count / SETS - share) <= 4 * math.sqrt(share * (1 - share) / SETS)


def test_intervals_cover_as_often_as_they_say_and_tests_err_no_oftener() -> None:
    generator = np.random.default_rng(11)
    paired = welch = flips = alarms = 0
    for _ in range(SETS):
        common = generator.normal(0, 5, 7)
        a, b = common + generator.normal(0, 1, 7), common + 0.7 + generator.normal(0, 1, 7)
        low, high = intervals.mean_interval(list(b - a)) or (0, 0)
        paired += low <= 0.7 <= high
        flips += intervals.sign_flip(list(b - a - 0.7)) <= 0.05
        one, other = generator.normal(0, 1, 6), generator.normal(1, 3, 11)
        interval, _ = intervals.welch(list(one), list(other)) or ((0, 0), 0)
        welch += interval[0] <= 1 <= interval[1]
        alarms += (intervals.welch(list(one), list(other - 1)) or ((0, 0), 1))[1] <= 0.05
    assert _near(paired, 0.95)
    assert _near(welch, 0.95)
    assert _near(alarms, 0.05)
    assert _near(flips, 6 / 128), "the largest p of 2k / 2⁷ that is at most 0.05"
