"""Files are whole or absent, and nothing but a file is ever replaced."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sparsewire.errors import FileError
from sparsewire.files import no_file, write_aside


def _write(aside: Path) -> None:
    aside.write_text("new")


def test_what_was_there_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "note.txt"
    for _ in range(2):
        write_aside(target, _write, FileError)
        assert target.read_text() == "new"
        assert list(target.parent.iterdir()) == [target]


def test_what_cannot_be_finished_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")

    def fails(aside: Path) -> None:
        aside.write_text("ha")
        raise OSError("No space left on device")

    with pytest.raises(FileError, match=r"note\.txt: No space left on device; nothing was changed"):
        write_aside(target, fails, FileError)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_pipe_is_refused_where_renaming_would_replace_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(FileError, match="is a device or a pipe, and only whole files are written; name a file"):
            write_aside(path, _write, FileError)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_link_stays_and_the_file_that_it_names_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere" / "real.txt", tmp_path / "link.txt"
    link.symlink_to(real)
    write_aside(link, _write, FileError)
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert list(real.parent.iterdir()) == [real]


def test_no_file_says_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = [no_file(path) for path in (tmp_path, tmp_path / "file", tmp_path / "absent", tmp_path / "file" / "below")]
    assert told == ["a folder", "", "", ""]
    assert no_file(Path(os.devnull)).startswith("a device")


def _refusing(is_refused: Callable[[os.stat_result], bool], error: int) -> Callable[[int], None]:
    """`os.fsync` that fails with `error` for some handles."""
    call = os.fsync

    def refusing(handle: int) -> None:
        if is_refused(os.fstat(handle)):
            raise OSError(error, os.strerror(error))
        call(handle)

    return refusing


def _is_folder(about: os.stat_result) -> bool:
    return stat.S_ISDIR(about.st_mode)


def test_where_only_the_folder_cannot_be_flushed_it_says_that_the_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", _refusing(_is_folder, errno.EIO))
    with pytest.raises(FileError, match=r"wrote .*txt, but a loss of power may undo it: Input.output error") as raised:
        write_aside(target, _write, FileError)
    assert "nothing was changed" not in str(raised.value)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_folders_is_no_hindrance(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _refusing(_is_folder, error))
    write_aside(tmp_path / "note.txt", _write, FileError)
    assert (tmp_path / "note.txt").read_text() == "new"
    monkeypatch.setattr(os, "fsync", _refusing(lambda about: not _is_folder(about), error))
    with pytest.raises(FileError, match="nothing was changed"):
        write_aside(tmp_path / "note.txt", _write, FileError)


def test_what_cannot_be_removed_does_not_hide_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(aside: Path) -> None:
        def stays(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(Path, "unlink", stays)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match="No space left on device; nothing was changed"):
        write_aside(tmp_path / "note.txt", fails, FileError)


def test_it_is_as_readable_as_any_new_file_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.delattr(os, "umask")  # two threads that set it at once would leave the wrong one
        write_aside(tmp_path / "note.txt", _write, FileError)
        assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o640
    finally:
        monkeypatch.undo()
        os.umask(before)
