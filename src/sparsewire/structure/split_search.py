"""Which numbers of edges the junctions of a chain can have together, in whole numbers.

A junction of n_in and n_out neurons is regular if its edges are a multiple of lcm(n_in, n_out): every neuron on a side
then has as many as every other. So a junction here is two numbers, its `Unit`, and a split is how many of its units
each junction has. Everything is exact; nothing is drawn.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import nearest_set_bits, sums_of_multiples

Counts = tuple[int, ...]
_MOST_BRANCHES = 20_000  # of a search that has found something: a fraction of a second
_MOST_BITS = 1 << 27  # of the table of all totals: 16 MiB


class Unit(NamedTuple):
    """What the edges of a regular junction come in.

    Attributes:
        edges: of one unit, lcm(n_in, n_out).
        most: how many units there are when every edge is there, gcd(n_in, n_out).
    """

    edges: int
    most: int


class Wish(NamedTuple):
    """How many edges a junction should have, as an exact number, and how many it can have at most."""

    edges: Fraction
    places: int


def units_of(sizes: Sequence[int]) -> tuple[Unit, ...]:
    """The unit of each junction.

    Example:
        >>> units_of((64, 1024, 64))[0], units_of((784, 100, 10))[0]
        (Unit(edges=1024, most=64), Unit(edges=19600, most=4))
    """
    return tuple(Unit(math.lcm(n_in, n_out), math.gcd(n_in, n_out)) for n_in, n_out in itertools.pairwise(sizes))


def each_count(units: Sequence[Unit], least: int, most: int) -> Iterator[Counts]:
    """All numbers of units, at least one a junction, with `least` to `most` edges in all; lazily, in ascending order.

    Example:
        >>> list(each_count([Unit(4, 2), Unit(2, 3)], 8, 9))
        [(1, 2)]
    """
    if not units:
        if least <= 0 <= most:
            yield ()
        return
    (edges, times), rest = units[0], units[1:]
    first, last = _bounds(units, least, most)
    step = math.gcd(*(unit.edges for unit in rest)) or 1
    for count in range(first, min(times, last) + 1):
        low, high = least - count * edges, most - count * edges
        if high // step * step >= low:  # else no sum of the others lies between: the same as trying, but at once
            yield from ((count, *tail) for tail in each_count(rest, low, high))


def nearest_totals(units: Sequence[Unit], total: int) -> tuple[int | None, int | None]:
    """The greatest possible number of edges up to `total`, and the least one from it on; None where there is none.

    Raises:
        RequestError: the sizes have so few common factors that the table of all totals would not fit into memory.

    Example:
        >>> nearest_totals(units_of((784, 100, 10)), 7940), nearest_totals(units_of((64, 1024, 64)), 32768)
        ((None, 19700), (32768, 32768))
    """
    step = math.gcd(*(unit.edges for unit in units))
    fewest = sum(unit.edges for unit in units)
    steps, most = [unit.edges // step for unit in units], [unit.most - 1 for unit in units]
    length = sum(edges * times for edges, times in zip(steps, most, strict=True))
    if length > _MOST_BITS:
        raise RequestError(
            f"sizes: found layers with {length:,} possible numbers of edges, expected at most {_MOST_BITS:,}: choose "
            "sizes with larger common divisors, or give fan_outs"
        )
    bits = sums_of_multiples(steps, most)[-1]
    low, high = (total - fewest) // step, -((fewest - total) // step)
    below = [place for place in nearest_set_bits(bits, low + 1) if place <= low] if low >= 0 else []
    above = [place for place in nearest_set_bits(bits, max(high, 0)) if place >= high]
    return (
        fewest + below[0] * step if below else None,
        fewest + above[-1] * step if above else None,
    )


def closest_counts(units: Sequence[Unit], wishes: Sequence[Wish], least: int, most: int) -> Counts | None:
    """The numbers of units that come closest to what each junction should have, with `least` to `most` edges in all.

        the least Σ places · (density − wished density)² = Σ (edges − wished edges)² / places

    Of equally close ones that with fewer edges in the first junction in which they differ. None if there is none. In
    chains of many layers with many divisors the search ends after 20,000 branches, with the closest found until then:
    it begins with the most promising ones.

    Example:
        >>> wishes = [Wish(Fraction(16896), 65536), Wish(Fraction(16896), 65536)]
        >>> closest_counts(units_of((64, 1024, 64)), wishes, 33792, 33792)
        (16, 17)
    """
    # The same in whole numbers, many times as fast as fractions: edges times `scale`, costs times scale² · common.
    scale = math.lcm(*(wish.edges.denominator for wish in wishes))
    common = math.lcm(*(wish.places for wish in wishes))
    chain = [
        _Junction(unit, int(wish.edges * scale), wish.places, common // wish.places)
        for unit, wish in zip(units, wishes, strict=True)
    ]
    found = _closest(chain, least, most, None, _Search(scale, common, itertools.count(1)))
    return None if found is None else found[1]


class _Junction(NamedTuple):
    """A junction's unit, its wished edges · scale, its places, and common / places."""

    unit: Unit
    wished: int
    places: int
    weight: int


