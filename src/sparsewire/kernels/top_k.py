"""The largest of many numbers, as a mask, with an exact count."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.bracket import is_for, mask_from, threshold_of

Array = np.ndarray[Any, Any]
Values = TypeVar("Values", Tensor, Array)

PIECE = 2**17  # scores that are looked at together

_EXACT = {torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_WIDER = {torch.bool: torch.uint8, torch.uint16: torch.int32, torch.uint32: torch.int64}


def keep_top(scores: Tensor, count: int) -> Tensor:
    """The mask of the `count` largest scores; of equal ones those with the lower flat index are kept.

    The count is exact, whatever the ties. The time is linear in the number of scores, also where most of them are equal
    (weights that are pruned already): the count-th largest one is found by a sampled bracket, where the native library
    is at hand and there are many scores, and else digit by digit, not by sorting.

    Args:
        scores: numbers of any shape and any real dtype; -inf and +inf are numbers, NaN is not.
        count: how many to keep, from 0 to the number of scores.

    Returns:
        A bool tensor of the scores' shape, on their device.

    Raises:
        RequestError: a score is NaN, the dtype has no order, or there are fewer than `count` scores.

    Example:
        >>> keep_top(torch.tensor([[1.0, 3.0], [3.0, 3.0]]), 2)
        tensor([[False,  True],
                [ True, False]])
    """
    values = _comparable(scores).reshape(-1)
    _check_count(count, values.numel())
    kept = _keep_by_bracket(values.contiguous(), int(count)) if values.device.type == "cpu" and count else None
    return (_keep(values[None], count, _place_by_digits) if kept is None else kept).view(scores.shape)


def keep_top_of_rows(scores: Tensor, count: int) -> Tensor:
    """The mask of the `count` largest scores of every row; of equal ones those further left are kept.

    Args:
        scores: shape (rows, columns), as for `keep_top`; meant for many short rows.
        count: how many to keep in each row, from 0 to the number of columns.

    Raises:
        RequestError: as `keep_top`.

    Example:
        >>> keep_top_of_rows(torch.tensor([[1, 2, 3], [5, 5, 5]]), 1).int()
        tensor([[0, 0, 1],
                [1, 0, 0]], dtype=torch.int32)
    """
    values = _comparable(scores)
    _check_count(count, values.shape[1])
    return _keep(values, count, _place_by_partition)


def _check_count(count: object, size: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 0 <= count <= size:
        raise RequestError(f"count: found {count!r}, expected a whole number from 0 to {size:,}, the number of scores")


def _keep_by_bracket(values: Tensor, count: int) -> Tensor | None:
    """None where that is not the way: too few values, another dtype, no library, or they are spread out too oddly."""
    threshold = threshold_of(values, count) if is_for(values) else None
    if threshold is None:
        return None
    _refuse_nan(math.isnan(threshold))
    return mask_from(values, threshold, count)


def _keep(values: Tensor, count: int, place: Callable[[Array, int], Array]) -> Tensor:
    """`place(array, i)` gives the i-th smallest of each row, shape (rows, 1)."""
    columns = values.shape[1]
    if values.numel() == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    if values.device.type != "cpu":
        return _keep_elsewhere(values, int(count))
    array = values.numpy()
    _refuse_nan(bool(np.isnan(array.max())))  # max hands a NaN on, without a temporary array
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = place(array, columns - int(count))
    kept = array >= threshold
    excess = np.count_nonzero(kept, axis=1)[:, None] - count
    if len(array) == 1:
        ties = np.flatnonzero(array[0] == threshold[0])
        kept[0, ties[ties.size - int(excess[0, 0]) :]] = False
    elif excess.any():
        kept &= ~_last(array == threshold, excess)
    return torch.from_numpy(kept)


def _keep_elsewhere(values: Tensor, count: int) -> Tensor:
    _refuse_nan(bool(values.isnan().any()))
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    # Not kthvalue: it is slow on one long row and refused when deterministic algorithms are asked for.
    threshold = values.sort(dim=1).values[:, values.shape[1] - count, None]
    kept = values >= threshold
    return kept & ~_last(values == threshold, kept.sum(1, keepdim=True) - count)


def _last(tied: Values, excess: Values) -> Values:
    """The last `excess` of the tied scores of each row: those that must go for the count to be exact."""
    rank = tied.cumsum(1)
    return tied & (rank > rank[:, -1:] - excess)


def _place_by_partition(values: Array, place: int) -> Array:
    threshold: Array = np.partition(values, place, axis=1)[:, place, None]
    return threshold


def _place_by_digits(values: Array, place: int) -> Array:
    """The i-th smallest of one row by radix selection: the leading digits first, then among those that share them.

    Not np.partition: where one value holds most of the row, as in pruned weights, that takes the time of a full sort
    (26 ms instead of 1.5 ms for 266,200 scores of which 90 % are -inf; numpy 2.4 with AVX-512).
    """
    row = values[0]
    # In pieces that fit the cache: fresh memory for 25 million indices would cost more than the counting.
    keys = [_digits_in_order(row[start : start + PIECE]) for start in range(0, row.size, PIECE)]
    digit_bits = 16 if row.size > 2**15 else 11
    found, shift = 0, 8 * row.itemsize
    while shift > 0:
        bits = min(digit_bits, shift)
        shift -= bits
        last = (1 << bits) - 1
        counts = np.zeros(last + 1, dtype=np.intp)
        for piece in keys:
            counts += np.bincount((piece >> shift & last).astype(np.intp), minlength=last + 1)
        upto = counts.cumsum()
        digit = int(np.searchsorted(upto, place, side="right"))
        place -= int(upto[digit - 1]) if digit else 0
        keys = [np.concatenate([piece[piece >> shift & last == digit] for piece in keys])]
        found = found << bits | digit
    return _score_of(found, row.dtype).reshape(1, 1)


def _digits_in_order(array: Array) -> Array:
    """Unsigned whole numbers in the same order as the scores, equal where those are equal."""
    if array.dtype.kind == "u":
        return array
    signed, unsigned = np.dtype(f"i{array.itemsize}"), np.dtype(f"u{array.itemsize}")
    bits = array
    if array.dtype.kind == "f":
        bits = _folded((array + array.dtype.type(0)).view(signed))  # the sum turns -0.0 into 0.0, its equal
    keys: Array = bits.view(unsigned) ^ unsigned.type(1 << (8 * array.itemsize - 1))
    return keys


def _score_of(key: int, dtype: "np.dtype[Any]") -> Array:
    """The score that has this key."""
    signed, unsigned = np.dtype(f"i{dtype.itemsize}"), np.dtype(f"u{dtype.itemsize}")
    bits = np.array([key], dtype=unsigned)
    if dtype.kind != "u":
        bits = (bits ^ unsigned.type(1 << (8 * dtype.itemsize - 1))).view(signed)
    score: Array = (_folded(bits) if dtype.kind == "f" else bits).view(dtype)
    return score


def _folded(bits: Array) -> Array:
    """The bits of floats as whole numbers in the same order, and back: those of negative floats run downwards."""
    folded: Array = bits ^ ((bits >> (8 * bits.itemsize - 1)) & np.iinfo(bits.dtype).max)
    return folded


def _comparable(scores: Tensor) -> Tensor:
    """The same order in a dtype that both numpy and every device can compare; no two numbers become equal."""
    if scores.layout != torch.strided:
        raise RequestError(f"scores: found layout {scores.layout}, expected a dense tensor; call to_dense() first")
    scores = scores.detach()
    if scores.dtype in _EXACT:
        return scores
    if scores.dtype in _WIDER:
        return scores.to(_WIDER[scores.dtype])
    if scores.dtype == torch.uint64:
        return scores.contiguous().view(torch.int64) ^ torch.iinfo(torch.int64).min
    if scores.dtype.is_floating_point:
        return scores.float()  # every shorter float is a float32
    raise RequestError(f"scores: found dtype {scores.dtype}, expected real numbers; take abs() of complex ones")


def _refuse_nan(found: bool) -> None:
    if found:
        raise RequestError("scores: found NaN, expected numbers that can be compared; look where it came from")
