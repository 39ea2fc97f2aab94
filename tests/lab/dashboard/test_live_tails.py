"""Following trials under way: whatever is written, reading on finds what reading anew finds."""

import json
import os
import random
from pathlib import Path

import pytest

from sparsewire.lab.dashboard.live_tails import LiveTails
from sparsewire.lab.trials.live import running

RUN = "b32df87e9aae13e4"


def head(root, seed=0, **more):
    folder = root / "work" / f"{RUN}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    told = {"run": RUN, "experiment": "demo", "spec": "{}", "seed": seed, "host": "h", "process": 1, "started": 1.0}
    (folder / "head.json").write_text(json.dumps(told | more))
    (folder / "live.jsonl").touch()
    return folder / "live.jsonl"


def same(tails, root):
    """What the follower knows is what a reader of the whole files finds."""
    assert {key: (one.series, one.fraction, one.note) for key, one in tails.read().items()} == {
        f"{one.run}-{one.seed}": (one.series, one.fraction, one.note) for one in running(root)
    }


def test_torn_lines_appends_and_new_beginnings(tmp_path):
    path, tails, chance = head(tmp_path), LiveTails(tmp_path), random.Random(0)
    for turn in range(300):
        line = json.dumps({"name": f"m{turn % 3}", "value": turn / 7, "step": chance.choice([None, turn])})
        text = chance.choice([line, json.dumps({"fraction": turn / 300, "note": f"at {turn}"}), "torn", "[1]", "{}"])
        if chance.random() < 0.1:  # gone back to a checkpoint
            path.write_text(chance.choice(["", text + "\n", path.read_text()[:40]]))
        with path.open("a") as file:
            file.write(text[: chance.randrange(len(text))] if chance.random() < 0.1 else text + "\n")
        os.utime(path, ns=(turn * 10**9, turn * 10**9))
        if chance.random() < 0.7:
            same(tails, tmp_path)
    same(tails, tmp_path)


def test_a_new_attempt_begins_anew(tmp_path):
    path, tails = head(tmp_path), LiveTails(tmp_path)
    path.write_text('{"name": "a", "value": 1, "step": 1}\n')
    assert tails.read()[f"{RUN}-0"].series == {"a": [(1, 1.0)]}
    path.write_text("")
    head(tmp_path, process=22222)
    assert tails.read()[f"{RUN}-0"].series == {}
    path.parent.joinpath("head.json").unlink()
    assert tails.read() == {}


def test_a_large_file_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsewire.lab.dashboard.live_tails._MOST_AT_ONCE", 200)
    path, tails = head(tmp_path), LiveTails(tmp_path)
    path.write_text("".join(json.dumps({"name": "a", "value": step, "step": step}) + "\n" for step in range(50)))
    for _ in range(60):
        found = tails.read()
    assert len(found[f"{RUN}-0"].series["a"]) == 50


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.with_name("head.json").write_text("{"),
        lambda path: path.with_name("head.json").write_text("[" * 100_000),
        lambda path: path.with_name("head.json").write_text("x" * 2_000_000),
        lambda path: head(path.parent.parent.parent, started="soon"),
        lambda path: head(path.parent.parent.parent, run="../../etc"),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: path.parent.rename(path.parent.with_name("..-0")),
        lambda path: path.write_text(
            '{"name": "a", "value": 1e999, "step": 1e400}\n{"name": 1, "value": [], "step": 0}\n'
        ),
    ],
)
def test_what_is_no_trial_is_left_out(tmp_path, spoil):
    tails = LiveTails(tmp_path)
    head(tmp_path, seed=1).write_text('{"name": "a", "value": 1, "step": 1}\n')
    spoil(head(tmp_path))
    found = tails.read()
    assert found[f"{RUN}-1"].series == {"a": [(1, 1.0)]}
    assert not found.get(f"{RUN}-0") or not found[f"{RUN}-0"].series


@pytest.mark.parametrize(
    ("seed", "more"),
    [(9999999999999999999, {}), (-9999999999999999999, {}), (0, {"started": float("nan")}), (0, {"started": -1e999})],
)
def test_what_no_trial_can_say_is_left_out(tmp_path, seed, more):
    head(tmp_path, 1)
    head(tmp_path, seed, **more)
    assert list(LiveTails(tmp_path).read()) == [f"{RUN}-1"]


def test_a_folder_in_the_place_of_a_file_takes_no_handle(tmp_path):
    head(tmp_path, 1)
    other = head(tmp_path).parent / "head.json"
    other.unlink()
    other.mkdir()
    tails = LiveTails(tmp_path)
    tails.read()
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir()))
    assert [list(tails.read()) for _ in range(5)] == [[f"{RUN}-1"]] * 5
    assert len(list(handles.iterdir())) == before
