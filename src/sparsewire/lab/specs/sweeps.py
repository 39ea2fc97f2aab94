"""Sweeps: many specs from one, by lists, grids and random samples."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sparsewire.errors import RequestError
from sparsewire.lab.spec import canonical
from sparsewire.lab.specs.draws import Between, OneOf, draw
from sparsewire.lab.specs.fields import Place, S, Where, dotted, filled, leaves_of, overlap, put

Path = tuple[str, ...]

MOST = 1_000_000  # specs of one sweep, and seeds


@dataclass(frozen=True)
class Samples:
    """Random samples: how many, from which seed, and where each field's values come from.

    Args:
        count: how many, from 1 to 1,000,000.
        seed: any integer; another seed gives other samples.
        draws: (path of the field, distribution) pairs.

    Raises:
        RequestError: the count is out of range or there are no fields.
    """

    count: int
    seed: int = 0
    draws: tuple[tuple[Path, Between | OneOf], ...] = ()

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= MOST:
            raise RequestError(f"samples: found {self.count!r}, expected a number from 1 to {MOST:,}")
        if type(self.seed) is not int:
            raise RequestError(f"seed: found {self.seed!r}, expected an integer")
        if not self.draws:
            raise RequestError("no field is drawn; give at least one, such as rate = { low = 0.01, high = 1.0 }")


@dataclass(frozen=True)
class Sweep:
    """What varies: every entry of the list, with every cell of the grid, with every random sample.

    Args:
        listed: sets of overrides, each a mapping as it would stand under `[spec]`.
        grid: (path of a field, its values) pairs; the grid is their product.
        random: samples; the same ones for each entry of the list and each cell of the grid, so that these compare.

    Example:
        >>> Sweep(grid=((("epochs",), (1, 2)),)).count
        2
    """

    listed: tuple[Mapping[str, Any], ...] = ()
    grid: tuple[tuple[Path, tuple[Any, ...]], ...] = ()
    random: Samples | None = None

    @property
    def count(self) -> int:
        """How many specs it makes, those that turn out equal counted each time."""
        cells = math.prod(len(values) for _, values in self.grid)
        return max(1, len(self.listed)) * cells * (self.random.count if self.random else 1)


class _Change(NamedTuple):
    """One field that a sweep sets, and where the sweep says so."""

    origin: Where
    path: Path
    value: Any


def expand(
    base: Mapping[str, Any], sweep: Sweep, kind: type[S], place: Place = dotted, beside: Sequence[str] = ()
) -> tuple[S, ...]:
    """The specs of a sweep: the base with each of the sweep's changes written into it.

    The order is that of nested loops: the list outermost, then the grid's fields as they are written, the random
    samples innermost. A spec that comes up again is left out.

    Args:
        base: the fields that all of them have, as plain values.
        sweep: what varies.
        kind: the class of the specs.
        place: how a message names the place of a field of the base, or of the sweep, then led by "sweep".
        beside: words that may stand beside the base's fields, for messages.

    Raises:
        RequestError: a field is unknown or its value wrong; a field varies in two ways; or there are more than
            1,000,000 specs.

    Example:
        >>> from typing import Literal
        >>> from sparsewire.lab.spec import Spec
        >>> class Rebuild(Spec):
        ...     experiment: Literal["rebuild"] = "rebuild"
        ...     paths: int = 20
        ...     rate: float = 0.1
        >>> both = Sweep(grid=((("paths",), (10, 20)), (("rate",), (0.1, 0.5))))
        >>> [(spec.paths, spec.rate) for spec in expand({}, both, Rebuild)]
        [(10, 0.1), (10, 0.5), (20, 0.1), (20, 0.5)]
    """
    if sweep.count > MOST:
        count = f"{sweep.count:,}" if sweep.count < 10**15 else "more than 10¹⁵"
        raise RequestError(f"{place(('sweep',))}: the sweep makes {count} specs, expected at most {MOST:,}")
    lists = _listed(sweep, kind)
    _refuse_clashes(sweep, lists, place)
    return once(_made(base, changes, kind, place, beside) for changes in _changes(sweep, lists))


def _made(base: Mapping[str, Any], changes: Sequence[_Change], kind: type[S], place: Place, beside: Sequence[str]) -> S:
    fields = put(base, [(change.path, change.value) for change in changes])
    return filled(kind, fields, _Placed(changes, place), beside)


def once(specs: Iterable[S]) -> tuple[S, ...]:
    """Each spec once, in the order of their first occurrences."""
    found: dict[str, S] = {}
    for spec in specs:
        found.setdefault(canonical(spec), spec)
    return tuple(found.values())


def _listed(sweep: Sweep, kind: type[S]) -> list[list[_Change]]:
    """For each entry of the list its changes; one empty entry where there is no list."""
    entries = [
        [_Change(("sweep", "list", index, *path), path, value) for path, value in leaves_of(entry, kind)]
        for index, entry in enumerate(sweep.listed)
    ]
    return entries or [[]]


def _changes(sweep: Sweep, lists: list[list[_Change]]) -> Iterator[list[_Change]]:
    paths = [path for path, _ in sweep.grid]
    for entry in lists:
        for cell in itertools.product(*(values for _, values in sweep.grid)):
            gridded = [_Change(("sweep", "grid", *path), path, value) for path, value in zip(paths, cell, strict=True)]
            for sampled in _sampled(sweep.random):
                yield entry + gridded + sampled


def _sampled(samples: Samples | None) -> Iterator[list[_Change]]:
    if samples is None:
        yield []
        return
    for index in range(samples.count):
        yield [
            _Change(("sweep", "random", *path), path, source.at(draw(samples.seed, index, path)))
            for path, source in samples.draws
        ]


def _refuse_clashes(sweep: Sweep, lists: list[list[_Change]], place: Place) -> None:
    """A field that varies in two ways has only the later one's values: surely not what was meant."""
    whole: dict[Path, Where] = {}
    above: dict[Path, Where] = {}

    def note(path: Path, origin: Where) -> None:
        whole[path] = origin
        above.update({path[:length]: origin for length in range(1, len(path))})

    for change in itertools.chain.from_iterable(lists):
        note(change.path, change.origin)
    fixed: list[tuple[Path, Where]] = [(path, ("sweep", "grid", *path)) for path, _ in sweep.grid]
    fixed += [(path, ("sweep", "random", *path)) for path, _ in (sweep.random.draws if sweep.random else ())]
    for path, origin in fixed:
        parents = (whole.get(path[:length]) for length in range(1, len(path) + 1))
        if other := next(filter(None, parents), above.get(path)):
            ways = f"{dotted(other[:2])} and {dotted(origin[:2])}"
            raise RequestError(f"{place(origin)}: field {'.'.join(path)!r} varies in {ways}; one of them must go")
        note(path, origin)


class _Placed:
    """Places faults of a swept spec where the sweep set the field, else where the base did."""

    def __init__(self, changes: Sequence[_Change], place: Place) -> None:
        self._changes = changes
        self._place = place

    def __call__(self, where: Where) -> str:
        names = tuple(str(part) for part in where)
        for change in self._changes:
            if names and overlap(change.path, names):
                rest = names[len(change.path) :]
                return self._place((*change.origin, *rest))
        return self._place(where)
