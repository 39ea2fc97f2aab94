"""Stores of version 1: what they hold is the same after it was brought to version 2, or nothing was changed."""

import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage import migration
from sparsewire.lab.store import Store

GOLDEN = Path(__file__).parent / "golden" / "store_1.sql"


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20
    sizes: tuple[int, ...] = (3, 2)


class Other(Spec):
    experiment: Literal["other"] = "other"


KINDS: dict[str, type[Spec]] = {"toy": Toy, "other": Other}
MACHINE = {"sparsewire": "0.3", "cpu": "abacus", "started": "2026-10-01T12:00:00+00:00"}


@pytest.fixture
def folder(tmp_path):
    """A store of version 1, as the program of that version wrote it."""
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database:
        database.executescript(GOLDEN.read_text(encoding="utf-8"))
    return tmp_path


def version(folder):
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


@pytest.mark.parametrize("write", [False, True])
def test_what_version_1_kept_comes_back(folder, write):
    before = (folder / "store.sqlite").read_bytes()
    with Store.open(folder, write) as store:
        diverged, failed, done = store.outcomes(None, KINDS)
        assert store.experiments() == {"toy": {"diverged": 1, "done": 1, "failed": 1}}
        assert [row.fields for row in store.rows(sort="seconds", descending=True)] == [{"paths": 9}, {}, {}]
    assert (diverged.spec, diverged.seed, diverged.reason) == (Toy(paths=9), -4, "the loss is nan at step 2")
    assert (failed.spec, failed.seed, failed.traceback, failed.environment) == (Toy(), 0, "Traceback: ü", {})
    assert (done.spec, done.seed, done.state, done.seconds, done.environment) == (Toy(), 1, "done", 0.25, MACHINE)
    assert done.metrics == {"accuracy": 0.1 + 0.2, "loss": 1 / 3 + 1, "share": 0.5, "bound": math.inf}
    assert math.isnan(done.series["loss"][0][1])
    assert done.series["loss"][1:] == [(10, -math.inf), (20, 1 / 3 + 1)]
    assert done.series["share"] == [(5, 1.0), (-(2**63), 0.5)]
    assert done.artefacts["net"].sha256.startswith("78b286ea")
    assert version(folder) == (2 if write else 1)
    assert write or (folder / "store.sqlite").read_bytes() == before


def test_a_migrated_store_is_like_a_new_one(folder):
    Store.open(folder).close()
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        found = database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY 1").fetchall()
    Store.open(folder / "new").close()
    with closing(sqlite3.connect(folder / "new" / "store.sqlite")) as database:
        expected = database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY 1").fetchall()
    assert found == expected
    with Store.open(folder) as store:
        store.enlist([Toy(paths=9), Toy(paths=3)])  # version 1 did not keep the fields that are as by default
        assert store.rows("toy")[0].fields == {"paths": 9, "sizes": [3, 2]}
        assert len(store.outcomes("toy", KINDS)) == 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_kill_in_the_middle_leaves_version_1(folder, monkeypatch, moment):
    calls = []

    def deadly(*arguments):
        calls.append(1)
        if len(calls) == moment:
            os._exit(9)
        insert(*arguments)

    insert = migration.insert
    monkeypatch.setattr(migration, "insert", deadly)
    child = os.fork()
    if child == 0:
        try:
            Store.open(folder)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    monkeypatch.undo()
    assert version(folder) == 1
    with Store.open(folder) as store:
        assert len(store.outcomes("toy", KINDS)) == 3


@pytest.mark.parametrize("change", ["UPDATE metrics SET value = 0.5 WHERE trial = 1 AND name = 'accuracy'",
                                    "DELETE FROM series WHERE trial = 2 AND step = 10",
                                    "UPDATE runs SET spec = '{\"experiment\":\"toy\",\"paths\":8}' WHERE position = 1",
                                    "UPDATE trials SET environment = 'none' WHERE trial = 1"])  # fmt: skip
def test_a_changed_store_is_not_migrated(folder, change):
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        database.execute(change)
    before = (folder / "store.sqlite").read_bytes()
    for write in (False, True):
        with pytest.raises(StoreError, match="was changed after it was kept; put a copy back"):
            Store.open(folder, write)
    assert (folder / "store.sqlite").read_bytes() == before
