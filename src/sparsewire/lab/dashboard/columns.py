"""Which columns, facets and curves a table of trials needs: what differs between them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sparsewire.lab.dashboard.filters import filter_for, fits
from sparsewire.lab.dashboard.grouping import in_order
from sparsewire.lab.dashboard.known import Known
from sparsewire.lab.dashboard.plain_values import LONGEST_NAME, plain, short
from sparsewire.lab.dashboard.single_trials import curve_names
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.storage.queries import Row
from sparsewire.lab.store import Store

_LOOKS, _LOOK = 4, 75  # rows are looked at in so many places, so many in each
_MOST_FIELDS, _MOST_METRICS, _MOST_CURVES = 12, 16, 40
_MOST_FACETS, _MOST_VALUES = 8, 10


def spread_rows(store: Store, where: Sequence[Condition], most: int, looks: int = _LOOKS) -> tuple[list[Row], int]:
    """At most so many rows, from evenly spread places of all that satisfy the conditions, and how many these are."""
    total = store.count(where=where)
    if total <= most:
        return store.rows(where=where, limit=most), total
    size = most // looks
    starts = [place * (total - size) // max(looks - 1, 1) for place in range(looks)]
    found = {row.trial: row for start in starts for row in store.rows(where=where, limit=size, offset=start)}
    return list(found.values()), total


def columns_of(
    store: Store,
    known: Known,
    live: Sequence[Mapping[str, Any]],
    live_curves: Iterable[str],
    where: tuple[Condition, ...],
) -> dict[str, Any]:
    """What the page needs to know before it shows rows: the columns, the facets, the names of the curves.

    A field of the spec is a column where it differs between the trials, and a facet too where it has few values. Of
    many trials a few hundred are looked at.

    Raises:
        UnknownNameError: a condition names no column.
        StoreError: a row is not what was written.
    """
    seen = known.of(store, ("columns", where), partial(_seen, store, where))
    fitting = [row for row in live if fits(row, where)]
    values = _values([row["fields"] for row in fitting], seen.values)
    differing = {name: found for name, found in values.items() if len(found) > 1}
    metrics = dict.fromkeys([*seen.metrics, *(name for row in fitting for name in row["metrics"])])
    return {
        "fields": _short(differing)[:_MOST_FIELDS],
        "metrics": _short(metrics)[:_MOST_METRICS],
        "series": _short(dict.fromkeys([*live_curves, *seen.curves]))[:_MOST_CURVES],
        "facets": facets(differing),
        "experiments": len(seen.experiments | {row["experiment"] for row in fitting}),
    }


class _Seen(NamedTuple):
    """What some rows of the store show: the values of each field, names of metrics and curves, experiments."""

    values: dict[str, set[Any]]
    metrics: list[str]
    curves: list[str]
    experiments: frozenset[str]


def _seen(store: Store, where: Sequence[Condition]) -> _Seen:
    rows, _ = spread_rows(store, where, _LOOKS * _LOOK)
    numbers = [row.trial for row in rows[:: max(len(rows) // 12, 1)]]
    return _Seen(
        _values([row.fields for row in rows], {}),
        list(dict.fromkeys(name for row in rows for name in row.metrics)),
        curve_names(store.folder, numbers) if numbers else [],
        frozenset(row.experiment for row in rows),
    )


def facets(differing: Mapping[str, Collection[Any]]) -> list[dict[str, Any]]:
    """Fields that have few values, each with the words of the filter that ask for one.

    Example:
        >>> facets({"strength": {0.5, 0.25}})
        [{'name': 'strength', 'values': [{'label': '0.25', 'filter': 'strength=0.25'},
                                         {'label': '0.5', 'filter': 'strength=0.5'}]}]
    """
    found = []
    for name, values in differing.items():
        words = in_order({word_of(value) for value in values})
        asked = {
            word: f"{name}=none" if word == "none" and None in values else filter_for(name, word) for word in words
        }
        named = [{"label": word, "filter": text} for word, text in asked.items() if text is not None]
        if 1 < len(words) <= _MOST_VALUES and len(named) == len(words):
            found.append({"name": name, "values": named})
    return found[:_MOST_FACETS]


def word_of(value: Any) -> str:
    """A field's value as the filter's line says it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return str(plain(value)).replace(", ", ",") if isinstance(value, list | tuple) else str(value)


def _values(fields: Sequence[Mapping[str, Any]], known: Mapping[str, set[Any]]) -> dict[str, set[Any]]:
    """Field → its values and those known already, in the order in which the fields come; lists as texts."""
    found = {name: set(values) for name, values in known.items()}
    for one in fields:
        for name, value in one.items():
            key = value if isinstance(value, int | float | bool | None) else short(word_of(value))
            found.setdefault(name, set()).add(key)
    return found


def _short(names: Iterable[str]) -> list[str]:
    return [name for name in names if len(name) <= LONGEST_NAME]
