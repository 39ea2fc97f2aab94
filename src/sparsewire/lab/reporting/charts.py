"""Charts as values: what is drawn, not how; the page, the terminal and JSON each make of it what they can."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from sparsewire.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]
    Run = tuple[ArrayLike, ArrayLike]

ChartKind = Literal["lines", "steps", "points", "heat"]
Band = Literal["range", "std"]
_POINTS = 400  # of a line; more than can be seen, and each is written into the page


@dataclass(frozen=True)
class Series:
    """One line, one set of points, or one row of cells; a NaN is a gap.

    Args:
        name: what the reader calls it.
        x: where its points are; of cells only their number counts.
        mean: the value at each of them: the mean where there were several runs.
        low: the lower edge of its band, if it has one.
        high: the upper edge.
        runs: of how many runs it is the mean, ≥ 1.
        moments: when each point was measured, for points that are coloured by it.
        panel: the title of the small picture it stands in, where a chart of steps has several side by side.

    Raises:
        RequestError: parts of different lengths, half a band, or a band of fewer than two runs.

    Example:
        >>> Series("dense", (1, 2), (9.0, 8.0)).mean
        (9.0, 8.0)
    """

    name: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    runs: int = 1
    moments: tuple[float, ...] = ()
    panel: str = ""

    def __post_init__(self) -> None:
        for part in ("x", "mean", "low", "high", "moments"):
            values = tuple(float(value) for value in getattr(self, part))
            object.__setattr__(self, part, values)
            if len(values) != len(self.mean) and (values or part == "x"):
                raise RequestError(
                    f"{part} of series {self.name!r}: found {len(values)} numbers, expected {len(self.mean)}, "
                    "one for each point"
                )
        if bool(self.low) != bool(self.high):
            raise RequestError(f"series {self.name!r}: found one edge of a band, expected both or none")
        if self.runs < (2 if self.low else 1):
            least = "2 or more for a band" if self.low else "1 or more"
            raise RequestError(f"runs of series {self.name!r}: found {self.runs}, expected {least}")


@dataclass(frozen=True)
class Chart:
    """A figure that the reader can zoom and ask for its numbers, and that stands still on paper.

    Args:
        title: its name in the report.
        caption: what is seen, in a sentence.
        x_label: what the horizontal axis shows, with its unit.
        y_label: what the vertical axis shows, with its unit.
        series: what is drawn; for "heat" one for each row, from the top.
        log_x: logarithmic horizontal axis.
        log_y: logarithmic vertical axis; for "heat", of the colours.
        kind: "lines", "steps" (cumulative distributions), "points" (in order, coloured by `moments`), "heat" (cells).
        band: what the bands are: "range" (smallest to largest run) or "std" (mean ± sample standard deviation).
        x_ticks: for "heat", what to write under each column.
        value_label: what the colours show: the cells' values, or for "points" the moments.

    Raises:
        RequestError: no series, two of one name and panel, panels elsewhere than in steps, cells that do not fit the
            ticks.
        UnknownNameError: an unknown kind or band.

    Example:
        >>> chart = Chart("Error", "", "epoch", "error, %", (series("a", [([1, 2], [9, 5]), ([1, 2], [7, 5])]),))
        >>> chart.series[0].mean, chart.series[0].low, chart.series[0].runs
        ((8.0, 5.0), (7.0, 5.0), 2)
    """

    title: str
    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    kind: ChartKind = "lines"
    band: Band = "range"
    x_ticks: tuple[str, ...] = ()
    value_label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ChartKind):
            raise UnknownNameError("kind of chart", self.kind, get_args(ChartKind))
        if self.band not in get_args(Band):
            raise UnknownNameError("band", self.band, get_args(Band))
        if not self.series:
            raise RequestError(f"series of {self.title!r}: found none, expected at least one")
        names = [(one.panel, one.name) for one in self.series]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise RequestError(f"series of {self.title!r}: found {twice[1]!r} twice, expected names that differ")
        if self.kind != "steps" and any(one.panel for one in self.series):
            raise RequestError(f"series of {self.title!r}: found panels, which only charts of kind 'steps' have")
        if self.kind == "heat" and any(len(row.mean) != len(self.x_ticks) for row in self.series):
            raise RequestError(f"series of {self.title!r}: expected {len(self.x_ticks)} cells a row, one for each tick")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the series, each once, in the order in which they come."""
        return tuple(dict.fromkeys(one.name for one in self.series))

    @property
    def panels(self) -> dict[str, tuple[Series, ...]]:
        """Title of each panel → what stands in it."""
        titles = dict.fromkeys(one.panel for one in self.series)
        return {title: tuple(one for one in self.series if one.panel == title) for title in titles}

    def remark(self) -> str:
        """Of how many runs the lines are the mean, and what their bands are; empty where that says nothing."""
        runs = sorted({one.runs for one in self.series})
        if self.kind in ("heat", "points") or runs == [1]:
            return ""
        count = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        spread = {"range": "from the smallest to the largest", "std": "± one sample standard deviation"}[self.band]
        banded = any(one.low for one in self.series)
        return f"Line: mean of {count} runs." + (f" Band: {spread}." if banded else "")


