"""Random patterns of fixed degrees: labels are dealt to rows, and rows trade.

A *deal* gives each label to as many rows as it has edges, at random. In a *trade* two rows put together the labels that
only one of them has and share them out again at random, each getting back as many as it gave; in a *round* all rows
trade, in random pairs. So rows and labels keep their numbers of edges, and no row gets a label twice.

Natively rows are kept as bits, a bit for each label, or as sorted lists; in plain numpy always as lists. All three give
the same rows, as every random number is a function of a key and of a count (splitmix64). What a trade does is this: of
the `size` labels that one row only has the first row had `wanted`. Label l goes to it if bit l mod 64 of number l / 64
of the trade's key is set; if `wanted` is less than a quarter of them none does, and if more than three quarters all do.
Labels of those on the side with too many then change sides, each equally probable, until the numbers are right. So all
ways to choose `wanted` of them are equally probable.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.kernels import native, row_trades_plain
from sparsewire.kernels.row_trades_plain import Labels, Whole, Words

Pattern = NDArray[np.bool_]

_A_THREAD = 1 << 13  # labels or words of a round that are worth another thread


class Lists(NamedTuple):
    """The labels of each row, rising; row r's are labels[starts[r] : starts[r + 1]]."""

    starts: Whole
    labels: Labels


class Start(NamedTuple):
    """Where trades start from.

    Attributes:
        lengths: how many labels each row has.
        labels: how many labels there are, less than 2²⁹.
        slots: for each label in turn the rows that it is dealt to, of all labels equally many; or None: the rows are
            laid one behind the other round the labels.
        first: the label that they are laid from.
    """

    lengths: Whole
    labels: int
    slots: Labels | None = None
    first: int = 0


def dealt(lengths: Whole, labels: int, each: int, seed: int) -> Start | None:
    """Each label given to `each` rows, at random; None where no way was found to give it to different ones.

    The slots of all rows are shuffled. Where a label has a row twice, this slot changes places with one from anywhere.

    Args:
        lengths: how many labels each row gets, together labels · each, less than 2³².
        labels: how many labels there are.
        each: how many rows each label gets.
        seed: what decides.

    Example:
        >>> start = dealt(np.array([2, 2, 2]), 6, 1, 0)
        >>> sorted(start.slots.tolist())
        [0, 0, 1, 1, 2, 2]
    """
    slots = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
    if native.is_at_hand():
        last, done = np.full(lengths.size, -1, np.int32), np.zeros(1, np.int64)
        arguments = slots.ctypes.data, slots.size, each, last.ctypes.data, seed, done.ctypes.data
        native.function("deal", "iiiiii")(*arguments)
        return Start(lengths, labels, slots) if done[0] else None
    row_trades_plain.shuffle(slots, seed)
    return Start(lengths, labels, slots) if row_trades_plain.mended(slots.reshape(labels, each), seed) else None


