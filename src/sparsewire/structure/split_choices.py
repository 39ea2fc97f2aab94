"""A few splits of an overall density to choose from, and sizes nearby that can have it."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from sparsewire.structure.blocks import whole
from sparsewire.structure.junction_allocation import fraction_of, shared, total_range
from sparsewire.structure.split_search import each_count, nearest_totals, units_of
from sparsewire.structure.splits import Split, checked_chain, places_of

# How many times as dense as the one before each junction should be, as powers of 3: equal, the paper's rule, the two
# extremes (as far as fan-outs go), and what lies between.
POWERS = (0, 1, 30, -30, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2), 3, -3, Fraction(3, 2), Fraction(-3, 2), 4, -4)
_WIDER = Fraction(11, 10)  # where no split is exact: as far away as the nearest one, and a tenth more
_LISTED = 1000  # splits to fill up from
_NEARBY, _CLOSE = 0.15, 0.01  # of a layer's size, and of the density


def split_choices(sizes: Sequence[int], density: float, *, tolerance: float = 0.0, at_most: int = 8) -> list[Split]:
    """Splits that differ: junctions equally dense, later ones denser, earlier ones, and the extremes.

    Args:
        sizes: neurons per layer, inputs first; at least two layers.
        density: of all junctions together, above 0 and up to 1.
        tolerance: how far the density of a split may be from it.
        at_most: how many, at least 1.

    Returns:
        In order of density, then of fan-outs; at least one. Where no split is within the tolerance, those nearest below
        and above.

    Raises:
        RequestError: impossible sizes, density or tolerance.

    Example:
        >>> for split in split_choices((64, 1024, 64), 0.5, at_most=4):
        ...     print(split.fan_outs, split.densities)
        (16, 63) (0.015625, 0.984375)
        (256, 48) (0.25, 0.75)
        (512, 32) (0.5, 0.5)
        (1008, 1) (0.984375, 0.015625)
        >>> [split.fan_outs for split in split_choices((784, 100, 10), 0.1, at_most=3)]
        [(25, 1), (25, 2), (25, 7)]
    """
    sizes, at_most = checked_chain(sizes), whole("at_most", at_most, least=1)
    asked = fraction_of("density", density)
    totals = _totals(sizes, asked, tolerance)
    found: dict[Split, None] = {}
    for split in itertools.chain(_by_rule(sizes, asked, totals), _listed(sizes, totals, at_most)):
        found[split] = None
        if len(found) == at_most:
            break
    return sorted(found, key=lambda split: (split.density, split.fan_outs))


def sizes_nearby(sizes: Sequence[int], density: float) -> tuple[int, ...] | None:
    """The sizes with one hidden layer a little larger or smaller that can have the density nearly; None if none can.

    Args:
        sizes: neurons per layer, inputs first.
        density: of all junctions together, above 0 and up to 1.

    Returns:
        The change is at most 15 % of the layer, and as small as it can be; the density is met within 1 % of itself.

    Example:
        >>> sizes_nearby((784, 100, 10), 0.1), sizes_nearby((784, 10), 0.1)
        ((784, 112, 10), None)
    """
    sizes, asked = checked_chain(sizes), fraction_of("density", density)
    changes = [
        (apart, (*sizes[:layer], sizes[layer] + apart, *sizes[layer + 1 :]))
        for layer in range(1, len(sizes) - 1)
        for apart in range(-int(_NEARBY * sizes[layer]), int(_NEARBY * sizes[layer]) + 1)
        if apart
    ]
    for _, changed in sorted(changes, key=lambda one: (abs(one[0]), -one[0])):
        least, most = total_range(changed, asked, float(asked) * _CLOSE)
        if next(each_count(units_of(changed), least, most), None) is not None:
            return changed
    return None


def nearest_densities(sizes: Sequence[int], density: float) -> tuple[float | None, float | None]:
    """The highest possible density up to the given one, and the lowest from it on; None where there is none.

    Args:
        sizes: neurons per layer, inputs first.
        density: of all junctions together, above 0 and up to 1.

    Example:
        >>> nearest_densities((784, 112, 10), 0.1), nearest_densities((64, 1024, 64), 0.25)
        ((0.09445..., 0.10075...), (0.25, 0.25))
    """
    sizes, asked = checked_chain(sizes), fraction_of("density", density)
    places, (least, most) = sum(places_of(sizes)), total_range(sizes, asked)
    below, above = nearest_totals(units_of(sizes), most)[0], nearest_totals(units_of(sizes), least)[1]
    return None if below is None else below / places, None if above is None else above / places


def _totals(sizes: tuple[int, ...], asked: Fraction, tolerance: float) -> list[tuple[int, int]]:
    """The ranges of edges to look for splits in, the most wanted first; each has one."""
    least, most = total_range(sizes, asked, tolerance)
    units, wish = units_of(sizes), asked * sum(places_of(sizes))
    below, above = nearest_totals(units, most)[0], nearest_totals(units, least)[1]
    if above is not None and above <= most:
        return [(least, most)]
    both = sorted((one for one in (below, above) if one is not None), key=lambda one: abs(one - wish))
    wider = [sorted((Fraction(one), wish + (one - wish) * _WIDER)) for one in both]
    return [(one, one) for one in both] + [(math.ceil(low), math.floor(high)) for low, high in wider]


def _by_rule(sizes: tuple[int, ...], asked: Fraction, totals: Sequence[tuple[int, int]]) -> Iterator[Split]:
    for power in POWERS if len(sizes) > 2 else (0,):
        for span in totals:
            yield shared(sizes, asked, Fraction(3) ** int(power) if power == int(power) else Fraction(3**power), span)


def _listed(sizes: tuple[int, ...], totals: Sequence[tuple[int, int]], at_most: int) -> Iterator[Split]:
    """Some more, evenly spaced among the first thousand of each range."""
    for span in totals:
        listed = list(itertools.islice(each_count(units_of(sizes), *span), _LISTED))
        for place in range(at_most):
            counts = listed[place * (len(listed) - 1) // max(1, at_most - 1)]
            steps = (
                unit.edges * count // n_in for unit, count, n_in in zip(units_of(sizes), counts, sizes, strict=False)
            )
            yield Split(sizes, tuple(steps))
