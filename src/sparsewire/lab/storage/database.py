"""The store's database: its tables, how it is opened, and what its failures are called."""

import contextlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sparsewire.errors import RequestError, StoreError

SCHEMA_VERSION = 2
_APPLICATION = 0x73706172  # "spar", in SQLite's field for the kind of an application's file
_PATIENCE_SECONDS = 30.0
_SMALL = 16_000_000  # bytes

TABLES = """
CREATE TABLE runs (
    position INTEGER PRIMARY KEY,           -- the order in which the experiment lists its specs
    run TEXT NOT NULL UNIQUE,               -- id: hash of the canonical spec
    experiment TEXT NOT NULL,
    spec TEXT NOT NULL,                     -- canonical JSON, without defaults
    fields TEXT NOT NULL,                   -- JSON: all fields, defaults too; those of parts as "part.field"
    digest BLOB NOT NULL,                   -- SHA-256 over the columns above
    trials INTEGER NOT NULL DEFAULT 0,      -- how many trials it has,
    marks INTEGER NOT NULL DEFAULT 0        -- and the sum of their digests' first 40 bits: none is missing
);
CREATE TABLE environments (
    environment INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE               -- JSON: versions, CPU, threads
);
CREATE TABLE trials (
    trial INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (run),
    seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'diverged')),
    reason TEXT,
    traceback TEXT,
    seconds REAL NOT NULL,
    started TEXT NOT NULL,                  -- ISO 8601, or empty
    environment INTEGER NOT NULL REFERENCES environments,
    curves TEXT NOT NULL,                   -- JSON: names of the curves, in their order
    artefacts TEXT NOT NULL,                -- JSON: name -> SHA-256 of artefacts/<run>/<seed>/<name>.safetensors
    metrics INTEGER NOT NULL,               -- how many it has
    digest BLOB NOT NULL,                   -- SHA-256 over all that is kept of the trial but its curves' points
    UNIQUE (run, seed)
);
CREATE TABLE metrics (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    place INTEGER NOT NULL,                 -- 0, 1, ...: the order of the names
    name TEXT NOT NULL,
    value REAL,                             -- NULL is NaN
    PRIMARY KEY (trial, place)
) WITHOUT ROWID;
CREATE TABLE series (
    series INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,                 -- of points
    start INTEGER NOT NULL,                 -- step i is start + i * stride,
    stride INTEGER NOT NULL,
    steps BLOB,                             -- or stands here: int64, little endian
    "values" BLOB NOT NULL,                 -- float64, little endian
    digest BLOB NOT NULL,                   -- SHA-256 over run, seed, name and the points
    UNIQUE (trial, name)
);
CREATE TABLE totals (                       -- how many rows there should be, and "version" counts the changes
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO totals VALUES ('version', 0), ('runs', 0), ('run marks', 0), ('trials', 0), ('metrics', 0), ('series', 0);
"""


def connect(path: Path, write: bool, create: bool = False, check: bool = True) -> sqlite3.Connection:
    """A connection to the store's database, of the present version.

    A store of version 1 is brought to version 2, on the disk by those who write, in memory by those who read.

    Args:
        path: the file.
        write: whether the connection may change it.
        create: whether to make the tables where there are none.
        check: whether to look for damage first; not needed where the same file was looked at a moment ago.

    Raises:
        StoreError: there is no store, or the file is damaged, foreign, of a newer version or cannot be opened.
    """
    from sparsewire.lab.storage.migration import from_version_1

    with explained(path):
        if not write and not (path.is_file() and path.stat().st_size):
            raise StoreError(f"{path.parent} holds no store of runs; `sparsewire run` makes one")
        # A reader opens for writing too, or it could not put back what a killed writer had begun; then it is held to
        # reading. Where the folder is read-only SQLite falls back to reading by itself.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}",
            uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=write,
        )  # fmt: skip
        try:
            version = _examine(connection, path, write, create)
            if check:
                with transaction(connection, path, "DEFERRED"):
                    _look_for_damage(connection, path, write)
            if version == 1 and not write:
                connection = _in_memory(connection)
            _prepare(connection, write)
            if version == 0:
                script = f"{TABLES} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA_VERSION};"
                connection.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")
            elif version == 1:
                from_version_1(connection, path, TABLES)
            if check:
                with transaction(connection, path, "DEFERRED"):
                    count_rows(connection, path)
            connection.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _examine(connection: sqlite3.Connection, path: Path, write: bool, create: bool) -> int:
    """The version of the store's tables; 0 where there are none yet, and they may be made."""
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
    if tables and version < 1:
        raise StoreError(f"{path} has store version {version}, which never was; {_ADVICE['SQLITE_CORRUPT']}")
    return int(version) if tables else 0


def _look_for_damage(connection: sqlite3.Connection, path: Path, write: bool) -> None:
    """A damaged page can hide rows without any other sign.

    Where the file is large only those who write, and would do hidden trials again, wait for this; those who read
    count the rows, and check the digest of what they read.
    """
    sizes = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    expected, found = math.prod(sizes), path.stat().st_size
    if found < expected:  # SQLite takes the missing part of the last page for zeros
        raise StoreError(f"the store {path}: its end is missing, {expected - found} bytes; {_ADVICE['SQLITE_CORRUPT']}")
    if write or path.stat().st_size <= _SMALL:
        fault = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if fault != "ok":
            raise StoreError(f"the store {path}: {fault}; {_ADVICE['SQLITE_CORRUPT']}")


def _in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.backup(memory)
    connection.close()
    return memory


def _prepare(connection: sqlite3.Connection, write: bool) -> None:
    if write:
        # A rollback journal, not a write-ahead log: it works on network file systems and from read-only copies, and
        # leaves one file. EXTRA is FULL plus a flush of the folder, without which a loss of power could bring the
        # journal back.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")


def count_rows(connection: sqlite3.Connection, path: Path) -> None:
    """Compares how many rows there are with how many there should be.

    Raises:
        StoreError: some are missing.
    """
    tables = ("runs", "trials", "metrics", "series")
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    kept = dict(connection.execute("SELECT name, number FROM totals"))
    for table, found in zip(tables, connection.execute(f"SELECT {counts}").fetchone(), strict=True):
        if found != kept.get(table):
            raise StoreError(
                f"the store {path}: its table {table} has {found} rows, expected {kept.get(table)}; "
                f"{_ADVICE['SQLITE_CORRUPT']}"
            )


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
    except UnicodeEncodeError as cause:
        raise RequestError(f"found a text with half a character, {cause.object[:60]!r}; expected whole ones") from None
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
