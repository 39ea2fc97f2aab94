"""Questions to the store: which trials satisfy conditions, in which order, and the curves of some of them."""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sparsewire.errors import StoreError, UnknownNameError
from sparsewire.lab.experiment import State
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.storage.curves import CURVE, checked, unpacked
from sparsewire.lab.storage.rows import read
from sparsewire.lab.storage.runs import is_as_written

_COLUMNS = {
    "state": "trials.state", "reason": "trials.reason", "experiment": "runs.experiment", "run": "trials.run",
    "seed": "trials.seed", "seconds": "trials.seconds", "started": "trials.started",
}  # fmt: skip
_AMONG = "trial IN (SELECT value FROM json_each(?))"


class Row(NamedTuple):
    """A trial as a row of a table.

    `trial` is its number in the store, by which its curves are asked for; `fields` are all fields of its spec, defaults
    too, those of parts as `part.field`; `started` is a time of ISO 8601, or empty.
    """

    trial: int
    run: str
    experiment: str
    seed: int
    state: State
    reason: str | None
    seconds: float
    started: str
    fields: Mapping[str, Any]
    metrics: Mapping[str, float]


class _Column(NamedTuple):
    """How a name is read: `kind` is "metric", "field" or "plain"; `sql` has one `?` for `key`, if that is not None."""

    kind: str
    sql: str
    key: str | None


def find_rows(
    connection: sqlite3.Connection, folder: Path, experiment: str | None, where: Sequence[Condition],
    sort: str | None, descending: bool, limit: int | None, offset: int,
) -> list[Row]:  # fmt: skip
    """The rows that `Store.rows` returns; the caller has begun a transaction."""
    filters, values = _filters(connection, experiment, where)
    order = "runs.position, trials.seed"
    if sort is not None:
        column = _column(connection, sort)
        key = [] if column.key is None else [column.key]
        # what is missing or NaN comes last either way
        order = f"sorted IS NULL, sorted {'DESC' if descending else 'ASC'}, {order}"
        select = f"trials.trial, {column.sql} AS sorted"
    else:
        key, select = [], "trials.trial"
        order = "runs.position DESC, trials.seed DESC" if descending else order
    query = f"SELECT {select} FROM trials JOIN runs USING (run) {filters} ORDER BY {order} LIMIT ? OFFSET ?"
    window = (-1 if limit is None else limit, offset)
    numbers = [row[0] for row in connection.execute(query, (*key, *values, *window))]
    return _rows(connection, folder, numbers)


def count_rows_where(connection: sqlite3.Connection, experiment: str | None, where: Sequence[Condition]) -> int:
    """How many rows satisfy the conditions; the caller has begun a transaction."""
    filters, values = _filters(connection, experiment, where)
    query = f"SELECT count(*) FROM trials JOIN runs USING (run) {filters}"
    return int(connection.execute(query, values).fetchone()[0])


def find_curves(
    connection: sqlite3.Connection, folder: Path, trials: Sequence[int], names: Sequence[str] | None
) -> dict[int, dict[str, list[tuple[int, float]]]]:
    """The curves that `Store.curves` returns; the caller has begun a transaction."""
    asked = json.dumps([int(trial) for trial in trials])
    wanted = None if names is None else set(names)
    missing: dict[int, set[str]] = {}
    for trial, listed in connection.execute(f"SELECT trial, curves FROM trials WHERE {_AMONG}", (asked,)):
        missing[trial] = {name for name in _names(folder, trial, listed) if wanted is None or name in wanted}
    query = f"SELECT trial, run, seed, name, {CURVE} FROM series JOIN trials USING (trial) WHERE {_AMONG}"
    values: tuple[Any, ...] = (asked,)
    if names is not None:
        query, values = f"{query} AND name IN (SELECT value FROM json_each(?))", (asked, json.dumps(list(names)))
    found: dict[int, dict[str, list[tuple[int, float]]]] = {trial: {} for trial in missing}
    for trial, run, seed, name, *row in connection.execute(f"{query} ORDER BY trial, series", values):
        found[trial][name] = unpacked(checked(folder, run, seed, name, row))
        missing[trial].discard(name)
    for trial, lost in missing.items():
        if lost:
            raise StoreError(f"the store {folder}: trial {trial} has lost the curve {min(lost)!r}; put a copy back")
    return found


def _names(folder: Path, trial: int, text: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(text)]
    except (TypeError, ValueError):
        raise StoreError(f"the store {folder}: trial {trial} was changed after it was kept; put a copy back") from None


