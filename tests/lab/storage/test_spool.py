"""The spool: a parcel is whole or not there, comes through as bytes, and what is none is set aside with a word."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import clear, hand_in, pack, pending, refused, unpack
from sparsewire.lab.store import Store

SPEC = Spec(experiment="demo")
RUN = run_id(SPEC)
KINDS = {"demo": Spec}
DONE = Ending("done", None, None, 0.5, {"cpu": "abacus", "started": "2026-11-01"})
FAILED = Ending("failed", "ValueError: no", "Traceback", 0.25, {})


def hand(root, seed=0, ending=DONE, accuracy=0.9):
    """Hands in a trial with everything that one can have."""
    series = {
        "loss": [(step, math.nan if step == 3 else 1 / (step + 1)) for step in range(5)],
        "odd": [(5, 1.0), (1, -0.0)],
    }
    net = write_arrays(root / "work" / str(seed) / "0-net.safetensors", {"w": np.arange(3) + seed})
    bias = write_arrays(root / "work" / str(seed) / "1-bias.safetensors", {"b": np.arange(2.0)})
    content = Content({"accuracy": accuracy, "bound": -math.inf}, series, {})
    return hand_in(root, SPEC, seed, ending, content, {"net": net, "bias": bias})


def kept(root):
    with Store.open(root) as store:
        return store.outcomes("demo", KINDS)


def everything(outcome):
    arrays = {name: {key: value.tolist() for key, value in outcome.arrays(name).items()} for name in outcome.artefacts}
    return repr((outcome, dict(outcome.artefacts), arrays))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_parcel_holds_the_trial_and_its_artefacts_are_moved(tmp_path):
    parcel = hand(tmp_path, 3)
    assert parcel == tmp_path / "spool" / f"{RUN}-3.trial"
    assert files(parcel) == ["artefacts/bias.safetensors", "artefacts/net.safetensors", "trial.json"]
    assert files(tmp_path / "work") == []
    assert [path.name for path in (tmp_path / "spool").iterdir()] == [parcel.name]
    (outcome,) = kept(tmp_path)
    assert (outcome.seed, outcome.state, outcome.seconds, outcome.environment) == (3, "done", 0.5, DONE.environment)
    assert outcome.metrics == {"accuracy": 0.9, "bound": -math.inf}
    assert math.isnan(outcome.series["loss"][3][1])
    assert outcome.series["odd"] == [(5, 1.0), (1, 0.0)]
    assert outcome.arrays("net")["w"].tolist() == [3, 4, 5]
    assert list(outcome.artefacts) == ["net", "bias"]
    assert files(tmp_path / "spool") == []


def test_the_first_parcel_counts_but_a_failed_one_does_not_stand_in_the_way(tmp_path):
    hand(tmp_path, accuracy=0.1)
    hand(tmp_path, accuracy=0.2)
    assert len(pending(tmp_path)) == 1
    hand(tmp_path, ending=FAILED)
    hand(tmp_path, 1, ending=FAILED)
    assert [path.name for path in pending(tmp_path)] == [
        f"{RUN}-0-failed.trial", f"{RUN}-1-failed.trial", f"{RUN}-0.trial",
    ]  # fmt: skip
    first, second = kept(tmp_path)
    assert (first.state, first.metrics["accuracy"]) == ("done", 0.1)
    assert (second.state, dict(second.artefacts)) == ("failed", {})
    hand(tmp_path, accuracy=0.3)
    hand(tmp_path, 0, FAILED)
    hand(tmp_path, 1, accuracy=0.4)
    assert [outcome.metrics["accuracy"] for outcome in kept(tmp_path)] == [0.1, 0.4]
    assert pending(tmp_path) == refused(tmp_path) == []


def test_a_parcel_travels_as_bytes(tmp_path):
    there, here, straight = tmp_path / "there", tmp_path / "here", tmp_path / "straight"
    for seed, ending in [(0, DONE), (1, FAILED), (-7, DONE)]:
        parcel = hand(there, seed, ending)
        assert unpack(here, pack(parcel)) == here / "spool" / parcel.name
        assert unpack(here, pack(parcel)).is_dir()
        hand(straight, seed, ending)
    text = [everything(outcome).replace("/here/", "/straight/") for outcome in kept(here)]
    assert text == [everything(outcome) for outcome in kept(straight)]
    assert len(text) == 3


def test_every_changed_byte_and_every_cut_of_a_packed_parcel_is_noticed(tmp_path):
    whole = pack(hand(tmp_path / "there"))
    for place in range(len(whole)):
        for changed in (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], whole[:place]):
            with pytest.raises(StoreError):
                unpack(tmp_path / "here", changed)
    for more in (whole + b"x", b"", b"PK\x03\x04" + whole):
        with pytest.raises(StoreError, match="the packed parcel is torn, or is none"):
            unpack(tmp_path / "here", more)
    assert not (tmp_path / "here").exists()


def test_what_is_no_whole_parcel_is_not_packed(tmp_path):
    parcel = hand(tmp_path)
    (parcel / "artefacts" / "net.safetensors").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"the parcel .*: its artefact 'net' is not what was kept"):
        pack(parcel)
    with pytest.raises(StoreError, match="cannot read the parcel"):
        pack(tmp_path / f"{RUN}-5.trial")


def test_another_disk_or_none_that_links(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    hand(tmp_path)
    assert files(tmp_path / "work") == []
    assert kept(tmp_path)[0].arrays("net")["w"].tolist() == [0, 1, 2]


def test_trials_that_cannot_be_kept(tmp_path, monkeypatch):
    def refused(content, artefacts=()):
        with pytest.raises(RequestError) as found:
            hand_in(tmp_path, SPEC, 0, DONE, content, dict(artefacts))
        return str(found.value)

    assert "a name is empty or cannot be printed" in refused(Content({"": 1.0}, {}, {}))
    assert "a name is empty or cannot be printed" in refused(Content({}, {"a\nb": []}, {}))
    assert "cannot be kept" in refused(Content({"\ud800": 1.0}, {}, {}))
    net = write_arrays(tmp_path / "net.safetensors", {"w": np.arange(3)})
    assert "an artefact's name or digest is none" in refused(Content({}, {}, {}), {"../net": net})
    net.path.unlink()
    assert "there is no artefact" in refused(Content({}, {}, {}), {"net": net})
    monkeypatch.setattr("sparsewire.lab.storage.parcels.LARGEST", 1000)
    assert "at most 1,000 can be kept; record less" in refused(Content({}, {"loss": [(0, 1.0)] * 100}, {}))
    assert pending(tmp_path) == []
    assert not list((tmp_path / "spool").iterdir())


def test_texts_that_are_none_are_kept_as_far_as_they_are(tmp_path):
    hand(tmp_path, ending=Ending("failed", "no file \udcff\x00", "\ud800", 1.0, {"cpu": "\udcff"}))
    (outcome,) = kept(tmp_path)
    assert (outcome.reason, outcome.traceback, outcome.environment) == ("no file ?\x00", "?", {"cpu": "?"})


def test_leftovers_of_dead_processes_go_and_those_of_others_stay(tmp_path):
    parcel = hand(tmp_path)
    host = next(iter(clear_names(tmp_path)))
    dead, old = 2**22 - 1, 1_000_000.0
    spool = tmp_path / "spool"
    gone = [spool / f".{RUN}-1.trial.{host}.{dead}.abc.part", spool / f".{RUN}-2.trial.01234567.{os.getpid()}.abc.part"]
    stay = [spool / f".{RUN}-3.trial.{host}.{os.getpid()}.abc.part", spool / f".{RUN}-4.trial.01234567.{dead}.abc.part",
            spool / ".thesis.part", spool / f".x.{host}.no.abc.part"]  # fmt: skip
    for folder in gone + stay:
        folder.mkdir()
        (folder / "trial.json").write_text("{")
    os.utime(gone[1], (old, old))
    clear(tmp_path)
    assert sorted(spool.iterdir()) == sorted([parcel, *stay])
    clear(tmp_path / "nowhere")


def clear_names(root: Path) -> set[str]:
    """The host's part of the name of a parcel that is being written."""
    found = set()

    def look(path, *_):
        found.update(entry.name.split(".")[-4] for entry in (root / "spool").glob(".*.part"))
        return link(path, *_)

    link, os.link = os.link, look
    try:
        hand(root, 99)
    finally:
        os.link = link
        (root / "spool" / f"{RUN}-99.trial").rename(root / "99")
    return found


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "spool").touch()
    with pytest.raises(StoreError, match="cannot hand in"):
        hand(tmp_path)
    assert files(tmp_path / "work") == ["0/0-net.safetensors", "0/1-bias.safetensors"]


def test_the_group_that_the_umask_lets_in_may_take_parcels(tmp_path):
    before = os.umask(0o002)
    try:
        parcel = hand(tmp_path)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (parcel, parcel / "trial.json")] == [0o775, 0o664]
