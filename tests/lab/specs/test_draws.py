"""Random values: the same for ever, within their bounds, spread as their scale says."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.lab.specs.draws import Between, OneOf, draw

LAST = (1 << 256) - 1
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DRAWN = st.integers(0, LAST) | st.sampled_from([0, LAST])


# Frozen for ever: a change here would make the same file mean another sweep.
def test_draws_are_frozen():
    assert draw(0, 0, ("rate",)) >> 192 == 17631178415792097641
    assert [Between(0.01, 1.0, "log").at(draw(0, index, ("rate",))) for index in range(3)] == [
        0.8157858989947804,
        0.13547192930129195,
        0.37373071171776734,
    ]
    assert [Between(-1.0, 1.0).at(draw(7, index, ("training", "rate"))) for index in range(3)] == [
        -0.9870685999209855,
        -0.40511438812930606,
        -0.7918103624098143,
    ]
    assert [Between(1, 6).at(draw(0, index, ("die",))) for index in range(8)] == [1, 2, 4, 6, 4, 4, 2, 2]
    assert [Between(1, 10_000, "log").at(draw(0, index, ("lightnings",))) for index in range(8)] == [
        34,
        114,
        7600,
        2153,
        16,
        4,
        11,
        1,
    ]
    assert [OneOf(("a", "b", "c")).at(draw(-1, index, ("name",))) for index in range(8)] == [
        "c",
        "a",
        "b",
        "c",
        "b",
        "a",
        "a",
        "b",
    ]


def test_a_draw_depends_on_seed_index_and_every_key():
    paths = [("a",), ("b",), ("a", "b"), ("a.b",), ("a,b",), ('a","b',)]
    assert len({draw(seed, index, path) for seed in (0, 1, -1) for index in (0, 1, 10) for path in paths}) == 54


@given(st.tuples(FLOATS, FLOATS).map(sorted), DRAWN)
def test_floats_are_exact_to_the_last_bit(bounds, drawn):
    low, high = bounds
    found = Between(low, high).at(drawn)
    exact = Fraction(low) + (Fraction(high) - Fraction(low)) * Fraction(drawn, 1 << 256)
    assert type(found) is float
    assert low <= found <= high
    assert math.isclose(found, exact, rel_tol=1e-15, abs_tol=abs(high) * 1e-30 + abs(low) * 1e-30)


@given(st.tuples(st.floats(5e-324, 1e308), st.floats(5e-324, 1e308)).map(sorted), DRAWN)
def test_logarithmic_floats_are_as_the_slow_formula_says(bounds, drawn):
    low, high = bounds
    found = Between(low, high, "log").at(drawn)
    assert low <= found <= high
    assert math.isclose(
        math.log(found), math.log(low) + (math.log(high) - math.log(low)) * (drawn / 2**256), abs_tol=1e-9
    ) or found < 1e-300  # fmt: skip


@given(
    st.tuples(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62)).map(sorted),
    DRAWN,
    st.sampled_from(["linear", "log"]),
)
def test_integers_stay_within_both_bounds(bounds, drawn, scale):
    low, high = (abs(bounds[0]) + 1, abs(bounds[0]) + 1 + bounds[1] - bounds[0]) if scale == "log" else bounds
    found = Between(low, high, scale).at(drawn)
    assert type(found) is int
    assert low <= found <= high
    assert Between(low, high, scale).at(0) == low
    assert Between(low, high, scale).at(LAST) == high


def test_every_value_comes_as_often_as_its_scale_says():
    drawn = [draw(0, index, ("x",)) for index in range(6_000)]
    dice = [Between(1, 6).at(number) for number in drawn]
    assert all(850 < dice.count(face) < 1150 for face in range(1, 7))
    logs = [Between(0.01, 100.0, "log").at(number) for number in drawn]
    assert all(1350 < sum(10**power <= value < 10 ** (power + 1) for value in logs) < 1650 for power in (-2, -1, 0, 1))
    names = [OneOf("abc").at(number) for number in drawn]
    assert all(1850 < names.count(name) < 2150 for name in "abc")


FAULTY = [
    ((2, 1), "low: found 2, expected at most high, which is 1"),
    ((0, 1, "log"), "low: found 0, expected a number above 0"),
    ((-1.0, 1.0, "log"), "low: found -1.0"),
    ((True, 2), "low: found True, expected a finite number"),
    (("1", 2), "low: found '1'"),
    ((1, math.inf), "high: found inf"),
    ((1, math.nan), "high: found nan"),
    ((1, 10**400), "high: found 1000"),
    ((1, 2, "lgo"), "no scale is named 'lgo'; did you mean 'log'"),
    ((1, 2, ["log"]), "no scale is named"),
]


@pytest.mark.parametrize(("arguments", "message"), FAULTY)
def test_bounds_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        Between(*arguments)


def test_no_choices_are_refused():
    with pytest.raises(RequestError, match="choices: found none"):
        OneOf(())
