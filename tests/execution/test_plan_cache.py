"""Measured times on disk: whatever stands there, a plan is made."""

import json
import multiprocessing
import warnings
from pathlib import Path

import pytest

from sparsewire.execution.measuring import Timing
from sparsewire.execution.plan_cache import VARIABLE, add_timings, cache_file, read_timings
from sparsewire.execution.sealed_json import sealed

HERE = {"processor": "abacus", "threads": 1}
ONE, TWO = Timing(1, 1e-3, 5e-4, 2.0), Timing(32, 0.1, 1 / 3, 0.3)


def test_times_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "timings.json"
    assert read_timings(path, HERE) == {}
    add_timings(path, HERE, {"a": ONE})
    add_timings(path, HERE, {"b": TWO})
    assert read_timings(path, HERE) == {"a": ONE, "b": TWO}
    assert [one.name for one in path.parent.iterdir()] == ["timings.json"]


def test_each_machine_has_its_file_and_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache_file(HERE).parent == tmp_path
    assert cache_file(HERE) == cache_file(dict(reversed(HERE.items())))
    assert cache_file(HERE) != cache_file({**HERE, "threads": 2})
    monkeypatch.delenv(VARIABLE)
    assert cache_file(HERE).parent.name == "sparsewire"


def whole(**changes: object) -> str:
    return json.dumps({"format": "sparsewire-timings-1", "machine": HERE, "timings": {}} | changes)


BAD = {
    "empty": "",
    "cut": whole()[:-5],
    "a list": "[]",
    "nested without end": "[" * 100_000,
    "another format": whole(format="x"),
    "an entry too many": whole(sha256=""),
    "a changed number": sealed(whole(timings={"a": [1, 2.0, 3.0, 1.5]})).decode().replace("2.0", "2.5"),
    "another machine": whole(machine={}),
    "times in a list": whole(timings=[1]),
    "three numbers": whole(timings={"a": [1, 2.0, 3.0]}),
    "a word": whole(timings={"a": [1, 2.0, 3.0, "4"]}),
    "a time of zero": whole(timings={"a": [1, 0.0, 1.0, 1.0]}),
    "not a number": whole(timings={"a": [1, float("nan"), 1.0, 1.0]}),
    "half a batch": whole(timings={"a": [0.5, 1.0, 1.0, 1.0]}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_said_once_and_written_anew(name: str, tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    path.write_text(BAD[name])
    with pytest.warns(RuntimeWarning, match=r"timings\.json cannot be used") as told:
        assert read_timings(path, HERE) == {}
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        add_timings(path, HERE, {"a": ONE})
        assert read_timings(path, HERE) == {"a": ONE}


def test_bytes_that_are_no_text_are_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        assert read_timings(tmp_path / "x", HERE) == {}


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="measured times are not kept: cannot write"):
        add_timings(tmp_path / "file" / "timings.json", HERE, {"a": ONE})


def _write(path: Path, name: str) -> None:
    for number in range(20):
        add_timings(path, HERE, {f"{name}{number}": ONE})


def test_writers_at_the_same_time_leave_a_whole_file(tmp_path: Path) -> None:
    path, context = tmp_path / "timings.json", multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read_timings(path, HERE)  # a warning would be an error
    assert {"a19", "b19"} & found.keys()
    assert set(found.values()) == {ONE}
