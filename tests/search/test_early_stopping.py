"""Bars for trainings: by hand, numpy's quantile, and mistakes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search.early_stopping import hopeless, is_hopeless

curves_strategy = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=9)


@given(curves_strategy, st.floats(0, 1))
def test_bars_are_quantiles_of_the_best_so_far(curves: list[list[float]], quantile: float) -> None:
    best = np.maximum.accumulate(np.array(curves), axis=1)
    np.testing.assert_allclose(hopeless(curves, quantile=quantile, after=0), np.quantile(best, quantile, axis=0))


@given(curves_strategy)
def test_at_most_half_of_the_curves_are_under_the_median(curves: list[list[float]]) -> None:
    bars = hopeless(curves, after=0)
    for epoch in range(1, 5):
        assert sum(is_hopeless(curve[:epoch], bars) for curve in curves) <= len(curves) / 2


def test_who_was_stopped_does_not_raise_the_bar() -> None:
    assert hopeless([(0.1,), (0.5, 0.6), (0.6, 0.8)], after=0) == (0.5, 0.6)


def test_nothing_is_stopped_without_curves_or_at_first() -> None:
    assert hopeless([]) == hopeless([()]) == ()
    assert not is_hopeless((0.0, 0.0), ())
    assert hopeless([(0.5, 0.5)], after=5) == (-math.inf, -math.inf)
    assert is_hopeless((math.nan,), (0.1,))  # a training that lost its way


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantile": 1.1}, "quantile: found 1.1, expected a probability from 0 to 1"),
        ({"quantile": math.nan}, "quantile: found nan"),
        ({"quantile": True}, "quantile: found True"),
        ({"after": -1}, "after: found -1"),
        ({"curves": [(0.1, math.nan)]}, "curves: found nan, expected finite numbers"),
        ({"curves": [("a",)]}, "curves: found 'a'"),
        ({"curves": [(True,)]}, "curves: found True, expected finite numbers"),
        ({"curves": [1, 2]}, "curves: found 1, expected one list of numbers a training, such as"),
        ({"curves": [(0.1,), None]}, "curves: found None, expected one list of numbers"),
        ({"curves": ["0.1"]}, "curves: found '0.1', expected one list of numbers"),
        ({"curves": 0.5}, "curves: found 0.5, expected one list of numbers"),
        ({"curves": np.array(0.5)}, r"curves: found array\(0.5\), expected one list of numbers"),
    ],
)
def test_mistakes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        hopeless(**{"curves": [(0.1,)], **arguments})


def test_what_is_no_curve_is_never_hopeless() -> None:
    with pytest.raises(RequestError, match=r"curve: found 0\.5, expected numbers"):
        is_hopeless(0.5, (0.4,))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"bars: found 0\.4, expected numbers"):
        is_hopeless((0.5,), 0.4)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"curve: found 'a', expected numbers"):
        is_hopeless(("a",), (0.5,))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"bars: found None, expected numbers"):
        is_hopeless((0.5,), (None,))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"curve: found '0\.5', expected numbers"):
        is_hopeless(("0.5",), (0.5,))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"curve: found array\(\[1\., 1\.\]\), expected numbers"):
        is_hopeless(np.ones((2, 2)), (0.5, 0.4))  # type: ignore[arg-type]
    for curve in (np.array([0.4], np.float32), torch.tensor([0.4])):
        assert is_hopeless(curve, (0.5,))  # type: ignore[arg-type]
    assert is_hopeless((math.nan,), (0.5,))
    assert not is_hopeless((0.0,), (-math.inf,))


def test_arrays_are_curves() -> None:
    curves = np.array([[0.2, 0.5], [0.4, 0.3]])
    assert hopeless(curves, after=0) == hopeless(curves.tolist(), after=0)  # type: ignore[arg-type]
