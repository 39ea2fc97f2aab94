"""Taking parcels from the spool into the store: each trial once, however often this is killed and begun again."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsewire.errors import StoreError
from sparsewire.files import flush
from sparsewire.lab.storage.artefacts import bring_home
from sparsewire.lab.storage.database import transaction
from sparsewire.lab.storage.parcels import NAME, Parcel, facts, read_parcel
from sparsewire.lab.storage.rows import Ending, insert
from sparsewire.lab.storage.runs import enlist
from sparsewire.lab.storage.spool import Refused, pending, refuse, remove

_TOGETHER = 256  # parcels a transaction


class Taken(NamedTuple):
    """A trial that is in the store now: the id of its spec, its seed, how it ended."""

    run: str
    seed: int
    ending: Ending


def take(
    connection: sqlite3.Connection, folder: Path, is_kept: Callable[[str, int], bool]
) -> tuple[list[Taken], list[Refused]]:
    """Takes all parcels: artefacts are moved home, then the rows committed, then the parcels removed.

    A kill anywhere leaves a parcel that the next call takes or, if its row is there, removes.

    Args:
        connection: to the store, for writing.
        folder: the store's.
        is_kept: (run id, seed) → whether the store needs no other attempt at the trial.

    Raises:
        StoreError: the disk is full, …; the parcels that were not taken stay where they are.
    """
    taken: list[Taken] = []
    refused: list[Refused] = []
    parcels = pending(folder)
    for begin in range(0, len(parcels), _TOGETHER):
        try:
            found = _whole(parcels[begin : begin + _TOGETHER], folder / "artefacts", is_kept, refused)
            _settle(connection, folder, found)
        except OSError as cause:
            raise StoreError(
                f"cannot take trials from {folder / 'spool'}: {cause.strerror or cause}; they wait there for the next "
                "run of the same command"
            ) from cause
        taken += [Taken(parcel.run.run, parcel.seed, parcel.ending) for _, parcel in found]
    return taken, refused


def _whole(
    paths: Sequence[Path], home: Path, is_kept: Callable[[str, int], bool], refused: list[Refused]
) -> list[tuple[Path, Parcel]]:
    """The parcels to be taken; empty ones and those of trials that are kept are removed, others refused."""
    found = []
    for path in paths:
        name = NAME.fullmatch(path.name)
        try:
            if name and not path.is_symlink() and path.is_dir():
                is_empty = not any(path.iterdir())  # it was being removed
                if is_empty or is_kept(name[1], int(name[2])):
                    remove(path)
                    continue
            found.append((path, read_parcel(path, home)))
        except StoreError as cause:
            refused.append(_refused(path, str(cause)))
        except OSError as cause:  # the disk's fault: it stays where it is
            refused.append(Refused(path.name, f"cannot be read now: {cause.strerror or cause}"))
    return found


def _refused(path: Path, reason: str) -> Refused:
    try:
        return refuse(path, reason)
    except OSError as cause:  # such as another user's folder: it stays, and stops nobody
        return Refused(path.name, f"{reason}; it cannot be moved away: {cause.strerror or cause}")


def _settle(connection: sqlite3.Connection, folder: Path, found: Sequence[tuple[Path, Parcel]]) -> None:
    if not found:
        return
    touched: set[Path] = set()
    for path, parcel in found:
        if parcel.artefacts and (path / "artefacts").is_dir():
            touched.update(bring_home(path / "artefacts", folder / "artefacts", parcel.run.run, parcel.seed))
    for place in sorted(touched):
        flush(place)
    with transaction(connection, folder / "store.sqlite"):
        enlist(connection, [parcel.run for _, parcel in found], renew=False)
        for _, parcel in found:
            insert(connection, **facts(parcel))
    for path, _ in found:
        with contextlib.suppress(OSError):  # the rows are there: what is left is removed next time
            remove(path)
