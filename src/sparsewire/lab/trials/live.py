"""Trials under way: what they have recorded so far, as lines that anybody may read while they are written.

    work/<run id>-<seed>/head.json     which trial this is, and who does it
    work/<run id>-<seed>/live.jsonl    {"name", "value", "step"}, and now and then {"fraction", "note"}

These files are for watching alone. They are not flushed to the disk, and the last line may be half written; results
come through the spool, whole.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORK = "work"
_SECONDS = 0.5  # between two writes
_KINDS = ({"fraction", "note"}, {"name", "value", "step"})


@dataclass(frozen=True)
class Running:
    """A trial under way, as far as it has told.

    Args:
        run: the spec's id.
        experiment: its name.
        spec: canonical text.
        seed: which repetition.
        host: where it is done.
        process: its number there.
        started: seconds since 1970.
        fraction: how far it is, from 0 to 1.
        note: in its own words.
        touched: seconds since 1970 when it last told something.
        series: name → (step or None, value) pairs in the order in which they were recorded.
    """

    run: str
    experiment: str
    spec: str
    seed: int
    host: str
    process: int
    started: float
    fraction: float
    note: str
    touched: float
    series: Mapping[str, Sequence[tuple[int | None, float]]]


class LiveStream:
    """Writes what a trial tells, a few times a second.

    Args:
        folder: the trial's own, see `work_folder`.
        head: what `Running` needs besides: run, experiment, spec, seed.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> head = {"run": "b32df87e9aae13e4", "experiment": "demo", "spec": "{}", "seed": 0}
        >>> stream = LiveStream(work_folder(root, "b32df87e9aae13e4", 0), head)
        >>> stream.record("loss", 0.5, 1), stream.progress(0.25, "epoch 1"), stream.close()
        (None, None, None)
        >>> [trial] = running(root)
        >>> trial.fraction, trial.note, trial.series
        (0.25, 'epoch 1', {'loss': [(1, 0.5)]})
    """

    def __init__(self, folder: Path, head: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        told = {**head, "host": socket.gethostname(), "process": os.getpid(), "started": time.time()}
        (folder / "head.json").write_text(json.dumps(told), encoding="utf-8")
        self._path = folder / "live.jsonl"
        self._lines: list[str] = []
        self._written = 0.0
        self._path.write_text("", encoding="utf-8")

    def record(self, name: str, value: float, step: int | None) -> None:
        """Tells of a number."""
        self._lines.append(json.dumps({"name": name, "value": value, "step": step}))
        self._flush(_SECONDS)

    def progress(self, fraction: float, note: str) -> None:
        """Tells how far the trial is."""
        self._lines.append(json.dumps({"fraction": fraction, "note": note}))
        self._flush(_SECONDS)

    def restart(self, records: Sequence[tuple[str, float, int | None]]) -> None:
        """Begins anew with these records, as a trial does that goes on from a checkpoint."""
        with contextlib.suppress(OSError):
            self._path.write_text("", encoding="utf-8")
        self._lines = [json.dumps({"name": name, "value": value, "step": step}) for name, value, step in records]
        self._flush(0.0)

    def close(self) -> None:
        """Writes what is left."""
        self._flush(0.0)

    def _flush(self, after: float) -> None:
        now = time.monotonic()
        if self._lines and now - self._written >= after:
            # Watching must never cost a trial: where the disk is full, the results will say so.
            with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write("\n".join(self._lines) + "\n")
            self._lines, self._written = [], now


def work_folder(root: Path, run: str, seed: int) -> Path:
    """Where a trial under way keeps what is its own: checkpoints, artefacts, live lines."""
    return root / WORK / f"{run}-{seed}"


def running(root: Path, *, series: bool = True) -> list[Running]:
    """The trials that have a work folder, those that were killed and not yet taken up again among them.

    Args:
        root: the store's folder.
        series: whether to read the numbers too.
    """
    found = []
    for folder in sorted((root / WORK).glob("*-*")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            head = json.loads((folder / "head.json").read_text(encoding="utf-8"))
            path = folder / "live.jsonl"
            fraction, note, numbers = _told(path, series)
            found.append(
                Running(
                    str(head["run"]), str(head["experiment"]), str(head["spec"]), int(head["seed"]),
                    str(head["host"]), int(head["process"]), float(head["started"]), fraction, note,
                    path.stat().st_mtime, numbers,
                )
            )  # fmt: skip
    return found


def _told(path: Path, series: bool) -> tuple[float, str, dict[str, list[tuple[int | None, float]]]]:
    fraction, note = 0.0, ""
    if not series:
        return *_last_told(path), {}
    numbers: dict[str, list[tuple[int | None, float]]] = {}
    for line in _lines(path):
        with contextlib.suppress(ValueError, TypeError, OverflowError):  # what is no line of ours hides no other
            if "fraction" in line:
                fraction, note = float(line["fraction"]), str(line["note"])
            else:
                point = None if line["step"] is None else int(line["step"]), float(line["value"])
                numbers.setdefault(str(line["name"]), []).append(point)
    return fraction, note, numbers


def _last_told(path: Path) -> tuple[float, str]:
    """How far the trial is. Only the line that says so is read: a coordinator looks every second."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    while (begin := data.rfind(b'{"fraction"', 0, end)) >= 0:
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, RecursionError):
            line = json.loads(data[begin : data.index(b"\n", begin)])
            return float(line["fraction"]), str(line["note"])
        end = begin
    return 0.0, ""


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of the file; what is torn or foreign is left out."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(line)
            if isinstance(found, dict) and any(kind <= found.keys() for kind in _KINDS):
                yield found
