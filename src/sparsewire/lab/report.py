"""The report as one self-contained page; as text for the terminal and as JSON it is in `terminal` and `report_json`."""

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from sparsewire.errors import StoreError
from sparsewire.files import write_aside
from sparsewire.lab.reporting import chart_page, wording
from sparsewire.lab.reporting.chart_drawing import still_svg
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.deviation import deviation_svg, interval_svg, reaches
from sparsewire.lab.reporting.findings import Note, Picture, Report, Verdict, tally
from sparsewire.lab.reporting.inlining import inline_svg
from sparsewire.lab.reporting.report_json import claims_as_json
from sparsewire.lab.reporting.terminal import print_report

__all__ = ["claims_as_json", "print_report", "render_html", "write_html"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_LIGHT = "--rule: #cfcbc1; --shade: #f1eee7;"
_DARK = "--rule: #3f494f; --shade: #20262a;"


def render_html(report: Report, *, interactive: bool = True) -> str:
    """The report as one HTML page that needs nothing else: no file, no font, no address outside.

    It follows the reader's light or dark setting, fits narrow screens, prints, and can be read without colour. Whatever
    the report's texts hold is shown as text. A page without charts has no script. One with charts shows them as
    pictures that stand still, in print and where no script runs, and elsewhere as plotly's, which can be zoomed.

    Args:
        report: what to show.
        interactive: False for a page without any script, 2 MB smaller; so are all where plotly is not installed.

    Raises:
        RequestError: a picture's SVG is not well-formed or holds something that may not stand in a page; there are
            charts, and matplotlib is missing.

    Example:
        >>> page = render_html(Report("Wires & weights", "", (("trials", "3"),), ()))
        >>> page.splitlines()[0], "Wires &amp; weights" in page
        ('<!doctype html>', True)
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_shown_text)
    filters: dict[str, Callable[..., Any]] = {
        "shown": wording.shown,
        "published": wording.published,
        "tolerance": wording.tolerance,
        "with_unit": wording.with_unit,
        "sentence": wording.sentence,
        "score": wording.score,
        "cells": wording.cells,
        "numeric": wording.numeric,
        "tally": tally,
        "section_tally": lambda section: tally(claim for _, claim in section.claims()),
        "report_tally": _tally_of,
        "titled": lambda section: [(i, b.title) for i, b in enumerate(section.blocks, 1) if not isinstance(b, Note)],
        "kind": lambda block: type(block).__name__,
        "interval": wording.interval,
        "compared": wording.compared,
        "remarks": wording.remarks,
        "reaches": reaches,
        # These are put together from numbers or checked element by element, which is what makes them safe.
        "deviation": lambda claim: Markup(deviation_svg(claim)),
        "interval_picture": lambda comparison, reach: Markup(interval_svg(comparison, reach)),
        "inline": lambda picture, prefix: Markup(inline_svg(picture, prefix)),
        "still": lambda chart, prefix: Markup(_still(chart, prefix)),
        "chart_data": lambda chart: Markup(chart_page.chart_data(chart)),
    }
    environment.filters.update(filters)
    template = environment.from_string(_template("report.html"))
    charts = any(isinstance(block, Chart) for section in report.sections for block in section.blocks)
    scripts = chart_page.scripts() if charts and interactive else None
    return template.render(
        report=report,
        style=Markup(_style()),
        policy=Markup(_POLICY if scripts is None else f"{_POLICY}; {scripts.policy}"),
        packed=None if scripts is None else Markup(scripts.packed),
        starter=None if scripts is None else Markup(scripts.starter),
        missing=charts and interactive and scripts is None,
    )


def write_html(report: Report, path: str | os.PathLike[str]) -> None:
    """Writes what `render_html` gives: a whole file or none.

    Raises:
        RequestError: a picture cannot be shown.
        StoreError: the file cannot be written.
    """
    page = render_html(report)

    def write(aside: Path) -> None:
        aside.write_text(page, encoding="utf-8")

    write_aside(path, write, StoreError)


def _still(chart: Chart, prefix: str) -> str:
    svg = still_svg(chart)
    return inline_svg(Picture(chart.title, chart.caption, svg), prefix) if svg else ""


def _tally_of(report: Report) -> dict[Verdict, int]:
    return tally(claim for section in report.sections for _, claim in section.claims())


def _template(name: str) -> str:
    return files("sparsewire.lab.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _style() -> str:
    from sparsewire.analysis.draw.palette import css_variables

    light, dark = f"{css_variables('light')} {_LIGHT}", f"{css_variables('dark')} {_DARK}"
    # On paper there is only one ground, whatever the screen is set to.
    return (
        f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        + _template("report.css")
    )


def _shown_text(value: Any) -> Any:
    """What jinja does with every value before it is escaped; what was marked as safe stays so."""
    return wording.harmless(value) if type(value) is str else value
