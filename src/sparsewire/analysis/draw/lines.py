"""Curves of repeated measurements: the mean of the runs as a line, their spread as a band, the names at the ends."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sparsewire.analysis.draw.palette import INK, MUTED, PAPER, SERIES, STROKES
from sparsewire.analysis.draw.sheet import SMALL, TEXT, Sheet, in_house_style, plain, sheet, text_width
from sparsewire.analysis.draw.ticks import apart, limits, mark_x, mark_y
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]
Band = Literal["range", "std"]
Runs = NDArray[Any] | Tensor | Sequence[tuple[ArrayLike, ArrayLike]]

_HEIGHT = 280.0
_TOP, _BOTTOM = 26.0, 54.0
_POINTS = 500  # of a curve; more than there are pixels


class Curve(NamedTuple):
    """One series, ready to draw: where it is, its mean and band there, and of how many runs."""

    xs: Numbers
    mean: Numbers
    low: Numbers
    high: Numbers
    runs: int


@in_house_style
def curves(
    series: Mapping[str, Runs],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    band: Band = "range",
    published: Mapping[str, float | tuple[float, float]] | None = None,
) -> "Figure":
    """A figure with one line a series: the mean over its runs, in a band of their spread.

    Args:
        series: label → runs, either a list of (xs, ys) pairs or an array of shape (runs, points), whose points are
            numbered from 1. Runs of one series that were measured at different xs are interpolated linearly over the
            range that all of them cover. At most 15 series.
        x_label: what the horizontal axis shows, with its unit.
        y_label: what the vertical axis shows, with its unit.
        log_x: logarithmic horizontal axis.
        log_y: logarithmic vertical axis.
        band: "range" (smallest to largest run) or "std" (mean ± sample standard deviation).
        published: label → a height, drawn as a dashed line, or a point (x, y), drawn as a diamond.

    Returns:
        A matplotlib figure of 540 × 280 points.

    Raises:
        RequestError: nothing to draw, a value that is not finite (or, on a logarithmic axis, not positive), runs that
            share no x, more than 15 series, matplotlib is missing.

    Example:
        >>> runs = [([1, 2], [8.0, 5.0]), ([1, 2], [9.0, 6.0])]
        >>> figure = curves({"glorot": runs}, x_label="epoch", y_label="error, %")
        >>> [line.get_label() for line in figure.axes[1].lines][:1]
        ['glorot']
    """
    found = {str(label): _thinned(_curve(str(label), runs, band), log_x) for label, runs in series.items()}
    if not found or len(found) > len(SERIES) * len(STROKES):
        raise RequestError(f"series: found {len(found)}, expected 1 to {len(SERIES) * len(STROKES)}")
    marks = {str(label): np.atleast_1d(np.asarray(at, dtype=np.float64)) for label, at in (published or {}).items()}
    xs, ys = _ranges(found, marks, log_x, log_y)
    page = sheet(_HEIGHT)
    right = 12 + _sample(found) + max(text_width(label, TEXT) for label in found)
    axes = page.panel(0, _BOTTOM, page.width, _HEIGHT - _TOP - _BOTTOM)
    labels = mark_y(axes, *ys, log=log_y)
    left = 10 + max(text_width(label, SMALL) for label in labels)
    width = page.width - left - right
    axes.set_position((left / page.width, _BOTTOM / _HEIGHT, width / page.width, (_HEIGHT - _TOP - _BOTTOM) / _HEIGHT))
    mark_x(axes, *xs, log=log_x)
    page.write(0, _HEIGHT - 10, y_label, colour=MUTED)
    page.write(left + width / 2, 25, x_label, colour=MUTED, anchor="center")
    _draw_published(axes, marks, found)
    for index, (label, curve) in enumerate(found.items()):
        _draw_curve(axes, label, curve, index)
    _name_ends(page, axes, found)
    page.note(_remark(found, band))
    return page.figure


def _curve(label: str, runs: Runs, band: Band) -> Curve:
    pairs = _pairs(label, runs)
    low, high = max(xs[0] for xs, _ in pairs), min(xs[-1] for xs, _ in pairs)
    every = np.unique(np.concatenate([xs for xs, _ in pairs]))
    every = every[(every >= low) & (every <= high)]
    if not len(every):
        raise RequestError(f"series {label!r}: found runs that share no x, expected runs over a common range")
    values = np.stack([np.interp(every, xs, ys) for xs, ys in pairs])
    mean = values.mean(axis=0)
    if band == "range":
        return Curve(every, mean, values.min(axis=0), values.max(axis=0), len(pairs))
    if band != "std":
        raise RequestError(f"band: found {band!r}, expected 'range' or 'std'")
    spread = values.std(axis=0, ddof=1) if len(pairs) > 1 else np.zeros_like(mean)
    return Curve(every, mean, mean - spread, mean + spread, len(pairs))


def _thinned(curve: Curve, log_x: bool) -> Curve:
    """The curve at no more points than can be seen, evenly along the axis, first and last included."""
    if len(curve.xs) <= _POINTS or (log_x and curve.xs[0] <= 0):
        return curve
    ends = float(curve.xs[0]), float(curve.xs[-1])
    wanted = np.geomspace(*ends, _POINTS) if log_x else np.linspace(*ends, _POINTS)
    chosen = np.unique(np.clip(np.searchsorted(curve.xs, wanted), 0, len(curve.xs) - 1))
    return Curve(curve.xs[chosen], curve.mean[chosen], curve.low[chosen], curve.high[chosen], curve.runs)


def _pairs(label: str, runs: Runs) -> list[tuple[Numbers, Numbers]]:
    """The runs as (xs, ys), sorted by x."""
    if isinstance(runs, np.ndarray | Tensor):
        table = np.asarray(runs, dtype=np.float64)
        if table.ndim != 2 or not table.size:
            raise RequestError(f"series {label!r}: found an array of shape {table.shape}, expected (runs, points)")
        return [(np.arange(1.0, table.shape[1] + 1), row) for row in _finite(label, table)]
    pairs: list[tuple[Numbers, Numbers]] = []
    for run in runs:
        if len(run) != 2:
            raise RequestError(f"series {label!r}: found a run of {len(run)} parts, expected a pair (xs, ys)")
        xs, ys = (_finite(label, np.asarray(part, dtype=np.float64).reshape(-1)) for part in run)
        if len(xs) != len(ys) or not len(xs):
            raise RequestError(f"series {label!r}: found {len(xs)} xs and {len(ys)} ys, expected as many, at least one")
        order = np.argsort(xs, kind="stable")
        pairs.append((xs[order], ys[order]))
    if not pairs:
        raise RequestError(f"series {label!r}: found no run, expected at least one")
    return pairs


def _finite(label: str, values: Numbers) -> Numbers:
    if not np.isfinite(values).all():
        raise RequestError(f"series {label!r}: found a value that is not finite, expected numbers only")
    return values


def _ranges(
    found: Mapping[str, Curve], marks: Mapping[str, Numbers], log_x: bool, log_y: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The limits of both axes: all that is drawn, published values included."""
    points = [mark for mark in marks.values() if len(mark) == 2]
    xs = np.concatenate([curve.xs for curve in found.values()] + [mark[:1] for mark in points])
    bands = [part for curve in found.values() for part in (curve.mean, curve.low, curve.high)]
    ys = np.concatenate([*bands, *(mark[-1:] for mark in marks.values())])
    for name, values, log in (("x", xs, log_x), ("y", ys, log_y)):
        if not np.isfinite(values).all():
            raise RequestError("published: found a value that is not finite, expected numbers only")
        if log and values.min() <= 0:
            raise RequestError(f"log_{name}: found {values.min():g}, expected only positive numbers; use a linear axis")
    return limits(xs, log=log_x, room=0.0 if np.ptp(xs) else 0.05), limits(ys, log=log_y)


