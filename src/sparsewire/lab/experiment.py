"""An experiment, and what each of its trials leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sparsewire.errors import UnknownNameError
from sparsewire.lab.spec import Spec
from sparsewire.lab.trials.trial import Trial as Trial
from sparsewire.lab.trials.trial import stream as stream

if TYPE_CHECKING:
    import numpy as np

    from sparsewire.lab.reporting.findings import Section
    from sparsewire.lab.storage.artefacts import Artefact

Scale = Literal["smoke", "desk", "full"]
State = Literal["done", "failed", "diverged"]


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
        findings: outcomes of what is done (with `follow` of what diverged too, as it led on) → a section of the report.
        follow: (the first specs, their outcomes and those of all that followed) → the specs to be done next, known ones
            among them or not; none that is new: that was all. It is asked when all that is known so far is done, and
            must depend on what was found alone (not on seconds, chance or what it was asked before), so that a search
            takes the same course however often it is stopped. None: the trials do not depend on each other.

    Example:
        >>> from sparsewire.lab.following import course_of, go_on
        >>> class Try(Spec):
        ...     size: int = 1
        >>> def double(first, outcomes):
        ...     found = [outcome.spec for outcome in outcomes if outcome.metrics["accuracy"] < 0.9]
        ...     return [Try(experiment="tries", size=2 * spec.size) for spec in found]
        >>> tries = Experiment("tries", "", "", Try, lambda scale: [], {}, print, print, double)
        >>> known = course_of(tries, [Try(experiment="tries")])
        >>> weak = Outcome(known.specs[0], 0, "done", None, 1.0, {"accuracy": 0.7}, {})
        >>> [spec.size for spec in go_on(tries, known, [0], [weak]).specs]
        [1, 2]
    """

    name: str
    title: str
    source: str
    spec: type[Spec]
    specs: Callable[[Scale], Sequence[Spec]]
    seeds: Mapping[Scale, int]
    trial: Callable[[Any, Trial], None]
    findings: Callable[[Sequence["Outcome"]], "Section"]
    follow: Callable[[Sequence[Any], Sequence["Outcome"]], Sequence[Spec]] | None = None


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
        from sparsewire.lab.storage.artefacts import read_arrays

        if name not in self.artefacts:
            raise UnknownNameError("artefact", name, self.artefacts)
        return read_arrays(self.artefacts[name])
