"""Conditions on trials, such as `epochs>=5`: what a filter is made of."""

import json
import re
from dataclasses import dataclass
from typing import Literal, get_args

from sparsewire.errors import RequestError

Comparison = Literal["=", "!=", "<", "<=", ">", ">=", "~"]

_CONDITION = re.compile(r"\s*([^=!<>~\s][^=!<>~]*?)\s*(!=|<=|>=|==|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?([0-9]+|([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][+-]?[0-9]+)?|inf|infinity|nan)", re.I)
_WORDS = {"true": True, "false": False, "none": None, "null": None, "": None}


@dataclass(frozen=True)
class Condition:
    """A trial satisfies it if its column compares so with the value.

    Args:
        name: `state`, `reason`, `experiment`, `run`, `seed`, `seconds`, `started`, a field of the spec (`part.field`),
            or a metric. Where two bear one name the first of these is meant; `spec.NAME` and `metric.NAME` say which.
        comparison: `=`, `!=` (also satisfied by trials that have no such column), `<`, `<=`, `>`, `>=` (numbers compare
            with numbers, texts with texts), or `~` (the text holds the value, whatever the case of its letters).
        value: what it is compared with; `None` stands for a missing one.
    """

    name: str
    comparison: Comparison
    value: str | int | float | bool | None

    def __post_init__(self) -> None:
        if self.comparison not in get_args(Comparison):
            known = " ".join(get_args(Comparison))
            raise RequestError(f"condition: found the comparison {self.comparison!r}, expected one of {known}")
        if not (isinstance(self.name, str) and self.name):
            raise RequestError(f"condition: name: found {self.name!r}, expected the name of a column")


def condition(text: str) -> Condition:
    """The condition that a text says: name, comparison, value.

    A value in quotes is a text; else `true`, `false`, `none` (or nothing), a number or a list is what it looks like.

    Raises:
        RequestError: the text is no condition.

    Example:
        >>> condition("training.epochs>=5")
        Condition(name='training.epochs', comparison='>=', value=5)
        >>> condition("reason ~ memory"), condition("sizes = [3, 2]").value, condition("label='5'").value
        (Condition(name='reason', comparison='~', value='memory'), '[3,2]', '5')
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise RequestError(
            f"condition: found {text!r}, expected NAME=VALUE, or one of != < <= > >= ~ between them, "
            "such as accuracy>=0.9"
        )
    name, sign, value = found.groups()
    comparison = next(known for known in get_args(Comparison) if known == sign.replace("==", "="))
    meant = value if sign == "~" else _value(value)
    # an id of digits alone, or of digits and one "e", looks like a number
    return Condition(name, comparison, value if name == "run" and isinstance(meant, int | float) else meant)


def _value(text: str) -> str | int | float | bool | None:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text) and len(text) < 400:
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else float(text)
    if text.startswith("["):
        try:
            return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
        except (ValueError, RecursionError):
            return text
    return text
