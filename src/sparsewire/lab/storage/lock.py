"""One writing process a store: the lock that the kernel itself takes from a process that dies."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path

from sparsewire.errors import StoreError


class WriterLock:
    """The right to write in a folder, held until `release` or until the process dies.

    Args:
        path: the lock's file; it names the holder, and stays when nobody holds it.

    Raises:
        StoreError: another process holds it (the message names its number and host), or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "store.lock"
        >>> lock = WriterLock(path)
        >>> WriterLock(path)
        Traceback (most recent call last):
        sparsewire.errors.StoreError: ... is in use: process ... on host ... writes in it since ...
        >>> lock.release()
        >>> WriterLock(path).release()
    """

    def __init__(self, path: Path) -> None:
        try:
            import fcntl
        except ImportError:
            raise StoreError("this system has no flock, so a store can be read here, but not written") from None
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as cause:
            raise StoreError(f"cannot write in {path.parent}: {cause.strerror or cause}") from cause
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            os.close(self._handle)
            raise StoreError(
                f"the store {path.parent} is in use: {holder}; wait for it, stop it, or name another --store"
            ) from None
        except OSError as cause:
            os.close(self._handle)
            raise StoreError(
                f"cannot lock {path}: {cause.strerror or cause}; name a --store on a local disk"
            ) from cause
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._write(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}))

    def _write(self, text: str) -> None:
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, text.encode(), 0)
        except OSError as cause:  # the lock holds all the same, but nobody could say who has it
            os.close(self._handle)
            raise StoreError(f"cannot write in the store's folder: {cause.strerror or cause}") from cause

    def release(self) -> None:
        """Gives the right back; the file stays, because removing it would let two processes lock two files."""
        import fcntl

        with contextlib.suppress(OSError):  # a name that stays is no lock
            os.ftruncate(self._handle, 0)
        fcntl.flock(self._handle, fcntl.LOCK_UN)  # also where a child process still holds a copy of the handle
        os.close(self._handle)


def _holder(path: Path) -> str:
    for _ in range(10):  # the holder may be between taking the lock and writing who it is
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return f"process {int(found['process'])} on host {found['host']} writes in it since {found['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.02)
    return "another process writes in it"
