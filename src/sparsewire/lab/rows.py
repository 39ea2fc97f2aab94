"""Trials as rows of the database: one is written whole, many are read back and checked."""

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sparsewire.errors import StoreError
from sparsewire.lab.artefacts import Artefact
from sparsewire.lab.experiment import Outcome, State
from sparsewire.lab.spec import Spec, run_id


class Ending(NamedTuple):
    """How a trial ended: its state, why, where, after how long and with what it ran."""

    state: State
    reason: str | None
    traceback: str | None
    seconds: float
    environment: Mapping[str, str]


class Content(NamedTuple):
    """What a trial found; artefacts are name → SHA-256."""

    metrics: Mapping[str, float]
    series: Mapping[str, Sequence[tuple[int, float]]]
    artefacts: Mapping[str, str]


def insert(connection: sqlite3.Connection, run: str, seed: int, ending: Ending, content: Content) -> None:
    """Writes a trial in the place of a failed attempt at it; the caller has begun a transaction."""
    connection.execute("DELETE FROM trials WHERE run = ? AND seed = ? AND state = 'failed'", (run, seed))
    trial = connection.execute(
        "INSERT INTO trials (run, seed, state, reason, traceback, seconds, environment, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (run, seed, *ending[:4], json.dumps(dict(ending.environment)), _digest(run, seed, ending, content)),
    ).lastrowid
    connection.executemany(
        "INSERT INTO metrics VALUES (?, ?, ?, ?)",
        ((trial, name, *_halves(value)) for name, value in content.metrics.items()),
    )
    connection.executemany(
        "INSERT INTO series VALUES (?, ?, ?, ?, ?)",
        ((trial, name, step, *_halves(value)) for name, curve in content.series.items() for step, value in curve),
    )
    connection.executemany(
        "INSERT INTO artefacts VALUES (?, ?, ?)", ((trial, name, sha) for name, sha in content.artefacts.items())
    )


def _digest(run: str, seed: int, ending: Ending, content: Content) -> str:
    """What shows that a row was changed: SQLite checks the form of its pages, not the numbers in them."""
    ending = ending._replace(environment=dict(ending.environment))
    return hashlib.sha256(json.dumps([run, seed, *ending, *content]).encode()).hexdigest()


def _halves(value: float) -> tuple[float | None, str | None]:
    """(value, flag): a number that is not finite is no REAL of SQLite, which would make NaN a NULL without a word."""
    return (value, None) if math.isfinite(value) else (None, str(value))


def read(connection: sqlite3.Connection, folder: Path, kinds: Mapping[str, type[Spec]]) -> list[Outcome]:
    """The outcomes of the named experiments, each in the order in which its specs were listed, then by seed.

    Args:
        connection: to the store; the caller has begun a transaction.
        folder: the store's.
        kinds: experiment's name → its class of spec.

    Raises:
        StoreError: a trial is not what was written, or its spec is not one of this version.
    """
    runs = connection.execute("SELECT run, experiment, spec FROM runs ORDER BY position").fetchall()
    for row in runs:
        if _identity(row) != row[:2]:  # of the others too: their experiment may have been one that was asked for
            raise StoreError(f"the store {folder}: run {row[0]} was changed after it was kept; put a copy back")
    found = []
    for experiment, kind in kinds.items():
        for run, text in ((run, text) for run, its, text in runs if its == experiment):
            spec = _spec(run, text, kind)
            trials = connection.execute(f"SELECT {_TRIAL} FROM trials WHERE run = ? ORDER BY seed", (run,))
            found += [_outcome(connection, folder, spec, run, row) for row in trials.fetchall()]
    return found


def _identity(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The run's id and experiment as its spec's text has them."""
    try:
        return hashlib.sha256(row[2].encode()).hexdigest()[:16], json.loads(row[2])["experiment"]
    except (AttributeError, TypeError, ValueError, KeyError):
        return ()


def _spec(run: str, text: str, kind: type[Spec]) -> Spec:
    try:
        spec = kind.model_validate_json(text)
    except ValidationError as cause:
        fault = cause.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"]))
        raise StoreError(f"run {run} of the store is of another version: field {field!r}: {fault['msg']}") from None
    if run_id(spec) != run:
        raise StoreError(f"run {run} of the store has now the id {run_id(spec)}: a default was changed")
    return spec


_TRIAL = "trial, seed, state, reason, traceback, seconds, environment, digest"


def _outcome(connection: sqlite3.Connection, folder: Path, spec: Spec, run: str, row: tuple[Any, ...]) -> Outcome:
    trial, seed, state, reason, traceback, seconds, environment, digest = row
    metrics, points, kept = (
        connection.execute(f"SELECT {columns} WHERE trial = ? ORDER BY rowid", (trial,)).fetchall()
        for columns in ("name, value, flag FROM metrics", "name, step, value, flag FROM series",
                        "name, sha256 FROM artefacts")
    )  # fmt: skip
    series: dict[str, list[tuple[int, float]]] = {}
    try:
        for name, step, *halves in points:
            series.setdefault(name, []).append((step, _whole(*halves)))
        content = Content({name: _whole(*halves) for name, *halves in metrics}, series, dict(kept))
        ending = Ending(state, reason, traceback, seconds, dict(json.loads(environment)))
        whole = _digest(run, seed, ending, content) == digest
    except (TypeError, ValueError):  # what was a number or a text is something else now
        whole = False
    if not whole:
        raise StoreError(f"the store {folder}: run {run}, seed {seed} was changed after it was kept; put a copy back")
    home = folder / "artefacts" / run / str(seed)
    return Outcome(
        spec, seed, ending.state, ending.reason, ending.seconds, content.metrics, content.series,
        {name: Artefact(home / f"{name}.safetensors", sha) for name, sha in kept},
        ending.environment, ending.traceback,
    )  # fmt: skip


def _whole(value: float | None, flag: str | None) -> float:
    return float(flag or "nan") if value is None else value
