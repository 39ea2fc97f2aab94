"""The command that lists trials: of a store, filtered and sorted, and those under way."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import STORE, ExperimentName
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, say, table

if TYPE_CHECKING:
    from sparsewire.lab.storage.queries import Row
    from sparsewire.lab.trials.live import Running

_MOST_COLUMNS = 6  # of fields, and of metrics
_LONGEST_REASON = 80
_EXAMPLE = """sparsewire trials
sparsewire trials lightning --where lightnings=100 --where 'best_accuracy>97' --sort best_accuracy --descending"""


@click.command(cls=Command, example=_EXAMPLE)
@click.argument("name", type=ExperimentName(), required=False)
@click.option("--where", multiple=True, metavar="CONDITION", help="Only trials that satisfy it; repeatable.")
@click.option("--sort", metavar="NAME", help="By a field, a metric, seed, state or seconds.")
@click.option("--descending", is_flag=True, help="The largest first.")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="How many at most.")
@click.option(
    "--store", type=click.Path(path_type=Path), default=STORE, show_default=True, help="The folder of the runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def trials(
    name: str | None, where: tuple[str, ...], sort: str | None, descending: bool, limit: int, store: Path, as_json: bool
) -> None:
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
        table(*_table(found))
    more = f"{len(found)} of {total:,} trials" if total > len(found) else f"{total:,} trials"
    say(f"{more}; {_counted(counts)}")
    if live:
        rows = [(one.experiment, one.seed, f"{one.fraction:.0%}", one.note, one.host, one.process) for one in live]
        table(("under way, or left by a kill", "seed", "done", "note", "host", "process"), rows)


def _table(rows: "Sequence[Row]") -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Columns that tell the trials apart, then what was found."""
    several = len({row.experiment for row in rows}) > 1
    fields = _telling([row.fields for row in rows])[:_MOST_COLUMNS]
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))[:_MOST_COLUMNS]
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


def _telling(fields: Iterable[Any]) -> list[str]:
    """The fields that are not the same everywhere."""
    all_fields = list(fields)
    known = dict.fromkeys(name for one in all_fields for name in one)
    return [name for name in known if len({str(one.get(name)) for one in all_fields}) > 1]


def _short(value: Any) -> object:
    return value if isinstance(value, int | float) or value is None else str(value)


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
