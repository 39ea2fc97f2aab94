"""The report as JSON, for programs: every claim, every comparison, and the numbers of every chart."""

import json
import math
from collections.abc import Iterable
from typing import Any

from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.comparison import Comparison, ComparisonTable, Group
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Report


def claims_as_json(report: Report) -> str:
    """Every claim, comparison and chart of the report as JSON text; what is no finite number is null.

    Returns:
        An object with `title`, `facts`, `claims`, `comparisons` and `charts`; each of the last three with its section
        and source.

    Example:
        >>> from sparsewire.lab.reporting.findings import Section
        >>> table = ClaimTable("Table 1", (Claim("accuracy", 98.12, (98.1,), tolerance=0.1),))
        >>> report = Report("Results", "", (), (Section("Rebuild", "", "", (table,)),))
        >>> json.loads(claims_as_json(report))["claims"][0]["verdict"]
        'reproduced'
    """
    claims, comparisons, charts = [], [], []
    for section in report.sections:
        place = {"section": section.title, "source": section.source}
        for block in section.blocks:
            if isinstance(block, ClaimTable):
                claims += [{**place, "table": block.title, **_claim(claim)} for claim in block.claims]
            elif isinstance(block, ComparisonTable):
                comparisons += [{**place, "table": block.title, **comparison_fields(one)} for one in block.comparisons]
            elif isinstance(block, Chart):
                charts.append({**place, **_chart(block)})
    whole = {
        "title": report.title,
        "facts": dict(report.facts),
        "claims": claims,
        "comparisons": comparisons,
        "charts": charts,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)


def _claim(claim: Claim) -> dict[str, Any]:
    numbers = {
        "published": claim.published,
        "tolerance": claim.tolerance,
        "mean": claim.mean,
        "spread": claim.spread,
        "difference": claim.difference,
    }
    return {
        "label": claim.label,
        "kind": claim.kind,
        "by_interval": claim.by_interval,
        "unit": claim.unit,
        "verdict": claim.verdict,
        "ours": _all(claim.ours),
        "interval": claim.interval and _all(claim.interval),
        **{name: _finite(value) for name, value in numbers.items()},
    }


def comparison_fields(one: Comparison) -> dict[str, Any]:
    """One comparison as plain values, for JSON."""
    return {
        "metric": one.metric,
        "a": _group(one.a, one.level),
        "b": _group(one.b, one.level),
        "design": one.design,
        "difference": _finite(one.difference),
        "level": one.level,
        "interval": one.interval and _all(one.interval),
        "test": one.test,
        "p": _finite(one.p),
        "p_adjusted": _finite(one.adjusted),
        "hedges_g": _finite(one.effect),
        "verdict": one.verdict,
        "remarks": list(one.remarks),
    }


def _group(group: Group, level: float) -> dict[str, Any]:
    interval = group.interval(level)
    return {
        "name": group.name,
        "count": len(group.values),
        "mean": _finite(group.mean),
        "spread": _finite(group.spread),
        "interval": interval and _all(interval),
        "values": _all(group.values),
        "left_out": dict(group.left_out),
    }


def _chart(chart: Chart) -> dict[str, Any]:
    axes = {"x_label": chart.x_label, "y_label": chart.y_label, "log_x": chart.log_x, "log_y": chart.log_y}
    heat = {"x_ticks": list(chart.x_ticks), "value_label": chart.value_label} if chart.kind == "heat" else {}
    return {
        "title": chart.title,
        "caption": chart.caption,
        "kind": chart.kind,
        **axes,
        **heat,
        "band": chart.band,
        "series": [_series(one) for one in chart.series],
    }


def _series(one: Series) -> dict[str, Any]:
    parts = {"x": one.x, "mean": one.mean, "low": one.low, "high": one.high, "moments": one.moments}
    found = {"name": one.name, "panel": one.panel, "runs": one.runs}
    return found | {name: _all(values) for name, values in parts.items() if values}


def _all(values: Iterable[float]) -> list[float | None]:
    return [_finite(value) for value in values]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
