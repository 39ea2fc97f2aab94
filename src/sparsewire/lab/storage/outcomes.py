"""Outcomes from the store: all trials of an experiment, whole, with curves that are read when somebody looks."""

import contextlib
import gc
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sparsewire.errors import StoreError
from sparsewire.lab.experiment import Outcome, State
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.artefacts import Artefact
from sparsewire.lab.storage.curves import CurveSource, StoredCurves
from sparsewire.lab.storage.rows import Kept, read, whole_runs
from sparsewire.lab.storage.runs import listed, spec_of


def read_outcomes(connection: sqlite3.Connection, folder: Path, kinds: Mapping[str, type[Spec]]) -> list[Outcome]:
    """The outcomes of the named experiments, each in the order in which its specs were listed, then by seed.

    Args:
        connection: to the store; the caller has begun a transaction.
        folder: the store's.
        kinds: experiment's name → its class of spec.

    Raises:
        StoreError: a trial is not what was written, is missing, or its spec is not one of this version.
    """
    runs = listed(connection, folder)  # of the others too: their experiment may have been one that was asked for
    asked = {run.run: run for run in runs if run.experiment in kinds}
    if len(asked) == len(runs):
        kept = read(connection, folder)
    else:
        which = "WHERE trial IN (SELECT trial FROM trials JOIN runs USING (run) WHERE experiment IN (%s))"
        kept = read(connection, folder, which % ", ".join("?" * len(kinds)), tuple(kinds))
    specs = {run.run: spec_of(run, kinds[run.experiment]) for run in asked.values()}
    found: dict[str, list[Outcome]] = {run: [] for run in asked}
    maker = _Maker(folder)
    with _no_collection():
        for trial in whole_runs(folder, kept, {run.run: (run.trials, run.marks) for run in asked.values()}):
            found[trial.run].append(maker.outcome(specs[trial.run], trial))
        for outcomes in found.values():
            outcomes.sort(key=_seed)
    return [
        outcome
        for experiment in kinds
        for run in asked.values()
        if run.experiment == experiment
        for outcome in found[run.run]
    ]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing that is made here is garbage, and looking for some took a third of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def count_trials(connection: sqlite3.Connection, folder: Path) -> dict[str, dict[State, int]]:
    """Experiment's name → state → how many trials; the caller has begun a transaction.

    Raises:
        StoreError: there are other trials than there should be.
    """
    counts: dict[str, dict[State, int]] = defaultdict(dict)
    query = "SELECT experiment, state, count(*) FROM runs JOIN trials USING (run) GROUP BY 1, 2 ORDER BY 1, 2"
    for experiment, state, count in connection.execute(query):
        counts[experiment][state] = count
    expected = dict(
        connection.execute("SELECT experiment, sum(trials) FROM runs WHERE trials > 0 GROUP BY 1").fetchall()
    )
    if {experiment: sum(states.values()) for experiment, states in counts.items()} != expected:
        raise StoreError(f"the store {folder}: it has lost trials or gained some; put a copy back")
    return dict(counts)


def _seed(outcome: Outcome) -> int:
    return outcome.seed


class _Maker:
    """Makes outcomes; what many have alike is parsed once."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "artefacts"
        self._source = CurveSource(folder / "store.sqlite")
        self._environments: dict[str, dict[str, str]] = {}
        self._curves: dict[str, tuple[str, ...]] = {}

    def outcome(self, spec: Spec, kept: Kept) -> Outcome:
        if kept.environment not in self._environments:
            self._environments[kept.environment] = json.loads(kept.environment)
        environment = self._environments[kept.environment]
        if kept.curves not in self._curves:
            self._curves[kept.curves] = tuple(json.loads(kept.curves))
        curves = self._curves[kept.curves]
        # A frozen dataclass sets its fields one by one, at twice the cost; a report makes a hundred thousand of these.
        made = object.__new__(Outcome)
        made.__dict__.update(
            spec=spec, seed=kept.seed, state=kept.state, reason=kept.reason, seconds=kept.seconds, metrics=kept.metrics,
            series=StoredCurves(self._source, kept.trial, kept.digest, kept.run, kept.seed, curves) if curves else {},
            artefacts={} if kept.artefacts == "{}" else StoredArtefacts(
                self._home, kept.run, kept.seed, kept.artefacts
            ),
            environment=environment | {"started": kept.started} if kept.started else dict(environment),
            traceback=kept.traceback,
        )  # fmt: skip
        return made


class StoredArtefacts(Mapping[str, Artefact]):
    """The artefacts of one trial: name → where it is, and its SHA-256; worked out when somebody asks.

    Args:
        home: the folder of the store's artefacts.
        run: the spec's id.
        seed: which repetition.
        text: JSON: name → SHA-256.
    """

    __slots__ = ("_home", "_run", "_seed", "_text")

    def __init__(self, home: Path, run: str, seed: int, text: str) -> None:
        self._home, self._run, self._seed, self._text = home, run, seed, text

    def __getitem__(self, name: str) -> Artefact:
        sha256 = json.loads(self._text)[name]
        return Artefact(self._home / self._run / str(self._seed) / f"{name}.safetensors", sha256)

    def __iter__(self) -> Iterator[str]:
        return iter(json.loads(self._text))

    def __len__(self) -> int:
        return len(json.loads(self._text))

    def __repr__(self) -> str:
        return repr(dict(self))
