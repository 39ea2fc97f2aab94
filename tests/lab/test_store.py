"""The store: trials whole or absent, one writer, and a clear word where a file is not what it should be."""

import math
import os
import resource
import sqlite3
import struct
from contextlib import closing, contextmanager
from typing import Literal

import numpy as np
import pytest

from sparsewire.errors import RequestError, StoreError, UnknownNameError
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, pending
from sparsewire.lab.store import Store


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20
    sizes: tuple[int, ...] = (3, 2)


class Other(Spec):
    experiment: Literal["other"] = "other"


KINDS: dict[str, type[Spec]] = {"toy": Toy, "other": Other}
DONE = Ending("done", None, None, 0.25, {"cpu": "abacus"})


def keep(store, spec, seed, ending=DONE, size=3):
    """Hands in and takes a trial that found its seed in every way there is."""
    store.enlist([spec])
    hand(store.folder, spec, seed, ending, size)
    store.ingest()


def hand(root, spec, seed, ending=DONE, size=3):
    """Hands such a trial in."""
    loss = [(0, math.nan), (1, -math.inf), (2, 0.1 + seed)]
    content = Content({"seed": seed, "loss": 0.1 + seed, "bound": math.inf}, {"loss": loss}, {})
    net = write_arrays(root / "work" / f"{seed}" / "0-net.safetensors", {"w": np.arange(size) + seed})
    return hand_in(root, spec, seed, ending, content, {"net": net})


