"""The head of the page: how many trials of which experiment in which state, how quickly they come."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sparsewire.lab.dashboard.filters import filter_for
from sparsewire.lab.dashboard.known import Known
from sparsewire.lab.dashboard.pace import ended_at, pace
from sparsewire.lab.dashboard.plain_values import short
from sparsewire.lab.dashboard.plans import plan_of
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import Running

_MOST_EXPERIMENTS = 100
_NEWEST = 200
_LULL = 5.0  # seconds
NOTHING: dict[str, Any] = {"experiments": [], "rate": None, "seconds_left": None, "planned": None, "ended": None}


def overview_of(store: Store, known: Known, live: Mapping[str, Running], running: int) -> dict[str, Any]:
    """Counts, rate and time left.

    Raises:
        StoreError: the store cannot be read.
    """
    counts = known.of(store, "experiments", store.experiments)
    names = dict.fromkeys([*counts, *(one.experiment for one in live.values())])
    now = time.time()
    ends = known.of(store, "ends", partial(_ends, store))
    # short trials leave moments in which nobody is at work
    is_active = running or any(0 <= now - end <= _LULL for end in ends)
    plan = plan_of(store.folder, sum(sum(states.values()) for states in counts.values())) if is_active else None
    speed = pace(ends if is_active else [], now, left=plan.total - plan.ended if plan else None)
    experiments = [
        {"name": short(name), "filter": filter_for("experiment", name), "states": dict(counts.get(name, {})),
         "running": sum(one.experiment == name for one in live.values())}
        for name in list(names)[:_MOST_EXPERIMENTS]
    ]  # fmt: skip
    return NOTHING | {
        "experiments": experiments, "rate": speed.rate, "seconds_left": speed.seconds_left,
        "planned": plan.total if plan else None, "ended": plan.ended if plan else None,
    }  # fmt: skip


def _ends(store: Store) -> list[float]:
    newest = store.rows(sort="started", descending=True, limit=_NEWEST)
    return [end for row in newest if (end := ended_at(row.started, row.seconds)) is not None]
