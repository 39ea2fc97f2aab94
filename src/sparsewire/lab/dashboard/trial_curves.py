"""Curves for the panel: of chosen trials each its own, or of groups of trials the mean and the band."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sparsewire.lab.dashboard.columns import spread_rows, word_of
from sparsewire.lab.dashboard.decimation import Point, thinned, within
from sparsewire.lab.dashboard.grouping import Band, coarser, in_order
from sparsewire.lab.dashboard.live_rows import curve_of
from sparsewire.lab.dashboard.plain_values import finite, short
from sparsewire.lab.dashboard.single_trials import Key, numbers_of
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import Running

MOST_TRIALS, MOST_NAMES, MOST_COLUMNS = 60, 24, 2_000
_MOST_POINTS = 400_000  # of one answer
_MOST_GROUPS, _MOST_MEMBERS = 15, 180


class Window(NamedTuple):
    """What of each curve is to be seen: how many columns of pixels, from which step to which."""

    columns: int
    low: float | None = None
    high: float | None = None


def curves_of_trials(
    store: Store, live: Mapping[str, Running], keys: Sequence[Key], names: Sequence[str], window: Window
) -> dict[str, Any]:
    """Trial → name → points, of the trials under way as far as they have told; and which these are.

    Raises:
        StoreError: a curve is not what was written.
    """
    columns = max(min(window.columns, _MOST_POINTS // (4 * max(len(keys) * len(names), 1))), 1)
    window = window._replace(columns=columns)
    found: dict[str, dict[str, Any]] = {}
    under_way = [key for key in keys if str(key) in live]
    for key in under_way:
        one = live[str(key)]
        found[str(key)] = {name: shown(curve_of(one, name), window) for name in names}
    numbers = numbers_of(store.folder, [key for key in keys if str(key) not in live])
    for key, number in numbers.items():  # one after another: all together could be millions of points
        kept = store.curves([number], names).get(number, {})
        found[str(key)] = {name: shown(points, window) for name, points in kept.items()}
    return {"curves": found, "live": [str(key) for key in under_way]}


def shown(points: Sequence[Point], window: Window) -> list[tuple[float, float | None]]:
    """The points as the page draws them: those in sight, as many as can be seen, gaps where a value is not finite."""
    return [(step, finite(value)) for step, value in thinned(within(points, *window[1:]), window.columns)]


def curves_of_groups(
    store: Store, where: Sequence[Condition], by: str, names: Sequence[str], window: Window
) -> dict[str, Any]:
    """Groups of the trials that have the same value in the column `by`, each with a band for each name.

    Of many trials some are taken, evenly spread.

    Raises:
        UnknownNameError: a condition names no column.
        StoreError: a row or a curve is not what was written.
    """
    rows, total = spread_rows(store, where, _MOST_MEMBERS, looks=12)
    members: dict[str, list[int]] = {}
    for row in rows:
        value = row.experiment if by == "experiment" else row.fields.get(by)
        members.setdefault(word_of(value), []).append(row.trial)
    order = in_order(members)
    groups = [
        {"name": short(name), "trials": len(members[name]), "bands": _bands(store, members[name], names, window)}
        for name in order[:_MOST_GROUPS]
    ]
    return {"groups": groups, "trials": len(rows), "total": total, "more": max(len(order) - _MOST_GROUPS, 0)}


def _bands(store: Store, trials: Sequence[int], names: Sequence[str], window: Window) -> dict[str, Any]:
    found = {name: Band() for name in names}
    for trial in trials:
        for name, points in store.curves([trial], names).get(trial, {}).items():
            found[name].add(within(points, *window[1:]))
    return {
        name: [tuple(step) for step in coarser(band.steps(), window.columns) if math.isfinite(step.mean)]
        for name, band in found.items()
    }
