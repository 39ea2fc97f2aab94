"""The table `[sweep]` of a spec's file as a value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.specs.draws import Between, OneOf
from sparsewire.lab.specs.fields import Place, Where, dotted, shown
from sparsewire.lab.specs.sweeps import Path, Samples, Sweep

_BETWEEN = ("low", "high", "scale")
_DRAW = "{ low = 0.01, high = 1.0 } or { choices = [1, 2] }"


def sweep_of(table: Any, place: Place) -> Sweep:
    """The sweep that a table of plain values describes.

    Args:
        table: what stands under `[sweep]`: "list", "grid" and "random", or some of them.
        place: how a message names a place, which begins with "sweep".

    Raises:
        RequestError: a word is unknown, or a value is none that can stand there.

    Example:
        >>> from sparsewire.lab.specs.fields import dotted
        >>> sweep_of({"grid": {"epochs": [1, 2]}}, dotted)
        Sweep(listed=(), grid=((('epochs',), (1, 2)),), random=None)
    """
    parts = _table(table, ("sweep",), place, "a table, [sweep.grid], [sweep.random] or [[sweep.list]]")
    _refuse_unknown(parts, ("list", "grid", "random"), ("sweep",), place)
    return Sweep(
        _listed(parts["list"], place) if "list" in parts else (),
        tuple(_gridded(parts["grid"], place)) if "grid" in parts else (),
        _samples(parts["random"], place) if "random" in parts else None,
    )


def _listed(entries: Any, place: Place) -> tuple[Mapping[str, Any], ...]:
    if not (isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries)):
        where: Where = ("sweep", "list")
        expected = "tables, each under a line [[sweep.list]]"
        raise RequestError(f"{place(where)}: sweep.list: found {shown(entries)}, expected {expected}")
    return tuple(entries)


def _gridded(table: Any, place: Place) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    fields = _table(table, ("sweep", "grid"), place, "a table of fields, each with a list of its values")
    for path, values in _inside(fields, _is_table):
        if not (isinstance(values, list) and values):
            where = ("sweep", "grid", *path)
            expected = "a list of one or more values, such as [1, 2]"
            raise RequestError(f"{place(where)}: field {'.'.join(path)!r}: found {shown(values)}, expected {expected}")
        yield path, tuple(values)


def _samples(table: Any, place: Place) -> Samples:
    fields = dict(_table(table, ("sweep", "random"), place, "a table with samples = 20 and fields to draw"))
    if "samples" not in fields:
        raise RequestError(
            f"{place(('sweep', 'random'))}: sweep.random: samples is missing; say how many, samples = 20"
        )
    count, seed = fields.pop("samples"), fields.pop("seed", 0)
    draws = tuple((path, _drawn(path, source, place)) for path, source in _inside(fields, _holds_fields))
    try:
        return Samples(count, seed, draws)
    except RequestError as cause:
        word = str(cause).partition(":")[0]
        where: Where = ("sweep", "random", word) if word in ("samples", "seed") else ("sweep", "random")
        raise RequestError(f"{place(where)}: sweep.random: {cause}") from None


def _drawn(path: Path, source: Any, place: Place) -> Between | OneOf:
    where: Where = ("sweep", "random", *path)
    begin = f"{place(where)}: field {'.'.join(path)!r}"
    if not isinstance(source, dict) or not source:
        raise RequestError(f"{begin}: found {shown(source)}, expected {_DRAW}")
    _refuse_unknown(source, ("choices",) if "choices" in source else _BETWEEN, where, place)
    try:
        if "choices" in source:
            if not isinstance(source["choices"], list):
                raise RequestError(f"choices: found {shown(source['choices'])}, expected a list such as [1, 2]")
            return OneOf(tuple(source["choices"]))
        if missing := [word for word in ("low", "high") if word not in source]:
            raise RequestError(f"{missing[0]} is missing; expected {_DRAW}")
        return Between(**source)
    except RequestError as cause:
        raise RequestError(f"{begin}: {cause}") from None


def _holds_fields(value: Any) -> bool:
    """Whether a table is a part's, with fields to draw; one that says how to draw holds plain values."""
    words = (*_BETWEEN, "choices")
    return _is_table(value) and not any(word in value and not isinstance(value[word], dict) for word in words)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _inside(table: Mapping[str, Any], goes_in: Callable[[Any], bool], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What stands in a table, as (path, value); a value that `goes_in` is a table of more."""
    for name, value in table.items():
        if goes_in(value):
            yield from _inside(value, goes_in, (*path, name))
        else:
            yield (*path, name), value


def _table(value: Any, where: Where, place: Place, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(f"{place(where)}: {dotted(where)}: found {shown(value)}, expected {expected}")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: Sequence[str], where: Where, place: Place) -> None:
    for name in table:
        if name not in known:
            found = UnknownNameError(f"entry of {dotted(where)}", name[:60], known)
            raise RequestError(f"{place((*where, name))}: {found}")
