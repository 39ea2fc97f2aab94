"""A folder of checkpoints: the last state comes back; after a crash at any call, the old one or the new one."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.execution.sealed_json import sealed
from sparsewire.lab.checkpoint_folder import CheckpointFolder, Stopped
from sparsewire.training.state import State


def state(number: int, size: int = 3) -> State:
    return State({"w": torch.full((size,), float(number)), "step": torch.tensor(number)}, {"number": number})


def number_of(found: State | None) -> int:
    """Which state it is, if every part says the same; 0 for none."""
    if found is None:
        return 0
    number = int(found.tensors["step"])
    assert found.tensors["w"].eq(number).all()
    assert found.facts == {"number": number}
    return number


def filled(path: Path, last: int = 2) -> CheckpointFolder:
    folder = CheckpointFolder(path)
    for number in range(1, last + 1):
        folder.save(state(number))
    return folder


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def flipped(path: Path, place: int = 100) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


LAST_TWO = ["1.json", "1.safetensors", "2.json", "2.safetensors"]


def test_the_object_touches_nothing_and_the_first_save_makes_the_folder(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "deep" / "checkpoints")
    assert folder.load() is None
    assert not names(tmp_path)
    folder.save(state(1))
    assert names(folder.path) == LAST_TWO[:2]
    assert number_of(folder.load()) == 1


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    assert names(tmp_path) == ["4.json", "4.safetensors", "5.json", "5.safetensors"]
    again = CheckpointFolder(tmp_path)
    assert number_of(again.load()) == 5
    again.save(state(6))
    CheckpointFolder(tmp_path).save(state(7))  # without a look at what was there
    assert names(tmp_path) == ["6.json", "6.safetensors", "7.json", "7.safetensors"]
    assert number_of(CheckpointFolder(tmp_path).load()) == 7


def test_numbers_are_numbers_and_not_text(tmp_path: Path) -> None:
    filled(tmp_path, 11)
    assert number_of(CheckpointFolder(tmp_path).load()) == 11


def test_a_loaded_state_belongs_to_who_loads_it(tmp_path: Path) -> None:
    filled(tmp_path)
    found = CheckpointFolder(tmp_path).load()
    assert found is not None
    found.tensors["w"].zero_()
    assert number_of(CheckpointFolder(tmp_path).load()) == 2


def damaged_manifest(path: Path) -> None:
    flipped(path / "2.json")


def damaged_tensors(path: Path) -> None:
    flipped(path / "2.safetensors")


def cut_tensors(path: Path) -> None:
    (path / "2.safetensors").write_bytes((path / "2.safetensors").read_bytes()[:-1])


def missing_tensors(path: Path) -> None:
    (path / "2.safetensors").unlink()


def empty_manifest(path: Path) -> None:
    (path / "2.json").write_bytes(b"")


def swapped_tensors(path: Path) -> None:
    (path / "1.safetensors").rename(path / "x")
    (path / "2.safetensors").rename(path / "1.safetensors")
    (path / "x").rename(path / "2.safetensors")


def older_tensors(path: Path) -> None:
    (path / "2.safetensors").write_bytes((path / "1.safetensors").read_bytes())


def older_manifest(path: Path) -> None:
    (path / "2.json").write_bytes((path / "1.json").read_bytes())


def older_state(path: Path) -> None:
    older_tensors(path)
    older_manifest(path)


def link_to_tensors(path: Path) -> None:
    (path / "2.safetensors").rename(path / "elsewhere")
    (path / "2.safetensors").symlink_to("elsewhere")


def pipe(path: Path) -> None:
    (path / "2.safetensors").unlink()
    os.mkfifo(path / "2.safetensors")


def folder_of_manifests(path: Path) -> None:
    (path / "2.json").unlink()
    (path / "2.json").mkdir()


DAMAGES: list[Callable[[Path], None]] = [
    damaged_manifest, damaged_tensors, cut_tensors, missing_tensors, empty_manifest, older_tensors, older_manifest,
    older_state, link_to_tensors, pipe, folder_of_manifests,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_where_the_last_is_damaged_the_one_before_is_taken_and_it_is_said(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    filled(tmp_path)
    damage(tmp_path)
    folder = CheckpointFolder(tmp_path)
    with pytest.warns(RuntimeWarning, match=r"passed over: .*2\.json: .*; the training goes on from checkpoint 1"):
        assert number_of(folder.load()) == 1
    assert len(folder.notes) == 1
    assert "2.json" in folder.notes[0]
    assert "2.json" in names(tmp_path)  # for who wants to look at it
    folder.save(state(3))
    assert [name for name in names(tmp_path) if name.endswith(".json") and (tmp_path / name).is_file()] == [
        "1.json",
        "3.json",
    ]
    assert number_of(CheckpointFolder(tmp_path).load()) == 3


def test_where_all_are_damaged_it_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    filled(tmp_path)
    swapped_tensors(tmp_path)
    with pytest.raises(CheckpointError, match=r"is whole: .*2\.json: .*; .*1\.json: .*Put back a copy .* or remove it"):
        CheckpointFolder(tmp_path).load()
    assert names(tmp_path) == LAST_TWO


def test_a_newer_version_is_no_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "2.json").write_bytes(sealed('{"format": "sparsewire-checkpoint-9"}'))
    with pytest.raises(CheckpointError, match=r"2\.json: its format is .*update sparsewire"):
        CheckpointFolder(tmp_path).load()


def test_what_may_pass_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)

    def refuse(*_: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointError, match=r"cannot read .*2\.json: Too many open files"):
        CheckpointFolder(tmp_path).load()


def test_what_kills_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for sweeping in (lambda: CheckpointFolder(tmp_path).load(), lambda: CheckpointFolder(tmp_path).save(state(3))):
        filled(tmp_path)
        for name in (".3.safetensors.abc.part", ".3.json.x_y.part", "9.safetensors"):
            (tmp_path / name).touch()
        foreign = ["notes.txt", "03.json", "1.json.bak", ".part", ".x.part", "-1.json", "1.JSON"]
        for name in foreign:
            (tmp_path / name).touch()
        sweeping()
        left = names(tmp_path)
        assert set(foreign) <= set(left)
        assert not [name for name in left if name.endswith(".part") and name not in foreign]
        for name in left:
            (tmp_path / name).unlink()


def test_an_unfinished_first_save_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "1.safetensors").write_bytes(b"half")
    assert CheckpointFolder(tmp_path).load() is None
    assert not names(tmp_path)


def test_names_in_a_manifest_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    text = '{"format": "sparsewire-checkpoint-1", "number": 1, "facts": {}, "parts": {"../secret": {"size": 4}}}'
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.json").write_bytes(sealed(text))
    with pytest.raises(CheckpointError, match="not the manifest of checkpoint 1"):
        CheckpointFolder(tmp_path / "in").load()
    CheckpointFolder(tmp_path / "in").save(state(1))
    assert (tmp_path / "secret").read_text() == "kept"


def test_a_file_or_a_folder_that_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(CheckpointError, match=r"cannot (read|make) the folder"):
            CheckpointFolder(path).save(state(1))
    with pytest.raises(CheckpointError, match="cannot read the folder"):
        CheckpointFolder(tmp_path / "file").load()


def test_it_is_due_after_a_time_or_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    folder = CheckpointFolder(tmp_path, every=30)
    assert not folder.is_due()
    now = 130.0
    assert folder.is_due()
    folder.save(state(1))
    assert not folder.is_due()
    assert CheckpointFolder(tmp_path, every=0).is_due()
    now = 1e9
    assert not CheckpointFolder(tmp_path, every=float("inf")).is_due()
    folder = CheckpointFolder(tmp_path, every_steps=3)
    assert [folder.is_due() for _ in range(4)] == [False, False, True, True]
    folder.save(state(2))
    assert [folder.is_due() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("chosen", [{"every": -1}, {"every": float("nan")}, {"every_steps": 0}])
def test_times_that_are_none_are_refused(chosen: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected"):
        CheckpointFolder(tmp_path, **chosen)


def test_who_is_stopped_keeps_the_state_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, stopped, asked = 0.0, False, 0

    def is_stopped() -> bool:
        nonlocal asked
        asked += 1
        return stopped

    monkeypatch.setattr(time, "monotonic", lambda: now)
    folder = CheckpointFolder(tmp_path, is_stopped=is_stopped)
    assert not any(folder.is_due() for _ in range(100))
    assert asked == 1
    folder.save(state(1))
    now, stopped = 1.0, True
    assert folder.is_due()
    with pytest.raises(Stopped, match="the state is kept"):
        folder.save(state(2))
    assert number_of(CheckpointFolder(tmp_path).load()) == 2
    assert not issubclass(Stopped, Exception)


class Killed(BaseException):
    """Stands for the end of the process: from the chosen call on, no call does anything."""


class Crash:
    """Counts the calls that change the disk, or make changes last; the n-th and all later ones end in `Killed`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: int = 0, *, torn: bool = False) -> None:
        self.calls, self._at, self._error, self._torn = 0, at, error, torn
        for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir", "chmod"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        real = io.open

        def opened(*arguments: Any, **options: Any) -> Any:
            self.reached()
            file = real(*arguments, **options)
            writes = "w" in str(options.get("mode", arguments[1] if len(arguments) > 1 else "r"))
            return _Watched(file, self) if writes else file

        monkeypatch.setattr(io, "open", opened)

    def reached(self, half: Callable[[], object] | None = None) -> None:
        self.calls += 1
        if self._error and self.calls == self._at:
            raise OSError(self._error, os.strerror(self._error))
        if not self._error and self.calls >= self._at:
            if half and self._torn and self.calls == self._at:
                half()
            raise Killed

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.reached()
            return real(*arguments, **options)

        return call


