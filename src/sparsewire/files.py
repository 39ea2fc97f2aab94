"""Writing a file so that nobody ever finds half of it."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sparsewire.errors import FileError

E = TypeVar("E", bound=FileError)


def write_aside(path: str | os.PathLike[str], write: Callable[[Path], None], error: type[E]) -> None:
    """Puts a whole file at `path`, or leaves what was there before untouched.

    The file is written under a temporary name in the same folder, flushed to the disk and then renamed; the folder is
    flushed as well, so that the new name survives a loss of power.

    Args:
        path: where the file shall be; missing folders are made, a link is followed.
        write: writes the content into the temporary path that it is given.
        error: the exception to raise when the disk is full, the folder cannot be written, ….

    Raises:
        error: naming `path` and the cause; the temporary file is gone by then. Also if `path` is a folder, a device or
            a pipe, which renaming would replace.

    Example:
        >>> import tempfile
        >>> from sparsewire.errors import DataError
        >>> target = Path(tempfile.mkdtemp()) / "deep" / "note.txt"
        >>> write_aside(target, lambda aside: aside.write_text("whole") and None, DataError)
        >>> target.read_text()
        'whole'
    """
    target = Path(path)
    aside: Path | None = None
    try:
        if hindrance := no_file(target):
            raise OSError(f"it is {hindrance}; name a file")
        target = Path(os.path.realpath(target))  # renaming onto a link would replace the link
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        aside = Path(name)
        write(aside)
        _flush(aside)
        aside.chmod(0o666 & ~_umask())  # mkstemp makes it private; a result is as readable as any new file
        aside.replace(target)
        aside = None
        _flush(target.parent)
    except OSError as cause:
        raise error(f"cannot write {Path(path)}: {cause.strerror or cause}; nothing was changed") from cause
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def no_file(path: Path) -> str:
    """What stands at a path where no file can be put, such as "a folder"; "" where one can.

    Renaming replaces a device or a pipe like any file: root would lose /dev/null by naming it.

    Example:
        >>> no_file(Path(tempfile.gettempdir())), no_file(Path(__file__))
        ('a folder', '')
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""  # a file that stands where a folder should is noticed when the folder is made
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a device or a pipe, and only whole files are written"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
