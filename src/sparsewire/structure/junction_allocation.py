"""How dense each junction of a chain is before training: by fan-outs, by densities, or by one density for all.

`prune` shares a budget among trained weights, with `scope=` a mapping name → density for those who set each junction
themselves (`allocation.py`). Here no weights exist yet, and what is asked for must be *regular*: every neuron of a
layer has as many edges as every other. So a fan-out is a multiple of n_out / gcd(n_in, n_out), up to n_out.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from numbers import Rational, Real

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import checked_density
from sparsewire.structure.blocks import whole
from sparsewire.structure.degrees import fan_out_step
from sparsewire.structure.split_search import Wish, closest_counts, each_count, nearest_totals, units_of
from sparsewire.structure.splits import Split, checked_chain, nearest_fan_outs, one_each, places_of, possible

__all__ = ["Split", "each_split", "junction_splits", "split_of"]

LATER_DENSER = 3.0  # how many times as dense as the junction before it: 25 % and 75 %, the paper's best for Morse code
MOST = 10_000  # splits in one list


def split_of(
    sizes: Sequence[int],
    *,
    fan_outs: Sequence[int] | None = None,
    densities: Sequence[float] | None = None,
    density: float | None = None,
    later_denser: bool | float = False,
    nearest: bool = False,
) -> Split:
    """One split: from fan-outs, from the density of each junction, or from one overall density.

    An overall density is shared like this: junction i should have the density

        dᵢ = min(1, f · rⁱ)        r = 1, or with `later_denser` the given number (True: 3); f makes the total right

    and of all splits with exactly the total that was asked for, that one is taken that is closest to it, by
    Σ places · (density − dᵢ)²; of equally close ones the one whose first junctions are sparser.

    Args:
        sizes: neurons per layer, inputs first; at least two layers.
        fan_outs: of each junction; give one of the three.
        densities: of each junction, above 0 and up to 1.
        density: of all junctions together, above 0 and up to 1.
        later_denser: how many times as dense as the one before a junction should be; True: 3. Below 1, later ones are
            sparser.
        nearest: take the nearest regular split where the densities cannot be met exactly (of two equally near ones the
            denser one), instead of refusing.

    Raises:
        RequestError: the asked-for densities or fan-outs are not regular, and the message names the nearest that are;
            sizes that are none; not exactly one of the three.

    Example:
        >>> split_of((64, 1024, 64), density=0.5).densities, split_of((64, 1024, 64), density=0.5, later_denser=True)
        ((0.5, 0.5), Split(sizes=(64, 1024, 64), fan_outs=(256, 48)))
        >>> split_of((784, 100, 10), densities=(0.3, 0.3), nearest=True).fan_outs
        (25, 3)

    Reference:
        Dey, Huang, Beerel and Chugg (2018), section 2.4: at a fixed overall density, later junctions should be denser.
        The paper gives no formula; for its Morse network of 50 % it finds 25 % and 75 % best, which is r = 3.
    """
    sizes = checked_chain(sizes)
    if sum(part is not None for part in (fan_outs, densities, density)) != 1:
        raise RequestError("split_of: expected exactly one of fan_outs, densities and density")
    if fan_outs is not None:
        return Split(sizes, tuple(one_each("fan_outs", fan_outs, sizes)))
    if densities is not None:
        return Split(sizes, _met(sizes, one_each("densities", densities, sizes), nearest))
    asked = fraction_of("density", density)
    least, most = total_range(sizes, asked)
    below, above = nearest_totals(units_of(sizes), most)[0], nearest_totals(units_of(sizes), least)[1]
    if nearest:
        wish = asked * sum(places_of(sizes))
        total = min((one for one in (above, below) if one is not None), key=lambda one: abs(one - wish))
        least = most = total
    elif above is None or above > most:
        raise _no_such_total(sizes, density, below, above)
    return shared(sizes, asked, ratio_of(later_denser), (least, most))


def junction_splits(
    sizes: Sequence[int], density: float, *, tolerance: float = 0.0, at_most: int = MOST
) -> list[Split]:
    """All regular splits of an overall density, in ascending order of their fan-outs.

    Args:
        sizes: neurons per layer, inputs first.
        density: of all junctions together, above 0 and up to 1.
        tolerance: how far the density of a split may be from it, at least 0.
        at_most: how many splits may be listed; `each_split` has no limit.

    Returns:
        An empty list where there is none; then `split_of` says which densities are nearest.

    Raises:
        RequestError: there are more than `at_most`; impossible sizes, densities or tolerances.

    Example:
        >>> splits = junction_splits((64, 1024, 64), 0.25)
        >>> len(splits), splits[0].fan_outs, splits[-1].fan_outs, len(junction_splits((64, 1024, 64), 0.5))
        (31, (16, 31), (496, 1), 63)
    """
    at_most = whole("at_most", at_most, least=1)
    found = list(itertools.islice(each_split(sizes, density, tolerance=tolerance), at_most + 1))
    if len(found) > at_most:
        raise RequestError(
            f"at_most: found more than {at_most:,} splits of {'-'.join(map(str, sizes))}; narrow the tolerance, raise "
            "at_most, or go through them one by one with each_split(…)"
        )
    return found


def each_split(sizes: Sequence[int], density: float, *, tolerance: float = 0.0) -> Iterator[Split]:
    """The splits of `junction_splits`, made one by one: there may be millions.

    Example:
        >>> next(each_split((784, 1000, 500, 10), 0.5, tolerance=0.001)).fan_outs
        (250, 443, 9)
    """
    sizes = checked_chain(sizes)
    least, most = total_range(sizes, fraction_of("density", density), tolerance)
    return (_of_counts(sizes, counts) for counts in each_count(units_of(sizes), least, most))


def shared(sizes: tuple[int, ...], density: Fraction, ratio: Fraction, totals: tuple[int, int]) -> Split:
    """The split closest to an overall density with each junction `ratio` times as dense as the one before.

    Args:
        sizes: neurons per layer.
        density: what is shared.
        ratio: above 0.
        totals: the fewest and the most edges that the split may have; one number between must be possible.
    """
    places = places_of(sizes)
    wished = min(max(density, Fraction(totals[0], sum(places))), Fraction(totals[1], sum(places)))
    densities = wished_densities(sizes, wished, ratio)
    wishes = [Wish(density * places, places) for density, places in zip(densities, places, strict=True)]
    counts = closest_counts(units_of(sizes), wishes, *totals)
    if counts is None:
        raise RequestError(f"totals: found {totals}, expected a range with a number of edges that {sizes} can have")
    return _of_counts(sizes, counts)


def wished_densities(sizes: tuple[int, ...], density: Fraction, ratio: Fraction) -> tuple[Fraction, ...]:
    """min(1, f · ratioⁱ) for each junction i, with f so that the overall density is the given one; regular or not.

    Example:
        >>> [float(one) for one in wished_densities((64, 1024, 64), Fraction(3, 4), Fraction(3))]
        [0.5, 1.0]
    """
    places, rates = places_of(sizes), [ratio**junction for junction in range(len(sizes) - 1)]
    found = [Fraction(1)] * len(rates)
    rest, open_ = density * sum(places), set(range(len(rates)))
    while open_:
        factor = rest / sum(rates[junction] * places[junction] for junction in open_)
        full = {junction for junction in open_ if factor * rates[junction] >= 1}
        if not full:
            found = [factor * rates[junction] if junction in open_ else one for junction, one in enumerate(found)]
            break
        rest -= sum(places[junction] for junction in full)
        open_ -= full
    return tuple(found)


def total_range(sizes: tuple[int, ...], density: Fraction, tolerance: float = 0.0) -> tuple[int, int]:
    """The fewest and the most edges that have an overall density, give or take the tolerance.

    Example:
        >>> total_range((64, 1024, 64), Fraction(1, 4)), total_range((3, 1), Fraction(1 / 3))
        ((32768, 32768), (1, 1))
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or tolerance < 0 or not tolerance <= 1:
        raise RequestError(f"tolerance: found {tolerance!r}, expected a number from 0 to 1")
    places = sum(places_of(sizes))
    slack = Fraction(places, 2**50)  # a float is a little beside the fraction that was meant, as 1/3 and 0.1 are
    apart = Fraction(tolerance) if isinstance(tolerance, Rational) else Fraction(float(tolerance))
    return math.ceil((density - apart) * places - slack), math.floor((density + apart) * places + slack)


