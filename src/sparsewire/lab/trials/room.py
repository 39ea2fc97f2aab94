"""The room in which one trial works: a folder of its own, until what it found is handed in."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sparsewire.errors import StoreError
from sparsewire.lab.trials.live import WORK, work_folder

_PATIENCE = 5.0  # seconds for another worker of the same trial, which may just be dying
_ASKED_EVERY = 0.1


@contextlib.contextmanager
def room(root: Path, run: str, seed: int) -> Iterator[Path]:
    """A folder that no other process uses meanwhile; it stays, with its checkpoints, until `leave`.

    Args:
        root: the store's folder, or a temporary one.
        run: the spec's id.
        seed: which repetition.

    Raises:
        StoreError: it cannot be made.
    """
    folder = work_folder(root, run, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(folder)
        if handle is None:
            # Somebody who was believed dead does the same trial. Both will find the same; this one begins anew.
            folder = folder.with_name(f"{folder.name}~{os.getpid()}")
            folder.mkdir(exist_ok=True)
    except OSError as cause:
        raise StoreError(f"cannot work in {folder}: {cause.strerror or cause}") from cause
    try:
        yield folder
    finally:
        if handle is not None:
            os.close(handle)


def _locked(folder: Path) -> int | None:
    try:
        import fcntl
    except ImportError:
        return os.open(folder, os.O_RDONLY)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(handle)
                return None
            time.sleep(0.1)
        except OSError:  # a file system without locks: two workers of one trial would still find the same
            return handle


def leave(folder: Path) -> None:
    """Removes a trial's folder; what cannot be removed is swept when the next run begins."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep_rooms(root: Path, is_kept: Callable[[str, int], bool]) -> None:
    """Removes the folders of trials that the store has, and the signs of earlier runs.

    Args:
        root: the store's folder.
        is_kept: (run id, seed) → whether the store has the trial.
    """
    for entry in sorted((root / WORK).glob("*")):
        run, _, seed = entry.name.partition("~")[0].partition("-")
        if entry.is_file() and entry.suffix in (".stop", ".run"):
            entry.unlink(missing_ok=True)
        elif (
            entry.is_dir()
            and not entry.is_symlink()
            and seed.removeprefix("-").isdecimal()
            and ("~" in entry.name or is_kept(run, int(seed)))
        ):
            leave(entry)


class StopSign:
    """Asks the trials of one sweep to keep a checkpoint and end: a file, which other processes and hosts see.

    Args:
        root: the store's folder.
        sweep: the sweep's name.

    Example:
        >>> import tempfile
        >>> sign = StopSign(Path(tempfile.mkdtemp()), "s1")
        >>> sign.begin(), sign.is_up(), sign.put_up(), sign.is_up()
        (None, False, None, True)
    """

    def __init__(self, root: Path, sweep: str) -> None:
        self._stop, self._run = root / WORK / f"{sweep}.stop", root / WORK / f"{sweep}.run"
        self._asked, self._up = 0.0, False

    def begin(self, plan: Mapping[str, int] | None = None) -> None:
        """Says that the sweep is under way.

        Args:
            plan: for who watches: how many trials it has in all, lay behind it, and the store held when it began.
        """
        self._run.parent.mkdir(parents=True, exist_ok=True)
        self._run.write_text(json.dumps(plan or {}), encoding="utf-8")

    def is_seen(self) -> bool:
        """Whether the sweep is under way, as far as one can see from here: not, where the folder is another host's."""
        return self._run.exists()

    def put_up(self) -> None:
        """Asks all trials of the sweep to stop."""
        self._up = True
        with contextlib.suppress(OSError):  # on a full disk the workers are stopped by their executor
            self._stop.touch()

    def is_up(self) -> bool:
        """Whether the trials shall stop; looks ten times a second at most."""
        now = time.monotonic()
        if not self._up and now - self._asked >= _ASKED_EVERY:
            self._asked, self._up = now, self._stop.exists()
        return self._up

    def end(self) -> None:
        """Takes away the signs."""
        for path in (self._run, self._stop):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
