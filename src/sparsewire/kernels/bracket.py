"""The largest of very many numbers by a sampled bracket: exact, in little more than one pass over them."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.kernels import native

SHORTEST = 2**15  # below, other ways are as fast
_DTYPES = (torch.float32, torch.float64)
_SAMPLE = 2**16
_DEVIATIONS = 5.0  # of the sampled rank, on each side: the bracket misses once in a million draws
_ROWS, _FIELDS = 64, 8  # of the counts, one row a thread
_ABOVE, _AT_TOP, _INSIDE, _AT_BOTTOM, _NAN, _COPIED, _FIRST = range(7)
_A_THREAD = 2**18  # numbers that are worth another thread

Array = np.ndarray[Any, Any]


def is_for(values: Tensor) -> bool:
    """Whether numbers like these, on the CPU, can be ranked here."""
    return values.dtype in _DTYPES and values.numel() >= SHORTEST and native.is_at_hand()


def threshold_of(values: Tensor, count: int) -> float | None:
    """The count-th largest of all numbers; NaN if one is NaN, None if no bracket was found.

    A sample, always of the same places, gives two numbers between which the wanted one lies in all but one in a million
    draws; one pass counts the numbers above and copies those between, of which the same is asked again. The counts show
    whether the wanted number really lies there, so the result never depends on luck.

    Args:
        values: float32 or float64, contiguous, on the CPU, at least `SHORTEST`.
        count: from 1 to the number of values.

    Example:
        >>> threshold_of(torch.arange(40_000.0), 3) if native.is_at_hand() else 39_997.0
        39997.0
    """
    rank = count  # among the numbers that are still looked at: 1 is the largest
    while values.numel() >= SHORTEST:
        size = values.numel()
        bottom, top = _bounds(values, size - rank)
        inside, counts = _counted(values, bottom, top)
        above, at_top, within, at_bottom = (int(counts[:, field].sum()) for field in range(4))
        if counts[:, _NAN].any():
            return math.nan
        at_bottom = 0 if bottom == top else at_bottom  # not twice
        if rank <= above or rank > above + at_top + within + at_bottom:
            return None
        if rank <= above + at_top:
            return top
        if rank > above + at_top + within:
            return bottom
        if not np.array_equal(counts[:, _INSIDE], counts[:, _COPIED]) or 2 * within > size:
            return None
        starts, ends = counts[:, _FIRST], counts[:, _FIRST] + counts[:, _COPIED]
        values = torch.cat([inside[start:end] for start, end in zip(starts, ends, strict=True)])
        rank -= above + at_top
    return float(np.sort(values.numpy())[values.numel() - rank])


def mask_from(values: Tensor, threshold: float, count: int) -> Tensor:
    """The mask of the numbers from the threshold on, of which the last ties are left out so that `count` are kept.

    Args:
        values: as for `threshold_of`.
        threshold: the count-th largest of the values.
        count: how many are kept.
    """
    kept = torch.empty(values.shape, dtype=torch.bool)
    arguments = native.address(values), values.numel(), threshold, count, native.address(kept)
    native.function("keep", "iidiiii")(*arguments, _threads(values), native.DTYPES[values.dtype])
    return kept


def _bounds(values: Tensor, place: int) -> tuple[float, float]:
    """Two numbers between which the place-th smallest most likely lies."""
    size = values.numel()
    drawn = min(_SAMPLE, size // 32)
    places = torch.randint(size, (drawn,), generator=torch.Generator().manual_seed(0))
    sample = np.sort(values.numpy()[places.numpy()])  # torch would wake its threads for this
    fraction = (place + 0.5) / size
    margin = _DEVIATIONS * math.sqrt(drawn * fraction * (1 - fraction)) + 2
    first, last = math.floor(fraction * drawn - margin), math.ceil(fraction * drawn + margin)
    return float(sample[first]) if first >= 0 else -math.inf, float(sample[last]) if last < drawn else math.inf


def _counted(values: Tensor, bottom: float, top: float) -> tuple[Tensor, Array]:
    """The room that holds the numbers between the bounds, and of each thread what it counted."""
    size = values.numel()
    inside = torch.empty(size // 8 + 4096, dtype=values.dtype)
    counts = torch.zeros(_ROWS, _FIELDS, dtype=torch.int64)
    room = native.address(inside), inside.numel(), native.address(counts)
    arguments = native.address(values), size, bottom, top, *room, _threads(values)
    native.function("bracket", "iiddiiiii")(*arguments, native.DTYPES[values.dtype])
    return inside, counts.numpy()


def _threads(values: Tensor) -> int:
    return max(1, min(torch.get_num_threads(), _ROWS, values.numel() // _A_THREAD))
