"""Trials as rows of the database: one is written whole, many are read back and checked."""

import functools
import hashlib
import itertools
import json
import math
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sparsewire.errors import StoreError
from sparsewire.lab.experiment import State
from sparsewire.lab.storage.curves import Packed, curve_digest
from sparsewire.lab.storage.runs import add_up, mark


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


class Kept(NamedTuple):
    """A trial as the store keeps it, without the points of its curves.

    `trial` is its number, `digest` its seal; `environment` (without the start), `curves` (names) and `artefacts` (name
    → SHA-256) are JSON.
    """

    trial: int
    run: str
    seed: int
    state: State
    reason: str | None
    traceback: str | None
    seconds: float
    started: str
    environment: str
    curves: str
    artefacts: str
    digest: bytes
    metrics: dict[str, float]


def insert(
    connection: sqlite3.Connection,
    run: str,
    seed: int,
    ending: Ending,
    metrics: Mapping[str, float],
    curves: Mapping[str, Packed],
    artefacts: Mapping[str, str],
    trial: int | None = None,
) -> None:
    """Writes a trial in the place of a failed attempt at it; the caller has begun a transaction.

    Args:
        connection: to the store.
        run: the spec's id, which is enlisted.
        seed: which repetition.
        ending: how it ended.
        metrics: name → value.
        curves: name → packed points.
        artefacts: name → SHA-256.
        trial: the number of the row; by default the next one.
    """
    removed = _remove_failed(connection, run, seed)
    shared = dict(ending.environment)
    started = shared.pop("started", "")
    texts = json.dumps(shared), json.dumps(list(curves)), json.dumps(dict(artefacts))
    plain = (run, seed, ending.state, ending.reason, ending.traceback, ending.seconds, started)
    digest = trial_digest((trial, *plain, *texts), metrics, json.dumps(list(metrics)))
    row = (trial, *plain, _environment(connection, texts[0]), *texts[1:], len(metrics), digest)
    trial = connection.execute(f"INSERT INTO trials VALUES ({', '.join('?' * len(row))})", row).lastrowid
    connection.executemany(
        "INSERT INTO metrics VALUES (?, ?, ?, ?)",
        [(trial, place, name, value) for place, (name, value) in enumerate(metrics.items())],
    )
    connection.executemany(
        "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(trial, name, *curve, curve_digest(run, seed, name, curve)) for name, curve in curves.items()],
    )
    connection.execute(
        "UPDATE runs SET trials = trials + ?, marks = marks + ? WHERE run = ?",
        (1 - removed.trials, mark(digest) - removed.marks, run),
    )
    add_up(connection, {
        "version": 1, "trials": 1 - removed.trials, "metrics": len(metrics) - removed.metrics,
        "series": len(curves) - removed.series,
    })  # fmt: skip


class _Removed(NamedTuple):
    trials: int = 0
    marks: int = 0
    metrics: int = 0
    series: int = 0


def _remove_failed(connection: sqlite3.Connection, run: str, seed: int) -> _Removed:
    query = "SELECT trial, digest FROM trials WHERE run = ? AND seed = ? AND state = 'failed'"
    found = connection.execute(query, (run, seed)).fetchone()
    if found is None:
        return _Removed()
    counts = (connection.execute(f"DELETE FROM {table} WHERE trial = ?", found[:1]).rowcount
              for table in ("metrics", "series", "trials"))  # fmt: skip
    metrics, series, _ = counts
    return _Removed(1, mark(found[1]), metrics, series)


def _environment(connection: sqlite3.Connection, text: str) -> int:
    known = connection.execute("SELECT environment FROM environments WHERE text = ?", (text,)).fetchone()
    if known is None:
        return connection.execute("INSERT INTO environments (text) VALUES (?)", (text,)).lastrowid or 0
    return int(known[0])


def trial_digest(row: tuple[Any, ...], metrics: Mapping[str, float], names: str) -> bytes:
    """What shows that a row was changed: SQLite checks the form of its pages, not the numbers in them.

    A hundred thousand of these take half of the time in which a report must be there. Hence no JSON of everything: of
    the parts that a line holds only the last can hold the end of a line itself.

    Args:
        row: as in `Kept`, up to `artefacts`; its number is not looked at.
        metrics: name → value.
        names: those of the metrics as JSON.
    """
    _, run, seed, state, reason, traceback, seconds, started, environment, curves, artefacts = row
    ended = f" {started}" if reason is traceback is None else json.dumps([started, reason, traceback])
    text = f"{run} {seed} {state}\n{environment}\n{curves}\n{artefacts}\n{names}\n{ended}"
    numbers = _doubles(len(metrics) + 1).pack(seconds, *metrics.values())
    return hashlib.sha256(numbers + text.encode()).digest()


@functools.cache
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


_TRIAL = (
    "trial, run, seed, state, reason, traceback, seconds, started, text, curves, artefacts, digest, metrics "
    "FROM trials LEFT JOIN environments USING (environment)"
)


def read(
    connection: sqlite3.Connection, folder: Path, which: str = "", parameters: Sequence[Any] = ()
) -> Iterator[Kept]:
    """Trials in the order of their numbers, each as it was written.

    Args:
        connection: to the store; the caller has begun a transaction.
        folder: the store's.
        which: `WHERE …` in terms of the column `trial`; all by default.
        parameters: those of `which`.

    Raises:
        StoreError: a trial is not what was written.
    """
    # both in the order of the trials, so that a trial's metrics are the next ones; its digest says whether they are
    metrics = connection.execute(f"SELECT name, value FROM metrics {which} ORDER BY trial, place", parameters)
    encoded: dict[tuple[str, ...], str] = {}
    for row in connection.execute(f"SELECT {_TRIAL} {which} ORDER BY trial", parameters):
        found: dict[str, float] = {}
        try:
            found = dict(itertools.islice(metrics, row[12]))
            if None in found.values():
                found = {name: math.nan if value is None else value for name, value in found.items()}
            names = tuple(found)
            if names not in encoded:
                encoded[names] = json.dumps(names)
            is_whole = trial_digest(row[:11], found, encoded[names]) == row[11]
        except (TypeError, ValueError, struct.error):  # what was a number or a text is something else now
            is_whole = False
        if not is_whole:
            raise StoreError(
                f"the store {folder}: run {row[1]}, seed {row[2]} was changed after it was kept; put a copy back"
            )
        yield Kept._make((*row[:12], found))


def whole_runs(folder: Path, trials: Iterable[Kept], runs: Mapping[str, tuple[int, int]]) -> Iterator[Kept]:
    """The trials, if none of the runs lacks one.

    Args:
        folder: the store's.
        trials: all trials of the runs.
        runs: id → how many trials it has, and the sum of their marks.

    Raises:
        StoreError: a run has other trials than it should have.
    """
    found = dict.fromkeys(runs, (0, 0))
    for kept in trials:
        if kept.run not in found:
            raise StoreError(f"the store {folder}: run {kept.run} has lost its spec; put a copy back")
        count, marks = found[kept.run]
        found[kept.run] = count + 1, marks + mark(kept.digest)
        yield kept
    for run, counted in found.items():
        if counted != runs[run]:
            raise StoreError(f"the store {folder}: run {run} has lost trials or gained some; put a copy back")
