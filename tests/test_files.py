"""Files are whole or absent, and nothing but a file is ever replaced."""

import os
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