def facts(outcome):
    """An outcome as text, in which NaN equals NaN."""
    return repr((outcome.spec, outcome.seed, outcome.state, outcome.reason, outcome.seconds, outcome.metrics,
                 outcome.series, outcome.environment, outcome.traceback))  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A closed store with three trials."""
    with Store.open(tmp_path / "runs") as store:
        for seed in range(3):
            keep(store, Toy(), seed)
    return tmp_path / "runs"


def test_what_is_kept_comes_back(folder):
    with Store.open(folder, write=False) as store:
        first, _, last = store.outcomes("toy", KINDS)
    assert (first.spec, first.seed, first.state, first.reason, first.seconds) == (Toy(), 0, "done", None, 0.25)
    assert last.metrics == {"seed": 2.0, "loss": 2.1, "bound": math.inf}
    assert list(last.metrics) == ["seed", "loss", "bound"]
    assert math.isnan(last.series["loss"][0][1])
    assert last.series["loss"][1:] == [(1, -math.inf), (2, 2.1)]
    assert last.arrays("net")["w"].tolist() == [2, 3, 4]
    assert last.environment == {"cpu": "abacus"}
    assert (folder / "artefacts" / run_id(Toy()) / "2" / "net.safetensors").is_file()


def test_nan_is_null_and_infinity_is_infinity(folder):
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        found = database.execute("SELECT name, value FROM metrics WHERE trial = 3 ORDER BY place").fetchall()
        (values,) = database.execute('SELECT "values" FROM series LIMIT 1').fetchone()
    assert found == [("seed", 2.0), ("loss", 2.1), ("bound", math.inf)]
    assert struct.unpack("<3d", values)[1:] == (-math.inf, 0.1)
    with Store.open(folder) as store:
        hand_in(folder, Toy(), 9, DONE, Content({"loss": math.nan, "zero": -0.0}, {}, {}), {})
        store.ingest()
        found = store._connection.execute("SELECT name, value FROM metrics WHERE trial = 4").fetchall()
        assert found == [("loss", None), ("zero", 0.0)]
        metrics = store.outcomes("toy", KINDS)[-1].metrics
        assert math.isnan(metrics["loss"])
        assert math.copysign(1, metrics["zero"]) == 1


def test_outcomes_come_in_the_order_of_specs_and_seeds(tmp_path):
    with Store.open(tmp_path) as store:
        store.enlist([Toy(paths=9), Toy(paths=1), Toy(paths=5)])
        for paths, seed in [(5, 0), (1, 1), (9, 0), (1, 0), (5, -1)]:
            keep(store, Toy(paths=paths), seed)
        keep(store, Other(), 0)
        found = [(outcome.spec.paths, outcome.seed) for outcome in store.outcomes("toy", KINDS)]
        assert found == [(9, 0), (1, 0), (1, 1), (5, -1), (5, 0)]
        assert len(store.outcomes(None, KINDS)) == 6
        assert len(store.outcomes(None, {"other": Other})) == 1
        assert store.experiments() == {"other": {"done": 1}, "toy": {"done": 5}}
        with pytest.raises(UnknownNameError, match="no experiment is named 'tyo'; did you mean 'toy'"):
            store.outcomes("tyo", KINDS)


def test_a_trial_is_kept_once_but_a_failed_one_is_replaced(tmp_path):
    with Store.open(tmp_path) as store:
        keep(store, Toy(), 0, Ending("failed", "ValueError: no", "Traceback", 0.1, {}))
        assert not store.is_done(Toy(), 0)
        assert not list((tmp_path / "artefacts").rglob("*.safetensors"))
        (failed,) = store.outcomes("toy", KINDS)
        assert (failed.state, failed.reason, failed.traceback) == ("failed", "ValueError: no", "Traceback")
        assert failed.metrics["seed"] == 0.0
        keep(store, Toy(), 0, Ending("diverged", "loss is nan at step 3", None, 0.1, {}))
        assert store.is_done(Toy(), 0)
        before = store.outcomes("toy", KINDS)
        keep(store, Toy(), 0)  # a second parcel of it is dropped
        (after,) = store.outcomes("toy", KINDS)
        assert facts(after) == facts(before[0])
        assert after.state == "diverged"
        assert after.arrays("net")["w"].tolist() == [0, 1, 2]


def test_readers_read_while_one_writes_and_cannot_write(folder):
    with Store.open(folder) as writer, Store.open(folder, write=False) as reader:
        with pytest.raises(StoreError, match=f"is in use: process {os.getpid()} on host"):
            Store.open(folder)
        assert len(reader.outcomes("toy", KINDS)) == 3
        keep(writer, Toy(), 3)
        assert len(reader.outcomes("toy", KINDS)) == 4
        with pytest.raises(StoreError, match=r"readonly|cannot be written"):
            reader.enlist([Other()])
    Store.open(folder).close()


def test_leftovers_of_version_1_are_swept_and_strangers_stay(folder):
    work = folder / "artefacts" / ".working"
    leftovers = [folder / "artefacts" / run_id(Toy()) / "7" / "net.safetensors", work / "x-1" / ".net.abc.part",
                 work / f"{run_id(Toy())}-7.publishing"]  # fmt: skip
    strangers = [folder / "thesis.tex", folder / "artefacts" / "mine" / "a.txt"]
    for file in leftovers + strangers:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    Store.open(folder, write=False).close()
    assert all(file.exists() for file in leftovers + strangers)
    Store.open(folder).close()
    assert not any(file.exists() for file in leftovers)
    assert all(file.exists() for file in strangers)
    with Store.open(folder, write=False) as store:
        assert [outcome.arrays("net")["w"][0] for outcome in store.outcomes("toy", KINDS)] == [0, 1, 2]


def test_artefacts_without_their_database_are_not_taken_for_leftovers(folder):
    (folder / "store.sqlite").unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"holds artefacts, but its store.sqlite is gone or empty"):
            Store.open(folder)
        (folder / "store.sqlite").touch()
    assert len(list(folder.rglob("*.safetensors"))) == 3


def test_a_changed_artefact_is_refused(folder):
    (folder / "artefacts" / run_id(Toy()) / "1" / "net.safetensors").write_bytes(b"other")
    with Store.open(folder, write=False) as store:
        first, second, _ = store.outcomes("toy", KINDS)
    assert first.arrays("net")["w"].tolist() == [0, 1, 2]
    with pytest.raises(StoreError, match="SHA-256 has changed"):
        second.arrays("net")


@contextmanager
def limited_files(size):
    """No file of this process can grow beyond `size` bytes: what a full disk looks like from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_store_as_it_was(folder):
    with Store.open(folder) as store:
        before = [facts(outcome) for outcome in store.outcomes("toy", KINDS)]
        with limited_files(100), pytest.raises(StoreError, match=r"cannot write .*net.safetensors.*File too large"):
            keep(store, Toy(), 3, size=1000)
        with limited_files(400), pytest.raises(StoreError, match=r"cannot hand in .*File too large; free some space"):
            keep(store, Toy(), 3)
        assert not list((folder / "spool").iterdir())
        assert (folder / "work" / "3" / "0-net.safetensors").is_file()
        with limited_files(4096), pytest.raises(StoreError, match="nothing was changed"):
            keep(store, Toy(), 3)
        assert len(pending(folder)) == 1
        store._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to have a full disk: SQLITE_FULL
        with pytest.raises(StoreError, match="full; nothing was changed; free some space and run the same command"):
            keep(store, Toy(), 4, Ending("done", "x" * 50_000, None, 0.0, {}))
        assert [facts(outcome) for outcome in store.outcomes("toy", KINDS)] == before
    with Store.open(folder) as store:
        assert [outcome.arrays("net")["w"][0] for outcome in store.outcomes("toy", KINDS)] == [0, 1, 2, 3, 4]
        assert pending(folder) == []


