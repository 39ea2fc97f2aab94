"""How two measures of the same trials go together: Pearson's and Spearman's correlation, with bootstrap intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.lab.reporting.intervals import Interval, percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_DRAWS = 4000
_LEAST = 4  # points; fewer have no interval that means anything


@dataclass(frozen=True)
class Correlation:
    """What a set of points says.

    Args:
        count: how many points.
        pearson: linear correlation, −1 to 1; NaN where a measure does not vary.
        spearman: the same of the ranks.
        pearson_interval: 95 %; None for fewer than four points.
        spearman_interval: 95 %; None for fewer than four points.
    """

    count: int
    pearson: float
    spearman: float
    pearson_interval: Interval | None
    spearman_interval: Interval | None

    @property
    def verdict(self) -> str:
        """What the interval of Pearson's allows to say."""
        found = self.pearson_interval
        if found is None:
            return "too few points"
        if found[0] > 0:
            return "they rise together"
        return "one falls as the other rises" if found[1] < 0 else "no correlation was shown"


def pearson(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Pearson's correlation of pairs; NaN where one of the two does not vary.

    Raises:
        RequestError: different lengths.

    Example:
        >>> pearson([0, 1, 2], [1, 3, 5]), round(pearson([0, 1, 2], [0, 1, 0.5]), 3)
        (1.0, 0.5)
    """
    pairs = _pairs(xs, ys)
    return float(_rows(pairs[None, 0], pairs[None, 1])[0])


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Pearson's correlation of the ranks, where equal values share their mean rank.

    Raises:
        RequestError: different lengths.

    Example:
        >>> spearman([0, 1, 2], [1, 10, 1000])
        1.0
    """
    pairs = _pairs(xs, ys)
    return float(_rows(_ranks(pairs[None, 0]), _ranks(pairs[None, 1]))[0])


def correlation(xs: Sequence[float], ys: Sequence[float]) -> Correlation:
    """Both correlations of pairs, with percentile intervals from 4,000 resamplings of the pairs (a fixed stream).

    Resamplings in which a measure does not vary have no correlation and are left out.

    Raises:
        RequestError: different lengths.

    Example:
        >>> found = correlation([0, 1, 2, 3, 4, 5], [0, 2, 1, 3, 5, 4])
        >>> round(found.pearson, 3), found.verdict
        (0.886, 'they rise together')

    Reference:
        Efron, Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    pairs = _pairs(xs, ys)
    count = pairs.shape[1]
    intervals: list[Interval | None] = [None, None]
    if count >= _LEAST:
        drawn = pairs[:, np.random.default_rng(0).integers(0, count, size=(_DRAWS, count))]
        intervals = [percentiles(_rows(*drawn)), percentiles(_rows(_ranks(drawn[0]), _ranks(drawn[1])))]
    return Correlation(count, pearson(xs, ys), spearman(xs, ys), *intervals)


def _pairs(xs: Sequence[float], ys: Sequence[float]) -> "Numbers":
    if len(xs) != len(ys):
        raise RequestError(f"ys: found {len(ys)} numbers, expected {len(xs)}, one for each of xs")
    return np.array([xs, ys], dtype=np.float64)


def _rows(xs: "Numbers", ys: "Numbers") -> "Numbers":
    """The correlation of each row of xs with that of ys."""
    xs, ys = (values - values.mean(axis=1, keepdims=True) for values in (xs, ys))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Numbers = (xs * ys).sum(axis=1) / np.sqrt((xs**2).sum(axis=1) * (ys**2).sum(axis=1))
    return np.clip(found, -1.0, 1.0)


def _ranks(values: "Numbers") -> "Numbers":
    from scipy.stats import rankdata

    found: Numbers = rankdata(values, axis=1).astype(np.float64)
    return found
