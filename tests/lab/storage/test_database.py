"""The store's file: what is no store, no store yet, or one of a newer version is said to be so, and left as it is."""

import sqlite3
from contextlib import closing

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.storage.database import connect, transaction
from sparsewire.lab.store import Store


def test_there_is_nothing_to_read(tmp_path):
    for prepare in [lambda: None, lambda: (tmp_path / "store.sqlite").touch()]:
        prepare()
        with pytest.raises(StoreError, match="holds no store of runs"):
            Store.open(tmp_path, write=False)
    assert [path.name for path in tmp_path.iterdir()] == ["store.sqlite"]


def test_files_that_are_no_store(tmp_path):
    (tmp_path / "store.sqlite").write_text("These are my notes, and they are longer than a header of SQLite." * 20)
    for write in [True, False]:
        with pytest.raises(StoreError, match="it is no SQLite database; name another --store, or move the file away"):
            Store.open(tmp_path, write)
    (tmp_path / "store.sqlite").unlink()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        database.execute("CREATE TABLE cookies (name)")
    for write in [True, False]:
        with pytest.raises(StoreError, match="the database of another program"):
            Store.open(tmp_path, write)


def test_a_newer_store_is_refused(tmp_path):
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        database.execute("PRAGMA user_version = 3")
    before = (tmp_path / "store.sqlite").read_bytes()
    for write in [True, False]:
        with pytest.raises(StoreError, match=r"newer sparsewire .store version 3, this one knows 2.; update"):
            Store.open(tmp_path, write)
    assert (tmp_path / "store.sqlite").read_bytes() == before


def test_a_transaction_is_all_or_nothing(tmp_path):
    path = tmp_path / "store.sqlite"
    insert = "INSERT INTO runs (run, experiment, spec, fields, digest) VALUES (?, 'toy', '{}', '{}', x'00')"
    with closing(connect(path, write=True, create=True)) as database:
        with pytest.raises(StoreError, match="UNIQUE constraint failed: runs.run; nothing was changed"):  # noqa: SIM117, RUF043
            with transaction(database, path):
                database.executemany(insert, [("a",), ("b",), ("a",)])
        with pytest.raises(KeyboardInterrupt), transaction(database, path):  # noqa: PT012
            database.execute(insert, ("c",))
            raise KeyboardInterrupt
        with transaction(database, path):
            database.execute(insert, ("d",))
        assert database.execute("SELECT run FROM runs").fetchall() == [("d",)]


def test_every_commit_is_flushed(tmp_path):
    with closing(connect(tmp_path / "store.sqlite", write=True, create=True)) as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA: FULL and the folder
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert database.execute("PRAGMA foreign_keys").fetchone() == (1,)
