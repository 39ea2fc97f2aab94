"""Where an axis is marked, what is written there, and how labels that would touch are moved apart."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.draw.palette import HAIR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Per decade, from coarse to fine: the first that gives three marks is taken.
_LOG_STEPS: tuple[tuple[float, ...], ...] = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))


def ticks(low: float, high: float, *, log: bool = False, most: int = 6) -> list[float]:
    """Round numbers between `low` and `high`, both included, about `most` of them.

    Example:
        >>> ticks(0.0, 1.0), ticks(1.0, 1000.0, log=True)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1.0, 10.0, 100.0, 1000.0])
    """
    if not log:
        from matplotlib.ticker import MaxNLocator

        values = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        slack = 1e-9 * (high - low)
        # A step of 0.1 reaches 0.30000000000000004; what is kept is what is printed.
        return [float(f"{value:.12g}") for value in values if low - slack <= value <= high + slack]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in _LOG_STEPS:
        marks = [float(f"{step * 10.0**decade:.12g}") for decade in decades for step in steps]
        found = [mark for mark in marks if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
        if len(found) >= 3:
            break
    if len(found) < 3:  # less than one such step: on so short a stretch the logarithm is almost straight
        return ticks(low, high, most=most)
    return found[:: math.ceil(len(found) / (most + 2))]


def tick_labels(values: Sequence[float]) -> list[str]:
    """The numbers in print: as many decimals as the finest needs, commas at thousands, a true minus sign.

    Example:
        >>> tick_labels([0.0, 0.5, 1.0]), tick_labels([-1000.0, 1000.0]), tick_labels([0.01, 0.1, 1.0, 10.0])
        (['0.0', '0.5', '1.0'], ['−1,000', '1,000'], ['0.01', '0.1', '1', '10'])
    """
    largest = max((abs(value) for value in values), default=0.0)
    digits = next((d for d in range(7) if all(abs(round(v, d) - v) <= 1e-9 * largest for v in values)), 7)
    positive = [abs(value) for value in values if value]
    wide = positive and max(positive) / min(positive) >= 50 and digits > 0
    if digits == 7 or wide:
        return [number(value) for value in values]
    return [f"{value:,.{digits}f}".replace("-", "−") for value in values]


def number(value: float) -> str:
    """One number in print, four figures at most.

    Example:
        >>> number(266200.0), number(0.0123456), number(-2.5), number(3e-7)
        ('266,200', '0.01235', '−2.5', '3e−07')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "−")


def mark_x(axes: "Axes", low: float, high: float, *, log: bool = False, most: int = 7) -> None:
    """Gives the horizontal axis its limits, its numbers and short ticks."""
    axes.set_xscale("log" if log else "linear")
    axes.minorticks_off()
    axes.set_xlim(low, high)
    values = ticks(low, high, log=log, most=most)
    axes.set_xticks(values, tick_labels(values))
    axes.tick_params(axis="x", length=3, width=0.6, color=str(HAIR))


def mark_y(axes: "Axes", low: float, high: float, *, log: bool = False, most: int = 5) -> list[str]:
    """Gives the vertical axis its limits, its numbers and a hairline at each; returns the numbers as printed."""
    axes.set_yscale("log" if log else "linear")
    axes.minorticks_off()
    axes.set_ylim(low, high)
    values = ticks(low, high, log=log, most=most)
    labels = tick_labels(values)
    axes.set_yticks(values, labels)
    axes.grid(axis="y", color=str(HAIR), linewidth=0.7)
    return labels


def limits(values: NDArray[np.float64], *, log: bool = False, room: float = 0.05) -> tuple[float, float]:
    """The range of some values and a little more, so that nothing is drawn on the edge; never empty.

    Example:
        >>> limits(np.array([0.0, 10.0]), room=0.1), limits(np.array([3.0, 3.0]))
        ((-1.0, 11.0), (2.5, 3.5))
    """
    low, high = float(values.min()), float(values.max())
    if log:
        factor = max(high / low, 1.2) ** room
        return low / factor, high * factor
    if high == low:
        return low - 0.5, high + 0.5
    return low - room * (high - low), high + room * (high - low)


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The heights, moved as little as it takes to lie `gap` apart and between `low` and `high`, in the same order.

    Those that touch are pooled and spread evenly around their mean; if there is no room for all, they shrink together.

    Example:
        >>> apart([10.0, 11.0, 40.0], 5.0, 0.0, 100.0)
        [8.0, 13.0, 40.0]
    """
    if not heights:
        return []
    gap = min(gap, (high - low) / max(len(heights) - 1, 1))
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    pools: list[tuple[float, int]] = []  # the lowest height of each pool, and how many lie in it
    for index in order:
        pools.append((min(max(heights[index], low), high), 1))
        while len(pools) > 1 and pools[-1][0] < pools[-2][0] + pools[-2][1] * gap - 1e-9:
            (first, below), (second, above) = pools[-2:]
            count = below + above
            # The mean of the members' wishes, as far as the two pools know them, is kept.
            middle = (below * (first + (below - 1) * gap / 2) + above * (second + (above - 1) * gap / 2)) / count
            start = middle - (count - 1) * gap / 2
            pools[-2:] = [(min(max(start, low), high - (count - 1) * gap), count)]
    placed = [start + step * gap for start, count in pools for step in range(count)]
    result = [0.0] * len(heights)
    for place, index in zip(placed, order, strict=True):
        result[index] = place
    return result
