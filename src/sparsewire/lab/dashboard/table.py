"""One screenful of the table of trials: those under way first, then those that have ended."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sparsewire.lab.dashboard.filters import fits, value_of
from sparsewire.lab.dashboard.known import Known
from sparsewire.lab.dashboard.plain_values import LONGEST_NAME, plain, short
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.storage.queries import Row
from sparsewire.lab.store import Store

MOST_ROWS = 200
_MOST_CELLS = 80
_STATES = ("done", "failed", "diverged")


def page_of(
    store: Store, known: Known, live: Sequence[Mapping[str, Any]], where: tuple[Condition, ...],
    sort: str, descending: bool, offset: int, limit: int,
) -> dict[str, Any]:  # fmt: skip
    """Rows `offset` to `offset + limit` of all that satisfy the conditions, and how many these are.

    Where nothing is said about the order, the newest come first, within running, done, failed, diverged.

    Args:
        store: to be asked.
        known: what is known of it already.
        live: the trials under way, see `live_rows`.
        where: the conditions.
        sort: the column to sort by, or "".
        descending: whether the largest comes first.
        offset: how many rows to leave out.
        limit: how many rows at most.

    Raises:
        UnknownNameError: a condition or `sort` names no column.
        StoreError: a row is not what was written.
    """
    fitting = _in_order([row for row in live if fits(row, where)], sort, descending)
    # who takes up a failed trial again is under way; who has just ended may still have a folder
    parts: list[tuple[Condition, ...]] = (
        [where] if sort else [(*where, Condition("state", "=", one)) for one in _STATES]
    )
    rows = [shown_live(row) for row in fitting[offset : offset + limit]]
    offset = max(offset - len(fitting), 0)
    total = len(fitting)
    for part in parts:
        count = known.of(store, ("count", part), partial(store.count, where=part))
        total += count
        if len(rows) < limit and offset < count:
            order = (sort, descending) if sort else ("started", True)
            window = (limit - len(rows), offset)
            rows += known.of(store, ("rows", part, order, window), partial(_kept_rows, store, part, *order, *window))
        offset = max(offset - count, 0)
    return {"rows": rows, "total": total, "running": sum(row["state"] == "running" for row in fitting)}


def _kept_rows(
    store: Store, where: Sequence[Condition], sort: str, descending: bool, limit: int, offset: int
) -> list[dict[str, Any]]:
    found = store.rows(where=where, sort=sort, descending=descending, limit=limit, offset=offset)
    return [shown_row(row) for row in found]


def _in_order(rows: list[Mapping[str, Any]], sort: str, descending: bool) -> list[Mapping[str, Any]]:
    if not sort:
        newest = sorted(rows, key=lambda row: row["started"], reverse=True)
        return sorted(newest, key=lambda row: row["state"] != "running")
    there = [row for row in rows if _place(row, sort) is not None]
    missing = [row for row in rows if _place(row, sort) is None]
    return sorted(there, key=lambda row: _place(row, sort) or (), reverse=descending) + missing


def _place(row: Mapping[str, Any], sort: str) -> tuple[int, float, str] | None:
    value = value_of(row, sort)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, str(value))


def shown_row(row: Row) -> dict[str, Any]:
    """A row of the store as JSON of bounded size."""
    return _shown(
        {"key": f"{row.run}-{row.seed}", "run": row.run, "seed": row.seed, "experiment": row.experiment,
         "state": row.state, "reason": row.reason, "seconds": row.seconds, "started": row.started,
         "fields": row.fields, "metrics": row.metrics}
    )  # fmt: skip


def shown_live(row: Mapping[str, Any]) -> dict[str, Any]:
    """A trial under way as JSON of bounded size."""
    return _shown(row) | {"fraction": row["fraction"], "note": short(row["note"])}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    reason = row["reason"]
    return {
        # not as a number: a browser's have 53 bits only
        "key": row["key"], "run": short(row["run"]), "seed": str(row["seed"]),
        "experiment": short(row["experiment"]), "state": short(row["state"]),
        "reason": None if reason is None else short(reason.partition("\n")[0], 300),
        "seconds": plain(row["seconds"]), "started": short(row["started"]),
        "fields": cells(row["fields"]), "metrics": cells(row["metrics"]),
    }  # fmt: skip


def cells(values: Mapping[str, Any], most: int = _MOST_CELLS) -> dict[str, Any]:
    """Named values as JSON of bounded size: too long names and too many are left out."""
    named = [(name, value) for name, value in values.items() if len(name) <= LONGEST_NAME]
    return {name: plain(value) for name, value in named[:most]}
