"""Stores of version 1: their tables, read once more, become those of the present version in one transaction."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparsewire.errors import StoreError
from sparsewire.lab.storage.curves import packed
from sparsewire.lab.storage.rows import Content, Ending, insert
from sparsewire.lab.storage.runs import Run, enlist, fields_text, identity

_OLD = ("runs", "trials", "metrics", "series", "artefacts")


def from_version_1(connection: sqlite3.Connection, path: Path, tables: str) -> None:
    """Brings a store of version 1 to version 2; a kill on the way leaves version 1.

    Version 1 kept no fields beside the canonical text, which leaves defaults out; enlisting the same specs again adds
    them.

    Args:
        connection: to the store, outside of a transaction.
        path: of the store's file.
        tables: the SQL that makes those of version 2.

    Raises:
        StoreError: a trial is not what was written; the store was not changed.
    """
    renames = " ".join(f"ALTER TABLE {name} RENAME TO old_{name};" for name in _OLD)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.executescript(f"BEGIN IMMEDIATE; {renames} {tables}")
        for run, experiment, text in connection.execute("SELECT run, experiment, spec FROM old_runs ORDER BY position"):
            if identity(text) != (run, experiment):
                raise StoreError(f"the store {path}: run {run} was changed after it was kept; put a copy back")
            enlist(connection, [Run(run, experiment, text, fields_text(json.loads(text)))])
        for trial, run, seed, ending, content in _trials(connection, path):
            curves = {name: packed(points) for name, points in content.series.items()}
            insert(connection, run, seed, ending, content.metrics, curves, content.artefacts, trial)
        drops = " ".join(f"DROP TABLE old_{name};" for name in reversed(_OLD))
        for statement in drops.split(";")[:-1]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 2")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _trials(connection: sqlite3.Connection, path: Path) -> Iterator[tuple[int, str, int, Ending, Content]]:
    columns = "trial, run, seed, state, reason, traceback, seconds, environment, digest"
    for trial, run, seed, *rest in connection.execute(f"SELECT {columns} FROM old_trials ORDER BY trial").fetchall():
        *ended, environment, digest = rest
        try:
            content = _content(connection, trial)
            ending = Ending(*ended, dict(json.loads(environment)))  # type: ignore[call-arg]
            is_whole = _digest(run, seed, ending, content) == digest
        except (TypeError, ValueError):  # what was a number or a text is something else now
            is_whole = False
        if not is_whole:
            raise StoreError(f"the store {path}: run {run}, seed {seed} was changed after it was kept; put a copy back")
        yield trial, run, seed, ending, content


def _content(connection: sqlite3.Connection, trial: int) -> Content:
    metrics, points, kept = (
        connection.execute(f"SELECT {columns} WHERE trial = ? ORDER BY rowid", (trial,)).fetchall()
        for columns in ("name, value, flag FROM old_metrics", "name, step, value, flag FROM old_series",
                        "name, sha256 FROM old_artefacts")
    )  # fmt: skip
    series: dict[str, list[tuple[int, float]]] = {}
    for name, step, *halves in points:
        series.setdefault(name, []).append((step, _number(*halves)))
    return Content({name: _number(*halves) for name, *halves in metrics}, series, dict(kept))


def _number(value: float | None, flag: str | None) -> float:
    return float(flag or "nan") if value is None else value


def _digest(run: str, seed: int, ending: Ending, content: Content) -> str:
    plain: list[Any] = [run, seed, *ending[:4], dict(ending.environment), *map(_plain, content)]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    return dict(part)
