"""Random values that stay the same for ever: each follows from a seed, a number and a field's name by SHA-256.

No generator's stream is used, because libraries change theirs, and because a stream gives every value after a new one
another fate: here a field that is added or more samples change none of those that were there. Logarithms are decimal
numbers of 40 digits, which are the same on every machine; those of the C library are not.
"""

import decimal
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.specs.fields import shown

Scale = Literal["linear", "log"]
_BITS = 256
_EXACT = decimal.Context(prec=40, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])


@dataclass(frozen=True)
class Between:
    """Numbers between two bounds: integers, both bounds included, where both are integers, else floats.

    Args:
        low: the least.
        high: the greatest, at least `low`.
        scale: "linear": every number is as likely; "log": every ratio is, for which `low` must be above 0.

    Raises:
        RequestError: a bound is no finite number, they are the wrong way round, or the scale does not suit them.

    Example:
        >>> Between(1, 6).at(draw(0, 0, ("die",))), Between(0.01, 1.0, "log").at(draw(0, 0, ("rate",)))
        (1, 0.8157858989947804)
    """

    low: float
    high: float
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if type(bound) not in (int, float) or not _is_finite(bound):
                raise RequestError(f"{name}: found {shown(bound)}, expected a finite number")
        if self.scale not in get_args(Scale):
            raise UnknownNameError("scale", str(self.scale)[:60], get_args(Scale))
        if self.low > self.high:
            raise RequestError(f"low: found {shown(self.low)}, expected at most high, which is {shown(self.high)}")
        if self.scale == "log" and self.low <= 0:
            raise RequestError(f"low: found {shown(self.low)}, expected a number above 0 on the scale 'log'")

    def at(self, drawn: int) -> int | float:
        """The value for a number that `draw` gave."""
        if not (isinstance(self.low, int) and isinstance(self.high, int)):
            found = self._between(Decimal(self.low), Decimal(self.high), drawn)
            return min(max(float(found), float(self.low)), float(self.high))
        if self.scale == "linear":
            return self.low + (drawn * (self.high - self.low + 1) >> _BITS)
        found = self._between(Decimal(self.low), Decimal(self.high + 1), drawn)
        return min(max(int(found), self.low), self.high)

    def _between(self, low: Decimal, high: Decimal, drawn: int) -> Decimal:
        share = _EXACT.divide(Decimal(drawn), Decimal(1 << _BITS))
        if self.scale == "log":
            low, high = _EXACT.ln(low), _EXACT.ln(high)
        found = _EXACT.add(low, _EXACT.multiply(_EXACT.subtract(high, low), share))
        return _EXACT.exp(found) if self.scale == "log" else found


@dataclass(frozen=True)
class OneOf:
    """One of several values, each as likely.

    Raises:
        RequestError: there are none.

    Example:
        >>> OneOf(("digits", "mnist")).at(draw(0, 1, ("data",)))
        'digits'
    """

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise RequestError("choices: found none, expected one or more values")

    def at(self, drawn: int) -> Any:
        """The value for a number that `draw` gave."""
        return self.choices[drawn * len(self.choices) >> _BITS]


def draw(seed: int, index: int, path: Sequence[str]) -> int:
    """A number from 0 to 2²⁵⁶ − 1 that follows from its arguments alone.

    Args:
        seed: of all samples.
        index: which sample, from 0.
        path: the keys that lead to the field.
    """
    named = json.dumps(["sparsewire", seed, index, *path], ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(named.encode()).digest(), "big")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond every float
        return False
