import itertools
import math
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.junction_allocation import Split, each_split, junction_splits, split_of

MORSE = (64, 1024, 64)


def test_the_grids_of_the_papers_morse_network():
    for density, splits in ((0.25, 31), (0.5, 63)):
        found = junction_splits(MORSE, density)
        assert len(found) == splits
        assert [split.fan_outs for split in found] == [
            (16 * units, round(128 * density) - units) for units in range(1, splits + 1)
        ]
        assert {split.density for split in found} == {density}


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), min_size=2, max_size=4), st.integers(1, 40), st.sampled_from([0, 0.01, 0.2]))
def test_the_splits_are_those_of_trying_all(sizes, parts, tolerance):
    density = parts / 40
    feasible = itertools.product(
        *([fan for fan in range(1, b + 1) if a * fan % b == 0] for a, b in itertools.pairwise(sizes))
    )
    expected = [
        fan_outs
        for fan_outs in feasible
        if abs(Fraction(*_exact(sizes, fan_outs)) - Fraction(parts, 40)) <= Fraction(tolerance) + Fraction(1, 10**12)
    ]
    assert [split.fan_outs for split in junction_splits(sizes, density, tolerance=tolerance)] == expected


def _exact(sizes, fan_outs):
    places = sum(a * b for a, b in itertools.pairwise(sizes))
    return sum(a * fan for a, fan in zip(sizes, fan_outs, strict=False)), places


def test_densities_that_no_float_can_hold_are_met():
    assert [split.fan_outs for split in junction_splits((3, 3), 1 / 3)] == [(1,)]
    assert junction_splits((3, 3), Fraction(1, 3)) == junction_splits((3, 3), 1 / 3)
    assert junction_splits((10, 10), 0.1 + 0.2)[0].fan_outs == (3,)


def test_a_grid_that_would_be_enormous_is_refused_and_can_be_walked():
    sizes, density = (1024,) * 5, 102 / 1024
    with pytest.raises(
        RequestError, match=r"more than 10,000 splits of 1024-1024-1024-1024-1024; narrow .* each_split"
    ):
        junction_splits(sizes, density)
    assert [split.fan_outs for split in itertools.islice(each_split(sizes, density), 2)] == [
        (1, 1, 1, 405),
        (1, 1, 2, 404),
    ]


@pytest.mark.parametrize("density", [0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("ratio", [False, True, 1, 9, 1 / 3, 1e6, 1e-6])
def test_one_density_for_all_is_met_exactly(density, ratio):
    split = split_of(MORSE, density=density, later_denser=ratio)
    assert split.density == density
    first, second = split.densities
    assert math.copysign(1, second - first) == (1 if float(ratio) > 1 or ratio is True else -1) or first == second


def test_the_rule_by_hand():
    # 50 % of two junctions of equal size, the second thrice as dense: f + 3f = 1.
    assert split_of(MORSE, density=0.5, later_denser=True).densities == (0.25, 0.75)
    # 75 %: f + 3f = 1.5 would be 0.375 and 1.125; capped at 1, the first has what is left.
    assert split_of(MORSE, density=0.75, later_denser=3).densities == (0.5, 1.0)
    # a + b = 33 cannot be equal: the first junction is the sparser one.
    assert split_of(MORSE, density=33 / 128).fan_outs == (16 * 16, 17)
    assert split_of(MORSE, density=0.5) == Split(MORSE, (512, 32))


@pytest.mark.parametrize(
    ("sizes", "density", "fan_outs"),
    [((784, 100, 10), 0.1, (25, 1)), ((784, 100, 10), 1.0, (100, 10)), ((784, 1000, 500, 10), 0.1, (125, 30, 2))],
)
def test_the_nearest_total_is_taken_on_request(sizes, density, fan_outs):
    assert split_of(sizes, density=density, nearest=True).fan_outs == fan_outs


def test_densities_of_the_junctions():
    assert split_of(MORSE, densities=(0.25, 0.75)) == split_of(MORSE, fan_outs=(256, 48))
    assert split_of((10, 10), densities=[0.1 + 0.2]).fan_outs == (3,)
    assert split_of((8, 4, 2), densities=(0.3, 0.75), nearest=True).fan_outs == (1, 2)  # 1.5 of 2: up to the denser


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"density": 0.1}, r"density: found 0.1, which no regular split .* multiples of 25, 1; nearest: 0.2481\d+ "),
        ({"density": 0.25}, r"nearest: 0.249\d+ .* and 0.250"),
        ({"densities": (0.1, 0.5)}, r"densities\[0\]: found 0.1, expected a fan-out / 100 .* multiple of 25 .* 0.25$"),
        ({"densities": (0.5, 0.25)}, r"densities\[1\]: .* nearest: 0.2 and 0.3$"),
        ({"densities": (0.5,)}, "densities: found .* expected 2, one for each junction of 784-100-10"),
        ({"densities": 0.5}, "densities: found 0.5, expected 2"),
        ({"fan_outs": (10, 1)}, r"fan_outs\[0\]: found 10"),
        ({"density": 0}, "density: found 0, expected a number above 0 and up to 1"),
        ({"density": 1.5}, "density: found 1.5, expected a number above 0 and up to 1"),
        ({"density": 10**400}, "density: found 10000000"),
        ({"density": -0.5}, "density: found -0.5"),
        ({"density": float("nan")}, "density: found nan"),
        ({"density": True}, "density: found True"),
        ({"density": "0.1"}, "density: found '0.1'"),
        ({"densities": (float("nan"), 0.1)}, r"densities\[0\]: found nan"),
        ({"density": 0.5, "later_denser": 0}, "later_denser: found 0, expected True, False, or"),
        ({"density": 0.5, "later_denser": math.nan}, "later_denser: found nan"),
        ({"density": 0.5, "later_denser": math.inf}, "later_denser: found inf"),
        ({"density": 0.5, "fan_outs": (25, 1)}, "expected exactly one of fan_outs, densities and density"),
        ({}, "expected exactly one of fan_outs, densities and density"),
    ],
    ids=str,
)
def test_impossible_requests_are_refused(asked, told):
    sizes = (784, 100, 10) if asked.get("later_denser") is None else MORSE
    with pytest.raises(RequestError, match=told):
        split_of(sizes, **asked)


@pytest.mark.parametrize("density", [0.1, 0.3, 0.777])
def test_the_named_nearest_density_is_possible(density):
    with pytest.raises(RequestError) as refusal:
        split_of((784, 100, 10), density=density)
    for near in re.findall(r"(0\.\d+) \(", str(refusal.value)):
        assert split_of((784, 100, 10), density=float(near)).density == float(near)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"tolerance": -0.1}, "tolerance: found -0.1, expected a number from 0 to 1"),
        ({"tolerance": math.nan}, "tolerance: found nan"),
        ({"tolerance": True}, "tolerance: found True"),
        ({"at_most": 0}, "at_most: found 0"),
    ],
    ids=str,
)
def test_impossible_grids_are_refused(arguments, told):
    with pytest.raises(RequestError, match=told):
        junction_splits(MORSE, 0.5, **arguments)


def test_long_chains_end_in_time():
    assert split_of((2048,) * 4 + (1000,), density=0.033, nearest=True).fan_outs == (37, 37, 37, 125)
    assert set(split_of((512,) * 10, density=0.1, nearest=True).fan_outs) == {51, 52}
