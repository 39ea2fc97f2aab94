"""The store: what every trial found, kept so that a kill at any moment leaves each trial whole or absent."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from sparsewire.errors import RequestError, StoreError, UnknownNameError
from sparsewire.lab import artefacts
from sparsewire.lab.database import connect, explained, transaction
from sparsewire.lab.experiment import Outcome, State, Trial
from sparsewire.lab.lock import WriterLock
from sparsewire.lab.rows import Content, Ending, insert, read
from sparsewire.lab.spec import Spec, canonical, run_id


class Store:
    """The runs in a folder: `store.sqlite`, beside it `artefacts/<run id>/<seed>/<name>.safetensors`.

    One process writes at a time, any number read meanwhile. Use it as a context manager, or call `close`.

    Example:
        >>> import tempfile
        >>> with Store.open(tempfile.mkdtemp()) as store:
        ...     store.is_done(Spec(experiment="demo"), seed=0)
        False
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: WriterLock | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock
        self._database = folder / "store.sqlite"
        self._artefacts = folder / "artefacts"

    @classmethod
    def open(cls, folder: str | os.PathLike[str], write: bool = True) -> "Store":
        """The store in `folder`; one to write in is made where there is none, and rid of what killed trials left.

        Raises:
            StoreError: another process writes in it, it cannot be read or written, it is damaged, of a newer version or
                not a store, or (for reading) there is none.
        """
        home = Path(folder)
        database = home / "store.sqlite"
        if not write:
            return cls(home, connect(database, write=False), None)
        try:
            home.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                lock = WriterLock(home / "store.lock")
                undo.callback(lock.release)
                # artefacts without a database are not begun anew, but given their database back
                connection = connect(database, write=True, create=not any(home.glob("artefacts/*")))
                undo.callback(connection.close)
                store = cls(home, connection, lock)
                artefacts.sweep(store._artefacts, store._is_kept)
                undo.pop_all()
        except OSError as cause:
            raise StoreError(f"cannot write in {home}: {cause.strerror or cause}") from cause
        return store

    def close(self) -> None:
        """Ends the use of the store and lets others write."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_done(self, spec: Spec, seed: int) -> bool:
        """Whether a trial needs no other run: it is done, or it diverged, which is a result too."""
        return self._is_kept(run_id(spec), seed)

    def _is_kept(self, run: str, seed: int) -> bool:
        query = "SELECT 1 FROM trials WHERE run = ? AND seed = ? AND state != 'failed'"
        with explained(self._database):
            return self._connection.execute(query, (run, seed)).fetchone() is not None

    def experiments(self) -> dict[str, dict[State, int]]:
        """Experiment's name → state → how many trials, of everything that the store holds."""
        query = "SELECT experiment, state, count(*) FROM runs JOIN trials USING (run) GROUP BY 1, 2 ORDER BY 1, 2"
        counts: dict[str, dict[State, int]] = defaultdict(dict)
        with explained(self._database):
            for experiment, state, count in self._connection.execute(query):
                counts[experiment][state] = count
        return dict(counts)

    def enlist(self, specs: Iterable[Spec]) -> None:
        """Writes specs down in their order, before any trial of them is begun; known ones keep their place.

        Raises:
            RequestError: a spec cannot be read back from its own text, because it was changed without being checked.
            StoreError: the store cannot be written; nothing was changed.
        """
        rows = []
        for spec in specs:
            text = canonical(spec)
            try:
                again = type(spec).model_validate_json(text)
            except ValidationError as cause:
                raise RequestError(
                    f"spec {text}: {cause.errors()[0]['msg']}; make it anew, not by model_copy"
                ) from None
            if again != spec:
                raise RequestError(
                    f"spec {text}: it does not equal what its text says; its fields must be frozen values"
                )
            rows.append((run_id(spec), spec.experiment, text))
        with transaction(self._connection, self._database):
            self._connection.executemany("INSERT OR IGNORE INTO runs (run, experiment, spec) VALUES (?, ?, ?)", rows)

    def working_folder(self, spec: Spec, seed: int) -> AbstractContextManager[Path]:
        """An empty folder for the artefacts of the trial under way; what was not recorded is removed with it."""
        return artefacts.working_folder(self._artefacts, run_id(spec), seed)

    def record(self, spec: Spec, trial: Trial, ending: Ending) -> None:
        """Keeps a trial that has ended: its artefacts first, then all its rows in one transaction.

        A failed trial keeps its numbers, but no artefacts; the next attempt replaces it.

        Raises:
            RequestError: the trial is kept already.
            StoreError: the disk is full, …; then nothing of the trial is kept.
        """
        run, seed = run_id(spec), trial.seed
        if self.is_done(spec, seed):
            raise RequestError(f"record: run {run}, seed {seed} is kept already; a trial is done once")
        kept = {} if ending.state == "failed" else trial.artefacts
        if kept:
            # without a row nobody sees them; a kill from here on leaves a marked folder, which the next start removes
            artefacts.publish(self._artefacts, run, seed)
        content = Content(trial.metrics, trial.series, {name: artefact.sha256 for name, artefact in kept.items()})
        with transaction(self._connection, self._database):
            insert(self._connection, run, seed, ending, content)
        artefacts.settle(self._artefacts, run, seed)

    def outcomes(self, experiment: str | None, kinds: Mapping[str, type[Spec]]) -> list[Outcome]:
        """The outcomes of an experiment, or of all in `kinds`, in the order of their specs and then of their seeds.

        Args:
            experiment: its name; `None` for all that `kinds` names (what else the store holds, `experiments` says).
            kinds: experiment's name → its class of spec.

        Raises:
            UnknownNameError: `kinds` does not name the experiment.
            StoreError: the store is damaged, was changed, or holds a spec that this version cannot read.
        """
        if experiment is not None and experiment not in kinds:
            raise UnknownNameError("experiment", experiment, kinds)
        asked = kinds if experiment is None else {experiment: kinds[experiment]}
        with transaction(self._connection, self._database, "DEFERRED"):
            return read(self._connection, self.folder, asked)
