"""Single trials of the store, looked up by run and seed rather than searched for."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sparsewire.errors import RequestError
from sparsewire.lab.storage.database import connect, transaction
from sparsewire.lab.storage.rows import read

_KEY = re.compile(r"([0-9a-f]{16})-(0|-?[1-9][0-9]{0,18})")


class Key(NamedTuple):
    """Which trial: its run's id and its seed; as a text `<run>-<seed>`."""

    run: str
    seed: int

    def __str__(self) -> str:
        """The text.

        Example:
            >>> str(Key("b32df87e9aae13e4", 3)), key_of("b32df87e9aae13e4-3").seed
            ('b32df87e9aae13e4-3', 3)
        """
        return f"{self.run}-{self.seed}"


class Single(NamedTuple):
    """A trial as the store holds it; `curves` are names, `artefacts` name → SHA-256."""

    state: str
    reason: str | None
    traceback: str | None
    seconds: float
    started: str
    environment: Mapping[str, Any]
    metrics: Mapping[str, float]
    curves: tuple[str, ...]
    artefacts: Mapping[str, str]


def key_of(text: str) -> Key:
    """The key that a text says.

    Raises:
        RequestError: it says none.
    """
    found = _KEY.fullmatch(text)
    if found is None or not -(2**63) <= int(found[2]) < 2**63:
        raise RequestError(f"trial: found {text[:80]!r}, expected 16 hexadecimal digits, a hyphen and a seed")
    return Key(found[1], int(found[2]))


def numbers_of(root: Path, keys: Sequence[Key]) -> dict[Key, int]:
    """The trials' numbers in the store; those that it does not hold are left out."""
    with _reading(root) as connection:
        query = "SELECT trial FROM trials WHERE run = ? AND seed = ?"
        rows = {key: connection.execute(query, key).fetchone() for key in keys}
    return {key: row[0] for key, row in rows.items() if row is not None}


def ended_of(root: Path, keys: Iterable[Key]) -> set[Key]:
    """Those of the trials that need no other run: the store has them as done or diverged."""
    with _reading(root) as connection:
        query = "SELECT 1 FROM trials WHERE run = ? AND seed = ? AND state != 'failed'"
        return {key for key in keys if connection.execute(query, key).fetchone() is not None}


def kept_trial(root: Path, key: Key) -> Single | None:
    """All that the store holds of a trial but its curves' points; None where it holds none."""
    found = _kept(root, "trial = (SELECT trial FROM trials WHERE run = ? AND seed = ?)", key)
    return found[0] if found else None


def curve_names(root: Path, trials: Sequence[int]) -> list[str]:
    """The names of the trials' curves, in the order in which they first come."""
    found = _kept(root, "trial IN (SELECT value FROM json_each(?))", (json.dumps(list(trials)),))
    return list(dict.fromkeys(name for one in found for name in one.curves))


def _kept(root: Path, which: str, parameters: Sequence[Any]) -> list[Single]:
    with _reading(root) as connection:
        return [
            Single(
                one.state, one.reason, one.traceback, one.seconds, one.started, json.loads(one.environment),
                one.metrics, tuple(json.loads(one.curves)), json.loads(one.artefacts),
            )
            for one in read(connection, root, f"WHERE {which}", parameters)
        ]  # fmt: skip


def fields_of(root: Path, runs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run id → all fields of its spec, defaults too; runs that were never enlisted are left out."""
    query = "SELECT run, fields FROM runs WHERE run IN (SELECT value FROM json_each(?))"
    with _reading(root) as connection:
        return {run: json.loads(text) for run, text in connection.execute(query, (json.dumps(list(runs)),))}


@contextlib.contextmanager
def _reading(root: Path) -> Iterator[sqlite3.Connection]:
    path = root / "store.sqlite"
    opened = contextlib.closing(connect(path, write=False, check=False))
    with opened as connection, transaction(connection, path, "DEFERRED"):
        yield connection
