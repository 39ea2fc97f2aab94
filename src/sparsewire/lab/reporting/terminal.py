"""The report as text for the terminal."""

from typing import TYPE_CHECKING

from sparsewire.lab.reporting import wording
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.comparison import ComparisonTable
from sparsewire.lab.reporting.findings import Block, ClaimTable, Grid, Picture, Report, Verdict, tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_COLOURS: dict[Verdict, str] = {
    "reproduced": "green",
    "differs": "bold red",
    "inconclusive": "yellow",
    "not run": "dim",
    "no published number": "dim",
}


def print_report(report: Report, console: "Console") -> None:
    """Prints the report's tables and notes to a terminal, and for each chart and picture a line that names it.

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
        if section.title != report.title:
            _say(console, section.title, "bold")
        _say(console, section.source, "dim")
        _say(console, section.intro)
        for block in section.blocks:
            console.print()
            _print_block(block, console)
    counts = tally(claim for section in report.sections for _, claim in section.claims())
    if summary := wording.sentence(counts):
        console.print()
        _say(console, summary, "bold")


def _print_block(block: Block, console: "Console") -> None:
    if isinstance(block, Picture | Chart):
        _say(console, " – ".join(filter(None, (f"Picture: {block.title}", block.caption))), "dim")
    elif isinstance(block, ClaimTable | ComparisonTable | Grid):
        console.print(_as_table(block))
        _say(console, block.note, "dim")
        for remark in wording.remarks(block) if isinstance(block, ComparisonTable) else ():
            _say(console, remark, "dim")
    else:
        _say(console, block.text)


def _as_table(block: ClaimTable | ComparisonTable | Grid) -> "Table":
    if isinstance(block, ComparisonTable):
        return _comparisons(block)
    return _claim_table(block) if isinstance(block, ClaimTable) else _grid(block)


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
        if claim.by_interval and claim.interval is not None:  # what decides is what is shown
            spread = f" in {wording.interval(claim)}"
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


def _comparisons(table: ComparisonTable) -> "Table":
    from rich.text import Text

    made = _table(table.title)
    made.add_column("a → b", ratio=1)
    for name in ("a", "b", "b − a", "interval", "p", "g"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("verdict")
    for one in table.comparisons:
        words = wording.compared(one)
        p = f"{words.p} (Holm {words.adjusted})" if words.adjusted else words.p
        cells = (words.a, words.b, words.difference, words.interval, p, words.effect, one.verdict)
        made.add_row(*(Text(wording.harmless(cell)) for cell in (words.label, *cells)))
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