class _Search(NamedTuple):
    scale: int
    common: int
    branches: Iterator[int]


def _closest(
    chain: Sequence[_Junction], least: int, most: int, limit: int | None, search: _Search
) -> tuple[int, Counts] | None:
    """The cost and the numbers of units, where the cost is at most `limit`: branches that cannot be are cut off."""
    if not chain:
        return (0, ()) if least <= 0 <= most else None
    (unit, wish, _, weight), rest = chain[0], chain[1:]
    wished, places = sum(one.wished for one in rest), sum(one.places for one in rest)
    step = math.gcd(*(one.unit.edges for one in rest)) or 1
    first, last = _bounds([one.unit for one in chain], least, most)
    best: tuple[int, Counts] | None = None
    open_ = {-1: True, 1: True}
    for count, side in _outwards(_middle(chain, least, most, search.scale), first, last):
        low, high = least - count * unit.edges, most - count * unit.edges
        if not open_[side] or high // step * step < low:
            continue
        if limit is not None and next(search.branches) > _MOST_BRANCHES:
            break
        own = (count * unit.edges * search.scale - wish) ** 2 * weight
        if limit is not None:
            # The least that the others cost if they could have any number of edges is short² · common / places.
            short = max(low * search.scale - wished, wished - high * search.scale, 0)
            if own > limit or (rest and (limit - own) * places < short**2 * search.common):
                open_[side] = False  # own + theirs is convex: further out it only grows
                if not any(open_.values()):
                    break
                continue
        found = _closest(rest, low, high, None if limit is None else limit - own, search)
        if found is not None and (best is None or (own + found[0], (count, *found[1])) < best):
            best = own + found[0], (count, *found[1])
            limit = best[0]
    return best


def _middle(chain: Sequence[_Junction], least: int, most: int, scale: int) -> int:
    """The best number of units of the first junction if all could have any number of edges."""
    wished, places = sum(one.wished for one in chain), sum(one.places for one in chain)
    missing = min(max(wished, least * scale), most * scale) - wished
    first = chain[0]
    return round(Fraction(first.wished * places + missing * first.places, scale * places * first.unit.edges))


def _outwards(middle: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The whole numbers from first to last, from the middle outwards, each with the side that it lies on."""
    middle = min(max(middle, first), last)
    if first <= last:
        yield middle, 1
    for apart in range(1, max(middle - first, last - middle) + 1):
        if middle - apart >= first:
            yield middle - apart, -1
        if middle + apart <= last:
            yield middle + apart, 1


def _bounds(units: Sequence[Unit], least: int, most: int) -> tuple[int, int]:
    """The fewest and the most units of the first junction with which the others can make up the rest."""
    (edges, times), rest = units[0], units[1:]
    fewest, all_ = sum(unit.edges for unit in rest), sum(unit.edges * unit.most for unit in rest)
    return max(1, -((all_ - least) // edges)), min(times, (most - fewest) // edges)
