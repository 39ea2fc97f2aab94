"""The checkpoints of a trial's training, which bring back what the trial had found by then too."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sparsewire.errors import CheckpointError
from sparsewire.lab.checkpoint_folder import CheckpointFolder, Stopped
from sparsewire.training.state import State

if TYPE_CHECKING:
    from sparsewire.lab.trials.trial import Trial


class TrialCheckpoints:
    """A folder of checkpoints that also keeps a trial's records and artefacts; made by `Trial.checkpoints`.

    A checkpoint that cannot be written (the disk is full) costs no trial: a warning says so, the training goes on.
    """

    def __init__(self, trial: "Trial", path: Path, every: float, is_stopped: Callable[[], bool] | None) -> None:
        self._trial, self._every, self._is_stopped = trial, every, is_stopped
        self._not_before = 0.0
        self._folder = CheckpointFolder(path, every, is_stopped)

    def load(self) -> State | None:
        """The training's last state, after the trial was given back what belongs to it.

        Raises:
            CheckpointError: all that were kept are damaged.
        """
        state = self._folder.load()
        if state is None:
            return None
        try:
            self._trial.restart(_part(state, "trial"))
            return _part(state, "training")
        except (KeyError, TypeError, ValueError, IndexError) as cause:
            raise CheckpointError(f"the checkpoint in {self._folder.path} is not one of a trial: {cause!r}") from cause

    def is_due(self) -> bool:
        """Whether it is time to keep the state."""
        return self._folder.is_due() and (time.monotonic() >= self._not_before or self._is_to_stop())

    def save(self, state: State) -> None:
        """Keeps the state.

        Raises:
            Stopped: the trial shall end; it was kept, if it could be.
        """
        parts = {"training": state, "trial": self._trial.told()}
        whole = State(
            {f"{part}/{name}": tensor for part, one in parts.items() for name, tensor in one.tensors.items()},
            {part: one.facts for part, one in parts.items()},
        )
        try:
            self._folder.save(whole)
        except CheckpointError as cause:
            if self._is_to_stop():
                raise Stopped(f"stopped, and not kept: {cause}") from cause
            self._not_before = time.monotonic() + self._every
            warnings.warn(f"{cause}; the training goes on without it", RuntimeWarning, stacklevel=2)

    def _is_to_stop(self) -> bool:
        return self._is_stopped is not None and self._is_stopped()


def _part(state: State, part: str) -> State:
    inside = f"{part}/"
    return State(
        {name.removeprefix(inside): tensor for name, tensor in state.tensors.items() if name.startswith(inside)},
        state.facts[part],
    )
