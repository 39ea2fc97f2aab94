"""The store's database: its tables, how it is opened, and what its failures are called."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sparsewire.errors import StoreError

SCHEMA_VERSION = 1
_APPLICATION = 0x73706172  # "spar", in SQLite's field for the kind of an application's file
_PATIENCE_SECONDS = 30.0
_SMALL = 16_000_000  # bytes

_TABLES = """
CREATE TABLE runs (
    position INTEGER PRIMARY KEY,           -- the order in which the experiment lists its specs
    run TEXT NOT NULL UNIQUE,               -- id: hash of the canonical spec
    experiment TEXT NOT NULL,
    spec TEXT NOT NULL                      -- canonical JSON
);
CREATE TABLE trials (
    trial INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (run),
    seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'diverged')),
    reason TEXT,
    traceback TEXT,
    seconds REAL NOT NULL,
    environment TEXT NOT NULL,              -- JSON: versions, CPU, threads, start
    digest TEXT NOT NULL,                   -- SHA-256 over all that is kept of the trial
    UNIQUE (run, seed)
);
CREATE TABLE metrics (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL,                             -- NULL where it is not finite; then flag says what it is
    flag TEXT CHECK (flag IN ('nan', 'inf', '-inf')),
    UNIQUE (trial, name)
);
CREATE TABLE series (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    value REAL,
    flag TEXT CHECK (flag IN ('nan', 'inf', '-inf'))
);
CREATE INDEX series_of_trial ON series (trial);
CREATE TABLE artefacts (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,                     -- artefacts/<run>/<seed>/<name>.safetensors
    sha256 TEXT NOT NULL,
    UNIQUE (trial, name)
);
"""


def connect(path: Path, write: bool, create: bool = False) -> sqlite3.Connection:
    """A connection to the store's database.

    Args:
        path: the file.
        write: whether the connection may change it.
        create: whether to make the tables where there are none.

    Raises:
        StoreError: there is no store, or the file is damaged, foreign, of a newer version or cannot be opened.
    """
    with explained(path):
        if not write and not (path.is_file() and path.stat().st_size):
            raise StoreError(f"{path.parent} holds no store of runs; `sparsewire run` makes one")
        # A reader opens for writing too, or it could not put back what a killed writer had begun; then it is held to
        # reading. Where the folder is read-only SQLite falls back to reading by itself.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}",
            uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None,
        )  # fmt: skip
        try:
            _prepare(connection, path, write, create)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, write: bool, create: bool) -> None:
    kind, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if kind != _APPLICATION and tables:
        raise StoreError(f"{path} is the database of another program; name another --store")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer sparsewire (store version {version}, this one knows {SCHEMA_VERSION}); "
            "update sparsewire"
        )
    if not tables and not write:
        raise StoreError(f"{path} holds no runs yet; `sparsewire run` makes them")
    if not tables and not create:
        raise StoreError(f"{path.parent} holds artefacts, but its store.sqlite is gone or empty; put a copy back")
    # A damaged page can hide rows without any other sign. 16 MB take a second; with more, only those who write,
    # and would do hidden trials again, wait for it.
    if write or path.stat().st_size <= _SMALL:
        fault = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if fault != "ok":
            raise StoreError(f"the store {path}: {fault}; {_ADVICE['SQLITE_CORRUPT']}")
    connection.execute("PRAGMA foreign_keys = ON")
    if not write:
        connection.execute("PRAGMA query_only = ON")
        return
    # A rollback journal, not a write-ahead log: it works on network file systems and from read-only copies, and leaves
    # one file. EXTRA is FULL plus a flush of the folder, without which a loss of power could bring the journal back.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    if not tables:
        script = f"{_TABLES} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All that is done inside becomes visible together, or not at all.

    Raises:
        StoreError: the disk is full, the file is damaged, …; then nothing was changed.
    """
    with explained(path):
        connection.execute(f"BEGIN {kind}")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite rolls some failures back by itself
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into a `StoreError` that says what to do."""
    try:
        yield
    except UnicodeDecodeError as cause:
        raise StoreError(f"the store {path}: a text in it is no text; {_ADVICE['SQLITE_CORRUPT']}") from cause
    except OSError as cause:
        raise StoreError(f"the store {path}: {cause.strerror or cause}; look at the rights of its folder") from cause
    except sqlite3.Error as cause:
        name = getattr(cause, "sqlite_errorname", "") or ""
        advice = next((text for start, text in _ADVICE.items() if name.startswith(start)), "nothing was changed")
        raise StoreError(f"the store {path}: {cause}; {advice}") from cause


_ADVICE = {
    "SQLITE_FULL": "nothing was changed; free some space and run the same command again",
    "SQLITE_NOTADB": "it is no SQLite database; name another --store, or move the file away",
    "SQLITE_CORRUPT": "it is damaged; put a copy back, or move it away and run again",
    "SQLITE_BUSY": "another program has held it for too long; nothing was changed",
    "SQLITE_READONLY": "its folder cannot be written; nothing was changed",
    "SQLITE_CANTOPEN": "it cannot be opened; look at the rights of its folder",
    "SQLITE_IOERR": "the disk failed; nothing was changed",
}
