"""The command that lists trials: of a store, filtered and sorted, and those under way."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import STORE, ExperimentName
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, say, table
from sparsewire.errors import UnknownNameError

if TYPE_CHECKING:
    from sparsewire.lab.storage.queries import Row
    from sparsewire.lab.trials.live import Running

_MOST_COLUMNS = 6  # of fields, and of metrics
_LONGEST_REASON = 80
_LONGEST_TEXT = 30
_EXAMPLE = """sparsewire trials
sparsewire trials lightning --where lightnings=100 --where 'best_accuracy>97' --sort best_accuracy --descending"""


@click.command(cls=Command, example=_EXAMPLE)
@click.argument("name", type=ExperimentName(), required=False)
@click.option("--where", multiple=True, metavar="CONDITION", help="Only trials that satisfy it; repeatable.")
@click.option("--sort", metavar="NAME", help="By a field, a metric, seed, state or seconds.")
@click.option("--descending", is_flag=True, help="The largest first.")
@click.option("--show", multiple=True, metavar="NAME", help="A field or metric to show, in place of the first few; "
              "repeatable.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="How many at most.")
@click.option(
    "--store", type=click.Path(path_type=Path), default=STORE, show_default=True, help="The folder of the runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def trials(
    name: str | None, where: tuple[str, ...], sort: str | None, descending: bool, show: tuple[str, ...], limit: int,
    store: Path, as_json: bool,
) -> None:  # fmt: skip
    """List the trials of a store.

    A CONDITION is NAME=VALUE, with != < <= > >= or ~ (holds the text) too; NAME is a field of the spec, a metric, seed,
    state or seconds. Trials that are under way are told apart; other runs may be writing into the store meanwhile.
    """
    from sparsewire.experiments import names
    from sparsewire.lab.storage.conditions import Condition, condition
    from sparsewire.lab.store import Store
    from sparsewire.lab.trials.live import running

    conditions = [condition(text) for text in where]
    asked = names(name)
    experiment = name if name in asked else None
    if name is not None and experiment is None:  # a paper's, all of them in one order
        conditions += [Condition("experiment", ">=", f"{name}."), Condition("experiment", "<", f"{name}/")]
    with Store.open(store, write=False) as opened:
        found = opened.rows(experiment, conditions, sort=sort, descending=descending, limit=limit)
        total = opened.count(experiment, conditions)
        counts = opened.experiments()
        live = [one for one in running(store, series=False) if not opened.is_kept(one.run, one.seed)]
    live = [one for one in live if name is None or one.experiment in asked]
    if as_json:
        give_json({"total": total, "trials": [_told(row) for row in found], "running": [_live(one) for one in live]})
        return
    if found:
        sought = [*([sort] if sort else []), *(one.name for one in conditions)]
        table(*_table(found, [_bare(word) for word in show], [_bare(word) for word in sought]))
    more = f"{len(found)} of {total:,} trials" if total > len(found) else f"{total:,} trials"
    say(f"{more}; {_counted(counts)}")
    if live:
        rows = [(one.experiment, one.seed, f"{one.fraction:.0%}", one.note, one.host, one.process) for one in live]
        table(("under way, or left by a kill", "seed", "done", "note", "host", "process"), rows)


def _table(
    rows: "Sequence[Row]", shown: Sequence[str], sought: Sequence[str]
) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Columns that tell the trials apart, then what was found; or those that shall be shown."""
    several = len({row.experiment for row in rows}) > 1
    known = dict.fromkeys(name for row in rows for name in row.fields)
    found = dict.fromkeys(name for row in rows for name in row.metrics)
    if shown:
        for name in shown:
            if name not in known and name not in found:
                raise UnknownNameError("field or metric of these trials", name, {**known, **found})
        fields, metrics = [name for name in shown if name in known], [name for name in shown if name not in known]
    else:
        # What was asked for comes first, lest it be among those for which there is no room.
        first = list(dict.fromkeys(sought))
        fields = list(dict.fromkeys([*(name for name in first if name in known), *_telling(rows)]))[:_MOST_COLUMNS]
        # Of the others the last: what a trial begins with describes it, what it ends with is what came out.
        asked = [name for name in first if name in found and name not in fields][:_MOST_COLUMNS]
        others = [name for name in found if name not in asked]
        metrics = [*asked, *others[max(0, len(others) - _MOST_COLUMNS + len(asked)) :]]
    has_reasons = any(row.reason for row in rows)
    columns = [*(["experiment"] if several else []), "run", "seed", "state", *fields, *metrics, "seconds"]
    content = [
        [
            *([row.experiment] if several else []), row.run, row.seed, row.state,
            *(_short(row.fields.get(name)) for name in fields), *(row.metrics.get(name) for name in metrics),
            row.seconds, *([(row.reason or "").partition("\n")[0][:_LONGEST_REASON]] if has_reasons else []),
        ]
        for row in rows
    ]  # fmt: skip
    return [*columns, *(["reason"] if has_reasons else [])], content


def _telling(rows: "Sequence[Row]") -> list[str]:
    """The fields that are not the same everywhere."""
    known = dict.fromkeys(name for row in rows for name in row.fields)
    return [name for name in known if len({str(row.fields.get(name)) for row in rows}) > 1]


def _bare(name: str) -> str:
    """A column's name without the word that says what it is."""
    return name.removeprefix("spec.").removeprefix("metric.")


def _short(value: Any) -> object:
    if isinstance(value, int | float) or value is None:
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _counted(counts: "dict[str, dict[Any, int]]") -> str:
    """How many trials of each experiment the whole store holds, by state."""
    parts = [
        f"{name}: {', '.join(f'{count:,} {state}' for state, count in states.items())}"
        for name, states in counts.items()
    ]
    return f"in this store {'; '.join(parts)}" if parts else "this store is empty"


def _told(row: "Row") -> dict[str, Any]:
    return {
        "experiment": row.experiment, "run": row.run, "seed": row.seed, "state": row.state, "reason": row.reason,
        "seconds": row.seconds, "started": row.started, "fields": dict(row.fields), "metrics": dict(row.metrics),
    }  # fmt: skip


def _live(one: "Running") -> dict[str, Any]:
    return {
        "experiment": one.experiment, "run": one.run, "seed": one.seed, "fraction": one.fraction, "note": one.note,
        "host": one.host, "process": one.process,
    }  # fmt: skip
