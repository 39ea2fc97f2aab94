"""Specs as rows of the database: in the order in which they were listed, with all their fields."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.spec import Spec, canonical, run_id


class Run(NamedTuple):
    """A spec as the store keeps it: its id, its experiment, its canonical text, and all its fields as JSON."""

    run: str
    experiment: str
    spec: str
    fields: str


def run_of(spec: Spec) -> Run:
    """What the store keeps of a spec.

    Example:
        >>> run_of(Spec(experiment="demo"))
        Run(run='b32df87e9aae13e4', experiment='demo', spec='{"experiment":"demo"}', fields='{}')
    """
    return Run(run_id(spec), spec.experiment, canonical(spec), fields_text(spec.model_dump(warnings=False)))


def checked_run(spec: Spec) -> Run:
    """The same for a spec that comes from a caller.

    Raises:
        RequestError: the spec cannot be read back from its own text, because it was changed without being checked.
    """
    text = canonical(spec)
    try:
        again = type(spec).model_validate_json(text)
    except ValidationError as cause:
        raise RequestError(f"spec {text}: {cause.errors()[0]['msg']}; make it anew, not by model_copy") from None
    if again != spec:
        raise RequestError(f"spec {text}: it does not equal what its text says; its fields must be frozen values")
    return run_of(spec)


def fields_text(fields: Mapping[str, Any]) -> str:
    """The fields of a spec as one flat JSON object; those of parts as "part.field".

    Example:
        >>> fields_text({"experiment": "demo", "sizes": (3, 2), "training": {"epochs": 5}})
        '{"sizes":[3,2],"training.epochs":5}'
    """
    flat = dict(flattened({name: value for name, value in fields.items() if name != "experiment"}))
    return json.dumps(flat, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def flattened(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) pairs of a nested mapping; inner names follow a dot.

    Example:
        >>> list(flattened({"training": {"epochs": 5, "rule": None}}))
        [('training.epochs', 5), ('training.rule', None)]
    """
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def mark(digest: bytes) -> int:
    """The first 40 bits of a digest, of which eight million add up in SQLite without overflow."""
    if not isinstance(digest, bytes):
        raise StoreError("the store is damaged: a digest in it is none; put a copy back")
    return int.from_bytes(digest[:5], "big")


def enlist(connection: sqlite3.Connection, runs: Iterable[Run], renew: bool = True) -> int:
    """Writes runs down in their order, and says how many rows changed; the caller has begun a transaction.

    Args:
        connection: to the store.
        runs: known ones keep their place.
        renew: whether known ones get the fields that a newer version of their class of spec has.
    """
    (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM runs").fetchone()
    added = changed = marks = 0
    for run in runs:
        query = "SELECT position, fields, digest FROM runs WHERE run = ?"
        known = connection.execute(query, (run.run,)).fetchone()
        if known is None:
            position += 1
            digest = run_digest(position, *run)
            connection.execute(
                "INSERT INTO runs (position, run, experiment, spec, fields, digest) VALUES (?, ?, ?, ?, ?, ?)",
                (position, *run, digest),
            )
            added, marks = added + 1, marks + mark(digest)
        elif renew and known[1] != run.fields:
            digest = run_digest(known[0], *run)
            connection.execute("UPDATE runs SET fields = ?, digest = ? WHERE run = ?", (run.fields, digest, run.run))
            changed, marks = changed + 1, marks + mark(digest) - mark(known[2])
    if added or changed:
        add_up(connection, {"version": 1, "runs": added, "run marks": marks})
    return added + changed


def add_up(connection: sqlite3.Connection, numbers: Mapping[str, int]) -> None:
    """Adds to the totals, which say how many rows there should be."""
    connection.executemany(
        "UPDATE totals SET number = number + ? WHERE name = ?", [(number, name) for name, number in numbers.items()]
    )


def run_digest(position: int, run: str, experiment: str, spec: str, fields: str) -> bytes:
    """What shows that the row of a run was changed."""
    return hashlib.sha256(json.dumps([position, run, experiment, spec, fields]).encode()).digest()


def is_as_written(digest: object, *row: Any) -> bool:
    """Whether the row of a run, from its position to its fields, is the one of the digest."""
    try:
        return run_digest(*row) == digest
    except (TypeError, ValueError):  # what was a text is something else now
        return False


def identity(spec: str) -> tuple[Any, ...]:
    """The run's id and experiment as its spec's text has them; () where the text is none of a spec."""
    try:
        return hashlib.sha256(spec.encode()).hexdigest()[:16], json.loads(spec)["experiment"]
    except (AttributeError, TypeError, ValueError, KeyError, RecursionError):
        return ()


class Listed(NamedTuple):
    """A run with the count of its trials and the sum of their marks."""

    run: str
    experiment: str
    spec: str
    fields: str
    trials: int
    marks: int


def listed(connection: sqlite3.Connection, folder: Path) -> list[Listed]:
    """All runs in the order in which they were listed, each as it was written.

    Raises:
        StoreError: one was changed, or some are missing.
    """
    found, marks = [], 0
    columns = "digest, position, run, experiment, spec, fields, trials, marks"
    for digest, position, *rest in connection.execute(f"SELECT {columns} FROM runs ORDER BY position"):
        run = Listed(*rest)
        if not is_as_written(digest, position, *run[:4]) or identity(run.spec) != run[:2]:
            raise StoreError(f"the store {folder}: run {run.run} was changed after it was kept; put a copy back")
        found.append(run)
        marks += mark(digest)
    kept = connection.execute("SELECT number FROM totals WHERE name = 'run marks'").fetchone()
    if kept != (marks,):
        raise StoreError(f"the store {folder}: some of its runs are missing; put a copy back")
    return found


def spec_of(run: Listed, kind: type[Spec]) -> Spec:
    """The spec of a run.

    Raises:
        StoreError: the class of spec has changed so that it does not read it, or reads something else.
    """
    try:
        spec = kind.model_validate_json(run.spec)
    except ValidationError as cause:
        fault = cause.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"]))
        raise StoreError(f"run {run.run} of the store is of another version: field {field!r}: {fault['msg']}") from None
    if run_id(spec) != run.run:
        raise StoreError(f"run {run.run} of the store has now the id {run_id(spec)}: a default was changed")
    return spec
