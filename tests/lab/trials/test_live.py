"""What trials under way tell: readable at any moment, by anybody, torn or foreign lines included."""

import json
import math

import pytest

from sparsewire.lab.trials.live import LiveStream, running, work_folder

RUN = "b32df87e9aae13e4"
HEAD = {"run": RUN, "experiment": "demo", "spec": '{"experiment":"demo"}', "seed": 3}


@pytest.fixture
def stream(tmp_path):
    return LiveStream(work_folder(tmp_path, RUN, 3), HEAD)


def test_a_trial_is_seen_from_its_first_moment(tmp_path, stream):
    [trial] = running(tmp_path)
    assert (trial.run, trial.experiment, trial.spec, trial.seed) == (RUN, "demo", HEAD["spec"], 3)
    assert (trial.fraction, trial.note, trial.series) == (0.0, "", {})
    assert trial.process > 0
    assert trial.started <= trial.touched + 1


def test_numbers_come_in_the_order_in_which_they_were_told(tmp_path, stream):
    for step in range(5):
        stream.record("loss", 1 / (step + 1), step)
    stream.record("accuracy", 0.5, None)
    stream.record("bad", math.nan, 1)
    stream.progress(0.5, "half")
    stream.close()
    [trial] = running(tmp_path)
    assert trial.series["loss"] == [(step, 1 / (step + 1)) for step in range(5)]
    assert trial.series["accuracy"] == [(None, 0.5)]
    assert math.isnan(trial.series["bad"][0][1])
    assert (trial.fraction, trial.note) == (0.5, "half")
    assert running(tmp_path, series=False)[0].series == {}


def test_after_a_restart_only_what_was_kept_is_there(tmp_path, stream):
    stream.record("loss", 9.0, 9)
    stream.close()
    stream.restart([("loss", 1.0, 1), ("loss", 0.5, 2)])
    stream.record("loss", 0.25, 3)
    stream.close()
    assert running(tmp_path)[0].series == {"loss": [(1, 1.0), (2, 0.5), (3, 0.25)]}


def test_wherever_the_file_is_torn_the_whole_lines_are_read(tmp_path, stream):
    for step in range(4):
        stream.record("loss", float(step), step)
    stream.close()
    path = work_folder(tmp_path, RUN, 3) / "live.jsonl"
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found = running(tmp_path)[0].series.get("loss", [])
        assert found == [(step, float(step)) for step in range(whole[:length].count(b"\n"))]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[1]",
        b"{}",
        b'{"name": 1}',
        b'{"name": "x", "value": "y", "step": 1}',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_line_of_ours_hides_no_other(line, tmp_path, stream):
    stream.record("loss", 1.0, 1)
    stream.close()
    path = work_folder(tmp_path, RUN, 3) / "live.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert running(tmp_path)[0].series == {"loss": [(1, 1.0)]}


@pytest.mark.parametrize("head", ["", "{", "[]", json.dumps({**HEAD, "seed": "x"}), "[" * 100_000])
def test_a_folder_without_a_head_is_no_trial(head, tmp_path, stream):
    (work_folder(tmp_path, RUN, 3) / "head.json").write_text(head)
    assert running(tmp_path) == []


def test_what_cannot_be_written_costs_no_trial(tmp_path, stream):
    path = work_folder(tmp_path, RUN, 3)
    path.rename(tmp_path / "gone")
    stream.record("loss", 1.0, 1)
    stream.close()
    assert running(tmp_path) == []
    (tmp_path / "gone").rename(path)
    stream.record("loss", 0.5, 2)
    stream.close()
    assert running(tmp_path)[0].series["loss"][-1] == (2, 0.5)  # watching goes on when it can


def test_how_far_a_trial_is_can_be_told_without_its_numbers(tmp_path, stream):
    def told():
        [trial] = running(tmp_path, series=False)
        return trial.fraction, trial.note

    assert told() == (0.0, "")
    stream.progress(0.25, 'a {"fraction": 1.0, "note": ""} in quotes')
    stream.record('{"fraction"', 1.0, 1)
    stream.close()
    assert told() == (0.25, 'a {"fraction": 1.0, "note": ""} in quotes')
    path = work_folder(tmp_path, RUN, 3) / "live.jsonl"
    with path.open("a") as file:
        file.write('{"fraction": "x", "note": ""}\n{"fraction": [}\n{"fraction": 0.5, "note": "to')
    assert told()[0] == 0.25
    with path.open("a") as file:
        file.write('rn"}\n')
    assert told() == (0.5, "torn")


def test_what_cannot_be_told_costs_no_trial(tmp_path, stream):
    path = work_folder(tmp_path, RUN, 3) / "live.jsonl"
    path.unlink()
    path.mkdir()
    stream.restart([("loss", 1.0, 1)])
    stream.record("loss", 0.5, 2)
    stream.close()
    assert running(tmp_path) == []
