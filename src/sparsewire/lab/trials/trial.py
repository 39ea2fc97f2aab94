"""What a trial function is given: random numbers, and somewhere to put what it finds and how far it is."""

import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsewire.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from sparsewire.execution.plans import Plan
    from sparsewire.lab.storage.artefacts import Artefact
    from sparsewire.lab.trials.trial_checkpoints import TrialCheckpoints
    from sparsewire.structure.graphs import NetGraph
    from sparsewire.training.state import State

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_GRACE = 1.5  # seconds
_SHOW_SECONDS = 1.0  # between two pictures for who watches
Records = Sequence[tuple[str, float, int | None]]


class Trial:
    """What a trial function is given: its seed, streams of random numbers, and somewhere to put what it finds.

    Args:
        seed: the number of this repetition.
        folder: the trial's own, for artefacts and checkpoints until it ends.
        progress: is told how far the trial is: (fraction, note).
        recorded: is told each number: (name, value, step).
        is_stopped: whether the trial shall keep a checkpoint and end.
        every: seconds between two checkpoints.

    Attributes:
        artefacts: what was kept, by name.
        plans: as JSON texts, by name.
        on_restart: is told all numbers when the trial goes on from a checkpoint.

    Example:
        >>> trial = Trial(seed=0, folder=Path("unused"))
        >>> trial.record("loss", 0.5, step=1), trial.record("loss", 0.25, step=2), trial.record("accuracy", 0.9)
        (None, None, None)
        >>> trial.metrics, trial.series
        ({'loss': 0.25, 'accuracy': 0.9}, {'loss': [(1, 0.5), (2, 0.25)]})
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        progress: Callable[[float, str], None] | None = None,
        *,
        recorded: Callable[[str, float, int | None], None] | None = None,
        is_stopped: Callable[[], bool] | None = None,
        every: float = 30.0,
    ) -> None:
        self.seed = seed
        self.artefacts: dict[str, Artefact] = {}
        self.plans: dict[str, str] = {}
        self.on_restart: Callable[[Records], None] | None = None
        self._folder, self._every = folder, every
        self._progress, self._recorded, self._is_stopped = progress, recorded, is_stopped
        self._records: list[tuple[str, float, int | None]] = []
        self._kept = 0
        self._network: dict[str, np.ndarray[Any, Any]] = {}
        self._shown = -math.inf
        self._trainings: set[str] = set()
        self._stop_seen = 0.0

    def generator(self, purpose: str) -> "torch.Generator":
        """A fresh generator whose stream depends on the seed and the purpose alone, not on the spec.

        So two specs draw the same data order, and a new purpose disturbs no other. Asked twice, it starts twice.

        Args:
            purpose: what it is for, e.g. "weights" or "order".

        Example:
            >>> trial = Trial(seed=3, folder=Path("unused"))
            >>> trial.generator("order").initial_seed() == trial.generator("weights").initial_seed()
            False
        """
        import torch

        return torch.Generator().manual_seed(stream(self.seed, purpose))

    def record(self, name: str, value: float, step: int | None = None) -> None:
        """Notes a number; NaN and infinity are kept as what they are.

        Args:
            name: what was measured; a name that holds "seconds" says that it may differ between runs.
            value: the number; a tensor of one element will do, if it needs no gradient.
            step: where on its curve it lies; without it the number is the metric's final value.

        Raises:
            RequestError: the name is empty or holds characters that cannot be printed.
        """
        if not (isinstance(name, str) and name and name.isprintable()):
            raise RequestError(f"record: name: found {name!r}, expected a text of printable characters")
        if step is not None and not -(2**63) <= step < 2**63:
            raise RequestError(f"record: step: found {step}, which is too large")
        # + 0.0 turns -0.0 into 0.0, which SQLite does on its own in some places and not in others
        noted = name, float(value) + 0.0, None if step is None else int(step)
        self._records.append(noted)
        if self._recorded is not None:
            self._recorded(*noted)
        self._obey()

    def keep(self, name: str, arrays: "Mapping[str, np.ndarray[Any, Any] | torch.Tensor]") -> None:
        """Writes arrays as one artefact; they appear in the store when the trial ends. The same name replaces.

        Args:
            name: letters, digits, `_`, `.` and `-`.
            arrays: name → array or tensor of any shape; bfloat16 becomes float32, which is exact.

        Raises:
            RequestError: the name cannot be a file's name, or an array is sparse, of objects or of texts.
            StoreError: the disk is full or cannot be written.
        """
        from sparsewire.lab.storage.artefacts import write_arrays

        _check("keep", name)
        # A file of its own each time: a checkpoint that knows the one before must find it unchanged.
        path = self._folder / "artefacts" / f"{self._kept}-{name}.safetensors"
        self.artefacts[name] = write_arrays(path, arrays)
        self._kept += 1

    def show(self, graph: "NetGraph") -> None:
        """Shows the network: its strongest edges, on the dashboard while the trial goes on; the last one is kept.

        Args:
            graph: such as `NetGraph.from_model(model, masks)`.
        """
        from sparsewire.lab.trials.pictures import network_arrays, show_live

        self._network = network_arrays(graph)
        if time.monotonic() - self._shown >= _SHOW_SECONDS:
            show_live(self._folder, self._network)
            self._shown = time.monotonic()

    def finish(self) -> None:
        """Keeps what was only shown; called when the trial function has returned.

        Raises:
            StoreError: the disk is full or cannot be written.
        """
        if self._network:
            self.keep("network", self._network)

    def report(self, fraction: float, note: str = "") -> None:
        """Says how far the trial is, from 0 to 1; costs nothing where nobody watches.

        A trial that is asked to stop ends here, and in `record`, if it trains without `checkpoints`.
        """
        if self._progress is not None:
            self._progress(min(max(0.0, float(fraction)), 1.0), note)  # in this order NaN becomes 0
        self._obey()

    def _obey(self) -> None:
        """Ends the trial if it is asked to; a training with checkpoints is given time to keep one."""
        if self._is_stopped is None or not self._is_stopped():
            return
        from sparsewire.lab.checkpoint_folder import Stopped

        self._stop_seen = self._stop_seen or time.monotonic()
        if not self._trainings or time.monotonic() - self._stop_seen > _GRACE:
            raise Stopped("stopped")

    def checkpoints(self, name: str = "training") -> "TrialCheckpoints":
        """Where a training of this trial is kept, for the `checkpoints` of `fit`; another name for each training.

        A trial that was killed is done again from its beginning; each `fit` with checkpoints then goes on where it was,
        and what the trial had recorded and kept by then is there again.

        Args:
            name: letters, digits, `_`, `.` and `-`.

        Raises:
            RequestError: the name is none, or another training of this trial has it.
        """
        from sparsewire.lab.trials.trial_checkpoints import TrialCheckpoints

        _check("checkpoints", name)
        if name in self._trainings:  # the second one would go on where the first was, or not, as time will have it
            raise RequestError(f"checkpoints: name: found {name!r} twice, expected another one for each training")
        self._trainings.add(name)
        return TrialCheckpoints(self, self._folder / "checkpoints" / name, self._every, self._is_stopped)

    def plan(self, name: str, make: "Callable[[], Plan]") -> "Plan":
        """The plan under this name: made and written down the first time, the same one ever after.

        What runs sparse is decided by measuring, and another choice rounds otherwise. So a trial that was killed must
        go on with the plan that it had; the plan is kept with the outcome.

        Args:
            name: letters, digits, `_`, `.` and `-`.
            make: measures, e.g. `lambda: plan(model, masks)`.
        """
        from sparsewire.execution.plans import Plan

        _check("plan", name)
        path = self._folder / "plans" / f"{name}.json"
        if not path.exists():
            make().save(path)
        found = Plan.load(path)
        self.plans[name] = found.to_json()
        return found

    @property
    def metrics(self) -> dict[str, float]:
        """Name → the value recorded without a step, or else the last one with a step."""
        stepped = {name: value for name, value, step in self._records if step is not None}
        final = {name: value for name, value, step in self._records if step is None}
        return {name: final[name] if name in final else stepped[name] for name, _, _ in self._records}

    @property
    def series(self) -> dict[str, list[tuple[int, float]]]:
        """Name → the (step, value) pairs in the order in which they were recorded."""
        found: dict[str, list[tuple[int, float]]] = {}
        for name, value, step in self._records:
            if step is not None:
                found.setdefault(name, []).append((step, value))
        return found

    def told(self) -> "State":
        """All that the trial has found; numbers as tensors, since a trial may have millions."""
        import torch

        from sparsewire.training.state import State

        names = list(dict.fromkeys(name for name, _, _ in self._records))
        places = {name: place for place, name in enumerate(names)}
        steps = [step for _, _, step in self._records]
        tensors = {
            "names": torch.tensor([places[name] for name, _, _ in self._records], dtype=torch.int32),
            "values": torch.tensor([value for _, value, _ in self._records], dtype=torch.float64),
            "steps": torch.tensor([step or 0 for step in steps], dtype=torch.int64),
            "with step": torch.tensor([step is not None for step in steps], dtype=torch.bool),
        }
        tensors |= {f"network {name}": torch.from_numpy(array.copy()) for name, array in self._network.items()}
        artefacts = [[name, artefact.path.name, artefact.sha256] for name, artefact in self.artefacts.items()]
        return State(tensors, {"names": names, "artefacts": artefacts, "kept": self._kept})

    def restart(self, told: "State") -> None:
        """Takes back what `told` said, in place of what was found since the trial's beginning."""
        from sparsewire.lab.storage.artefacts import Artefact

        names, home = told.facts["names"], self._folder / "artefacts"
        columns = (told.tensors[name].tolist() for name in ("names", "values", "steps", "with step"))
        self._records = [
            (names[place], value, step if has_step else None)
            for place, value, step, has_step in zip(*columns, strict=True)
        ]
        self.artefacts = {name: Artefact(home / Path(file).name, sha) for name, file, sha in told.facts["artefacts"]}
        self._kept = told.facts["kept"]
        shown = {name: tensor.numpy() for name, tensor in told.tensors.items() if name.startswith("network ")}
        self._network = {name.removeprefix("network "): array for name, array in shown.items()}
        if self.on_restart is not None:
            self.on_restart(self._records)


def _check(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise RequestError(f"{what}: name: found {name!r}, expected letters, digits, '_', '.' and '-'")


def stream(seed: int, purpose: str) -> int:
    """The number, from 0 to 2³² − 1, that starts the stream of a seed and a purpose.

    torch's CPU generator looks at 32 bits only, so a hash of both together would give two of 10,000 seeds the same
    stream once in a hundred times. Here seeds are counted on from a hash of the purpose, so they never meet.

    Example:
        >>> stream(1, "order") - stream(0, "order")
        1
    """
    start = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
    return (start + seed) % 2**32
