"""What a page may ask for, taken from the address and checked."""

import math
from collections.abc import Sequence
from typing import Protocol

from sparsewire.errors import RequestError
from sparsewire.lab.dashboard.filters import conditions_of
from sparsewire.lab.dashboard.single_trials import Key, key_of
from sparsewire.lab.dashboard.table import MOST_ROWS
from sparsewire.lab.dashboard.trial_curves import MOST_COLUMNS, MOST_NAMES, MOST_TRIALS, Window
from sparsewire.lab.storage.conditions import Condition


class Query(Protocol):
    """The parameters of an address; starlette's are of this kind."""

    def get(self, key: str, default: str) -> str:
        """The value of a parameter."""

    def getlist(self, key: str) -> list[str]:
        """All values of a parameter."""


def where_of(query: Query) -> tuple[Condition, ...]:
    """The filter.

    Raises:
        RequestError: it is none.
    """
    return conditions_of(query.get("where", ""))


def window_of_rows(query: Query) -> tuple[int, int]:
    """How many rows to leave out, and how many to show at most.

    Raises:
        RequestError: one of them is no number, or out of range.
    """
    return _whole(query, "offset", 0, 0, 10**9), _whole(query, "limit", 100, 1, MOST_ROWS)


def window_of_curves(query: Query) -> Window:
    """What of the curves is to be seen.

    Raises:
        RequestError: a number is none, or out of range.
    """
    return Window(_whole(query, "columns", 600, 1, MOST_COLUMNS), _real(query, "low"), _real(query, "high"))


def names_of(query: Query) -> list[str]:
    """The names of the curves.

    Raises:
        RequestError: they are too many.
    """
    return _few(query.getlist("name"), "name", MOST_NAMES)


def keys_of(query: Query) -> list[Key]:
    """The trials whose curves are asked for.

    Raises:
        RequestError: they are too many, or one is no trial's key.
    """
    return [key_of(text) for text in _few(query.getlist("key"), "key", MOST_TRIALS)]


def trial_of(query: Query) -> Key:
    """The one trial that is asked for.

    Raises:
        RequestError: it is no trial's run and seed.
    """
    return key_of(f"{query.get('run', '')}-{query.get('seed', '')}")


def _few(found: Sequence[str], name: str, most: int) -> list[str]:
    if len(found) > most:
        raise RequestError(f"{name}: found {len(found)}, expected at most {most}")
    return list(dict.fromkeys(found))


def _whole(query: Query, name: str, default: int, low: int, high: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and low <= int(text) <= high):
        raise RequestError(f"{name}: found {text[:80]!r}, expected a number from {low:,} to {high:,}")
    return int(text)


def _real(query: Query, name: str) -> float | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        value = float(text[:80])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RequestError(f"{name}: found {text[:80]!r}, expected a number")
    return value
