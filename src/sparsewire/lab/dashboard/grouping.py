"""Trials that belong together as one curve: the mean, and the band from the lowest to the highest."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Step(NamedTuple):
    """At one step: the mean over the trials that got there, the lowest and the highest, and how many they are."""

    step: float
    mean: float
    low: float
    high: float
    trials: int


class Band:
    """Takes one curve after another, and tells mean, lowest and highest of every step.

    Example:
        >>> band = Band()
        >>> band.add([(1, 0.5), (2, 0.25)])
        >>> band.add([(1, 1.0)])
        >>> band.steps()
        [Step(step=1.0, mean=0.75, low=0.5, high=1.0, trials=2),
         Step(step=2.0, mean=0.25, low=0.25, high=0.25, trials=1)]
    """

    def __init__(self) -> None:
        self._curves: list[NDArray[np.float64]] = []

    def add(self, curve: Sequence[tuple[float, float]]) -> None:
        """One curve more; what is not finite is left out, and of a step that it has twice the later value counts."""
        points = np.array(curve, dtype=np.float64).reshape(-1, 2)
        points = points[np.isfinite(points[:, 1])]
        if (np.diff(points[:, 0]) <= 0).any():
            _, last = np.unique(points[::-1, 0], return_index=True)
            points = points[::-1][last]
        self._curves.append(points)

    def steps(self) -> list[Step]:
        """The band, in the order of the steps."""
        points = np.concatenate([np.empty((0, 2)), *self._curves])
        steps, places, trials = np.unique(points[:, 0], return_inverse=True, return_counts=True)
        low, high = np.full(len(steps), np.inf), np.full(len(steps), -np.inf)
        np.minimum.at(low, places, points[:, 1])
        np.maximum.at(high, places, points[:, 1])
        mean = np.bincount(places, points[:, 1] / trials[places], len(steps))
        columns = (steps, mean, low, high, trials)
        return [Step(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def coarser(steps: Sequence[Step], columns: int) -> list[Step]:
    """At most so many steps: neighbours are one, with the mean of their means and the widest of their bands.

    Example:
        >>> coarser([Step(1, 1.0, 0.0, 2.0, 2), Step(2, 3.0, 3.0, 3.0, 1)], 1)
        [Step(step=1.5, mean=2.0, low=0.0, high=3.0, trials=1)]
    """
    if len(steps) <= columns:
        return list(steps)
    ends = [index * len(steps) // columns for index in range(columns + 1)]
    return [_merged(steps[start:end]) for start, end in itertools.pairwise(ends)]


def _merged(some: Sequence[Step]) -> Step:
    count = len(some)
    return Step(
        sum(one.step for one in some) / count, math.fsum(one.mean / count for one in some),
        min(one.low for one in some), max(one.high for one in some), min(one.trials for one in some),
    )  # fmt: skip


def in_order(names: Iterable[str]) -> list[str]:
    """Names as people expect them: numbers by value, then texts by letter.

    Example:
        >>> in_order(["10", "relu", "2.5", "1e-3"])
        ['1e-3', '2.5', '10', 'relu']
    """
    return sorted(names, key=_place)


def _place(name: str) -> tuple[int, float, str]:
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (1, 0.0, name) if math.isnan(number) else (0, number, name)