def _draw_curve(axes: "Axes", label: str, curve: Curve, index: int) -> None:
    colour, stroke = str(SERIES[index % len(SERIES)]), STROKES[index // len(SERIES)]
    if curve.runs > 1:
        axes.fill_between(curve.xs, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(curve.xs, curve.mean, color=colour, linestyle=stroke, linewidth=1.7, label=label, solid_capstyle="round")
    axes.plot(curve.xs[-1:], curve.mean[-1:], "o", color=colour, markersize=3.4, clip_on=False)


def _draw_published(axes: "Axes", marks: Mapping[str, Numbers], found: Mapping[str, Curve]) -> None:
    """Dashed lines and diamonds, each with its label where it hides least of the curves."""
    scale = 72 / axes.figure.dpi
    ways = (axes.transData.transform(np.column_stack([curve.xs, curve.mean])) for curve in found.values())
    paths = [_walked(way * scale) for way in ways]
    box = axes.get_window_extent()
    left, right, low, high = (float(side) * scale for side in (box.x0, box.x1, box.y0, box.y1))
    for label, mark in marks.items():
        width = text_width(label, SMALL)
        if len(mark) == 1:
            axes.axhline(mark[0], color=str(INK), linewidth=0.9, linestyle=(0, (4, 3)))
            y = float(axes.transData.transform((0.0 if axes.get_xscale() == "linear" else 1.0, mark[0]))[1]) * scale
            places = [(x, y + up) for up in (4, -11) for x in (left + 6, right - width - 6, (left + right - width) / 2)]
        else:
            style: dict[str, Any] = {"color": str(INK), "markerfacecolor": str(PAPER), "markersize": 5, "zorder": 4}
            axes.plot(*mark[:, None], "D", clip_on=False, **style)
            x, y = (float(part) * scale for part in axes.transData.transform(mark))
            places = [(x + aside, y + up) for up in (6, 16, -13) for aside in (6, -6 - width, 26, -26 - width)]
        inside = [place for place in places if left <= place[0] <= right - width and low <= place[1] <= high]
        best = min(inside or places, key=lambda place: _hidden(paths, place, width))
        axes.annotate(plain(label), best, xycoords="figure points", fontsize=SMALL)


def _hidden(paths: Sequence[Numbers], place: tuple[float, float], width: float) -> int:
    """How much of the curves, in points of their length, would lie under a label at this place."""
    low, high = np.subtract(place, 3.0), np.add(place, (width + 3.0, SMALL))
    return sum(int(((path >= low) & (path <= high)).all(axis=1).sum()) for path in paths)


def _walked(path: Numbers) -> Numbers:
    """A point of the path for each point of its length."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    steps = np.arange(0.0, length[-1] + 1.0)
    return np.column_stack([np.interp(steps, length, path[:, 0]), np.interp(steps, length, path[:, 1])])


def _name_ends(page: Sheet, axes: "Axes", found: Mapping[str, Curve]) -> None:
    """Writes each series' name at its end, moved up or down where two would touch, with a thread from the end to it."""
    low, top = _BOTTOM, _HEIGHT - _TOP
    ends = []
    for curve in found.values():
        x, y = axes.transData.transform((curve.xs[-1], curve.mean[-1])) * 72 / page.figure.dpi
        ends.append((float(x), float(y)))
    edge = float(axes.get_position().x1) * page.width
    heights = apart([y for _, y in ends], TEXT * 1.3, low, top)
    for index, (label, (x, y), height) in enumerate(zip(found, ends, heights, strict=True)):
        colour = SERIES[index % len(SERIES)]
        if abs(height - y) > 1.5 or edge - x > 4:
            page.line([x + 3, max(edge + 3, x + 3), edge + 9], [y, y, height], colour, 0.7, linestyle=(0, (1, 1.6)))
        sample = _sample(found)
        if sample:
            page.line([edge + 11, edge + 27], [height] * 2, colour, 1.7, linestyle=STROKES[index // len(SERIES)])
        page.write(edge + 11 + sample, height - 3, plain(label), colour=colour)


def _sample(found: Mapping[str, Curve]) -> float:
    """The room for a piece of the line before each name, which is needed once a colour comes twice."""
    return 21.0 if len(found) > len(SERIES) else 0.0


def _remark(found: Mapping[str, Curve], band: Band) -> str:
    runs: Sequence[int] = sorted({curve.runs for curve in found.values()})
    if runs == [1]:
        return "One run each."
    shown = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    spread = "smallest to largest" if band == "range" else "± one sample standard deviation"
    return f"Line: mean of {shown} runs. Band: {spread}."
