"""Values of any origin as JSON of bounded size: numbers that JSON lacks as texts, texts cut, all else as text."""

import json
import math
from typing import Any

LONGEST_NAME = 200

Plain = str | int | float | bool | None


def short(text: object, longest: int = LONGEST_NAME) -> str:
    """The text, cut where it is longer.

    Example:
        >>> short("a" * 1000, 5)
        'aaaaa… (1,000 characters)'
    """
    whole = str(text)
    return whole if len(whole) <= longest else f"{whole[:longest]}… ({len(whole):,} characters)"


def plain(value: Any, longest: int = LONGEST_NAME) -> Plain:
    """The value as JSON can say it.

    Example:
        >>> [plain(value) for value in (0.5, float("nan"), float("-inf"), None, True, (30, 20), 2**60)]
        [0.5, 'nan', '-inf', None, True, '[30, 20]', '1152921504606846976']
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else short(value, longest)  # a browser's numbers end there
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return short(value, longest)
    try:
        return short(json.dumps(value, ensure_ascii=False, default=str), longest)
    except (TypeError, ValueError, RecursionError):
        return short(repr(type(value)), longest)


def finite(value: float) -> float | None:
    """The number, or None where a curve has a gap."""
    return value if math.isfinite(value) else None
