"""Bands: the mean and the extremes of what was added."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.lab.dashboard.grouping import Band, coarser

CURVES = st.lists(st.dictionaries(st.integers(0, 30), st.floats(-1e6, 1e6), max_size=30), max_size=5)


def band_of(curves):
    band = Band()
    for curve in curves:
        band.add(list(curve.items()))
    return band.steps()


@given(CURVES)
def test_a_band_is_mean_lowest_highest_and_number(curves):
    for step, mean, low, high, trials in band_of(curves):
        values = [curve[step] for curve in curves if step in curve]
        assert (low, high, trials) == (min(values), max(values), len(values))
        assert mean == pytest.approx(statistics.fmean(values), abs=1e-6)


@given(CURVES, st.integers(1, 10))
def test_a_coarser_band_loses_neither_ends_nor_extremes(curves, columns):
    steps = band_of(curves)
    found = coarser(steps, columns)
    assert len(found) <= max(columns, 0) or found == steps
    assert [one.step for one in found] == sorted(one.step for one in found)
    if steps:
        assert (min(one.low for one in found), max(one.high for one in found)) == (
            min(one.low for one in steps), max(one.high for one in steps),
        )  # fmt: skip


def test_the_largest_numbers_have_a_mean():
    band = Band()
    band.add([(step, 1.7e308) for step in range(20)])
    assert [one.mean for one in coarser(band.steps(), 2)] == pytest.approx([1.7e308] * 2)