def series(name: str, runs: "Iterable[Run]", *, band: Band = "range", log_x: bool = False, panel: str = "") -> Series:
    """The mean of several runs and their spread, point by point.

    Runs that were measured at different xs are interpolated linearly, over the range that all of them cover; lines of
    thousands of points are thinned to what can be seen. Where a run is not finite the mean is NaN, which is a gap.

    Args:
        name: what the reader calls it.
        runs: (xs, ys) pairs, one for each run.
        band: see `Chart`.
        log_x: thin the points evenly along a logarithmic axis.
        panel: see `Series`.

    Raises:
        RequestError: no run, a run without points, or runs that share no x.

    Example:
        >>> series("a", [([0, 2], [0.0, 2.0]), ([0, 1, 2], [2.0, 3.0, 4.0])]).mean
        (1.0, 2.0, 3.0)
    """
    import numpy as np

    pairs = [_sorted(name, xs, ys) for xs, ys in runs]
    if not pairs:
        raise RequestError(f"series {name!r}: found no run, expected at least one")
    low, high = max(xs[0] for xs, _ in pairs), min(xs[-1] for xs, _ in pairs)
    every = np.unique(np.concatenate([xs for xs, _ in pairs]))
    every = _thinned(every[(every >= low) & (every <= high)], log_x)
    if not len(every):
        raise RequestError(f"series {name!r}: found runs that share no x, expected runs over a common range")
    with np.errstate(invalid="ignore"):
        values = np.stack([np.interp(every, xs, ys) for xs, ys in pairs])
        values[~np.isfinite(values)] = np.nan
        mean = values.mean(axis=0)
        if len(pairs) == 1:
            return Series(name, tuple(every), tuple(mean), panel=panel)
        spread = values.std(axis=0, ddof=1)
        edges = (mean - spread, mean + spread) if band == "std" else (values.min(axis=0), values.max(axis=0))
    return Series(name, tuple(every), tuple(mean), tuple(edges[0]), tuple(edges[1]), len(pairs), panel=panel)


def distributions(values: "Mapping[str, Mapping[str, Run]]") -> tuple[Series, ...]:
    """Panel → name → (quantiles, shares), as the series of a chart of kind "steps".

    Example:
        >>> [(one.panel, one.name) for one in distributions({"output": {"dense": ([0.0, 1.0], [0.5, 1.0])}})]
        [('output', 'dense')]
    """
    found = []
    for panel, curves in values.items():
        for name, (xs, shares) in curves.items():
            places, heights = _sorted(name, xs, shares)
            found.append(Series(name, tuple(places), tuple(heights), panel=panel))
    return tuple(found)


def heat_rows(names: Sequence[str], table: Sequence[Sequence[float]]) -> tuple[Series, ...]:
    """Rows of cells, from the top, as the series of a chart of kind "heat"; NaN is a cell that was not run.

    Example:
        >>> heat_rows(["100", "1,000"], [[2.5, 2.1], [2.2, 9.9]])[1].mean
        (2.2, 9.9)
    """
    return tuple(Series(name, tuple(range(len(row))), tuple(row)) for name, row in zip(names, table, strict=True))


def finite_extent(values: Iterable[float], *, positive: bool = False) -> tuple[float, float] | None:
    """The smallest and the largest of the finite numbers (of the positive ones); None if there is none."""
    kept = [value for value in values if math.isfinite(value) and (value > 0 or not positive)]
    return (min(kept), max(kept)) if kept else None


def _sorted(name: str, xs: "ArrayLike", ys: "ArrayLike") -> "tuple[Numbers, Numbers]":
    import numpy as np

    places, values = (np.asarray(part, dtype=np.float64).reshape(-1) for part in (xs, ys))
    if len(places) != len(values) or not len(places):
        raise RequestError(
            f"series {name!r}: found {len(places)} xs and {len(values)} ys, expected as many, at least one"
        )
    if not np.isfinite(places).all():
        raise RequestError(f"series {name!r}: found an x that is not finite, expected numbers only")
    order = np.argsort(places, kind="stable")
    return places[order], values[order]


def _thinned(xs: "Numbers", log_x: bool) -> "Numbers":
    import numpy as np

    if len(xs) <= _POINTS or (log_x and xs[0] <= 0):
        return xs
    wanted = np.geomspace(xs[0], xs[-1], _POINTS) if log_x else np.linspace(xs[0], xs[-1], _POINTS)
    thinned: Numbers = xs[np.unique(np.clip(np.searchsorted(xs, wanted), 0, len(xs) - 1))]
    return thinned
