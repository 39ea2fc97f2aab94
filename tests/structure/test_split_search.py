import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.split_search import Wish, closest_counts, each_count, nearest_totals, units_of

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=4)


def every_count(units):
    return list(itertools.product(*(range(1, unit.most + 1) for unit in units)))


def edges_of(units, counts):
    return sum(unit.edges * count for unit, count in zip(units, counts, strict=True))


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_unit_is_the_least_regular_junction(n_in, n_out):
    [unit] = units_of((n_in, n_out))
    regular = [edges for edges in range(1, n_in * n_out + 1) if edges % n_in == 0 and edges % n_out == 0]
    assert regular == [unit.edges * count for count in range(1, unit.most + 1)]


@settings(deadline=None)
@given(SIZES, st.integers(-5, 250), st.integers(0, 40))
def test_the_counts_are_those_of_trying_all(sizes, least, wide):
    units = units_of(sizes)
    expected = [counts for counts in every_count(units) if least <= edges_of(units, counts) <= least + wide]
    assert list(each_count(units, least, least + wide)) == expected


@settings(deadline=None)
@given(SIZES, st.integers(0, 300))
def test_the_nearest_totals_are_those_of_trying_all(sizes, total):
    units = units_of(sizes)
    totals = {edges_of(units, counts) for counts in every_count(units)}
    below, above = [one for one in totals if one <= total], [one for one in totals if one >= total]
    assert nearest_totals(units, total) == (max(below, default=None), min(above, default=None))


@settings(deadline=None, max_examples=200)
@given(SIZES, st.data())
def test_the_closest_counts_are_those_of_trying_all(sizes, data):
    units, places = units_of(sizes), [a * b for a, b in itertools.pairwise(sizes)]
    wishes = [Wish(Fraction(data.draw(st.integers(0, 4 * place)), 4), place) for place in places]
    least = data.draw(st.integers(0, sum(places)))
    most = least + data.draw(st.integers(0, 30))

    def cost(counts):
        edges = [unit.edges * count for unit, count in zip(units, counts, strict=True)]
        return sum((one - wish.edges) ** 2 / wish.places for one, wish in zip(edges, wishes, strict=True)), counts

    allowed = [counts for counts in every_count(units) if least <= edges_of(units, counts) <= most]
    assert closest_counts(units, wishes, least, most) == min(allowed, key=cost, default=None)


def test_a_grid_of_a_billion_splits_is_walked_lazily():
    units = units_of((1024,) * 5)
    first = list(itertools.islice(each_count(units, 4 * 102 * 1024, 4 * 102 * 1024), 3))
    assert [sum(counts) for counts in first] == [408] * 3
    assert math.prod(unit.most for unit in units) > 10**12


def test_sizes_without_common_divisors_are_refused_where_the_table_would_be_too_large():
    with pytest.raises(RequestError, match="200,300,114 possible numbers of edges, expected at most 134,217,728"):
        nearest_totals(units_of((10007, 10007, 10009, 10009)), 10**6)
