"""Taking trials in: a kill at any call leaves the old state or the new, and no parcel stops the others."""

import errno
import hashlib
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.intake import Taken
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, pending, refused
from sparsewire.lab.store import Store

SPEC = Spec(experiment="demo")
RUN = run_id(SPEC)
DONE = Ending("done", None, None, 0.5, {"cpu": "abacus"})
CALLS = ("open", "link", "mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "chmod", "scandir")


def hand(root, seed=0, ending=DONE):
    net = write_arrays(root / "work" / str(seed) / "0-net.safetensors", {"w": np.arange(3) + seed})
    return hand_in(root, SPEC, seed, ending, Content({"accuracy": 0.9}, {"loss": [(0, 0.5)]}, {}), {"net": net})


def state(root):
    """What a reader sees: (seed, state, accuracy, curve, array) of each trial."""
    with Store.open(root, write=False) as store:
        return [
            (found.seed, found.state, found.metrics["accuracy"], found.series["loss"],
             found.arrays("net")["w"].tolist() if found.artefacts else None)
            for found in store.outcomes("demo", {"demo": Spec})
        ]  # fmt: skip


def expected(*seeds):
    return [(seed, "done", 0.9, [(0, 0.5)], [seed, seed + 1, seed + 2]) for seed in seeds]


def killed(moment, work):
    """Does work in a process that dies before its n-th call of the file system; whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    calls = 0

    def deadly(call):
        def counted(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == moment:
                os._exit(9)
            return call(*arguments, **named)

        return counted

    try:
        for name in CALLS:
            setattr(os, name, deadly(getattr(os, name)))
        work()
    finally:
        os._exit(0)


def prepared(folder, moment):
    """A store with trial 7, under a name of its own."""
    root = folder / str(moment)
    hand(root, 7)
    Store.open(root).close()
    return root


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_at_any_call_of_handing_in_leaves_all_or_nothing(tmp_path):
    moment, seen = 0, set()
    is_over = False
    while not is_over:
        moment += 1
        root = prepared(tmp_path, moment)
        is_over = not killed(moment, lambda root=root: hand(root))
        Store.open(root).close()
        seen.add(len(state(root)))
        assert state(root) in (expected(7), expected(0, 7))
        hand(root)
        Store.open(root).close()
        assert state(root) == expected(0, 7)
        assert not [path for path in (root / "spool").rglob("*") if path.name != "refused"]
        assert not refused(root)
    assert moment > 15
    assert seen == {1, 2}


def opened(root):
    Store.open(root).close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_at_any_call_of_taking_in_leaves_the_old_state_or_the_new(tmp_path):
    moment, seen = 0, set()
    is_over = False
    while not is_over:
        moment += 1
        root = prepared(tmp_path, moment)
        hand(root, 1, Ending("failed", "no", None, 0.1, {}))
        for seed in (0, 1):
            hand(root, seed)
        shutil.copytree(root / "spool" / f"{RUN}-0.trial", root / "again")
        is_over = not killed(moment, lambda root=root: opened(root))
        seen.add(len(state(root)))
        assert state(root) in (expected(7), expected(0, 1, 7))
        if pending(root) and moment % 2:  # somebody did it again meanwhile
            hand(root, 1)
        opened(root)
        assert state(root) == expected(0, 1, 7)
        (root / "again").rename(root / "spool" / f"{RUN}-0.trial")  # a second parcel of a trial that is kept
        opened(root)
        assert state(root) == expected(0, 1, 7)
        assert not list((root / "spool").iterdir())
    assert moment > 20
    assert seen == {1, 3}


def text(parcel):
    return json.loads((parcel / "trial.json").read_text())["trial"]


def seal(parcel, body):
    """Writes a trial.json whose digest is right, whatever it says."""
    digest = hashlib.sha256(body).hexdigest().encode()
    (parcel / "trial.json").write_bytes(b'{"sha256":"%s","trial":%s}' % (digest, body))


def changed(**fields):
    def change(parcel):
        seal(parcel, json.dumps({**text(parcel), **fields}, separators=(",", ":")).encode())

    return change


def cut(parcel):
    data = (parcel / "trial.json").read_bytes()
    (parcel / "trial.json").write_bytes(data[: len(data) // 2])


def number(parcel):
    data = (parcel / "trial.json").read_bytes()
    (parcel / "trial.json").write_bytes(data.replace(b"0.9", b"0.8"))


def link_instead(name):
    def change(parcel):
        (parcel.parent.parent / "elsewhere").mkdir()
        (parcel / name).rename(parcel.parent.parent / "elsewhere" / "it")
        (parcel / name).symlink_to(parcel.parent.parent / "elsewhere" / "it")

    return change


def pipe(parcel):
    (parcel / "trial.json").unlink()
    os.mkfifo(parcel / "trial.json")


def huge(parcel):
    with (parcel / "trial.json").open("r+b") as file:
        file.truncate(1 << 40)


def outside(parcel):
    parcel.rename(parcel.parent.parent / "outside")
    parcel.symlink_to(parcel.parent.parent / "outside")


def replaced(parcel):
    shutil.rmtree(parcel)
    parcel.write_text("notes")


HOSTILE = {
    "cut": (cut, "is torn, or was changed"), "a changed number": (number, "is torn, or was changed"),
    "no file": (lambda parcel: (parcel / "trial.json").unlink(), "trial.json is missing"),
    "a link": (link_instead("trial.json"), "trial.json is no plain file"), "a pipe": (pipe, "is no plain file"),
    "a huge file": (huge, "is larger than 268,435,456 bytes"),
    "a parcel that is a link": (outside, "no parcel of ours"),
    "a file": (replaced, "no parcel of ours"),
    "a stranger's file": (lambda parcel: (parcel / "thesis.tex").touch(), "'thesis.tex', which is no part of a trial"),
    "linked artefacts": (link_instead("artefacts"), "its artefacts are missing"),
    "a linked artefact": (link_instead("artefacts/net.safetensors"), "is no plain file"),
    "no artefact": (lambda parcel: (parcel / "artefacts" / "net.safetensors").unlink(),
                    "others than its trial.json names"),
    "another artefact": (lambda parcel: (parcel / "artefacts" / "net.safetensors").write_text("x"),
                         "SHA-256 has changed"),
    "one artefact more": (lambda parcel: (parcel / "artefacts" / "x").touch(), "others than its trial.json names"),
    "deep JSON": (lambda parcel: seal(parcel, b"[" * 100_000 + b"]" * 100_000), "recursion limit"),
    "deep fields": (changed(fields="[" * 100_000), "its fields are no JSON object"),
    "half a character": (changed(fields='{"\\ud800": 1}'), "its fields are no JSON object"),
    "no seconds": (changed(seconds=math.nan), "could not give back: -0.0, or seconds that are none"),
    "seconds below zero by a sign": (changed(seconds=-0.0), "could not give back: -0.0"),
    "a number below zero by a sign": (changed(metrics=[("accuracy", -0.0)]), "could not give back: -0.0"),
    "deep spec": (changed(spec="[" * 100_000), "its spec is not the one"),
    "nested fields": (changed(fields='{"a":{}}'), "its fields are no JSON object"),
    "fields with NaN": (changed(fields='{"a":NaN}'), "its fields are no JSON object"),
    "no JSON": (lambda parcel: seal(parcel, b"\xff\xfe"), "its trial.json"),
    "another run": (changed(run="0" * 16), "its spec is not the one"),
    "another seed": (changed(seed=5), "its trial.json is that of"), "a huge seed": (changed(seed=2**63), "64 bits"),
    "a state": (changed(state="great"), "state"), "a flag for a number": (changed(seconds=True), "seconds"),
    "a metric twice": (changed(metrics=[["a", 1.0], ["a", 2.0]]), "stands there twice"),
    "a name": (changed(metrics=[["a\nb", 1.0]]), "cannot be printed"),
    "a text for a number": (changed(metrics=[["a", "1"]]), "metrics.0.1"),
    "a lying curve": (changed(curves=[["a", 10**12, 0, 1, None, ""]]), "does not agree with its count"),
    "no base64": (changed(curves=[["a", 0, 0, 0, None, "="]]), "its trial.json"),
    "an artefact elsewhere": (changed(artefacts={"../../x": "0" * 64}), "an artefact's name or digest is none"),
    "an unknown field": (changed(pickle="x"), "pickle"), "a newer form": (changed(version=2), "version"),
    "a failed trial with artefacts": (changed(state="failed"), "keeps no artefacts"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_parcel_stops_the_others(tmp_path, name):
    change, word = HOSTILE[name]
    for seed in range(3):
        hand(tmp_path, seed)
    change(tmp_path / "spool" / f"{RUN}-1.trial")
    with Store.open(tmp_path) as store:
        ((what, reason),) = store.refusals
        assert what == f"{RUN}-1.trial"
        assert word in reason
        assert store.ingest() == []
    assert state(tmp_path) == expected(0, 2)
    assert refused(tmp_path) == [(what, reason)]
    assert os.path.lexists(tmp_path / "spool" / "refused" / what)
    hand(tmp_path, 1)
    Store.open(tmp_path).close()
    assert state(tmp_path) == expected(0, 1, 2)


def test_refused_parcels_get_names_of_their_own(tmp_path):
    with Store.open(tmp_path) as store:
        for number in range(3):
            (tmp_path / "spool").mkdir(exist_ok=True)
            (tmp_path / "spool" / "notes.trial").write_text(str(number))
            assert store.ingest() == []
    assert [name for name, _ in refused(tmp_path)] == ["notes.trial", "notes.trial-2", "notes.trial-3"]


def test_a_disk_that_fails_for_a_moment_costs_no_parcel(tmp_path, monkeypatch):
    for seed in range(2):
        hand(tmp_path, seed)

    def failing(path, *arguments, **named):
        if f"{RUN}-0.trial" in str(path):
            raise OSError(5, "Input/output error")
        return really(path, *arguments, **named)

    really = os.open
    monkeypatch.setattr(os, "open", failing)
    with Store.open(tmp_path) as store:
        assert [reason for _, reason in store.refusals] == ["cannot be read now: Input/output error"]
        monkeypatch.undo()
        assert [taken.seed for taken in store.ingest()] == [0]
    assert state(tmp_path) == expected(0, 1)


def test_what_was_taken_is_told_once(tmp_path):
    with Store.open(tmp_path) as store:
        hand(tmp_path, 1)
        hand(tmp_path, 0, Ending("failed", "no", "Traceback", 0.25, {}))
        found = store.ingest()
        assert found == [Taken(RUN, 0, Ending("failed", "no", "Traceback", 0.25, {})), Taken(RUN, 1, DONE)]
        assert store.ingest() == []
        assert store.done([RUN, "0" * 16]) == {(RUN, 1)}
        assert store.is_kept(RUN, 1)
        assert not store.is_kept(RUN, 0)


def test_a_folder_that_cannot_be_written_keeps_its_parcels(tmp_path):
    with Store.open(tmp_path) as store:
        hand(tmp_path, 0)
        (tmp_path / "artefacts").write_text("in the way")
        with pytest.raises(StoreError, match=r"cannot take trials from .*; they wait there for the next run"):
            store.ingest()
        (tmp_path / "artefacts").unlink()
        assert len(store.ingest()) == 1
    assert state(tmp_path) == expected(0)
    assert not list(Path(tmp_path / "spool").iterdir())


def test_what_cannot_be_moved_away_stops_nobody_and_is_told_once(tmp_path, monkeypatch):
    for seed in (0, 1):
        hand(tmp_path, seed)
    cut(tmp_path / "spool" / f"{RUN}-0.trial")

    def theirs(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("sparsewire.lab.storage.intake.refuse", theirs)
    with Store.open(tmp_path) as store:
        assert store.is_done(SPEC, 1)
        store.ingest()
        (refusal,) = store.refusals
    assert refusal.reason.endswith("after it was written; it cannot be moved away: Permission denied")
