"""An experiment, what each of its trials is given, and what a trial leaves behind."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    import torch

    from sparsewire.lab.artefacts import Artefact
    from sparsewire.lab.findings import Section

Scale = Literal["smoke", "desk", "full"]
State = Literal["done", "failed", "diverged"]

_ARTEFACT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Experiment:
    """A question with its trials: which specs, how many seeds, what one trial does, and what follows from all of them.

    Args:
        name: by which it is run and kept, e.g. "lightning.rebuild".
        title: one line for people.
        source: where it comes from, e.g. "Frankle and Carbin 2019, Figure 3".
        spec: its class of specs; the default of the field `experiment` is `name`.
        specs: scale → the specs to run.
        seeds: scale → how many seeds each spec gets.
        trial: does one trial: (spec, trial) → nothing; what it finds it hands to `trial.record` and `trial.keep`.
        findings: outcomes → a section of the report.
    """

    name: str
    title: str
    source: str
    spec: type[Spec]
    specs: Callable[[Scale], Sequence[Spec]]
    seeds: Mapping[Scale, int]
    trial: Callable[[Any, "Trial"], None]
    findings: Callable[[Sequence["Outcome"]], "Section"]


class Trial:
    """What a trial function is given: its seed, streams of random numbers, and somewhere to put what it finds.

    Args:
        seed: the number of this repetition.
        folder: where artefacts are written until the trial ends.
        progress: is told how far the trial is: (fraction, note).

    Example:
        >>> trial = Trial(seed=0, folder=Path("unused"))
        >>> trial.record("loss", 0.5, step=1), trial.record("loss", 0.25, step=2), trial.record("accuracy", 0.9)
        (None, None, None)
        >>> trial.metrics, trial.series
        ({'loss': 0.25, 'accuracy': 0.9}, {'loss': [(1, 0.5), (2, 0.25)]})
    """

    def __init__(self, seed: int, folder: Path, progress: Callable[[float, str], None] | None = None) -> None:
        self.seed = seed
        self.artefacts: dict[str, Artefact] = {}
        self._folder = folder
        self._progress = progress
        self._records: list[tuple[str, float, int | None]] = []

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
        self._records.append((name, float(value) + 0.0, None if step is None else int(step)))

    def keep(self, name: str, arrays: "Mapping[str, np.ndarray[Any, Any] | torch.Tensor]") -> None:
        """Writes arrays as one artefact; they appear in the store when the trial ends. The same name replaces.

        Args:
            name: letters, digits, `_`, `.` and `-`.
            arrays: name → array or tensor of any shape; bfloat16 becomes float32, which is exact.

        Raises:
            RequestError: the name cannot be a file's name, or an array is sparse, of objects or of texts.
            StoreError: the disk is full or cannot be written.
        """
        from sparsewire.lab.artefacts import write_arrays

        if not _ARTEFACT_NAME.fullmatch(name):
            raise RequestError(f"keep: name: found {name!r}, expected letters, digits, '_', '.' and '-'")
        self.artefacts[name] = write_arrays(self._folder / f"{name}.safetensors", arrays)

    def report(self, fraction: float, note: str = "") -> None:
        """Says how far the trial is, from 0 to 1; costs nothing where nobody watches."""
        if self._progress is not None:
            self._progress(min(max(float(fraction), 0.0), 1.0), note)

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


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, and what it found.

    `metrics` holds for each name the value recorded without a step, or the last one with; `series` what was recorded
    with a step. `environment` says with what it ran: versions, CPU, threads, start.
    """

    spec: Spec
    seed: int
    state: State
    reason: str | None
    seconds: float
    metrics: Mapping[str, float]
    series: Mapping[str, Sequence[tuple[int, float]]]
    artefacts: "Mapping[str, Artefact]" = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    traceback: str | None = None

    def arrays(self, name: str) -> "dict[str, np.ndarray[Any, Any]]":
        """The arrays that the trial kept under `name`.

        Raises:
            UnknownNameError: it kept nothing of that name.
            StoreError: the file is missing, or is not the one that was kept.
        """
        from sparsewire.lab.artefacts import read_arrays

        if name not in self.artefacts:
            raise UnknownNameError("artefact", name, self.artefacts)
        return read_arrays(self.artefacts[name])
