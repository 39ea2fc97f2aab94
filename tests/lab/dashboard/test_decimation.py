"""Thinned curves: they look as the whole ones do."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sparsewire.lab.dashboard.decimation import thinned, within

POINTS = st.lists(st.tuples(st.integers(-50, 50), st.floats(width=16)), max_size=200)


def columns_of(points, columns):
    """The extremes of each column of pixels, by the obvious way."""
    low = min(step for step, _ in points)
    width = (max(step for step, _ in points) - low) or 1
    found = {}
    for step, value in points:
        if math.isfinite(value):
            found.setdefault(min(int((step - low) / width * columns), columns - 1), []).append(value)
    return {column: (min(values), max(values)) for column, values in found.items()}


@given(POINTS, st.integers(1, 20))
def test_few_points_in_their_order_from_the_curve(points, columns):
    found = thinned(points, columns)
    rest = iter(map(repr, points))
    assert all(repr(point) in rest for point in found)
    assert len(found) <= 8 * columns


@given(POINTS.map(lambda points: sorted(points, key=lambda point: point[0])), st.integers(1, 20))
def test_no_peak_is_lost(points, columns):
    found = thinned(points, columns)
    if points:
        assert columns_of(found, columns) == columns_of(points, columns)
        assert repr((found[0], found[-1])) == repr((points[0], points[-1]))


@given(POINTS, st.integers(50, 60))
def test_a_short_curve_stays_as_it_is(points, columns):
    assert repr(thinned(points, columns)) == repr(points)


@given(POINTS, st.integers(-60, 60), st.integers(-60, 60))
def test_within_holds_all_that_lies_between(points, low, high):
    found = within(points, low, high)
    inside = [point for point in points if low <= point[0] <= high]
    assert [point for point in map(repr, inside) if point not in list(map(repr, found))] == []
    assert within(points, None, None) == points or any(math.isnan(value) for _, value in points)