class _Watched:
    """A file whose writes are counted; a torn one leaves half of what was to be written."""

    def __init__(self, file: Any, crash: Crash) -> None:
        self._file, self._crash = file, crash

    def write(self, content: Any) -> Any:
        self._crash.reached(lambda: (self._file.write(bytes(content)[: len(content) // 2]), self._file.flush()))
        return self._file.write(content)

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **how: Any
) -> Iterator[tuple[int, Path, BaseException | None]]:
    """A save of state 3 over 1 and 2 that fails at its first call, its second, … its last, and at none."""
    for at in range(1, 200):
        path = tmp_path / str(at)
        folder = filled(path)
        failure: BaseException | None = None
        with monkeypatch.context() as context:
            crash = Crash(context, at, **how)
            try:
                folder.save(state(3))
            except (Killed, CheckpointError) as cause:
                failure = cause
        yield at, path, failure
        if crash.calls < at:
            assert crash.calls >= 20  # it looked where it should
            return
    raise AssertionError("the save never ended")


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_a_crash_at_any_call_leaves_the_old_state_or_the_new_one(
    torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for _, path, failure in crashes(tmp_path, monkeypatch, torn=torn):
        assert failure is None or isinstance(failure, Killed)
        again = CheckpointFolder(path)
        with warnings.catch_warnings(action="error"):  # a save that never ended is no damage
            seen.append(number_of(again.load()))
        assert not [name for name in names(path) if name.endswith(".part")]
        again.save(state(4))
        assert number_of(CheckpointFolder(path).load()) == 4
        assert len(names(path)) == 4
    assert set(seen) == {2, 3}
    assert seen == sorted(seen)  # once it is there, it stays


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_of_the_disk_at_any_call_is_said_and_harmless(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0
    for _, path, failure in crashes(tmp_path, monkeypatch, error=error):
        assert number_of(CheckpointFolder(path).load()) in ((2, 3) if failure else (3,))
        assert not [name for name in names(path) if name.endswith(".part")]
        if failure:
            failed += 1
            assert isinstance(failure, CheckpointError)
            assert os.strerror(error) in str(failure)
    assert failed >= 10


def test_a_kill_inside_a_save_of_a_real_process(tmp_path: Path) -> None:
    """The long form is benchmarks/checkpoint_saves.py."""
    code = (
        "import sys, torch\n"
        "from sparsewire.lab.checkpoint_folder import CheckpointFolder\n"
        "from sparsewire.training.state import State\n"
        "folder = CheckpointFolder(sys.argv[1])\n"
        "for number in range(1, 10**6):\n"
        "    w = torch.full((2_000_000,), float(number))\n"
        "    print('begin', number, flush=True)\n"
        "    folder.save(State({'w': w, 'step': torch.tensor(number)}, {'number': number}))\n"
        "    print('end', number, flush=True)\n"
    )
    for pause in (0.001, 0.01):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line == "begin 3\n":
                    break
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
            ended = [int(line.split()[1]) for line in child.stdout if line.startswith("end")]
        folder = CheckpointFolder(tmp_path)
        assert number_of(folder.load()) >= max([2, *ended])
        assert not [name for name in names(tmp_path) if name.endswith(".part")]
        for name in names(tmp_path):
            (tmp_path / name).unlink()


def test_every_changed_byte_and_every_cut_of_a_small_checkpoint_is_noticed(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(state(1))
    for name in names(tmp_path):
        path = tmp_path / name
        whole = path.read_bytes()
        changed = [
            whole[:place] + bytes([other]) + whole[place + 1 :]
            for place in range(len(whole))
            for other in {whole[place] ^ 1 << bit for bit in range(8)}
        ]
        for content in [*changed, *(whole[:end] for end in range(len(whole))), whole + b"\0", b"\0" + whole]:
            path.write_bytes(content)
            with pytest.raises(CheckpointError, match=r"1\.json"):
                folder.load()
        path.write_bytes(whole)
    assert number_of(folder.load()) == 1
