"""Writing a file so that nobody ever finds half of it."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sparsewire.errors import FileError

E = TypeVar("E", bound=FileError)


def write_aside(path: str | os.PathLike[str], write: Callable[[Path], None], error: type[E]) -> None:
    """Puts a whole file at `path`, or leaves what was there before untouched.

    The file is written under a temporary name in the same folder, flushed to the disk and then renamed; the folder is
    flushed as well, so that the new name survives a loss of power. It is as readable as any new file.

    Args:
        path: where the file shall be; missing folders are made, a link is followed.
        write: writes the content into the temporary path that it is given.
        error: the exception to raise when the disk is full, the folder cannot be written, ….

    Raises:
        error: naming `path` and the cause; the temporary file is gone by then, if it can be removed. Also if `path` is
            a folder, a device or a pipe, which renaming would replace. Where only the last step failed, the message
            says that the new file is there.

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
    is_there = False
    try:
        if hindrance := no_file(target):
            raise OSError(f"it is {hindrance}; name a file")
        target = Path(os.path.realpath(target))  # renaming onto a link would replace the link
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = _begun(target)
        write(aside)
        _flush_file(aside)
        aside.replace(target)
        is_there = True
        flush(target.parent)
    except OSError as cause:
        told = cause.strerror or cause
        if is_there:
            raise error(f"wrote {Path(path)}, but a loss of power may undo it: {told}; write it again") from cause
        raise error(f"cannot write {Path(path)}: {told}; nothing was changed") from cause
    finally:
        if aside is not None and not is_there:
            with contextlib.suppress(OSError):  # what hindered the writing is what the caller must hear of
                aside.unlink(missing_ok=True)


def flush(folder: Path) -> None:
    """Brings the names in a folder to the disk, where its file system can be told to."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as cause:
        if cause.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know it of files alone
            raise
    finally:
        os.close(handle)


def check_header(path: Path, most: int) -> None:
    """Refuses a safetensors file of which much would be read before anybody can see that it is none.

    Args:
        path: of the file.
        most: bytes that its header may take.

    Raises:
        OSError: it is no regular file, or its header is longer.
    """
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")  # opening a pipe would wait for ever
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > most:
        raise OSError(f"its header takes {length:,} bytes, expected at most {most:,}")


def no_file(path: Path) -> str:
    """What stands at a path where no file can be put, such as "a folder"; "" where one can.

    Renaming replaces a device or a pipe like any file: root would lose /dev/null by naming it.

    Example:
        >>> no_file(Path("/")), no_file(Path(__file__))
        ('a folder', '')
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""  # a file that stands where a folder should is noticed when the folder is made
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a device or a pipe, and only whole files are written"


def _begun(target: Path) -> Path:
    """An empty file beside `target`, under a name that nobody has.

    Not by mkstemp, which makes it private: the umask that would undo this can only be read by setting it, and two
    threads that do so at once may leave the process with the wrong one.
    """
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    return aside


def _flush_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
