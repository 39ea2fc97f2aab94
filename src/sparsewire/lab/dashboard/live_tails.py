"""The trials under way, read again and again: each time only what they have told since."""

import contextlib
import json
import math
import os
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsewire.lab.trials.live import WORK, Running

_FOLDER = re.compile(r"[0-9a-f]{16}-(0|-?[1-9][0-9]{0,18})")
_LARGEST_SEED = 2**63
_LARGEST_HEAD = 1 << 20
_MOST_AT_ONCE = 4 << 20  # bytes of one trial a reading; the rest comes with the next
_MOST_TRIALS = 2_000
_MOST_NAMES = 200
_MOST_POINTS = 200_000
_OVERLAP = 64


@dataclass
class _Tail:
    """How far one trial has been read."""

    head: dict[str, Any]
    head_stamp: tuple[int, int]
    offset: int = 0
    before: bytes = b""
    stamp: tuple[int, int] = (0, 0)
    fraction: float = 0.0
    note: str = ""
    points: int = 0
    series: dict[str, list[tuple[int | None, float]]] = field(default_factory=dict)


class LiveTails:
    """Follows the trials under way in a store's folder.

    What is torn, foreign or larger than a trial would tell is left out; nothing outside `work/` is read.

    Args:
        root: the store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tails: dict[str, _Tail] = {}

    def read(self) -> dict[str, Running]:
        """`<run>-<seed>` → the trial as far as it has told.

        Example:
            >>> import tempfile
            >>> from sparsewire.lab.trials.live import LiveStream, work_folder
            >>> root = Path(tempfile.mkdtemp())
            >>> head = {"run": "b32df87e9aae13e4", "experiment": "demo", "spec": "{}", "seed": 0}
            >>> stream, tails = LiveStream(work_folder(root, "b32df87e9aae13e4", 0), head), LiveTails(root)
            >>> stream.record("loss", 0.5, 1)
            >>> tails.read()["b32df87e9aae13e4-0"].series
            {'loss': [(1, 0.5)]}
        """
        try:
            with os.scandir(self._root / WORK) as entries:
                names = sorted(entry.name for entry in entries if _is_trial(entry))[:_MOST_TRIALS]
        except OSError:
            names = []
        found = {}
        for name in names:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
                found[name] = self._running(name)
        self._tails = {name: self._tails[name] for name in found}
        return found

    def _running(self, name: str) -> Running:
        folder = self._root / WORK / name
        tail = self._tail(name, folder)
        path = folder / "live.jsonl"
        touched = tail.head_stamp[0] / 1e9
        with contextlib.suppress(FileNotFoundError):
            about = path.lstat()
            _catch_up(tail, path, (about.st_mtime_ns, about.st_size))
            touched = about.st_mtime
        head = tail.head
        return Running(
            str(head["run"]), str(head["experiment"]), str(head["spec"]), int(head["seed"]), str(head["host"]),
            int(head["process"]), float(head["started"]), tail.fraction, tail.note, touched, tail.series,
        )  # fmt: skip

    def _tail(self, name: str, folder: Path) -> _Tail:
        """What is known of the trial; begun anew when another attempt at it has begun."""
        about = (folder / "head.json").lstat()
        stamp = (about.st_mtime_ns, about.st_size)
        if name not in self._tails or self._tails[name].head_stamp != stamp:
            if about.st_size > _LARGEST_HEAD:
                raise ValueError("no head of a trial")
            head = json.loads(plain_bytes(folder / "head.json", 0, _LARGEST_HEAD))
            if f"{head['run']}-{head['seed']}" != name:
                raise ValueError("the head of another trial")
            if not -_LARGEST_SEED <= int(head["seed"]) < _LARGEST_SEED or not math.isfinite(float(head["started"])):
                raise ValueError("a seed or a start that no trial can have")
            self._tails[name] = _Tail(head, stamp)
        return self._tails[name]


def is_stopped(one: Running) -> bool:
    """Whether the process that did the trial is gone, as far as this host can say: it goes on with the next run.

    Example:
        >>> import os, socket
        >>> here = Running("", "", "", 0, socket.gethostname(), os.getpid(), 0.0, 0.0, "", 0.0, {})
        >>> is_stopped(here)
        False
    """
    if one.host != socket.gethostname() or not 0 < one.process < 2**31:
        return False
    try:
        os.kill(one.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _is_trial(entry: "os.DirEntry[str]") -> bool:
    return bool(_FOLDER.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False)


def plain_bytes(path: Path, start: int, most: int) -> bytes:
    """At most so many bytes of a plain file, from `start` on; a link is not followed, a pipe is not waited for.

    Raises:
        ValueError: it is no plain file.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)  # Python would not: a folder in the place of a file would take a handle at every look
        raise ValueError(f"{path.name} is no plain file")
    with os.fdopen(handle, "rb") as file:
        file.seek(start)
        return file.read(most)


def _catch_up(tail: _Tail, path: Path, stamp: tuple[int, int]) -> None:
    if stamp == tail.stamp:
        return
    begin = tail.offset - len(tail.before)
    new = plain_bytes(path, begin, _MOST_AT_ONCE)
    if not new.startswith(tail.before):  # written anew, as by a trial that went back to its checkpoint
        tail.offset, tail.points, tail.series, tail.fraction, tail.note = 0, 0, {}, 0.0, ""
        tail.before, new = b"", plain_bytes(path, 0, _MOST_AT_ONCE)
    end = new.rfind(b"\n") + 1
    begin = tail.offset - len(tail.before)
    for line in _lines(new[len(tail.before) : end]):
        _take(tail, line)
    if end > len(tail.before):
        tail.offset, tail.before = begin + end, new[max(end - _OVERLAP, 0) : end]
    # where more is left than was taken at once, the next reading goes on although the file stays as it is
    tail.stamp = stamp if begin + len(new) >= stamp[1] else (0, 0)


def _lines(whole: bytes) -> Iterator[dict[str, Any]]:
    for line in whole.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _take(tail: _Tail, line: dict[str, Any]) -> None:
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        if "fraction" in line:
            fraction = float(line["fraction"])
            tail.fraction = min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else 0.0
            tail.note = str(line["note"])[:500]
            return
        name, value = str(line["name"])[:500], float(line["value"])
        step = None if line["step"] is None else int(line["step"])
        if tail.points < _MOST_POINTS and (name in tail.series or len(tail.series) < _MOST_NAMES):
            tail.series.setdefault(name, []).append((step, value))
            tail.points += 1