def test_no_disk_space_for_a_new_store(tmp_path):
    with limited_files(0), pytest.raises(StoreError, match=r"File too large|disk"):
        Store.open(tmp_path / "runs")
    with Store.open(tmp_path / "runs") as store:
        assert store.outcomes(None, KINDS) == []


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for folder in [tmp_path / "file", tmp_path / "file" / "runs", "/proc/runs"]:
        with pytest.raises(StoreError, match="cannot write in"):
            Store.open(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_readable(folder):
    (folder / "store.lock").unlink()
    folder.chmod(0o555)
    with pytest.raises(StoreError, match="cannot write in"):
        Store.open(folder)
    with Store.open(folder, write=False) as store:
        assert len(store.outcomes("toy", KINDS)) == 3
    folder.chmod(0o000)
    with pytest.raises(StoreError, match="Permission denied; look at the rights of its folder"):
        Store.open(folder, write=False)
    folder.chmod(0o755)


def test_a_truncated_store_is_refused(folder):
    whole = (folder / "store.sqlite").read_bytes()
    for size in range(1, len(whole), 4093):
        (folder / "store.sqlite").write_bytes(whole[:size])
        with (
            pytest.raises(StoreError, match=r"no SQLite database|damaged|disk failed|gone or empty"),
            Store.open(folder) as store,
        ):
            store.outcomes("toy", KINDS)
    assert len(list(folder.rglob("*.safetensors"))) == 3


def test_a_damaged_store_is_refused_or_says_what_was_kept(folder):
    with Store.open(folder, write=False) as store:
        expected = [facts(outcome) for outcome in store.outcomes("toy", KINDS)]
    whole = (folder / "store.sqlite").read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[draw.integers(len(whole))] ^= int(draw.integers(1, 256))
        (folder / "store.sqlite").write_bytes(damaged)
        try:
            with Store.open(folder, write=False) as store:
                found = [facts(outcome) for outcome in store.outcomes("toy", KINDS)]
        except StoreError:
            refused += 1
        else:
            assert found == expected
    assert 5 < refused < 150


def test_a_changed_number_is_noticed(folder):
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE metrics SET value = 0.99 WHERE name = 'seed' AND value = 1")
    with Store.open(folder, write=False) as store, pytest.raises(StoreError, match="seed 1 was changed after it was"):
        store.outcomes("toy", KINDS)


def test_a_spec_of_another_version_is_named(folder):
    class Later(Spec):
        experiment: Literal["toy"] = "toy"
        paths: int = 30  # the default has changed, which the rule for specs forbids

    class Renamed(Spec):
        experiment: Literal["toy"] = "toy"
        count: int

    with Store.open(folder) as store:
        keep(store, Toy(paths=30), 0)
        with pytest.raises(StoreError, match=r"has now the id .*: a default was changed"):
            store.outcomes("toy", {"toy": Later})
        with pytest.raises(StoreError, match="is of another version: field 'count': Field required"):
            store.outcomes("toy", {"toy": Renamed})


def test_unchecked_specs_are_refused(tmp_path):
    with Store.open(tmp_path) as store:
        with pytest.raises(RequestError, match="valid integer; make it anew, not by model_copy"):
            store.enlist([Toy(), Toy().model_copy(update={"paths": "many"})])
        with pytest.raises(RequestError, match="it does not equal what its text says"):
            store.enlist([Toy().model_copy(update={"sizes": [3, 1]})])
        store.enlist([Toy().model_copy(update={"paths": 3})])
