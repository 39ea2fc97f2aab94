"""Curves: (step, value) pairs packed as bytes, read back and checked only when somebody looks at them."""

import hashlib
import json
import sqlite3
import struct
import weakref
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from sparsewire.errors import StoreError
from sparsewire.lab.storage.database import connect, explained

_REMEMBERED_POINTS = 1_000_000  # about 100 MB as Python's numbers


class Packed(NamedTuple):
    """A curve as bytes: float64 values and, where the steps are not evenly spaced, int64 steps; little endian.

    Where `steps` is `None`, step i is `start + i * stride`.
    """

    length: int
    start: int
    stride: int
    steps: bytes | None
    values: bytes


def packed(points: Sequence[tuple[int, float]]) -> Packed:
    """The bytes of a curve.

    Args:
        points: (step, value) pairs; steps fit into 64 bits.

    Example:
        >>> packed([(0, 1.5), (10, 2.5)])[:4]
        (2, 0, 10, None)
        >>> unpacked(packed([(3, 1.0), (1, 2.0), (1, float("inf"))]))
        [(3, 1.0), (1, 2.0), (1, inf)]
    """
    steps = [step for step, _ in points]
    count = len(steps)
    values = struct.pack(f"<{count}d", *(value for _, value in points))
    start = steps[0] if count else 0
    stride = steps[1] - start if count > 1 else 0
    if abs(stride) < 2**63 and all(map(int.__eq__, steps, _steps(count, start, stride))):
        return Packed(count, start, stride, None, values)
    return Packed(count, 0, 0, struct.pack(f"<{count}q", *steps), values)


def unpacked(curve: Packed) -> list[tuple[int, float]]:
    """The (step, value) pairs of a packed curve."""
    return list(zip(steps_of(curve), values_of(curve), strict=True))


def steps_of(curve: Packed) -> Sequence[int]:
    """The steps of a packed curve."""
    if curve.steps is None:
        return _steps(curve.length, curve.start, curve.stride)
    return struct.unpack(f"<{curve.length}q", curve.steps)


def values_of(curve: Packed) -> tuple[float, ...]:
    """The values of a packed curve."""
    return struct.unpack(f"<{curve.length}d", curve.values)


def is_sound(curve: Packed) -> bool:
    """Whether the lengths agree with the count, and every step fits into 64 bits."""
    last = curve.start + curve.stride * max(curve.length - 1, 0)
    return (
        curve.length >= 0
        and len(curve.values) == 8 * curve.length
        and (curve.steps is None or (len(curve.steps) == 8 * curve.length and curve.start == curve.stride == 0))
        and all(-(2**63) <= number < 2**63 for number in (curve.start, curve.stride, last))
    )


def _steps(count: int, start: int, stride: int) -> Sequence[int]:
    return range(start, start + stride * count, stride) if stride else list(repeat(start, count))


def curve_digest(run: str, seed: int, name: str, curve: Packed) -> bytes:
    """What shows that a curve was changed, lost a point or belongs to another trial."""
    head = [run, seed, name, curve.length, curve.start, curve.stride, curve.steps is None]
    digest = hashlib.sha256(json.dumps(head).encode())
    digest.update(curve.steps or b"")
    digest.update(curve.values)
    return digest.digest()


def checked(folder: Path, run: str, seed: int, name: str, row: Sequence[object]) -> Packed:
    """The curve of a database's row: count, start, stride, steps, values, digest.

    Raises:
        StoreError: it is not what was written.
    """
    try:
        curve = Packed._make(row[:5])
        if curve_digest(run, seed, name, curve) == row[5]:
            return curve
    except (TypeError, ValueError):  # what was a number or bytes is something else now
        pass
    raise StoreError(
        f"the store {folder}: run {run}, seed {seed}: the curve {name!r} was changed after it was kept; put a copy back"
    )


CURVE = 'count, start, stride, steps, series."values", series.digest'


class CurveSource:
    """Reads curves of a store for as long as somebody holds an outcome of it, also after the store was closed.

    Args:
        database: the store's file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None
        self._remembered: dict[tuple[int, str], list[tuple[int, float]]] = {}
        self._points = 0

    def curve(self, trial: int, digest: bytes, run: str, seed: int, name: str) -> list[tuple[int, float]]:
        """A trial's curve; the digest of the trial says that it is still the same trial."""
        if (trial, name) not in self._remembered:
            points = unpacked(self.packed_curve(trial, digest, run, seed, name))
            if self._points + len(points) > _REMEMBERED_POINTS:
                self._remembered, self._points = {}, 0
            self._remembered[trial, name] = points
            self._points += len(points)
        return list(self._remembered[trial, name])

    def packed_curve(self, trial: int, digest: bytes, run: str, seed: int, name: str) -> Packed:
        """The same as bytes, not remembered."""
        query = (
            f"SELECT {CURVE} FROM series JOIN trials USING (trial) WHERE trial = ? AND name = ? AND trials.digest = ?"
        )
        with explained(self._database):
            row = self._opened().execute(query, (trial, name, digest)).fetchone()
        if row is None:
            raise StoreError(
                f"the store {self._database.parent}: run {run}, seed {seed}: the curve {name!r} is gone; "
                "the trial was replaced, or the store is damaged: read it again"
            )
        return checked(self._database.parent, run, seed, name, row)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._database, write=False, check=False)
            weakref.finalize(self, self._connection.close)
        return self._connection


class StoredCurves(Mapping[str, Sequence[tuple[int, float]]]):
    """The curves of one trial: name → (step, value) pairs, read when they are asked for.

    Args:
        source: where they are read.
        trial: its number in the store.
        digest: the trial's.
        run: the spec's id.
        seed: which repetition.
        names: of the curves, in the order in which they were begun.
    """

    __slots__ = ("_digest", "_names", "_run", "_seed", "_source", "_trial")

    def __init__(
        self, source: CurveSource, trial: int, digest: bytes, run: str, seed: int, names: tuple[str, ...]
    ) -> None:
        self._source, self._trial, self._digest = source, trial, digest
        self._run, self._seed, self._names = run, seed, names

    def __getitem__(self, name: str) -> list[tuple[int, float]]:
        if name not in self._names:
            raise KeyError(name)
        return self._source.curve(self._trial, self._digest, self._run, self._seed, name)

    def packed(self, name: str) -> Packed:
        """A curve as bytes, which are not kept in memory: for reading millions of points one after another."""
        return self._source.packed_curve(self._trial, self._digest, self._run, self._seed, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))
