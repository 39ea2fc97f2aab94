"""Masks in as few bytes as they need: one bit a place, or the gaps between what is kept, or the lengths of runs."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

CODINGS = ("bits", "gaps", "runs")
_WIDEST = 48  # bits of a remainder


class CodedMask(NamedTuple):
    """A coded mask.

    Args:
        coding: "bits": a bit a place, the first one highest in its byte. "gaps": how many places are skipped before
            each kept one. "runs": the same for the places at which kept and dropped alternate; the first is where a
            kept run begins.
        marks: how many numbers are coded; 0 for "bits".
        width: of each number so many low bits are stored as they are, first those of all numbers, padded to a byte;
            then what remains of each, as so many 0 and a 1 (Rice's code).
        data: uint8.
    """

    coding: str
    marks: int
    width: int
    data: Array


def encode(mask: Array) -> CodedMask:
    """The smallest of the codings of a mask.

    Random masks are coded by their gaps, to within 5 % of their entropy, from 20 % density down, and by bits around
    50 %; masks of blocks, rows or columns by their runs.

    Args:
        mask: bool, one-dimensional.

    Example:
        >>> encode(np.arange(1000) % 100 == 7)[:3]
        ('gaps', 10, 6)
        >>> encode(np.arange(1000) < 500)[:3]
        ('runs', 2, 7)
    """
    best = CodedMask("bits", 0, 0, np.empty(0, np.uint8))
    size, gaps = -(-mask.size // 8), np.empty(0, np.int64)
    for coding in ("gaps", "runs"):
        found = _gaps(_places(coding, mask))
        width, needed = _best_width(found)
        if needed < size:
            best, size, gaps = CodedMask(coding, found.size, width, best.data), needed, found
    data = np.packbits(mask) if best.coding == "bits" else _rice(gaps, best.width)
    return best._replace(data=data)


def decode(coded: CodedMask, size: int) -> Array:
    """The mask of so many places; bool.

    Nothing in `coded` is trusted, and no more memory is taken than some multiples of the data and of `size`.

    Raises:
        ValueError: it is no mask of that size, coded as `encode` does; why.

    Example:
        >>> decode(encode(np.array([False, True, True])), 3)
        array([False,  True,  True])
    """
    if coded.data.dtype != np.uint8 or coded.data.ndim != 1:
        raise ValueError("its index is not made of bytes")
    if coded.coding == "bits":
        if coded.data.size != -(-size // 8) or coded.marks or coded.width:
            raise ValueError(f"its index has {coded.data.size:,} bytes, expected a bit for each of {size:,} places")
        return np.unpackbits(coded.data, count=size).astype(bool)
    if coded.coding not in CODINGS:
        raise ValueError(f"its index is coded as {coded.coding!r}, expected one of {', '.join(CODINGS)}")
    places = _decoded_places(coded, size)
    mask = np.zeros(size, np.uint8)
    mask[places] = 1
    if coded.coding == "runs":
        np.bitwise_xor.accumulate(mask, out=mask)
    return mask.view(bool)


def _places(coding: str, mask: Array) -> Array:
    if coding == "gaps":
        return np.flatnonzero(mask)
    changes = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    return np.concatenate([[0], changes]) if mask[:1].any() else changes


def _gaps(places: Array) -> Array:
    return np.diff(places, prepend=-1) - 1


def _best_width(gaps: Array) -> tuple[int, int]:
    """The width with which Rice's code of these gaps takes the fewest bytes, and how many those are."""
    if not gaps.size:
        return 0, 0
    guess = int(gaps.mean()).bit_length()  # of geometric gaps the best is this or up to two less
    widths = range(max(0, guess - 2), min(guess + 1, _WIDEST))
    return min(((width, _bytes(gaps, width)) for width in widths), key=lambda found: found[1])


def _bytes(gaps: Array, width: int) -> int:
    return -(-gaps.size * width // 8) + -(-(gaps.size + int((gaps >> width).sum())) // 8)


def _rice(gaps: Array, width: int) -> Array:
    low = np.empty((gaps.size, width), np.uint8)
    for bit in range(width):
        low[:, bit] = gaps >> bit & 1
    ends = np.cumsum((gaps >> width) + 1) - 1
    high = np.zeros(int(ends[-1]) + 1 if ends.size else 0, np.uint8)
    high[ends] = 1
    return np.concatenate([np.packbits(low), np.packbits(high)])


def _decoded_places(coded: CodedMask, size: int) -> Array:
    """Strictly rising places below the size."""
    marks, width, data = coded.marks, coded.width, coded.data
    if not 0 <= marks <= size or not 0 <= width < _WIDEST or (marks and 1 << width > size):
        raise ValueError(f"its index claims {marks:,} numbers of {width} bits among {size:,} places")
    of_low = -(-marks * width // 8)
    high = np.unpackbits(data[of_low:])
    ends = np.flatnonzero(high)
    last = int(ends[-1]) + 1 if ends.size else 0
    if ends.size != marks or data.size != of_low + -(-last // 8):
        raise ValueError(f"its index has {data.size:,} bytes that do not hold {marks:,} numbers")
    if not marks:
        return ends
    high_parts = np.diff(ends, prepend=-1) - 1
    if int(high_parts.max()) << width >= size:  # before the shift, which would run over
        raise ValueError(f"its index leaves the {size:,} places")
    gaps = high_parts << width
    low = np.unpackbits(data[:of_low], count=marks * width).reshape(marks, width)
    for bit in range(width):
        gaps |= low[:, bit].astype(np.int64) << bit
    if float(gaps.sum(dtype=np.float64)) > 2.0 * size + 2:  # the exact sum might run over
        raise ValueError(f"its index leaves the {size:,} places")
    places: Array = np.cumsum(gaps + 1) - 1
    if int(places[-1]) >= size:
        raise ValueError(f"its index leaves the {size:,} places")
    return places
