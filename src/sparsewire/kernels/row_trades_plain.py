"""Deals and trades (`row_trades.py`) in plain numpy: what runs without the native library, and its oracle.

Nothing here is drawn in turn: every random number is a function of a key and of a count, so that many pairs of rows can
trade at once and come to what the native library's come to one after the other.
"""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Whole = NDArray[np.int64]
Labels = NDArray[np.int32]

_ALL = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LATER = 1 << 32  # where the numbers that mend a deal or a trade begin
_MOST_TRIES = 1 << 12  # to mend one repetition of a deal
_PORTION = 1 << 14  # labels that trade together: with their sort keys they fit the second cache
_LABEL = (1 << 29) - 1


def number(key: int, count: int) -> int:
    """The random number of 64 bits that has this count in the sequence of this key.

    Example:
        >>> hex(number(0, 0))
        '0xe220a8397b1dcdaf'
    """
    drawn = key + _GOLDEN * (count + 1) & _ALL
    drawn = (drawn ^ drawn >> 30) * _FIRST & _ALL
    drawn = (drawn ^ drawn >> 27) * _SECOND & _ALL
    return drawn ^ drawn >> 31


def numbers(keys: Words | np.uint64, counts: Words) -> Words:
    """The same for many: a key for all, or for each count its own."""
    drawn: Words = keys + np.uint64(_GOLDEN) * (counts + np.uint64(1))
    drawn = (drawn ^ drawn >> np.uint64(30)) * np.uint64(_FIRST)
    drawn = (drawn ^ drawn >> np.uint64(27)) * np.uint64(_SECOND)
    return drawn ^ drawn >> np.uint64(31)


def below(drawn: Words, ends: Whole) -> Whole:
    """Random numbers from 0 on and less than the ends, which are at most 2³²: the upper 64 bits of the products."""
    ends_, lower = ends.astype(np.uint64), np.uint64(0xFFFFFFFF)
    product: Words = (drawn >> np.uint64(32)) * ends_ + ((drawn & lower) * ends_ >> np.uint64(32))
    return (product >> np.uint64(32)).astype(np.int64)


def shuffle(values: Labels, key: int) -> None:
    """Fisher and Yates, where the places to change with are drawn beforehand."""
    view, size = values.data, values.size  # numbers of an array change places a few times slower
    for first in range(0, size - 1, _PORTION):
        here = np.arange(first, min(first + _PORTION, size - 1))
        there = here + below(numbers(np.uint64(key), here.astype(np.uint64)), size - here)
        for one, other in enumerate(there.tolist(), start=first):
            view[one], view[other] = view[other], view[one]


def mended(slots: Labels, key: int) -> bool:
    """Takes the repetitions out of the rows of each label, shape (labels, each); False where it cannot."""
    each = slots.shape[1]
    by_label = np.argsort(slots, axis=1, kind="stable")
    rows = np.take_along_axis(slots, by_label, axis=1)
    label, place = np.nonzero(rows[:, 1:] == rows[:, :-1])
    flat, drawn = slots.reshape(-1), _LATER
    for slot in sorted((label * each + by_label[label, place + 1]).tolist()):
        own = slots[slot // each]
        tries = 0
        while (own[: slot % each] == flat[slot]).any():  # or it has changed places since
            if tries == _MOST_TRIES:
                return False
            other = number(key, drawn) * flat.size >> 64
            drawn, tries = drawn + 1, tries + 1
            if not (own == flat[other]).any() and not (slots[other // each] == flat[slot]).any():
                flat[slot], flat[other] = flat[other], flat[slot]
    return True


def traded(starts: Whole, labels: Labels, held: NDArray[np.bool_] | None, rounds: int, seed: int) -> Labels:
    """The labels after so many rounds; of `held` ones each stays in its row.

    Args:
        starts: where in `labels` each row begins, and the last one ends.
        labels: those of row after row, in each rising.
        held: whether a label stays; None: none does.
        rounds: how often each row trades; of an odd number of rows one does not, each round another.
        seed: what decides.

    Example:
        >>> after = traded(np.array([0, 2, 4]), np.array([0, 1, 1, 2], np.int32), None, 5, 0)
        >>> after.tolist() in ([0, 1, 1, 2], [1, 2, 0, 1])
        True
    """
    codes = 2 * labels.astype(np.int64) + (0 if held is None else held)
    order = np.arange(starts.size - 1, dtype=np.int32)
    pairs = order.size // 2
    portion = max(1, _PORTION * pairs // max(1, labels.size))
    for round_ in range(rounds):
        key = number(seed, round_)
        shuffle(order, number(key, 0))
        for first in range(0, pairs, portion):
            end = min(first + portion, pairs)
            keys = numbers(np.uint64(key), np.arange(1 + first, 1 + end, dtype=np.uint64))
            rows = order[2 * first : 2 * end]
            lengths = starts[rows + 1] - starts[rows]
            ends = np.cumsum(lengths)
            places = np.arange(ends[-1]) + np.repeat(starts[rows] - (ends - lengths), lengths)
            codes[places] = _shared(codes[places], np.repeat(np.arange(rows.size), lengths), keys)
    return (codes >> 1).astype(np.int32)


def _shared(codes: Whole, rows: Whole, keys: Words) -> Whole:
    """Codes, 2 · label + held, of pairs of rows that lie one behind the other, after a trade of each pair."""
    codes = rows >> 1 << 32 | codes >> 1 << 2 | (rows & 1) << 1 | codes & 1
    codes.sort()
    free = codes & 1 == 0
    twice = codes[1:] >> 2 == codes[:-1] >> 2
    free[1:] &= ~twice
    free[:-1] &= ~twice
    codes[free] = _dealt_anew(codes[free], keys)
    # By row now, not by pair.
    codes = (codes >> 32 << 1 | codes >> 1 & 1) << 32 | (codes >> 2 & _LABEL) << 1 | codes & 1
    codes.sort()
    return codes & 0xFFFFFFFF


def _dealt_anew(apart: Whole, keys: Words) -> Whole:
    """Labels that one row of a pair only has, as pair · 2³² + label · 4 + row · 2, with new rows."""
    pair, label = apart >> 32, apart >> 2 & _LABEL
    size = np.bincount(pair, minlength=keys.size)
    wanted = np.bincount(pair[apart & 2 == 0], minlength=keys.size)
    words = numbers(keys[pair], (label >> 6).astype(np.uint64))
    first = (words >> (label & 63).astype(np.uint64) & np.uint64(1)).astype(np.bool_)
    first = (first & (4 * wanted >= size)[pair]) | (4 * wanted > 3 * size)[pair]
    had = np.bincount(pair[first], minlength=keys.size)
    movable = np.flatnonzero((first != (had < wanted)[pair]) & (had != wanted)[pair])
    number_of = np.bincount(pair[movable], minlength=keys.size)
    begin, missing = np.cumsum(number_of) - number_of, np.abs(had - wanted)
    moved = np.zeros(apart.size, np.bool_)
    draw, open_ = _LATER, np.flatnonzero(missing)
    while open_.size:
        chosen = movable[
            begin[open_] + below(numbers(keys[open_], np.full(open_.size, draw, np.uint64)), number_of[open_])
        ]
        missing[open_] -= ~moved[chosen]
        moved[chosen] = True
        draw, open_ = draw + 1, open_[missing[open_] > 0]
    return (apart & ~2) | np.where(first ^ moved, 0, 2)
