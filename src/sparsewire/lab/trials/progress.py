"""Where a run of trials is, told to whoever watches it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sparsewire.lab.spec import Spec
from sparsewire.lab.trials.live import running

_LOOK_SECONDS = 1.0


class Under(NamedTuple):
    """A trial under way: how far it is, from 0 to 1, and its own note."""

    spec: Spec
    seed: int
    fraction: float
    note: str


class Progress(NamedTuple):
    """Where a run is: trials behind it (`done`, those of earlier runs included) of all, and those under way.

    `ended` names how the trial ended that has just done so, or is empty. Where trials follow from what others found,
    `total` counts those known so far, `is_open` says that more may come, and `rounds` how many times some have.
    """

    done: int
    total: int
    running: tuple[Under, ...] = ()
    ended: str = ""
    failed: int = 0
    rounds: int = 0
    is_open: bool = False

    @property
    def fraction(self) -> float:
        """Of the whole run, from 0 to 1.

        Example:
            >>> Progress(1, 4, (Under(Spec(experiment="demo"), 0, 0.5, ""),)).fraction
            0.375
        """
        return min(1.0, (self.done + sum(trial.fraction for trial in self.running)) / max(1, self.total))


class Watcher:
    """Tells the caller where the run is; if the caller's function fails, that is no trial's failure."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self._progress = progress
        self._done = self._total = self._failed = self._rounds = 0
        self._is_open = False
        self._running: tuple[Under, ...] = ()
        self._looked = 0.0
        self._broken: Exception | None = None

    def begin(self, done: int, total: int, rounds: int = 0, is_open: bool = False) -> None:
        """The run begins, with so many trials behind it, or further ones have come to it."""
        self._done, self._total, self._rounds, self._is_open = done, total, rounds, is_open
        self._tell("")

    def here(self, spec: Spec, seed: int, fraction: float, note: str) -> None:
        """A trial in this process tells how far it is."""
        self._running = (Under(spec, seed, fraction, note),)
        self._tell("")

    def look(self, root: Path, specs: Mapping[tuple[str, int], Spec]) -> None:
        """At what trials in other processes have told, once a second.

        Args:
            root: the store's folder.
            specs: (canonical text, seed) → spec of the trials that were given out; others' folders are not this run's.
        """
        if self._progress is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        told = [(trial, specs.get((trial.spec, trial.seed))) for trial in running(root, series=False)]
        self._running = tuple(Under(spec, one.seed, one.fraction, one.note) for one, spec in told if spec is not None)
        self._tell("")

    def end(self, state: str) -> None:
        """A trial has ended and is kept.

        Raises:
            Exception: whatever the caller's function raised.
        """
        self._running = ()
        self._done, self._failed = self._done + 1, self._failed + (state == "failed")
        self._tell(state)
        if self._broken is not None:
            raise self._broken

    def _tell(self, ended: str) -> None:
        if self._progress is not None and self._broken is None:
            try:
                now = Progress(self._done, self._total, self._running, ended, self._failed, self._rounds, self._is_open)
                self._progress(now)
            except Exception as error:  # noqa: BLE001 - raised by `end`, after the trial was kept
                self._broken = error
