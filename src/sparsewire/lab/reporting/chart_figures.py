"""Charts as plotly's figures: plain data without plotly, each colour by its name, each text as nothing but text."""

import math
from collections.abc import Sequence
from typing import Any

from sparsewire.lab.reporting.charts import Chart, Series, finite_extent
from sparsewire.lab.reporting.wording import harmless

# How many there are is palette.SERIES and palette.STROKES; which hues they are, the page's style sheet says.
_DASHES = ("solid", "dash", "dot")
_SYMBOLS = {
    "circle": "●", "square": "■", "triangle-up": "▲", "diamond": "◆", "triangle-down": "▼", "x": "✖", "star": "★",
}  # fmt: skip
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "&#37;", "$": "&#36;"}
_CLEAR = "rgba(0,0,0,0)"
_FONT = "Inter, Helvetica Neue, Helvetica, Segoe UI, Roboto, Arial, Liberation Sans, sans-serif"
_NUMBER = ",.4~g"
_LONGEST = 120
_SHOWN = 0.999  # of a distribution; a handful of large values would press all others against the edge
_FIRST_STEP = 3  # the ramp's first two are hardly seen as points


def figures(chart: Chart) -> dict[str, Any]:
    """What the page's script draws a chart from: panels, each a plotly figure, the legend and the labels.

    A colour is "sw:NAME" or "sw:NAME@OPACITY", which the script replaces by what the style sheet says of --sw-NAME on
    light or dark paper. Every text that plotly shows is escaped, because plotly reads some tags as tags.

    Example:
        >>> found = figures(Chart("Error", "", "epoch", "error, %", (Series("<b>", (1, 2), (9.0, 8.0)),)))
        >>> found["legend"][0]["name"], found["panels"][0]["data"][0]["name"], found["panels"][0]["data"][0]["y"]
        ('<b>', '&lt;b&gt;', [9.0, 8.0])
    """
    looks = {name: index for index, name in enumerate(chart.names)}
    panels = [
        {
            "title": _short(title),
            "height": _height(chart, group),
            "data": _traces(chart, group, looks),
            "layout": _layout(chart, group),
        }
        for title, group in chart.panels.items()
    ]
    return {
        "panels": panels,
        "legend": [] if chart.kind == "heat" else [_entry(chart, name, index) for name, index in looks.items()],
        "ramp": _ramp_key(chart),
        "x": _short(chart.x_label),
        "y": _short(chart.y_label),
        "remark": chart.remark(),
        "fixed": chart.kind == "heat",
    }


def _height(chart: Chart, group: Sequence[Series]) -> int:
    if chart.kind == "heat":
        return 60 + 40 * len(group)
    return 250 if len(chart.panels) > 1 else 360


def _traces(chart: Chart, group: Sequence[Series], looks: dict[str, int]) -> list[dict[str, Any]]:
    if chart.kind == "heat":
        return [_cells(chart)]
    if chart.kind == "points":
        extent = finite_extent(moment for one in chart.series for moment in _moments(one)) or (0.0, 1.0)
        return [_point_trace(one, looks[one.name], extent) for one in group]
    bands = [trace for one in group if one.low for trace in _band(one, looks[one.name])]
    return bands + [_line(chart, one, looks[one.name]) for one in group]


def _line(chart: Chart, one: Series, index: int) -> dict[str, Any]:
    shape = "hv" if chart.kind == "steps" else "linear"
    hover = f"%{{y:{_NUMBER}}}"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if len(one.x) <= 12 else "lines",
        "name": escaped(one.name),
        "meta": index,
        "x": _finite(one.x),
        "y": _finite(one.mean),
        "line": {"color": _colour(index), "dash": _dash(index), "width": 2, "shape": shape},
        "marker": {"size": 5, "color": _colour(index)},
        "connectgaps": False,
    }
    if one.low:
        trace["customdata"] = [list(edges) for edges in zip(_finite(one.low), _finite(one.high), strict=True)]
        hover += f" (%{{customdata[0]:{_NUMBER}}} – %{{customdata[1]:{_NUMBER}}})"
    return trace | {"hovertemplate": hover}


def _band(one: Series, index: int) -> list[dict[str, Any]]:
    edges = zip(*map(_finite, (one.x, one.low, one.high)), strict=True)
    kept = [edge for edge in edges if None not in edge]
    common: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "meta": index,
        "name": escaped(one.name),
        "x": [x for x, _, _ in kept],
        "line": {"width": 0, "color": _colour(index)},
        "hoverinfo": "skip",
    }
    upper = {**common, "y": [high for _, _, high in kept]}
    lower = {**common, "y": [low for _, low, _ in kept], "fill": "tonexty", "fillcolor": f"{_colour(index)}@0.16"}
    return [upper, lower]


def _point_trace(one: Series, index: int, extent: tuple[float, float]) -> dict[str, Any]:
    low, high = extent
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escaped(one.name),
        "meta": index,
        "x": _finite(one.x),
        "y": _finite(one.mean),
        "customdata": _finite(_moments(one)),
        "line": {"width": 1, "color": "sw:muted@0.4"},
        "marker": {
            "size": 9,
            "symbol": list(_SYMBOLS)[index % len(_SYMBOLS)],
            "color": _finite(_moments(one)),
            "cmin": low,
            "cmax": high if high > low else low + 1,
            "colorscale": [[step / (9 - _FIRST_STEP), f"sw:ramp-{_FIRST_STEP + step}"] for step in range(7)],
            "line": {"width": 1, "color": "sw:paper"},
        },
        "hovertemplate": f"%{{x:{_NUMBER}}}, %{{y:{_NUMBER}}} (%{{customdata:{_NUMBER}}})",
    }


