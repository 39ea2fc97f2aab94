"""The command that compares groups of trials."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import STORE, ExperimentName, outputs
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import console, give_json, say
from sparsewire.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from sparsewire.lab.reporting.comparison import Comparison
    from sparsewire.lab.storage.queries import Row
    from sparsewire.lab.store import Store

FILE = click.Path(path_type=Path)
_MOST_GROUPS = 20  # 190 pairs
_ABOUT = (
    "Differences are b − a, with the interval of the difference; g is Hedges’ g, the difference in standard "
    "deviations. No difference shown does not mean that there is none."
)
_EXAMPLE = """sparsewire compare lightning.robustness --a lightnings=100 --b lightnings=1000 --metric best_accuracy
sparsewire compare demo --by kind --metric accuracy --html compared.html"""


@click.command(cls=Command, example=_EXAMPLE)
@click.argument("name", type=ExperimentName())
@click.option("--a", "first", multiple=True, metavar="CONDITION", help="Which trials are compared with; repeatable.")
@click.option("--b", "second", multiple=True, metavar="CONDITION", help="Which trials are compared; repeatable.")
@click.option("--by", "field", metavar="FIELD", help="In place of --a and --b: all pairs of values of a field.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Only trials that satisfy it; repeatable.")
@click.option("--metric", required=True, help="What is compared.")
@click.option("--level", type=click.FloatRange(0.5, 1, max_open=True), default=0.95, show_default=True,
              help="Of the intervals; the verdict needs p of at most 1 - level.")  # fmt: skip
@click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
@click.option("--html", type=FILE, metavar="FILE", help="Write one HTML page with the table and its picture.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
def compare(
    name: str, first: tuple[str, ...], second: tuple[str, ...], field: str | None, where: tuple[str, ...], metric: str,
    level: float, store: Path, html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare groups of trials: difference, interval, test, effect size.

    A CONDITION is NAME=VALUE, with != < <= > >= or ~ (holds the text) too; NAME is a field of the spec, a metric, seed,
    state or seconds. A group satisfies all of its conditions.

    Where both groups are the same seeds of one spec each, seeds are pairs: t interval, sign-flip test; otherwise
    Welch's. With --by the verdicts follow Holm's correction over all pairs. Trials that failed or diverged are counted
    and left out.
    """
    _check(first, second, field)
    outputs({"--html": html}, store / "store.sqlite")

    from sparsewire.experiments import names
    from sparsewire.lab.store import Store

    if len(names(name)) > 1:
        raise RequestError(f"compare: {name} is a paper; name one of its experiments: {', '.join(names(name))}")
    with Store.open(store, write=False) as opened:
        if field is None:
            found = _pair(opened, names(name)[0], where, (first, second), metric, level)
        else:
            found = _all_pairs(opened, names(name)[0], where, field, metric, level)
    _tell(names(name)[0], found, level, html, as_json)


def _check(first: tuple[str, ...], second: tuple[str, ...], field: str | None) -> None:
    if field is not None and (first or second):
        raise RequestError("compare: found --by together with --a or --b, expected one or the other")
    if field is None and not (first and second):
        raise RequestError("compare: expected --a and --b, a condition for each group, or --by FIELD")


def _rows(store: "Store", name: str, texts: Sequence[str], what: str) -> "list[Row]":
    from sparsewire.lab.storage.conditions import condition

    rows = store.rows(name, [condition(text) for text in texts])
    if not rows:
        of_all = store.count(name)
        raise RequestError(
            f"{what}: none of the store's {of_all} trials of {name} satisfies {', '.join(texts) or what}"
        )
    return rows


def _pair(
    store: "Store", name: str, where: tuple[str, ...], groups: tuple[tuple[str, ...], tuple[str, ...]], metric: str,
    level: float,
) -> "tuple[Comparison, ...]":  # fmt: skip
    from sparsewire.lab.reporting.comparison import compare as compare_groups

    a, b = (_rows(store, name, (*where, *texts), what) for texts, what in zip(groups, ("--a", "--b"), strict=True))
    labels = ", ".join(groups[0]), ", ".join(groups[1])
    return (compare_groups(a, b, metric, names=labels, level=level),)


def _all_pairs(
    store: "Store", name: str, where: tuple[str, ...], field: str, metric: str, level: float
) -> "tuple[Comparison, ...]":
    from sparsewire.lab.reporting.comparison import compare_all

    rows = _rows(store, name, where, "--where" if where else name)
    known = {known for row in rows for known in row.fields}
    if field not in known:
        raise UnknownNameError("field", field, known)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if field in row.fields:
            groups.setdefault(_label(field, row.fields[field]), []).append(row)
    if not 2 <= len(groups) <= _MOST_GROUPS:
        raise RequestError(
            f"--by: found {len(groups)} value(s) of {field}, expected 2 to {_MOST_GROUPS}; choose trials with --where"
        )
    return compare_all(groups, metric, level=level)


def _label(field: str, value: Any) -> str:
    return f"{field}={value}" if isinstance(value, str) else f"{field}={json.dumps(value, ensure_ascii=False)}"


def _tell(name: str, found: "tuple[Comparison, ...]", level: float, html: Path | None, as_json: bool) -> None:
    from sparsewire.lab import report as reports
    from sparsewire.lab.reporting.comparison import ComparisonTable
    from sparsewire.lab.reporting.findings import Report, Section
    from sparsewire.lab.reporting.report_json import comparison_fields

    metric = found[0].metric
    table = ComparisonTable(f"{metric}, intervals at {100 * level:g} %", found, _ABOUT)
    section = Section(f"{metric} of {name}", "", "", (table,))
    report = Report(section.title, "", (("experiment", name), ("metric", metric)), (section,))
    if html is not None:
        reports.write_html(report, html)
    if as_json:
        give_json({"experiment": name, "metric": metric, "comparisons": [comparison_fields(one) for one in found]})
        return
    reports.print_report(report, console())
    if html is not None:
        say(f"written: {html}")