def _rows(connection: sqlite3.Connection, folder: Path, numbers: Sequence[int]) -> list[Row]:
    asked = json.dumps(numbers)
    kept = {trial.trial: trial for trial in read(connection, folder, f"WHERE {_AMONG}", (asked,))}
    runs: dict[str, tuple[str, Mapping[str, Any]]] = {}
    query = (
        "SELECT digest, position, run, experiment, spec, fields FROM runs "
        f"WHERE run IN (SELECT run FROM trials WHERE {_AMONG})"
    )
    for digest, *row in connection.execute(query, (asked,)):
        if not is_as_written(digest, *row):
            raise StoreError(f"the store {folder}: run {row[1]} was changed after it was kept; put a copy back")
        runs[row[1]] = row[2], json.loads(row[4])
    if not all(number in kept and kept[number].run in runs for number in numbers):
        raise StoreError(f"the store {folder}: some of its rows are missing; put a copy back")
    found = []
    for number in numbers:
        of = kept[number]
        experiment, fields = runs[of.run]
        found.append(
            Row(number, of.run, experiment, of.seed, of.state, of.reason, of.seconds, of.started, fields, of.metrics)
        )
    return found


def _filters(
    connection: sqlite3.Connection, experiment: str | None, where: Sequence[Condition]
) -> tuple[str, list[Any]]:
    parts, values = [], []
    if experiment is not None:
        parts.append("runs.experiment = ?")
        values.append(experiment)
    for condition in where:
        sql, parameters = _filter(_column(connection, condition.name), condition)
        parts.append(sql)
        values += parameters
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def _filter(column: _Column, condition: Condition) -> tuple[str, list[Any]]:
    """One condition as SQL that is true or false, never unknown, and its parameters."""
    comparison = "=" if condition.comparison == "!=" else condition.comparison
    if column.kind == "metric":
        test, values = _test("value", comparison, condition.value, numeric=True)
        found = f"EXISTS (SELECT 1 FROM metrics WHERE trial = trials.trial AND name = ? AND {test})"
        if condition.value is None and comparison == "=":  # NaN is no missing value
            found, values = "NOT EXISTS (SELECT 1 FROM metrics WHERE trial = trials.trial AND name = ?)", []
        values = [column.key, *values]
    elif column.kind == "field":
        test, values = _test("field", comparison, condition.value, numeric=False)
        found = f"trials.run IN (SELECT run FROM (SELECT run, {column.sql} AS field FROM runs) WHERE {test})"
        values = [column.key, *values]
    else:
        numeric = condition.name in ("seed", "seconds")
        found, values = _test(column.sql, comparison, condition.value, numeric)
    return (f"NOT ({found})" if condition.comparison == "!=" else f"({found})"), values


def _test(sql: str, comparison: str, value: Any, numeric: bool) -> tuple[str, list[Any]]:
    """A comparison of what `sql` reads with a value, as SQL without unknowns."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    if comparison == "~":
        return f"coalesce(instr(lower(CAST({sql} AS TEXT)), lower(?)), 0) > 0", [_word(value)]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return (f"{sql} IS NULL" if comparison == "=" else "0"), []
    if comparison == "=":
        return f"coalesce({sql} IN (?, ?), 0)", [value, _word(value)]
    if numeric:
        return (f"coalesce({sql} {comparison} ?, 0)", [value]) if not isinstance(value, str) else ("0", [])
    kinds = "('text')" if isinstance(value, str) else "('integer', 'real')"
    return f"(typeof({sql}) IN {kinds} AND {sql} {comparison} ?)", [value]


def _word(value: Any) -> str:
    return (
        {True: "true", False: "false", None: ""}[value]
        if value is None or value is True or value is False
        else (str(value))
    )


def _column(connection: sqlite3.Connection, name: str) -> _Column:
    """How a name is read.

    Raises:
        UnknownNameError: nothing in the store bears it.
    """
    if name in _COLUMNS:
        return _Column("plain", _COLUMNS[name], None)
    field = _Column("field", "json_extract(fields, ?)", f'$."{name.removeprefix("spec.")}"')
    metric = _Column(
        "metric", "(SELECT value FROM metrics WHERE trial = trials.trial AND name = ?)", name.removeprefix("metric.")
    )
    for column, query in (
        (field, "SELECT 1 FROM runs WHERE json_type(fields, ?) IS NOT NULL LIMIT 1"),
        (metric, "SELECT 1 FROM metrics WHERE name = ? LIMIT 1"),
    ):
        if column is field and ('"' in name or not name.isprintable() or name.startswith("metric.")):
            continue  # a path of SQLite cannot say it, and no field of a class can bear it
        if connection.execute(query, (column.key,)).fetchone():
            return column
    if not connection.execute("SELECT 1 FROM metrics LIMIT 1").fetchone():
        return metric  # nothing has been measured yet: it may come
    raise UnknownNameError("column", name, known_columns(connection))


def known_columns(connection: sqlite3.Connection) -> list[str]:
    """Every name that a condition can bear."""
    fields = connection.execute("SELECT DISTINCT key FROM runs, json_each(fields)")
    metrics = connection.execute("SELECT DISTINCT name FROM metrics")
    return sorted({*_COLUMNS, *(str(name) for (name,) in fields), *(str(name) for (name,) in metrics)})
