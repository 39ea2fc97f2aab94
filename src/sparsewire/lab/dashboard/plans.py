"""How many trials the sweeps under way are to do, as far as they have said."""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

from sparsewire.lab.dashboard.live_tails import plain_bytes
from sparsewire.lab.trials.live import WORK

_LARGEST = 4_096


class Plan(NamedTuple):
    """Of the sweeps under way: all their trials, and how many of these have ended."""

    total: int
    ended: int


def plan_of(root: Path, kept: int) -> Plan | None:
    """What `work/<sweep>.run` says; None where no sweep has said it.

    Args:
        root: the store's folder.
        kept: how many trials the store holds now.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "work").mkdir()
        >>> (root / "work" / "sweep-1.run").write_text('{"total": 20, "behind": 5, "held": 105}') and None
        >>> plan_of(root, kept=108)
        Plan(total=20, ended=8)
    """
    total = ended = 0
    for path in sorted((root / WORK).glob("*.run"))[:50]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            told = json.loads(plain_bytes(path, 0, _LARGEST))
            one, behind, held = (int(told[name]) for name in ("total", "behind", "held"))
            if 0 < one < 10**9:
                total += one
                ended += min(max(behind + kept - held, 0), one)
    return Plan(total, ended) if total else None
