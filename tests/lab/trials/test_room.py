"""The room of a trial: one process at a time, swept when its trial is kept; the sign that stops a sweep."""

import os
import time

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.trials import room as rooms
from sparsewire.lab.trials.room import StopSign, leave, room, sweep_rooms

RUN = "b32df87e9aae13e4"


def test_a_room_stays_until_it_is_left(tmp_path):
    with room(tmp_path, RUN, 0) as folder:
        (folder / "checkpoints").mkdir()
    with room(tmp_path, RUN, 0) as again:
        assert again == folder
        assert (again / "checkpoints").is_dir()
        leave(again)
    assert not folder.exists()


def test_two_workers_of_one_trial_have_rooms_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "_PATIENCE", 0.2)
    with room(tmp_path, RUN, 0) as first, room(tmp_path, RUN, 0) as second:
        assert first != second
        assert second.name == f"{first.name}~{os.getpid()}"


def test_a_room_is_free_again_when_its_process_has_died(tmp_path):
    process = os.fork()
    if not process:
        with room(tmp_path, RUN, 0):
            os._exit(0)
    os.waitpid(process, 0)
    with room(tmp_path, RUN, 0) as folder:
        assert "~" not in folder.name


def test_rooms_of_kept_trials_and_old_signs_are_swept_and_nothing_else(tmp_path):
    kept = [tmp_path / "work" / name for name in (f"{RUN}-1", f"{RUN}--5", "notes", "a-b")]
    gone = [tmp_path / "work" / name for name in (f"{RUN}-0", f"{RUN}-1~77")]
    for folder in kept + gone:
        folder.mkdir(parents=True)
    StopSign(tmp_path, "old").begin()
    StopSign(tmp_path, "old").put_up()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work" / f"{RUN}-9").symlink_to(tmp_path / "elsewhere")
    sweep_rooms(tmp_path, lambda run, seed: (run, seed) in {(RUN, 0), (RUN, 9)})
    assert sorted(entry.name for entry in (tmp_path / "work").iterdir()) == sorted(
        [*(folder.name for folder in kept), f"{RUN}-9"]
    )
    assert (tmp_path / "elsewhere").is_dir()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_store(tmp_path):
    (tmp_path / "work").write_text("a file stands here")
    with pytest.raises(StoreError, match="cannot work in"), room(tmp_path, RUN, 0):
        pass


def test_a_sign_is_seen_by_others_until_it_is_taken_away(tmp_path):
    sign, other = StopSign(tmp_path, "s"), StopSign(tmp_path, "s")
    assert not sign.is_seen()
    sign.begin()
    assert other.is_seen()
    assert not other.is_up()
    sign.put_up()
    time.sleep(0.15)
    assert other.is_up()
    assert not StopSign(tmp_path, "another").is_up()
    sign.end()
    assert other.is_up()  # who has seen it once does not go on
    assert not StopSign(tmp_path, "s").is_up()
