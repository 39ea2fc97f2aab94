import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.splits import Split, nearest_fan_outs

# Table 1 of Dey, Huang, Beerel and Chugg 2018: sizes, fan-outs, densities of the junctions and overall, in per cent.
TABLE_1 = [
    ((4096, 512, 16), (1, 1), (0.2, 6.3), 0.22),
    ((4096, 512, 16), (1, 8), (0.2, 50), 0.39),
    ((4096, 512, 256, 16), (1, 1, 8), (0.2, 0.4, 50), 0.30),
    ((4096, 512, 128), (1, 32), (0.2, 25), 0.95),
    ((3136, 784, 10), (4, 10), (0.5, 100), 0.83),
    ((784, 224, 10), (112, 10), (50, 100), 50.63),
    ((64, 1024, 64), (512, 32), (50, 50), 50),
]


@pytest.mark.parametrize(("sizes", "fan_outs", "densities", "overall"), TABLE_1)
def test_densities_are_those_of_the_paper(sizes, fan_outs, densities, overall):
    split = Split(sizes, fan_outs)
    for ours, theirs in zip(split.densities, densities, strict=True):
        assert 100 * ours == pytest.approx(theirs, abs=0.05)
    assert 100 * split.density == pytest.approx(overall, abs=0.005)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.data())
def test_both_sides_of_a_junction_have_the_same_edges(sizes, data):
    fan_outs = [
        data.draw(st.sampled_from([fan for fan in range(1, b + 1) if a * fan % b == 0]))
        for a, b in itertools.pairwise(sizes)
    ]
    split = Split(tuple(sizes), tuple(fan_outs))
    assert [fan_in * n for fan_in, n in zip(split.fan_ins, sizes[1:], strict=True)] == list(split.edges)
    assert split.density == sum(split.edges) / sum(split.places)


@given(st.integers(1, 40), st.integers(1, 40), st.fractions(0, 45))
def test_the_nearest_fan_outs_are_those_of_trying_all(n_in, n_out, wish):
    known = [fan_out for fan_out in range(1, n_out + 1) if n_in * fan_out % n_out == 0]
    below, above = [one for one in known if one <= wish], [one for one in known if one >= wish]
    expected = {max(below, default=known[0]), min(above, default=known[-1])}
    assert nearest_fan_outs(n_in, n_out, wish) == tuple(sorted(expected))


def test_a_split_is_a_value_of_plain_numbers():
    assert Split([8, 4], [2]) == Split((8, 4), (2,))
    assert hash(Split([8, 4], [2])) == hash(Split((8, 4), (2,)))
    assert nearest_fan_outs(8, 4, Fraction(3, 2)) == (1, 2)


@pytest.mark.parametrize(
    ("sizes", "fan_outs", "told"),
    [
        ((784, 100), (10,), r"fan_outs\[0\]: found 10, expected a multiple of 25 up to 100 .* nearest: 25"),
        ((784, 100), (30,), "nearest: 25 and 50"),
        ((8, 4), (5,), r"found 5, expected a whole number up to 4 .* nearest: 4"),
        ((8, 4), (0,), r"fan_outs\[0\]: found 0, expected a whole number of at least 1"),
        ((8, 4), (1.5,), r"found 1.5, expected a whole number"),
        ((8, 4), (True,), r"found True, expected a whole number"),
        ((8, 4), (float("nan"),), r"found nan, expected a whole number"),
        ((8, 4), (1, 2), r"fan_outs: found \(1, 2\), expected 1, one for each junction of 8-4"),
        ((8,), (), r"sizes: found \(8,\), expected the neurons of at least two layers"),
        ((8, 0), (1,), r"sizes\[1\]: found 0"),
        (8, (1,), "sizes: found 8"),
    ],
)
def test_what_is_no_split_is_refused(sizes, fan_outs, told):
    with pytest.raises(RequestError, match=told):
        Split(sizes, fan_outs)