def fraction_of(argument: str, density: object) -> Fraction:
    """The density as a fraction.

    Raises:
        RequestError: it is not a number above 0 and up to 1.
    """
    try:
        exact = density if isinstance(density, Fraction) else Fraction(checked_density(density, argument))
    except RequestError:
        exact = Fraction(0)
    if not 0 < exact <= 1:
        raise RequestError(f"{argument}: found {density!r}, expected a number above 0 and up to 1, the kept fraction")
    return exact


def _met(sizes: tuple[int, ...], densities: Sequence[float], nearest: bool) -> tuple[int, ...]:
    found = []
    for place, (density, n_in, n_out) in enumerate(zip(densities, sizes, sizes[1:], strict=False)):
        argument = f"densities[{place}]"
        wish = fraction_of(argument, density) * n_out
        near = nearest_fan_outs(n_in, n_out, wish)
        best = max(near, key=lambda fan_out: (-abs(fan_out - wish), fan_out))
        if not nearest and abs(best - wish) > Fraction(n_out, 2**50):
            raise RequestError(
                f"{argument}: found {density}, expected a fan-out / {n_out} where the fan-out is "
                f"{possible(n_in, n_out)}; nearest: {' and '.join(f'{fan_out / n_out!r}' for fan_out in near)}"
            )
        found.append(best)
    return tuple(found)


def _no_such_total(sizes: tuple[int, ...], density: object, below: int | None, above: int | None) -> RequestError:
    places = sum(places_of(sizes))
    near = [f"{total / places!r} ({total:,} edges)" for total in (below, above) if total is not None]
    steps = ", ".join(str(fan_out_step(n_in, n_out)) for n_in, n_out in itertools.pairwise(sizes))
    return RequestError(
        f"density: found {density}, which no regular split of {'-'.join(map(str, sizes))} has, as the fan-outs are "
        f"multiples of {steps}; nearest: {' and '.join(near)}; nearest=True takes it"
    )


def ratio_of(later_denser: object) -> Fraction:
    """How many times as dense as the one before a junction should be.

    Raises:
        RequestError: it is neither a bool nor a number above 0.
    """
    if isinstance(later_denser, bool):
        return Fraction(LATER_DENSER if later_denser else 1)
    if not isinstance(later_denser, Real) or later_denser <= 0 or not later_denser < math.inf:
        raise RequestError(
            f"later_denser: found {later_denser!r}, expected True, False, or how many times as dense as the junction "
            "before, a number above 0"
        )
    return Fraction(later_denser) if isinstance(later_denser, Rational) else Fraction(float(later_denser))


def _of_counts(sizes: tuple[int, ...], counts: Sequence[int]) -> Split:
    pairs = zip(counts, sizes, sizes[1:], strict=False)
    return Split(sizes, tuple(count * fan_out_step(n_in, n_out) for count, n_in, n_out in pairs))
