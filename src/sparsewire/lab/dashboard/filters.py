"""The filter's line: several conditions as one text, for trials in the store and for those under way."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sparsewire.errors import RequestError
from sparsewire.lab.dashboard.plain_values import LONGEST_NAME
from sparsewire.lab.storage.conditions import Condition, condition

LONGEST = 2_000
_MOST = 30
_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[^\s"']|["'])+""")
_COMPARISON = re.compile("[=!<>~]")
_PLAIN = ("state", "reason", "experiment", "run", "seed", "seconds", "started")


def conditions_of(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter's line, between which there are blanks; values with blanks stand in quotes.

    Raises:
        RequestError: a part of it is no condition, or it is too long.

    Example:
        >>> [found.value for found in conditions_of("state=failed epochs >= 5 data='a b' test accuracy>0.9")]
        ['failed', 5, 'a b', 0.9]
    """
    if len(text) > LONGEST:
        raise RequestError(f"filter: found {len(text):,} characters, expected at most {LONGEST:,}")
    parts: list[str] = []
    open_part = ""  # a name that goes on, or a comparison that waits for its value
    for word in _WORD.findall(text):
        compares = _COMPARISON.search(word) is not None
        if open_part and _COMPARISON.search(open_part):
            if compares:  # "reason=" alone: what has none
                parts.append(open_part)
                open_part = ""
            else:
                parts.append(f"{open_part} {word}")
                open_part = ""
                continue
        whole = f"{open_part} {word}".strip()
        open_part = "" if compares and whole[-1] not in "=!<>~" else whole
        if not open_part:
            parts.append(whole)
    parts += [open_part] if open_part else []
    if len(parts) > _MOST:
        raise RequestError(f"filter: found {len(parts)} conditions, expected at most {_MOST}")
    return tuple(condition(part) for part in parts)


def filter_for(name: str, value: str) -> str | None:
    """The text that asks for a column's value; None where a filter's line cannot say it in one word.

    Example:
        >>> filter_for("data", "digits"), filter_for("data", "a b"), filter_for("a b", "c")
        ('data=digits', 'data="a b"', None)
    """
    if len(name) + len(value) > LONGEST_NAME or not re.fullmatch(r"[^\s=!<>~\"'\[\]]+", name):
        return None
    for text in (f"{name}={value}", f'{name}="{value}"', f"{name}='{value}'"):
        if _WORD.fullmatch(text):
            try:
                found = conditions_of(text)
            except RequestError:
                continue
            if [one.name for one in found] == [name] and fits({"fields": {name: value}, name: value}, found):
                return text
    return None


def fits(row: Mapping[str, Any], conditions: Sequence[Condition]) -> bool:
    """Whether a trial under way satisfies conditions, by the rules that the store has for its rows.

    Args:
        row: the columns by name, those of the spec under "fields", the numbers under "metrics".
        conditions: all of which are to hold.

    Example:
        >>> row = {"state": "running", "seed": 3, "fields": {"epochs": 5}, "metrics": {"loss": 0.25}}
        >>> [fits(row, conditions_of(text)) for text in ("seed<5 epochs>=5", "loss>0.5", "state!=running", "state~RUN")]
        [True, False, False, True]
    """
    return all(_fits(row, one) for one in conditions)


def _fits(row: Mapping[str, Any], one: Condition) -> bool:
    found = value_of(row, one.name)
    if one.comparison == "!=":
        return not _compares(found, "=", one.value)
    return _compares(found, one.comparison, one.value)


def value_of(row: Mapping[str, Any], name: str) -> Any:
    """What a row has in a column, None where it has none."""
    if name in _PLAIN:
        return row.get(name)
    field, metric = name.removeprefix("spec."), name.removeprefix("metric.")
    if field in row["fields"] and not name.startswith("metric."):
        found = row["fields"][field]
        return found if isinstance(found, str | int | float | None) else json.dumps(found, separators=(",", ":"))
    return row["metrics"].get(metric)


def _compares(found: Any, comparison: str, value: Any) -> bool:
    if comparison == "~":
        return found is not None and _word(value).lower() in _word(found).lower()
    if value is None:
        return found is None and comparison == "="
    if isinstance(value, float) and math.isnan(value):
        return isinstance(found, float) and math.isnan(found) and comparison == "="
    if comparison == "=":
        return found is not None and (found == value or (isinstance(found, str) and found == _word(value)))
    if isinstance(found, bool | None) or isinstance(value, bool):
        return False
    if isinstance(found, str) != isinstance(value, str) or not isinstance(found, str | int | float):
        return False
    order = {"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}
    return bool(order[comparison])


def _word(value: Any) -> str:
    return {True: "true", False: "false", None: ""}[value] if value is None or isinstance(value, bool) else str(value)
