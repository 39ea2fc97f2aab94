"""Rows: none is missing, none is changed, none has come from elsewhere without a word."""

import json
import sqlite3
from contextlib import closing
from typing import Literal

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20


KINDS: dict[str, type[Spec]] = {"toy": Toy}
MACHINE = {"cpu": "abacus", "started": "2026-11-01T12:00:00+00:00"}


@pytest.fixture
def folder(tmp_path):
    """A store with two runs of three trials."""
    with Store.open(tmp_path) as store:
        store.enlist([Toy(paths=3), Toy()])
        for paths in (3, 20):
            for seed in range(3):
                content = Content({"seed": seed, "loss": 0.5}, {"loss": [(0, 0.5)]}, {})
                hand_in(tmp_path, Toy(paths=paths), seed, Ending("done", "why", None, 0.25, MACHINE), content, {})
        store.ingest()
    return tmp_path


def change(folder, *queries):
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        for query in queries:
            database.execute(query)


def read(folder):
    with Store.open(folder, write=False) as store:
        store.version(), store.columns()
        store.experiments()
        return store.outcomes("toy", KINDS), store.rows()


CHANGES = [
    "UPDATE trials SET seed = 7 WHERE trial = 2", "UPDATE trials SET state = 'diverged' WHERE trial = 2",
    "UPDATE trials SET reason = 'other' WHERE trial = 2", "UPDATE trials SET reason = NULL WHERE trial = 2",
    "UPDATE trials SET traceback = '' WHERE trial = 2", "UPDATE trials SET seconds = 0.5 WHERE trial = 2",
    "UPDATE trials SET seconds = 'soon' WHERE trial = 2", "UPDATE trials SET started = '' WHERE trial = 2",
    "UPDATE trials SET environment = 9 WHERE trial = 2", "UPDATE environments SET text = '{}'",
    "UPDATE trials SET curves = '[]' WHERE trial = 2", "UPDATE trials SET artefacts = '{\"a\": \"b\"}' WHERE trial = 2",
    "UPDATE trials SET metrics = 1 WHERE trial = 2", "UPDATE trials SET metrics = 'x' WHERE trial = 2",
    "UPDATE trials SET digest = x'00' WHERE trial = 2", "UPDATE trials SET digest = 5 WHERE trial = 2",
    "UPDATE metrics SET value = 0.25 WHERE trial = 2 AND place = 1", "UPDATE metrics SET value = NULL WHERE trial = 2",
    "UPDATE metrics SET value = 'x' WHERE trial = 2", "UPDATE metrics SET name = 'x' WHERE trial = 2 AND place = 0",
    "UPDATE metrics SET place = 2 WHERE trial = 2 AND place = 0",
    "UPDATE runs SET trials = 2, marks = marks - 1 WHERE position = 1",
    "UPDATE runs SET position = 9 WHERE position = 1",
    "UPDATE runs SET spec = '{\"experiment\":\"toy\",\"paths\":5}' WHERE position = 1",
    "UPDATE runs SET spec = x'FF' WHERE position = 1", "UPDATE metrics SET name = x'FF' WHERE trial = 2 AND place = 0",
    "UPDATE trials SET curves = x'FF' WHERE trial = 2",
    "UPDATE runs SET experiment = 'tot' WHERE position = 1", "UPDATE runs SET fields = '{}' WHERE position = 1",
]  # fmt: skip


@pytest.mark.parametrize("query", CHANGES)
def test_every_change_is_noticed(folder, query):
    assert len(read(folder)[0]) == 6
    change(folder, query)
    with pytest.raises(StoreError, match="put a copy back"):
        read(folder)


def test_damage_that_other_questions_meet(folder):
    change(folder, "UPDATE trials SET curves = x'FF'", "DELETE FROM totals WHERE name = 'version'")
    with Store.open(folder, write=False) as store:
        for ask in (store.version, lambda: store.curves([1])):
            with pytest.raises(StoreError, match="put a copy back"):
                ask()
    change(folder, "UPDATE trials SET digest = 'x', state = 'failed'")
    content = Content({}, {}, {})
    hand_in(folder, Toy(), 0, Ending("done", None, None, 0.5, {}), content, {})
    with pytest.raises(StoreError, match="a digest in it is none; put a copy back"):
        Store.open(folder)


@pytest.mark.parametrize("table", ["trials", "metrics", "series", "runs"])
def test_missing_rows_are_noticed_at_once(folder, table):
    change(
        folder, f"DELETE FROM {table} WHERE rowid = 2" if table != "metrics" else "DELETE FROM metrics WHERE trial = 2"
    )
    for write in (False, True):
        with pytest.raises(StoreError, match=rf"its table {table} has \d+ rows, expected \d+; it is damaged"):
            Store.open(folder, write)


def test_rows_that_are_missing_where_the_counts_agree_are_noticed(folder):
    change(
        folder, "DELETE FROM trials WHERE trial = 2", "DELETE FROM metrics WHERE trial = 2",
        "UPDATE totals SET number = 5 WHERE name = 'trials'", "UPDATE totals SET number = 10 WHERE name = 'metrics'",
    )  # fmt: skip
    with Store.open(folder, write=False) as store:
        for ask in (store.experiments, lambda: store.outcomes("toy", KINDS)):
            with pytest.raises(StoreError, match="has lost trials or gained some; put a copy back"):
                ask()
    change(folder, "UPDATE totals SET number = 1 WHERE name = 'runs'", "DELETE FROM runs WHERE position = 2")
    with Store.open(folder, write=False) as store, pytest.raises(StoreError, match="some of its runs are missing"):
        store.outcomes("toy", KINDS)


def test_what_many_trials_have_alike_is_kept_once(folder):
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        assert database.execute("SELECT text FROM environments").fetchall() == [(json.dumps({"cpu": "abacus"}),)]
    outcomes, rows = read(folder)
    assert [outcome.environment for outcome in outcomes] == [MACHINE] * 6
    assert [(row.run, row.started) for row in rows[2:4]] == [
        (run_id(Toy(paths=3)), MACHINE["started"]), (run_id(Toy()), MACHINE["started"]),
    ]  # fmt: skip
    outcomes[0].environment["cpu"] = "another"
    assert outcomes[1].environment == MACHINE


def test_free_texts_do_not_run_into_each_other(tmp_path):
    """The digest covers where a text ends: two rows that read alike one after another are two rows."""
    endings = [("done", None, None, ""), ("done", "", None, ""), ("done", None, "", ""),
               ("done", None, None, "[\"\", null]"),
               ("done", "a\nb", "c", ""), ("done", "a", "b\nc", "")]  # fmt: skip
    with Store.open(tmp_path) as store:
        for seed, (state, reason, trace, started) in enumerate(endings):
            ending = Ending(state, reason, trace, 0.5, {"started": started} if started else {})
            hand_in(tmp_path, Toy(), seed, ending, Content({}, {}, {}), {})
        store.ingest()
        found = [
            (of.state, of.reason, of.traceback, of.environment.get("started", ""))
            for of in store.outcomes("toy", KINDS)
        ]
        digests = store._connection.execute("SELECT count(DISTINCT digest) FROM trials").fetchone()
    assert found == endings
    assert digests == (len(endings),)
