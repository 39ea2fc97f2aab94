"""Charts as pictures that stand still: what is printed, and what is shown where no script runs."""

import math
from typing import TYPE_CHECKING

from sparsewire.lab.reporting.charts import Chart, Series

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_MOST = {"lines": 15, "steps": 15, "points": 10}  # that can be told apart


def still_svg(chart: Chart) -> str:
    """The chart as the text of an `<svg>` element, or nothing where it holds no number that can be drawn.

    Points that are not finite, or not positive on a logarithmic axis, are left out; so are the sixteenth line and those
    after it, which could not be told apart.

    Raises:
        RequestError: matplotlib is not installed.

    Example:
        >>> still_svg(Chart("Error", "", "epoch", "error", (Series("dense", (1, 2), (9.0, math.nan)),)))[:4]
        '<svg'
    """
    from sparsewire.analysis.draw import to_svg

    names = chart.names[: _MOST.get(chart.kind)]
    drawn = {"lines": _lines, "steps": _steps, "points": _points, "heat": _heat}[chart.kind](chart, names)
    return "" if drawn is None else to_svg(drawn)


def _lines(chart: Chart, names: tuple[str, ...]) -> "Figure | None":
    from sparsewire.analysis import draw

    runs = {one.name: _as_runs(one, chart) for one in chart.series if one.name in names}
    sound = {name: pairs for name, pairs in runs.items() if pairs}
    if not sound:
        return None
    return draw.curves(
        sound, x_label=chart.x_label, y_label=chart.y_label, log_x=chart.log_x, log_y=chart.log_y, band=chart.band
    )


def _as_runs(one: Series, chart: Chart) -> "list[tuple[Numbers, Numbers]]":
    """Runs of which the mean, the band and the number are those of the series, which is what a drawing is made from."""
    import numpy as np

    kept = [
        index
        for index, point in enumerate(zip(one.x, one.mean, one.low or one.mean, one.high or one.mean, strict=True))
        if _can_stand(point[0], chart.log_x) and all(_can_stand(value, chart.log_y) for value in point[1:])
    ]
    if not kept:
        return []
    xs, mean = np.array(one.x)[kept], np.array(one.mean)[kept]
    if not one.low:
        return [(xs, mean)]
    low, high = np.array(one.low)[kept], np.array(one.high)[kept]
    if chart.band == "range":
        rest = (one.runs * mean - low - high) / max(one.runs - 2, 1)
        return [(xs, low), (xs, high), *[(xs, rest)] * (one.runs - 2)]
    # n / 2 runs above and below by d, and the mean where n is odd, have the sample variance 2 ⌊n / 2⌋ d² / (n − 1)
    half = one.runs // 2
    aside = (high - low) / 2 * math.sqrt((one.runs - 1) / (2 * half))
    return [*[(xs, mean - aside), (xs, mean + aside)] * half, *[(xs, mean)] * (one.runs % 2)]


def _can_stand(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _steps(chart: Chart, names: tuple[str, ...]) -> "Figure | None":
    from sparsewire.analysis import draw

    panels = {
        title: {
            one.name: (one.x, one.mean)
            for one in group
            if one.name in names and all(map(math.isfinite, (*one.x, *one.mean)))
        }
        for title, group in chart.panels.items()
    }
    sound = {title: group for title, group in panels.items() if group}
    return draw.distributions(sound, x_label=chart.x_label, y_label=chart.y_label) if sound else None


def _points(chart: Chart, names: tuple[str, ...]) -> "Figure | None":
    from sparsewire.analysis import draw

    runs = {}
    for one in (one for one in chart.series if one.name in names):
        moments = one.moments or tuple(range(1, len(one.x) + 1))
        kept = [point for point in zip(one.x, one.mean, moments, strict=True) if all(map(math.isfinite, point))]
        if kept:
            runs[one.name] = tuple(zip(*kept, strict=True))
    if not runs:
        return None
    label = {"colour_label": chart.value_label} if chart.value_label else {}
    return draw.relation(runs, x_label=chart.x_label, y_label=chart.y_label, **label)


def _heat(chart: Chart, names: tuple[str, ...]) -> "Figure | None":
    from sparsewire.analysis import draw

    rows = [[value if _can_stand(value, chart.log_y) else math.nan for value in one.mean] for one in chart.series]
    if not any(math.isfinite(value) for row in rows for value in row):
        return None
    return draw.heat(
        rows,
        x_ticks=chart.x_ticks,
        y_ticks=names,
        x_label=chart.x_label,
        y_label=chart.y_label,
        value_label=chart.value_label,
        log=chart.log_y,
    )