def traded_pattern(start: Start, rounds: int, seed: int) -> Pattern:
    """The pattern of shape (rows, labels) after so many rounds; `True` where the row has the label.

    Example:
        >>> traded_pattern(Start(np.array([2, 2]), 4), 0, 0).astype(int)
        array([[1, 1, 0, 0],
               [0, 0, 1, 1]])
    """
    count = start.lengths.size
    if not native.is_at_hand():
        return pattern_of(traded_lists(start, rounds, seed), start.labels)
    words = -(-start.labels // 64)
    bits = np.zeros((count, words), np.uint64)
    if start.slots is None:
        laid = start.lengths.ctypes.data, count, start.labels, start.first, bits.ctypes.data, words
        native.function("laid_bits", "iiiiii")(*laid)
    else:
        given = start.slots.ctypes.data, start.slots.size, start.slots.size // start.labels, bits.ctypes.data, words
        native.function("dealt_bits", "iiiii")(*given)
    _trade_bits(bits, None, rounds, seed)
    return _spread(bits, start.labels)


def traded_lists(start: Start, rounds: int, seed: int) -> Lists:
    """The same rows as those of `traded_pattern`, in memory in proportion to their labels.

    Example:
        >>> traded_lists(Start(np.array([2, 2]), 4), 0, 0).labels
        array([0, 1, 2, 3], dtype=int32)
    """
    lists = _laid_lists(start) if start.slots is None else _dealt_lists(start)
    if native.is_at_hand():
        _trade_lists(lists, rounds, seed)
        return lists
    return Lists(lists.starts, row_trades_plain.traded(*lists, None, rounds, seed))


def traded_again(pattern: Pattern, held: Pattern | None, rounds: int, seed: int) -> Pattern:
    """A pattern of shape (rows, labels) after so many rounds; entries that are held stay where they are.

    Example:
        >>> pattern = np.eye(3, dtype=bool)
        >>> traded_again(pattern, pattern, 5, 0).astype(int)
        array([[1, 0, 0],
               [0, 1, 0],
               [0, 0, 1]])
    """
    labels = pattern.shape[1]
    if native.is_at_hand():
        bits = _packed(pattern)
        _trade_bits(bits, None if held is None else _packed(held), rounds, seed)
        return _spread(bits, labels)
    starts = np.append(0, np.cumsum(pattern.sum(axis=1, dtype=np.int64)))
    given = np.nonzero(pattern)[1].astype(np.int32)
    after = row_trades_plain.traded(starts, given, None if held is None else held[pattern], rounds, seed)
    return pattern_of(Lists(starts, after), labels)


def pattern_of(lists: Lists, labels: int) -> Pattern:
    """The rows as a pattern of shape (rows, labels)."""
    lengths = np.diff(lists.starts)
    pattern = np.zeros((lengths.size, labels), np.bool_)
    pattern.reshape(-1)[np.repeat(np.arange(lengths.size) * labels, lengths) + lists.labels] = True
    return pattern


def _trade_bits(bits: Words, held: Words | None, rounds: int, seed: int) -> None:
    count, words = bits.shape
    threads = _threads(bits.size)
    order, room = np.arange(count, dtype=np.int32), np.empty((threads, 4, words), np.uint64)
    arguments = bits.ctypes.data, 0 if held is None else held.ctypes.data, count, words, rounds, seed
    native.function("trade_bits", "iiiiiiiii")(*arguments, order.ctypes.data, room.ctypes.data, threads)


def _trade_lists(lists: Lists, rounds: int, seed: int) -> None:
    count, longest = lists.starts.size - 1, int(np.diff(lists.starts).max(initial=0))
    threads = _threads(lists.labels.size)
    order, room = np.arange(count, dtype=np.int32), np.empty((threads, 6 * longest + 3), np.int32)
    arguments = lists.starts.ctypes.data, lists.labels.ctypes.data, count, longest, rounds, seed
    native.function("trade_lists", "iiiiiiiii")(*arguments, order.ctypes.data, room.ctypes.data, threads)


def _threads(size: int) -> int:
    return max(1, min(torch.get_num_threads(), size // _A_THREAD))


def _packed(pattern: Pattern) -> Words:
    """A bit for each place, each row in whole words."""
    packed = np.packbits(pattern, axis=1, bitorder="little")
    bits = np.zeros((pattern.shape[0], -(-pattern.shape[1] // 64) * 8), np.uint8)
    bits[:, : packed.shape[1]] = packed
    return bits.view("<u8").astype(np.uint64, copy=False)


def _spread(bits: Words, labels: int) -> Pattern:
    pattern = np.empty((bits.shape[0], labels), np.bool_)
    native.function("spread_bits", "iiiii")(bits.ctypes.data, *bits.shape, labels, pattern.ctypes.data)
    return pattern


def _laid_lists(start: Start) -> Lists:
    starts = np.append(0, np.cumsum(start.lengths))
    begin = (starts[:-1] + start.first) % start.labels
    behind = np.maximum(begin + start.lengths - start.labels, 0)  # those at the beginning again come first
    place = np.arange(starts[-1]) - np.repeat(starts[:-1], start.lengths)
    place += np.where(place < np.repeat(behind, start.lengths), 0, np.repeat(begin - behind, start.lengths))
    return Lists(starts, place.astype(np.int32))


def _dealt_lists(start: Start) -> Lists:
    assert start.slots is not None
    starts = np.append(0, np.cumsum(start.lengths))
    each = start.slots.size // start.labels
    if native.is_at_hand():
        labels, following = np.empty(start.slots.size, np.int32), starts[:-1].copy()
        arguments = start.slots.ctypes.data, start.slots.size, each, labels.ctypes.data, following.ctypes.data
        native.function("dealt_lists", "iiiii")(*arguments)
        return Lists(starts, labels)
    return Lists(starts, (np.argsort(start.slots, kind="stable") // each).astype(np.int32))
