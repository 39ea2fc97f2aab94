"""Correlations of a graph's properties with accuracy: how sure they are, and how far two samples may be apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsewire.lab.reporting.intervals import Interval, percentiles

Numbers = NDArray[np.float64]
_DRAWS: Final = 4000
_LEAST: Final = 5  # trials; fewer have no interval that means anything
_REACH: Final = 1.959963984540054  # standard deviations, which hold 95 % of a normal law


class Correlated(NamedTuple):
    """Pearson's correlation of a property with accuracy.

    Attributes:
        value: −1 to 1; NaN where one of the two does not vary.
        interval: 95 %, from a bootstrap over trials; None for fewer than five trials.
        trials: of how many.
    """

    value: float
    interval: Interval | None
    trials: int

    @property
    def is_open(self) -> bool:
        """Whether its sign is not known: the interval holds 0, or there is none."""
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]


def correlated(features: Mapping[str, Sequence[float] | Numbers], accuracy: Numbers) -> dict[str, Correlated]:
    """Each property's correlation with accuracy, with a percentile interval from 4,000 resamplings (a fixed stream).

        r = Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² · Σ (y − ȳ)²)

    All properties are resampled together, by how often each trial was drawn. Properties are far from normal, and
    accuracies pile up at 100 %, which Fisher's interval would not know of.

    Args:
        features: property → one number for each trial.
        accuracy: one number for each trial.

    Example:
        >>> found = correlated({"nodes": [1, 2, 3, 4, 5, 6]}, np.array([0.1, 0.3, 0.2, 0.4, 0.6, 0.5]))["nodes"]
        >>> round(found.value, 3), found.is_open, found.trials
        (0.886, False, 6)

    Reference:
        Efron, Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    xs = np.array([np.asarray(features[name], dtype=np.float64) for name in features])
    count = len(accuracy)
    values = _weighted(xs, accuracy, np.ones((1, count)))[0]
    intervals: list[Interval | None] = [None] * len(xs)
    if count >= _LEAST:
        drawn = np.random.default_rng(0).integers(0, count, size=(_DRAWS, count))
        times = np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)
        intervals = [percentiles(column) for column in _weighted(xs, accuracy, times).T]
    found = zip(features, values, intervals, strict=True)
    return {name: Correlated(float(value), interval, count) for name, value, interval in found}


def chance_reach(published: float, published_count: int, ours: float, count: int) -> float:
    """How far ours may be from a published correlation before 95 % of pairs of samples would be closer together.

    With z = artanh r, two samples of sizes n and m from one law differ by a z of variance 1 / (n − 3) + 1 / (m − 3).
    The distance is that towards ours, as r is not spread evenly around its mean. A claim with this tolerance is
    reproduced just if Fisher's test does not tell the two apart.

    Args:
        published: the correlation, between −1 and 1.
        published_count: of how many pairs it is.
        ours: the other one.
        count: of how many pairs.

    Returns:
        A distance, 0 to 2; 2, which allows all, for fewer than four pairs.

    Example:
        >>> round(chance_reach(0.5, 200, 0.7, 80), 3), round(chance_reach(0.5, 200, 0.3, 80), 3)
        (0.171, 0.222)

    Reference:
        Fisher (1921), "On the 'probable error' of a coefficient of correlation deduced from a small sample".
    """
    if min(count, published_count) < 4:
        return 2.0
    reach = _REACH * math.sqrt(1 / (count - 3) + 1 / (published_count - 3))
    towards = reach if ours > published else -reach
    return abs(math.tanh(math.atanh(published) + towards) - published)


def _weighted(xs: Numbers, ys: Numbers, times: Numbers) -> Numbers:
    """Correlations (draws, properties) of samples that hold each trial so many times."""
    xs, ys = _standard(xs), _standard(ys[None])[0]
    total = times.sum(axis=1, keepdims=True)
    x, y = times @ xs.T / total, (times @ ys)[:, None] / total
    covariance = times @ (xs * ys).T / total - x * y
    spread = (times @ (xs**2).T / total - x**2) * ((times @ ys**2)[:, None] / total - y**2)
    # What does not vary in a sample is 0 up to rounding.
    found = np.full_like(covariance, np.nan)
    np.divide(covariance, np.sqrt(np.maximum(spread, 0)), out=found, where=spread > 1e-20)
    clipped: Numbers = np.clip(found, -1.0, 1.0)
    return clipped


def _standard(xs: Numbers) -> Numbers:
    """Each row with mean 0 and standard deviation 1, or all 0 where it does not vary: sums of squares stay exact."""
    centred = xs - xs.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    least = 1e-12 * np.abs(xs).max(axis=1, keepdims=True)
    return np.where(spread > least, centred / np.where(spread > least, spread, 1.0), 0.0)
