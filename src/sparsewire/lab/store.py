"""The store: what every trial found, kept so that a kill at any moment leaves each trial whole or absent."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from sparsewire.errors import StoreError, UnknownNameError
from sparsewire.lab.experiment import Outcome, State
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage import artefacts
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.storage.database import connect, explained, transaction
from sparsewire.lab.storage.intake import Taken, take
from sparsewire.lab.storage.lock import WriterLock
from sparsewire.lab.storage.outcomes import count_trials, read_outcomes
from sparsewire.lab.storage.queries import Row, count_rows_where, find_curves, find_rows, known_columns
from sparsewire.lab.storage.runs import checked_run, enlist
from sparsewire.lab.storage.spool import Refused, clear


class Store:
    """The runs in a folder: `store.sqlite`, beside it `artefacts/<run id>/<seed>/<name>.safetensors`.

    One process writes at a time, any number read meanwhile; trials come in through the spool. Use it as a context
    manager, or call `close`.

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
        self.refusals: list[Refused] = []

    @classmethod
    def open(cls, folder: str | os.PathLike[str], write: bool = True) -> "Store":
        """The store in `folder`; one to write in is made where there is none, and takes what lies in the spool.

        What killed processes left half written is removed; `refusals` lists what in the spool was no whole trial.

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
                artefacts.sweep(store._artefacts, store.is_kept)
                clear(home)
                store.ingest()
                undo.pop_all()
        except OSError as cause:
            raise StoreError(f"cannot write in {home}: {cause.strerror or cause}") from cause
        return store

    def close(self) -> None:
        """Ends the use of the store and lets others write."""
        try:
            self._connection.close()
        finally:
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
        return self.is_kept(run_id(spec), seed)

    def is_kept(self, run: str, seed: int) -> bool:
        """The same for the id of a spec."""
        query = "SELECT 1 FROM trials WHERE run = ? AND seed = ? AND state != 'failed'"
        with explained(self._database):
            return self._connection.execute(query, (run, seed)).fetchone() is not None

    def done(self, runs: Iterable[str]) -> set[tuple[str, int]]:
        """(run id, seed) of all trials of these specs that need no other run.

        Args:
            runs: ids of specs.
        """
        query = "SELECT run, seed FROM trials WHERE run IN (SELECT value FROM json_each(?)) AND state != 'failed'"
        with explained(self._database):
            return set(self._connection.execute(query, (json.dumps(list(runs)),)).fetchall())

    def experiments(self) -> dict[str, dict[State, int]]:
        """Experiment's name → state → how many trials, of everything that the store holds."""
        with transaction(self._connection, self._database, "DEFERRED"):
            return count_trials(self._connection, self.folder)

    def enlist(self, specs: Iterable[Spec]) -> None:
        """Writes specs down in their order, before any trial of them is begun; known ones keep their place.

        Raises:
            RequestError: a spec cannot be read back from its own text, because it was changed without being checked.
            StoreError: the store cannot be written; nothing was changed.
        """
        runs = [checked_run(spec) for spec in specs]
        with transaction(self._connection, self._database):
            enlist(self._connection, runs)

    def ingest(self) -> list[Taken]:
        """Takes the trials that were handed in since; what is no whole trial is moved to `spool/refused/`.

        `refusals` lists what was refused, with the reason.

        Raises:
            StoreError: the store cannot be written; what was not taken waits in the spool.
        """
        taken, refused = take(self._connection, self.folder, self.is_kept)
        self.refusals += [one for one in refused if one not in self.refusals]  # what stays is refused again and again
        return taken

    def rows(
        self,
        experiment: str | None = None,
        where: Sequence[Condition] = (),
        sort: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Trials as rows of a table, in the order of their specs and seeds unless `sort` says otherwise.

        Args:
            experiment: only its trials; by default those of all.
            where: what all of them satisfy.
            sort: by which column, named as in a condition; what lacks it, or has NaN there, comes last.
            descending: whether the largest comes first.
            limit: at most so many.
            offset: without so many of the first.

        Raises:
            UnknownNameError: a condition or `sort` names no column.
            StoreError: a row is not what was written.
        """
        with transaction(self._connection, self._database, "DEFERRED"):
            return find_rows(self._connection, self.folder, experiment, where, sort, descending, limit, offset)

    def count(self, experiment: str | None = None, where: Sequence[Condition] = ()) -> int:
        """How many rows satisfy the conditions.

        Raises:
            UnknownNameError: a condition names no column.
        """
        with transaction(self._connection, self._database, "DEFERRED"):
            return count_rows_where(self._connection, experiment, where)

    def curves(
        self, trials: Sequence[int], names: Sequence[str] | None = None
    ) -> dict[int, dict[str, list[tuple[int, float]]]]:
        """The curves of some trials: `Row.trial` → name → (step, value) pairs; a trial that is gone is left out.

        Args:
            trials: `Row.trial` of each.
            names: of the curves; by default all.

        Raises:
            StoreError: a curve is not what was written, or is missing.
        """
        with transaction(self._connection, self._database, "DEFERRED"):
            return find_curves(self._connection, self.folder, trials, names)

    def columns(self) -> list[str]:
        """Every name that a condition or `sort` can bear: what is always there, fields, metrics."""
        with transaction(self._connection, self._database, "DEFERRED"):
            return known_columns(self._connection)

    def version(self) -> int:
        """A number that grows whenever anything was taken in or enlisted; asking is cheap."""
        with explained(self._database):
            found = self._connection.execute("SELECT number FROM totals WHERE name = 'version'").fetchone()
        if found is None or not isinstance(found[0], int):
            raise StoreError(f"the store {self._database} has lost its version; put a copy back")
        return int(found[0])

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
            return read_outcomes(self._connection, self.folder, asked)
