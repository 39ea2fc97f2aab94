"""Curves for the screen: as few points as show the same line."""

import itertools
import math
from collections.abc import Sequence

Point = tuple[float, float]


def thinned(points: Sequence[Point], columns: int) -> list[Point]:
    """The points of a curve that decide how it looks when it is that many pixels wide.

    Of the points that fall into one column of pixels the first, the lowest, the highest and the last stay, in their
    order, so that no peak is lost and the line enters and leaves each column where it did. A curve of at most four
    points a column comes back as it is. Points whose value is not finite are gaps; the first of each column stays.

    Args:
        points: (step, value) in the order in which they were recorded.
        columns: the width of the drawing in pixels, at least 1.

    Example:
        >>> thinned([(step, float(step == 500)) for step in range(1000)], 2)
        [(0, 0.0), (499, 0.0), (500, 1.0), (501, 0.0), (999, 0.0)]
    """
    if len(points) <= 4 * columns:
        return list(points)
    low = min(step for step, _ in points)
    width = (max(step for step, _ in points) - low) or 1.0
    kept: list[Point] = []
    start, here = 0, _column(points[0][0], low, width, columns)
    for index in range(1, len(points) + 1):
        column = _column(points[index][0], low, width, columns) if index < len(points) else -1
        if column != here:
            kept += _extremes(points, start, index)
            start, here = index, column
    # steps that jump back and forth have many short stretches in one column
    return (
        kept if len(kept) <= 8 * columns else [kept[index * len(kept) // (8 * columns)] for index in range(8 * columns)]
    )


def _column(step: float, low: float, width: float, columns: int) -> int:
    return min(int((step - low) / width * columns), columns - 1)


def _extremes(points: Sequence[Point], start: int, end: int) -> list[Point]:
    """First, lowest, highest and last of one column, each once, in their order."""
    finite = [index for index in range(start, end) if math.isfinite(points[index][1])]
    gaps = (index for index in range(start, end) if not math.isfinite(points[index][1]))
    chosen = {start, end - 1, *itertools.islice(gaps, 1)}
    if finite:
        chosen |= {min(finite, key=lambda index: points[index][1]), max(finite, key=lambda index: points[index][1])}
    return [points[index] for index in sorted(chosen)]


def within(points: Sequence[Point], low: float | None, high: float | None) -> list[Point]:
    """The points whose step lies between two bounds, and one beyond on either side, so that lines reach the edges.

    Example:
        >>> within([(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)], 2.5, 3.5)
        [(2, 0.4), (3, 0.3), (4, 0.2)]
        >>> within([(1, 0.5), (2, 0.4), (3, 0.3)], 1.25, 1.75)
        [(1, 0.5), (2, 0.4)]
    """
    if low is None and high is None:
        return list(points)
    inside = [
        index
        for index, (step, _) in enumerate(points)
        if (low is None or step >= low) and (high is None or step <= high)
    ]
    if not inside:  # between two points there is the line from one to the other
        beyond = next((index for index, (step, _) in enumerate(points) if high is not None and step > high), 0)
        return list(points[beyond - 1 : beyond + 1]) if beyond else []
    return list(points[max(inside[0] - 1, 0) : inside[-1] + 2])
