"""How quickly trials end, and when the last one will have."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WINDOW = 600.0  # seconds that count as "now"
_FEWEST = 3


class Pace(NamedTuple):
    """Trials a second over the last minutes, and the seconds until `left` trials have ended; None where unknown."""

    rate: float | None
    seconds_left: float | None


def pace(ends: Sequence[float], now: float, left: int | None) -> Pace:
    """The rate of the trials that ended last.

    Args:
        ends: when trials ended, in seconds; the newest ones, at least three for a rate.
        now: seconds on the same clock.
        left: how many trials are to come, if that is known.

    Example:
        >>> pace([100.0, 110.0, 120.0], now=130.0, left=6)
        Pace(rate=0.1, seconds_left=60.0)
        >>> pace([100.0, 110.0, 120.0], now=5_000.0, left=6)
        Pace(rate=None, seconds_left=None)
    """
    recent = sorted(end for end in ends if now - WINDOW <= end <= now + 1)
    if len(recent) < _FEWEST or now <= recent[0]:
        return Pace(None, None)
    rate = len(recent) / (now - recent[0])
    return Pace(rate, None if left is None else left / rate)


def ended_at(started: str, seconds: float) -> float | None:
    """When a trial ended, in seconds since 1970; None where its start is no time.

    Example:
        >>> ended_at("1970-01-01T00:01:00+00:00", 1.5), ended_at("yesterday", 1.5)
        (61.5, None)
    """
    try:
        return datetime.fromisoformat(started).timestamp() + seconds
    except (ValueError, OverflowError, OSError):
        return None
