"""The last two states of a training, on disk: found again whole after a kill at any moment, or said to be damaged."""

import contextlib
import errno
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.files import flush, write_aside
from sparsewire.lab.checkpointing.checkpoint_manifest import MANIFEST_CAP, manifest, read_manifest
from sparsewire.lab.checkpointing.tensor_files import Damage, open_regular, read_tensors, write_tensors
from sparsewire.training.state import State

_OURS = re.compile(r"([1-9][0-9]{0,17})\.(json|safetensors)")
_PART = re.compile(r"\.[1-9][0-9]{0,17}\.(json|safetensors)\..*\.part")
# What reading a file that is damaged ends with. Anything else may pass, such as too many open files.
_BROKEN = {errno.EIO, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR}
_ASKED_EVERY = 0.2  # seconds between two looks at `is_stopped`, which may ask a file system


class Stopped(BaseException):
    """The training was asked to stop; its state is kept. No `Exception`: who catches those must not go on."""


class CheckpointFolder:
    """Keeps the states of one training in a folder: `training.state.Checkpoints` on disk.

    State n is `<n>.safetensors`, all tensors, and `<n>.json`, the manifest, which is written last: the format, size and
    SHA-256 of the tensors' file, the facts, and a SHA-256 of the manifest itself. Each is written under a temporary
    name, flushed, renamed, and the folder flushed. The last two states are kept. One process at a time may use it.

    Args:
        path: of the folder; the first `save` makes it.
        every: seconds after which the next state is due; inf for never.
        every_steps: instead of seconds, steps: how many times `is_due` is asked.
        is_stopped: whether the training shall end. Then a state is due at once, and `save` raises `Stopped` after it
            has kept it. It is asked five times a second at most.

    Raises:
        RequestError: a time or a number of steps that is none.

    Example:
        >>> import tempfile, torch
        >>> folder = CheckpointFolder(Path(tempfile.mkdtemp()) / "checkpoints")
        >>> folder.save(State({"w": torch.tensor([0.5])}, {"epoch": 3}))
        >>> CheckpointFolder(folder.path).load()
        State(tensors={'w': tensor([0.5000])}, facts={'epoch': 3})
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: float = 30.0,
        is_stopped: Callable[[], bool] | None = None,
        *,
        every_steps: int | None = None,
    ) -> None:
        if not every >= 0:
            raise RequestError(f"every: found {every!r}, expected seconds, 0 or more")
        if every_steps is not None and every_steps < 1:
            raise RequestError(f"every_steps: found {every_steps!r}, expected 1 or more")
        self.path = Path(path).absolute()
        self.notes: tuple[str, ...] = ()  # what `load` found wrong, for the trial's record
        self._every, self._every_steps, self._is_stopped = every, every_steps, is_stopped
        self._steps, self._last, self._asked = 0, time.monotonic(), -math.inf
        self._whole: int | None = None  # the newest state that this object has read or written

    def load(self) -> State | None:
        """The last state that is whole, or None where none was ever kept; sweeps what kills have left behind.

        If the last one is damaged, the one before it is taken; `notes` and a RuntimeWarning say so.

        Raises:
            CheckpointError: there are states and all are damaged, or one is of a newer version, or the folder cannot
                be read. Nothing was changed then.
        """
        files = self._files()
        numbers = sorted({number for number, kind in files if kind == "json"}, reverse=True)
        damages: list[str] = []
        state = None
        for place, number in enumerate(numbers):
            try:
                state = self._read(number)
            except Damage as cause:
                damages.append(f"{self.path / str(number)}.json: {cause}")
                continue
            self._whole = number
            self._sweep(numbers[: place + 2])  # damaged ones too, until the next state is kept
            break
        if state is None and damages:
            raise CheckpointError(
                f"no checkpoint in {self.path} is whole: {'; '.join(damages)}. Put back a copy of the folder, "
                "or remove it to begin the training anew"
            )
        if state is None:
            self._sweep(())
        self.notes = tuple(f"a damaged checkpoint was passed over: {damage}" for damage in damages)
        for note in self.notes:
            warnings.warn(f"{note}; the training goes on from checkpoint {self._whole}", RuntimeWarning, stacklevel=2)
        return state

    def is_due(self) -> bool:
        """Whether to keep a state now: enough time or steps since the last one, or the training shall end."""
        self._steps += 1
        now = time.monotonic()
        if self._is_stopped is not None and now - self._asked >= _ASKED_EVERY:
            self._asked = now
            if self._is_stopped():
                return True
        return now - self._last >= self._every if self._every_steps is None else self._steps >= self._every_steps

    def save(self, state: State) -> None:
        """Keeps a state, flushed to the disk when this returns, and removes all but it and the one before.

        Raises:
            CheckpointError: it cannot be written, or holds what safetensors or JSON cannot say; what was kept before
                is untouched.
            Stopped: it was kept, and the training shall end.
        """
        files = self._files()
        number = 1 + max((number for number, _ in files), default=0)
        before = self._whole or max((number for number, kind in files if kind == "json"), default=0)
        _make(self.path)
        tensors = self.path / f"{number}.safetensors"
        try:
            part = write_tensors(tensors, state.tensors)
            content = manifest(number, part, state.facts)
            write_aside(self.path / f"{number}.json", lambda aside: _put(aside, content), CheckpointError)
        except CheckpointError:
            with contextlib.suppress(OSError):
                if not (self.path / f"{number}.json").exists():  # only flushing the folder failed: it may be found
                    tensors.unlink(missing_ok=True)
            raise
        self._whole = number
        self._sweep((number, before))
        self._steps, self._last = 0, time.monotonic()
        if self._is_stopped is not None and self._is_stopped():
            raise Stopped(f"stopped; the state is kept as {self.path / str(number)}.json")

    def _files(self) -> set[tuple[int, str]]:
        try:
            names = os.listdir(self.path)  # noqa: PTH208
        except FileNotFoundError:
            return set()
        except OSError as cause:
            raise CheckpointError(f"cannot read the folder {self.path}: {cause.strerror or cause}") from cause
        return {(int(found[1]), found[2]) for name in names if (found := _OURS.fullmatch(name))}

    def _read(self, number: int) -> State:
        """One state.

        Raises:
            Damage: it is not what was written.
            CheckpointError: it cannot be read now, which may pass, or not by this version: no reason to fall back.
        """
        try:
            with open_regular(self.path / f"{number}.json") as file:
                content = file.read(MANIFEST_CAP + 1)
            part, facts = read_manifest(content, number)
            return State(read_tensors(self.path / f"{number}.safetensors", part), facts)
        except FileNotFoundError as cause:
            raise Damage(f"{os.path.basename(cause.filename)} is missing") from cause  # noqa: PTH119
        except CheckpointError as cause:
            raise CheckpointError(f"cannot read {self.path / str(number)}.json: {cause}") from None
        except OSError as cause:
            if cause.errno in _BROKEN:
                raise Damage(f"{cause.strerror or cause}") from cause
            raise CheckpointError(f"cannot read {self.path / str(number)}.json: {cause.strerror or cause}") from cause

    def _sweep(self, kept: Iterable[int]) -> None:
        """Removes our files but for those of some numbers; manifests first, so that none is without its tensors."""
        with contextlib.suppress(OSError):  # what cannot be removed does no harm, and the next sweep tries again
            for name in sorted(os.listdir(self.path)):  # noqa: PTH208
                found = _OURS.fullmatch(name)
                if _PART.fullmatch(name) or (found and int(found[1]) not in set(kept)):
                    with contextlib.suppress(OSError):
                        (self.path / name).unlink()


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _make(folder: Path) -> None:
    """A folder whose name, and those of the folders above it, survive a loss of power."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            flush(path.parent)
    except OSError as cause:
        raise CheckpointError(f"cannot make the folder {folder}: {cause.strerror or cause}") from cause
