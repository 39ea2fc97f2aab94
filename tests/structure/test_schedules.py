import copy
import dataclasses
import itertools
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import count_of
from sparsewire.structure.schedules import cosine, cubic, exponential, fixed_size, one_shot, relative

SCHEDULES = {
    "one_shot": one_shot(0.2, begin=5),
    "fixed_size": fixed_size(30, 200, begin=5, every=3),
    "fixed_size until": fixed_size(30, 200, begin=5, every=3, until=12),
    "fixed_size density": fixed_size(30, 200, begin=5, density=0.4),
    "relative": relative(0.25, begin=5, every=3),
    "relative until": relative(0.25, begin=5, every=3, until=12),
    "relative density": relative(0.25, begin=5, density=0.4),
    "cubic": cubic(0.1, until=25, begin=5, every=4),
    "cubic from half": cubic(0.1, until=25, begin=5, initial=0.5),
    "cosine": cosine(0.1, until=25, begin=5, every=4),
    "cosine from half": cosine(0.0, until=25, begin=5, initial=0.5),
    "exponential": exponential(0.1, until=25, begin=5, every=4),
    "exponential from half": exponential(0.1, until=25, begin=5, initial=0.5),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_laws(schedule):
    densities = [schedule(step) for step in range(60)]
    assert densities[:5] == [1.0] * 5  # before step 5, where each of these begins
    assert all(0 <= later <= earlier <= 1 for earlier, later in itertools.pairwise(densities))
    assert all(type(density) is float for density in densities)
    assert [schedule(step) for step in range(60)] == densities  # pure: no memory of earlier calls


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_is_a_frozen_value(schedule):
    assert copy.deepcopy(schedule) == schedule == pickle.loads(pickle.dumps(schedule))  # noqa: S301
    with pytest.raises(dataclasses.FrozenInstanceError, match="begin"):
        schedule.begin = 0


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        (one_shot(0.3), [0, 1, 99], [0.3, 0.3, 0.3]),
        (one_shot(0.3, begin=2), [1, 2], [1.0, 0.3]),
        # 79,400 weights, 5,000 fewer every second step from step 1 on: 74,400 after steps 1 and 2, 69,400 after step 3
        (fixed_size(5000, 79_400, begin=1, every=2), [0, 1, 2, 3], [1.0, 74_400 / 79_400, 74_400 / 79_400, 0.8740554]),
        # 3 · 40 of 100 is more than there is: nothing is left
        (fixed_size(40, 100), [0, 1, 2, 3], [0.6, 0.2, 0.0, 0.0]),
        (fixed_size(40, 100, density=0.5), [0, 1], [0.6, 0.5]),
        (fixed_size(10, 100, until=1), [0, 1, 2], [0.9, 0.8, 0.8]),
        (relative(0.4), [0, 1, 2], [0.6, 0.36, 0.216]),
        (relative(0.4, every=10, until=19), [9, 10, 19, 20, 1000], [0.6, 0.36, 0.36, 0.36, 0.36]),
        (relative(1.0), [0, 1], [0.0, 0.0]),
        (relative(0.0), [0, 50], [1.0, 1.0]),
        # 0.2 + 0.8 · (1 − t/4)³ = 0.2 + 0.8 · (27/64, 8/64, 1/64)
        (cubic(0.2, until=4), [0, 1, 2, 3, 4, 5], [1.0, 0.5375, 0.3, 0.2125, 0.2, 0.2]),
        (cubic(0.2, until=4, every=2), [1, 2, 3, 4], [1.0, 0.3, 0.3, 0.2]),
        (cubic(0.1, until=12, begin=10, initial=0.5), [9, 10, 11, 12], [1.0, 0.5, 0.15, 0.1]),
        # 0.2 + 0.4 · (1 + cos(π/4 · t)): cos of 45° is √½
        (cosine(0.2, until=4), [0, 1, 2, 3, 4, 5], [1.0, 0.6 + 0.4 * 0.5**0.5, 0.6, 0.6 - 0.4 * 0.5**0.5, 0.2, 0.2]),
        (cosine(0.2, until=4, every=2), [1, 2, 3, 4], [1.0, 0.6, 0.6, 0.2]),
        (exponential(1 / 16, until=4), [0, 1, 2, 3, 4, 5], [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16]),
        (exponential(0.08, until=12, begin=10, initial=0.5), [9, 10, 11, 12], [1.0, 0.5, 0.2, 0.08]),
    ],
)
def test_by_hand(schedule, steps, expected):
    assert [schedule(step) for step in steps] == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10**6), st.integers(1, 10**7), st.integers(0, 60))
def test_fixed_size_removes_exactly_its_size(size, total, step):
    kept = count_of(fixed_size(size, total)(step), total)
    assert kept == max(0, total - (step + 1) * size)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([cubic, cosine, exponential]),
    st.floats(1e-9, 1),
    st.floats(1e-9, 1),
    st.integers(0, 50),
    st.integers(1, 40),
    st.integers(1, 9),
)
def test_a_curve_meets_both_ends_exactly_and_never_grows(curve, one, other, begin, prunings, every):
    low, high = sorted([one, other])
    schedule = curve(low, until=begin + prunings * every, begin=begin, every=every, initial=high)
    assert schedule(begin) == high
    assert schedule(begin + prunings * every) == schedule(10**9) == low
    densities = [schedule(step) for step in range(begin, begin + prunings * every + 2)]
    assert densities == sorted(densities, reverse=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: one_shot(1.5), "density: found 1.5"),
        (lambda: one_shot(math.nan), "density: found nan"),
        (lambda: one_shot(True), "density: found True"),
        (lambda: one_shot(0.5, begin=-1), "begin: found -1"),
        (lambda: fixed_size(0, 10), "size: found 0"),
        (lambda: fixed_size(0.1, 10), "size: found 0.1"),
        (lambda: fixed_size(1, 0), "total: found 0"),
        (lambda: fixed_size(1, 10, every=0), "every: found 0"),
        (lambda: fixed_size(1, 10, begin=5, until=4), "until: found 4"),
        (lambda: relative(-0.1), "removed: found -0.1"),
        (lambda: relative(0.1, every=1.5), "every: found 1.5"),
        (lambda: cubic(0.6, until=5, initial=0.5), "density: found 0.6 above initial"),
        (lambda: cubic(0.1, until=0), "until: found 0"),
        (lambda: fixed_size(True, 5), "size: found True"),
        (lambda: cubic(0.1, until=10, begin=1, every=4), "try 9 or 13"),
        (lambda: cosine(0.6, until=5, initial=0.5), "density: found 0.6 above initial"),
        (lambda: cosine(0.1, until=10, begin=1, every=4), "try 9 or 13"),
        (lambda: exponential(0.0, until=5), "density: found 0.0, expected one above 0"),
        (lambda: exponential(0.1, until=True), "until: found True"),
    ],
)
def test_impossible_arguments(make, message):
    with pytest.raises(RequestError, match=message):
        make()


def test_exponential_is_relative_pruning_to_a_known_end():
    assert [exponential(0.25, until=6)(step) for step in range(7)] == pytest.approx(
        [relative(1 - 0.25 ** (1 / 6), begin=1)(step) for step in range(7)]
    )


def test_curves_of_the_same_numbers_are_not_equal():
    assert cubic(0.1, until=5) != cosine(0.1, until=5)
    assert len({cubic(0.1, until=5), cosine(0.1, until=5), exponential(0.1, until=5)}) == 3
