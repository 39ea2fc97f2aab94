"""All that is known of one trial, for a page of its own."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsewire.errors import UnknownNameError
from sparsewire.lab.dashboard.live_rows import curves_of, live_rows
from sparsewire.lab.dashboard.pictures import Source, kept_network, live_network
from sparsewire.lab.dashboard.plain_values import LONGEST_NAME, plain, short
from sparsewire.lab.dashboard.single_trials import Key, Single, kept_trial
from sparsewire.lab.dashboard.table import cells
from sparsewire.lab.storage.conditions import Condition
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import Running

TRIAL = "trial of the store"
_MOST = 500
_LONGEST_VALUE, _LONGEST_REASON, _LONGEST_TRACEBACK = 4_000, 4_000, 40_000
_ARTEFACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def trial_page(store: Store, running: Running | None, key: Key, stopped: bool) -> dict[str, Any]:
    """What the trial was, what it found, how it ended; of one under way, as far as it has told.

    Raises:
        UnknownNameError: neither the store nor the folder of trials under way knows it.
        StoreError: its row is not what was written.
    """
    if running is not None:
        return _under_way(store.folder, running, key, stopped)
    kept = kept_trial(store.folder, key)
    if kept is None:
        raise UnknownNameError(TRIAL, str(key), [])
    return _ended(store, kept, key)


def _ended(store: Store, kept: Single, key: Key) -> dict[str, Any]:
    [row] = store.rows(where=(Condition("run", "=", key.run), Condition("seed", "=", key.seed)), limit=1)
    return _common(key, row.experiment, kept.state, dict(row.fields)) | {
        "reason": None if kept.reason is None else short(kept.reason, _LONGEST_REASON),
        "traceback": None if kept.traceback is None else short(kept.traceback, _LONGEST_TRACEBACK),
        "seconds": plain(kept.seconds), "started": short(kept.started),
        "environment": _values(kept.environment), "metrics": cells(kept.metrics, _MOST),
        "series": _names(kept.curves), "artefacts": _sizes(store.folder, key, kept.artefacts),
        "picture": _stamp(kept_network(store.folder, key, kept.artefacts)),
    }  # fmt: skip


def _under_way(root: Path, running: Running, key: Key, stopped: bool) -> dict[str, Any]:
    [row] = live_rows(root, {str(key): running})
    now = time.time()
    return _common(key, running.experiment, "stopped" if stopped else "running", row["fields"]) | {
        "reason": None, "traceback": None, "seconds": max(now - running.started, 0.0), "started": row["started"],
        "environment": _values({"host": running.host, "process": str(running.process)}), "host": short(running.host),
        "metrics": cells(row["metrics"], _MOST), "series": _names(curves_of(running)), "artefacts": {},
        "fraction": running.fraction, "note": short(running.note), "silent": max(now - running.touched, 0.0),
        "picture": _stamp(live_network(root, key)),
    }  # fmt: skip


def _common(key: Key, experiment: str, state: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": key.run, "seed": str(key.seed), "experiment": short(experiment), "state": state,
        "fields": _values(fields),
    }  # fmt: skip


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {short(name): plain(value, _LONGEST_VALUE) for name, value in list(values.items())[:_MOST]}


def _names(names: Any) -> list[str]:
    return [name for name in names if len(name) <= LONGEST_NAME][:_MOST]


def _sizes(root: Path, key: Key, artefacts: Mapping[str, str]) -> dict[str, int | None]:
    """Name → bytes, None where the file is missing; names that can be no file's name are not looked for."""
    home = root / "artefacts" / key.run / str(key.seed)
    found: dict[str, int | None] = {}
    for name in list(artefacts)[:_MOST]:
        try:
            is_name = _ARTEFACT.fullmatch(name) is not None
            found[short(name)] = (home / f"{name}.safetensors").lstat().st_size if is_name else None
        except OSError:
            found[short(name)] = None
    return found


def _stamp(source: Source | None) -> str | None:
    return None if source is None else source.stamp
