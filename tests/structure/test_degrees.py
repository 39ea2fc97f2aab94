"""How many edges a neuron gets: the arithmetic of regular junctions, and what is said where it does not come out."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.degrees import Degrees, degrees, fan_out_step

SIDES = st.integers(1, 60)


def regular_fan_outs(n_in: int, n_out: int) -> list[int]:
    return [fan_out for fan_out in range(1, n_out + 1) if n_in * fan_out % n_out == 0]


# Table 1 of the paper: left, right, fan-out, fan-in, density in percent.
@pytest.mark.parametrize(
    ("n_in", "n_out", "fan_out", "fan_in", "percent"),
    [
        (4096, 512, 1, 8, 0.2),
        (512, 16, 8, 256, 50),
        (512, 16, 1, 32, 6.3),
        (512, 128, 32, 128, 25),
        (3136, 784, 1, 4, 0.128),  # printed as .1
        (784, 10, 5, 392, 50),
        (784, 224, 4, 14, 1.79),
        (64, 1024, 512, 32, 50),
        (1024, 64, 32, 512, 50),
    ],
)
def test_the_papers_junctions(n_in, n_out, fan_out, fan_in, percent):
    found = degrees(n_in, n_out, fan_out=fan_out)
    assert found == degrees(n_in, n_out, fan_in=fan_in)
    assert found == degrees(n_in, n_out, density=Fraction(fan_out, n_out))
    assert found == degrees(n_in, n_out, density=fan_out / n_out)
    assert (found.fan_out, found.fan_in) == ((fan_out, fan_out), (fan_in, fan_in))
    assert found.is_regular
    assert found.density * 100 == pytest.approx(percent, rel=0.03)


@given(SIDES, SIDES)
def test_the_step_is_the_least_regular_fan_out_and_the_others_are_its_multiples(n_in, n_out):
    step = fan_out_step(n_in, n_out)
    assert regular_fan_outs(n_in, n_out) == list(range(step, n_out + 1, step))


@given(SIDES, SIDES, st.integers(1, 60))
def test_every_fan_out_is_regular_or_refused_with_the_nearest_that_are(n_in, n_out, fan_out):
    allowed = regular_fan_outs(n_in, n_out)
    if fan_out in allowed:
        found = degrees(n_in, n_out, fan_out=fan_out)
        assert found.edges == n_in * fan_out
        assert found.is_regular
        return
    with pytest.raises(RequestError, match=r"^fan_out: found ") as caught:
        degrees(n_in, n_out, fan_out=fan_out)
    named = re.search(r"nearest regular requests? (?:is|are) ([\d and]+)", str(caught.value))
    assert named is not None
    below = [one for one in allowed if one < fan_out][-1:]
    above = [one for one in allowed if one > fan_out][:1]
    assert [int(one) for one in named[1].split(" and ")] == below + above


@given(SIDES, SIDES, st.integers(1, 60))
def test_an_uneven_fan_is_exact_on_its_own_side(n_in, n_out, fan):
    if fan <= n_out:
        found = degrees(n_in, n_out, fan_out=fan, uneven=True)
        assert found.fan_out == (fan, fan)
        assert found.fan_in[1] - found.fan_in[0] in (0, 1)
    if fan <= n_in:
        found = degrees(n_in, n_out, fan_in=fan, uneven=True)
        assert found.fan_in == (fan, fan)
        assert found.fan_out == (math.floor(fan * n_out / n_in), math.ceil(fan * n_out / n_in))


@given(SIDES, SIDES, st.floats(0.001, 1))
def test_an_uneven_density_gives_the_nearest_number_of_edges(n_in, n_out, density):
    if density * n_in * n_out < 0.5:
        with pytest.raises(RequestError, match=r"density: found .* the nearest request is .* one edge"):
            degrees(n_in, n_out, density=density, uneven=True)
        return
    found = degrees(n_in, n_out, density=density, uneven=True)
    assert abs(found.edges - density * n_in * n_out) <= 0.5


def test_what_is_regular_is_said_so_and_what_is_not_too():
    # 3 · 3 = 9 edges for two right neurons: 4 and 5.
    found = degrees(3, 2, density=1 / 2, uneven=True)
    assert (found.edges, found.fan_out, found.fan_in) == (3, (1, 1), (1, 2))
    assert str(found) == "3 × 2: 3 edges, density 0.5, fan-out 1, fan-in 1 to 2 (uneven)"
    assert str(degrees(4, 2, fan_out=1)) == "4 × 2: 4 edges, density 0.5, fan-out 1, fan-in 2"


def test_numpy_numbers_are_numbers():
    assert degrees(np.int64(8), np.int32(4), fan_out=np.int64(2)) == Degrees(8, 4, 16)
    assert degrees(8, 4, density=np.float64(0.5)) == Degrees(8, 4, 16)
    assert degrees(10, 10, density=0.1) == degrees(10, 10, density=Fraction(1, 10)) == Degrees(10, 10, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"fan_out": 3},
            r"fan_out: found 3, which gives 336 edges for 10 right .*nearest regular request is 5; uneven",
        ),
        ({"fan_out": 7}, r"the nearest regular requests are 5 and 10"),
        ({"fan_in": 57}, r"fan_in: found 57, which gives 570 edges for 112 left .*requests are 56 and 112"),
        ({"fan_out": 11}, r"fan_out: found 11, more edges than places: there are 10 right neurons; .* request is 10$"),
        ({"fan_in": 113}, r"fan_in: found 113, more edges than places: there are 112 left neurons; .* request is 112$"),
        ({"fan_out": 0}, r"fan_out: found 0, expected a whole number of at least 1; the nearest regular request is 5"),
        ({"fan_out": -5}, r"fan_out: found -5"),
        ({"fan_out": 2.5}, r"fan_out: found 2.5"),
        ({"fan_out": True}, r"fan_out: found True"),
        ({"fan_out": math.nan}, r"fan_out: found nan"),
        ({"fan_out": "5"}, r"fan_out: found '5'"),
        ({"density": 0.6}, r"density: found 0.6, which is 672 edges, .* requests are 1/2 = 0.5 and 1; uneven"),
        ({"density": 0.001}, r"density: found 0.001, which is 1.12 edges, .* request is 1/2 = 0.5"),
        ({"density": 0}, r"density: found 0, expected a number above 0 and up to 1"),
        ({"density": -0.5}, r"density: found -0.5"),
        ({"density": 1.5}, r"density: found 1.5"),
        (
            {"density": 0.5000001},
            r"density: found 0.5000001, which is 560 edges, .* requests are 1/2 = 0.5 and 1; uneven",
        ),
        ({"density": 10**400}, r"density: found 10000000"),
        ({"density": math.nan}, r"density: found nan"),
        ({"density": True}, r"density: found True"),
        ({"density": "1"}, r"density: found '1'"),
        ({}, r"found none, expected exactly one of the three"),
        ({"fan_out": 5, "density": 0.5}, r"found fan_out and density, expected exactly one"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        degrees(112, 10, **arguments)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, math.nan, None])
def test_layers_that_are_none_are_refused(size):
    with pytest.raises(RequestError, match="n_in: found"):
        degrees(size, 10, fan_out=5)
    with pytest.raises(RequestError, match="n_out: found"):
        fan_out_step(10, size)
    with pytest.raises(RequestError, match="edges: found"):
        Degrees(3, 3, size)


def test_more_edges_than_places_are_refused():
    with pytest.raises(RequestError, match="edges: found 10, expected at most 9, the places"):
        Degrees(3, 3, 10)
