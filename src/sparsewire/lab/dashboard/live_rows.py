"""Trials under way as rows of the same table as those that have ended."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sparsewire.lab.dashboard.single_trials import fields_of
from sparsewire.lab.storage.runs import flattened
from sparsewire.lab.trials.live import Running


def live_rows(root: Path, live: Mapping[str, Running], stopped: Collection[str] = ()) -> list[dict[str, Any]]:
    """Each trial under way as columns by name, with its own values: nothing is cut yet.

    Args:
        root: the store's folder, which knows the fields of every spec that was enlisted, the defaults too.
        live: `<run>-<seed>` → the trial.
        stopped: which of them nobody does at present.

    Raises:
        StoreError: the store cannot be read.
    """
    known = fields_of(root, sorted({one.run for one in live.values()})) if live else {}
    return [_row(key, one, known.get(one.run), "stopped" if key in stopped else "running") for key, one in live.items()]


def _row(key: str, one: Running, fields: Mapping[str, Any] | None, state: str) -> dict[str, Any]:
    return {
        "key": key, "run": one.run, "seed": one.seed, "experiment": one.experiment, "state": state, "reason": None,
        "seconds": max(one.touched - one.started, 0.0), "started": _time(one.started),
        "fields": dict(fields) if fields is not None else _said(one.spec), "metrics": last_values(one),
        "fraction": one.fraction, "note": one.note,
    }  # fmt: skip


def last_values(one: Running) -> dict[str, float]:
    """Name → the value told last, as far as the trial has come; one without a step goes before."""
    found = {}
    for name, points in one.series.items():
        final = [value for step, value in points if step is None]
        found[name] = final[-1] if final else points[-1][1]
    return found


def curve_of(one: Running, name: str) -> list[tuple[int, float]]:
    """The points of a curve that a trial under way has told so far."""
    return [(step, value) for step, value in list(one.series.get(name, ())) if step is not None]


def curves_of(one: Running) -> list[str]:
    """The names of its curves."""
    return [name for name, points in one.series.items() if any(step is not None for step, _ in points)]


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _said(spec: str) -> dict[str, Any]:
    """The fields that a spec's text says itself, where the store does not know it."""
    try:
        found = json.loads(spec)
        return {name: value for name, value in flattened(found) if name != "experiment"}
    except (ValueError, RecursionError, AttributeError, TypeError):
        return {}
