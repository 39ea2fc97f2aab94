from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.junction_allocation import junction_splits
from sparsewire.structure.split_choices import nearest_densities, sizes_nearby, split_choices
from sparsewire.structure.splits import places_of

MORSE = (64, 1024, 64)


def test_the_choices_are_equal_later_denser_earlier_denser_and_the_extremes():
    found = split_choices(MORSE, 0.5, at_most=5)
    assert [split.fan_outs for split in found] == [(16, 63), (256, 48), (512, 32), (768, 16), (1008, 1)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=4), st.integers(1, 50), st.sampled_from([0, 0.01, 0.1]))
def test_choices_are_exact_where_they_can_be_and_else_the_nearest(sizes, parts, tolerance):
    density = Fraction(parts, 50)
    found = split_choices(sizes, float(density), tolerance=tolerance, at_most=5)
    assert 1 <= len(found) == len(set(found)) <= 5
    assert found == sorted(found, key=lambda split: (split.density, split.fan_outs))
    exact = junction_splits(sizes, float(density), tolerance=tolerance)
    if exact:
        assert set(found) <= set(exact)
        assert len(found) == min(5, len(exact))
        return
    every = {Fraction(sum(split.edges), sum(places_of(sizes))) for split in junction_splits(sizes, 0.5, tolerance=0.5)}
    theirs = {Fraction(sum(split.edges), sum(places_of(sizes))) for split in found}
    assert max((one for one in every if one < density), default=density) in theirs | {density}
    assert min((one for one in every if one > density), default=density) in theirs | {density}


def test_the_nearest_comes_first():
    assert [split.fan_outs for split in split_choices((8, 4), 0.7, at_most=1)] == [(3,)]
    assert [split.fan_outs for split in split_choices((8, 4), 0.6, at_most=1)] == [(2,)]
    assert nearest_densities((8, 4), 0.6) == (0.5, 0.75)
    assert nearest_densities((8, 4), 0.1) == (None, 0.25)


def test_a_chain_of_many_splits_is_no_burden():
    found = split_choices((1024, 1024, 1024, 1024, 1024), 102 / 1024)
    assert len(found) == 8
    assert {split.density for split in found} == {102 / 1024}


def test_one_junction_has_one_split_for_a_density():
    assert [split.fan_outs for split in split_choices((8, 4), 0.5)] == [(2,)]
    assert [split.fan_outs for split in split_choices((784, 10), 0.3)] == [(5,)]
    assert [split.fan_outs for split in split_choices((8, 4), 0.6)] == [(2,), (3,)]


@pytest.mark.parametrize(("sizes", "density"), [((784, 100, 10), 0.1), ((784, 300, 100, 10), 0.1)])
def test_sizes_nearby_have_the_density_nearly(sizes, density):
    found = sizes_nearby(sizes, density)
    assert sum(ours != theirs for ours, theirs in zip(found, sizes, strict=True)) == 1
    assert junction_splits(found, density, tolerance=density / 100)
    assert not junction_splits(sizes, density, tolerance=density / 100)


def test_the_ends_of_a_network_do_not_change():
    assert sizes_nearby((784, 10), 0.3) is None


@pytest.mark.parametrize(
    ("sizes", "arguments", "told"),
    [
        ((64,), {"density": 0.5}, "sizes: found .64,., expected the neurons of at least two layers"),
        (MORSE, {"density": 0}, "density: found 0"),
        (MORSE, {"density": 0.5, "at_most": 0}, "at_most: found 0"),
        (MORSE, {"density": 0.5, "tolerance": 2}, "tolerance: found 2"),
    ],
)
def test_impossible_requests_are_refused(sizes, arguments, told):
    with pytest.raises(RequestError, match=told):
        split_choices(sizes, **arguments)
