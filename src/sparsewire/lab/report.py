"""The report as one self-contained page, as text for the terminal, and as JSON for programs."""

import json
import math
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsewire.errors import StoreError
from sparsewire.files import write_aside
from sparsewire.lab import wording
from sparsewire.lab.deviation import deviation_svg
from sparsewire.lab.findings import Claim, ClaimTable, Grid, Note, Picture, Report, Verdict, tally
from sparsewire.lab.inlining import inline_svg

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LIGHT = "--rule: #cfcbc1; --shade: #f1eee7;"
_DARK = "--rule: #3f494f; --shade: #20262a;"
_COLOURS: dict[Verdict, str] = {
    "reproduced": "green",
    "differs": "bold red",
    "not run": "dim",
    "no published number": "dim",
}


def render_html(report: Report) -> str:
    """The report as one HTML page that needs nothing else: no script, no font, no picture, no address outside.

    It follows the reader's light or dark setting, fits narrow screens, prints, and can be read without colour. Whatever
    the report's texts hold is shown as text.

    Raises:
        RequestError: a picture's SVG is not well-formed or holds something that may not stand in a page.

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
        "cells": wording.cells,
        "numeric": wording.numeric,
        "tally": tally,
        "section_tally": lambda section: tally(claim for _, claim in section.claims()),
        "report_tally": _tally_of,
        "titled": lambda section: [(i, b.title) for i, b in enumerate(section.blocks, 1) if not isinstance(b, Note)],
        "kind": lambda block: type(block).__name__,
        # Both are put together from numbers or checked element by element, which is what makes them safe.
        "deviation": lambda claim: Markup(deviation_svg(claim)),
        "inline": lambda picture, prefix: Markup(inline_svg(picture, prefix)),
    }
    environment.filters.update(filters)
    template = environment.from_string(_template("report.html"))
    return template.render(report=report, style=Markup(_style()))


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


def claims_as_json(report: Report) -> str:
    """Every claim of the report as JSON text, for programs; what is no finite number is null.

    Returns:
        An object with `title`, `facts` and `claims`; each claim with its section, source and table.

    Example:
        >>> from sparsewire.lab.findings import Section
        >>> table = ClaimTable("Table 1", (Claim("accuracy", 98.12, (98.1,), tolerance=0.1),))
        >>> report = Report("Results", "", (), (Section("Rebuild", "", "", (table,)),))
        >>> json.loads(claims_as_json(report))["claims"][0]["verdict"]
        'reproduced'
    """
    claims = [
        {"section": section.title, "source": section.source, "table": table.title, **_fields(claim)}
        for section in report.sections
        for table, claim in section.claims()
    ]
    whole = {"title": report.title, "facts": dict(report.facts), "claims": claims}
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)


def print_report(report: Report, console: "Console") -> None:
    """Prints the report's tables and notes to a terminal, and for each picture a line that names it.

    Args:
        report: what to print.
        console: where to; its width decides how the tables are set.

    Example:
        >>> from rich.console import Console
        >>> print_report(Report("Results", "", (("trials", "3"),), ()), Console(width=40))
        Results
        trials: 3
    """
    _say(console, report.title, "bold")
    _say(console, report.subtitle)
    _say(console, "; ".join(f"{name}: {value}" for name, value in report.facts), "dim")
    for section in report.sections:
        console.print()
        _say(console, section.title, "bold")
        _say(console, section.source, "dim")
        _say(console, section.intro)
        for block in section.blocks:
            console.print()
            if isinstance(block, Picture):
                _say(console, " – ".join(filter(None, (f"Picture: {block.title}", block.caption))), "dim")
            elif isinstance(block, ClaimTable | Grid):
                console.print(_claim_table(block) if isinstance(block, ClaimTable) else _grid(block))
                _say(console, block.note, "dim")
            else:
                _say(console, block.text)
    if summary := wording.sentence(_tally_of(report)):
        console.print()
        _say(console, summary, "bold")


def _tally_of(report: Report) -> dict[Verdict, int]:
    return tally(claim for section in report.sections for _, claim in section.claims())


def _template(name: str) -> str:
    return files("sparsewire.lab").joinpath("templates", name).read_text(encoding="utf-8")


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


def _fields(claim: Claim) -> dict[str, Any]:
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
        "unit": claim.unit,
        "verdict": claim.verdict,
        "ours": [_finite(value) for value in claim.ours],
        **{name: _finite(value) for name, value in numbers.items()},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _say(console: "Console", words: str, style: str = "") -> None:
    from rich.text import Text

    if words:  # as Text, so that square brackets are square brackets
        console.print(Text(wording.harmless(words), style=style))


def _claim_table(table: ClaimTable) -> "Table":
    from rich.text import Text

    made = _table(table.title)
    made.add_column("what", ratio=1)
    for name in ("published", "ours", "difference", "tolerance"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("verdict")
    for claim in table.claims:
        spread = "" if claim.spread is None else f" ± {wording.shown(claim.spread, claim.digits)}"
        count = f" (n={len(claim.ours)})" if claim.ours else ""
        cells = (
            wording.with_unit(wording.published(claim), claim.unit),
            wording.with_unit(wording.shown(claim.mean, claim.digits) + spread, claim.unit) + count,
            wording.shown(claim.difference, claim.digits, signed=True),
            wording.tolerance(claim),
        )
        label, *texts = (Text(wording.harmless(cell)) for cell in (claim.label, *cells))
        made.add_row(label, *texts, Text(claim.verdict, style=_COLOURS[claim.verdict]))
    return made


def _grid(grid: Grid) -> "Table":
    from rich.text import Text

    made = _table(grid.title)
    for name, right in zip(grid.columns, wording.numeric(grid), strict=True):
        made.add_column(Text(wording.harmless(name)), justify="right" if right else "left")
    for row in wording.cells(grid):
        made.add_row(*(Text(wording.harmless(cell)) for cell in row))
    return made


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(wording.harmless(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