def _cells(chart: Chart) -> dict[str, Any]:
    """The table as a heat map; on a logarithmic scale the colours follow the logarithm, the texts the numbers."""
    values = [_finite(row.mean) for row in chart.series]
    texts = [["" if value is None else f"{value:,.4g}" for value in row] for row in values]

    def height(value: float | None) -> float | None:
        if value is None or not chart.log_y:
            return value
        return math.log10(value) if value > 0 else None

    return {
        "type": "heatmap",
        "z": [[height(value) for value in row] for row in values],
        "text": texts,
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} × %{x}: %{text}<extra></extra>",
        "colorscale": [[step / 8, f"sw:ramp-{step + 1}"] for step in range(9)],
        "showscale": False,
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
    }


def _layout(chart: Chart, group: Sequence[Series]) -> dict[str, Any]:
    heat = chart.kind == "heat"
    together = chart.kind in ("lines", "steps") and len(chart.panels) == 1  # one label for all lines needs room
    x, y = _axis(chart.log_x, not heat), _axis(chart.log_y and not heat, not heat)
    x |= {"showspikes": together}
    if heat:
        x |= {"tickvals": list(range(len(chart.x_ticks))), "ticktext": [escaped(tick) for tick in chart.x_ticks]}
        y |= {"tickvals": list(range(len(group))), "ticktext": [escaped(row.name) for row in group]}
        y |= {"autorange": "reversed", "ticks": ""}
        x |= {"ticks": ""}
    xs = [value for one in group for value in one.x]
    if xs and not chart.log_x and all(value.is_integer() for value in xs) and max(xs) - min(xs) <= 10:
        x |= {"dtick": 1}  # there is no epoch 1.5
    for axis, log, numbers in (
        (x, chart.log_x, xs),
        (y, chart.log_y and not heat, [v for one in group for v in one.mean]),
    ):
        if log and (extent := finite_extent(numbers, positive=True)) and extent[1] < 1e4 * extent[0]:
            axis |= {"dtick": "D2"}  # 1, 2, 5: all nine digits would stand upon each other
    if chart.kind == "steps" and (end := _end_of_most(group)) is not None:
        start = min(xs)
        x |= {"range": [start - 0.02 * (end - start), end], "autorange": False}
    return {
        "autosize": True,
        "margin": {"l": 12, "r": 14, "t": 10, "b": 8},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": "sw:paper",
        "font": {"family": _FONT, "size": 13, "color": "sw:muted"},
        "hovermode": "x unified" if together else "closest",
        "hoverdistance": -1 if together else 20,
        "hoverlabel": {
            "bgcolor": "sw:paper",
            "bordercolor": "sw:faint",
            "font": {"family": _FONT, "size": 13, "color": "sw:ink"},
            "namelength": -1,
        },
        "modebar": {"bgcolor": _CLEAR, "color": "sw:faint", "activecolor": "sw:muted"},
        "showlegend": False,
        "uirevision": "kept",
        "xaxis": x,
        "yaxis": y,
    }


def _axis(log: bool, lines: bool) -> dict[str, Any]:
    return {
        "type": "log" if log else "linear",
        "automargin": True,
        "showgrid": lines,
        "gridcolor": "sw:hair",
        "zeroline": False,
        "showline": lines,
        "linecolor": "sw:faint",
        "tickformat": ",~g",
        "hoverformat": _NUMBER,
        "nticks": 8,
        "showspikes": False,
        "tickangle": 0,
        "spikecolor": "sw:faint",
        "spikethickness": 1,
        "spikedash": "solid",
    }


def _end_of_most(group: Sequence[Series]) -> float | None:
    ends = [
        x for one in group for x, share in zip(one.x, one.mean, strict=True) if share <= _SHOWN and math.isfinite(x)
    ]
    starts = [one.x[0] for one in group if one.x]
    return max(ends) if ends and starts and max(ends) > min(starts) else None


def _entry(chart: Chart, name: str, index: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": _short(name), "index": index}
    if chart.kind == "points":
        return entry | {"glyph": list(_SYMBOLS.values())[index % len(_SYMBOLS)]}
    return entry | {"colour": _colour(index).removeprefix("sw:"), "dash": _dash(index)}


def _ramp_key(chart: Chart) -> dict[str, Any] | None:
    if chart.kind == "points":
        values = [moment for one in chart.series for moment in _moments(one)]
    elif chart.kind == "heat":
        values = [value for one in chart.series for value in one.mean]
    else:
        return None
    extent = finite_extent(values, positive=chart.log_y)
    low, high = ("", "") if extent is None else (f"{value:,.4g}" for value in extent)
    return {"low": low, "high": high, "label": _short(chart.value_label), "late": chart.kind == "points"}


def escaped(text: str) -> str:
    """The text such that plotly shows it as it is; some tags, entities, %{…} and $…$ have a meaning for it.

    Example:
        >>> escaped("a<br>&amp;")
        'a&lt;br&gt;&amp;amp;'
    """
    return "".join(_ENTITIES.get(letter, letter) for letter in _short(text))


def _short(text: str) -> str:
    shown = harmless(" ".join(text.split()))
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _finite(values: Sequence[float]) -> list[float | None]:
    # six digits are more than can be seen or asked for, and half the page's weight
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _moments(one: Series) -> tuple[float, ...]:
    return one.moments or tuple(float(index) for index in range(1, len(one.x) + 1))


def _colour(index: int) -> str:
    return f"sw:series-{index % 5 + 1}"


def _dash(index: int) -> str:
    return _DASHES[index // 5 % len(_DASHES)]
