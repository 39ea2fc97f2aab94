"""What is best by several objectives at once: fronts that nothing dominates, and how crowded a place on one is."""

import math
from collections.abc import Sequence

from sparsewire.errors import RequestError
from sparsewire.search.settings import Direction, checked_objectives

Values = Sequence[Sequence[float]]


def dominates(one: Sequence[float], other: Sequence[float], objectives: Sequence[Direction]) -> bool:
    """Whether one is nowhere worse than the other, and somewhere better.

    Raises:
        RequestError: as for `fronts`.
        UnknownNameError: a direction is neither "max" nor "min".

    Example:
        >>> dominates((0.9, 100), (0.8, 100), ("max", "min")), dominates((0.9, 200), (0.8, 100), ("max", "min"))
        (True, False)
    """
    first, second = _checked((one, other), objectives)
    return _beats(first, second)


def fronts(values: Values, objectives: Sequence[Direction]) -> tuple[tuple[int, ...], ...]:
    """The places of the values, front by front: nothing dominates the first, nothing but the first the second, ….

    Args:
        values: for each candidate one number an objective.
        objectives: for each whether "max" or "min" is better.

    Raises:
        RequestError: a candidate has more or fewer numbers than there are objectives, or one is no number.
        UnknownNameError: a direction is neither "max" nor "min".

    Example:
        >>> fronts([(0.9, 200), (0.8, 100), (0.7, 150)], ("max", "min"))
        ((0, 1), (2,))

    Reference:
        Deb, Pratap, Agarwal and Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
        section III.A.
    """
    rows = _checked(values, objectives)
    beaten: list[list[int]] = [[] for _ in rows]
    above = [0] * len(rows)
    for place, row in enumerate(rows):
        for other, its in enumerate(rows):
            if _beats(row, its):
                beaten[place].append(other)
                above[other] += 1
    found: list[tuple[int, ...]] = []
    front = tuple(place for place, count in enumerate(above) if not count)
    while front:
        found.append(front)
        following = []
        for other in (other for place in front for other in beaten[place]):
            above[other] -= 1
            if not above[other]:
                following.append(other)
        front = tuple(sorted(following))
    return tuple(found)


def first_front(values: Values, objectives: Sequence[Direction]) -> tuple[int, ...]:
    """The first of `fronts` alone, in a time that grows with the candidates times that front, not with their square.

    Args:
        values: for each candidate one number an objective.
        objectives: for each whether "max" or "min" is better.

    Raises:
        RequestError: as for `fronts`.
        UnknownNameError: a direction is neither "max" nor "min".

    Example:
        >>> first_front([(0.9, 200), (0.8, 100), (0.7, 150)], ("max", "min")), first_front([], ("max",))
        ((0, 1), ())

    Reference:
        Chomicki, Godfrey, Gryz and Liang 2003, "Skyline with presorting"; here sorted by the objectives in turn.
    """
    rows = _checked(values, objectives)
    found: list[int] = []
    # Whoever beats another comes before it in this order, and is beaten by one that was found, or was found itself.
    for place in sorted(range(len(rows)), key=rows.__getitem__, reverse=True):
        if not any(_beats(rows[other], rows[place]) for other in found):
            found.append(place)
    return tuple(sorted(found))


def crowding(values: Values) -> tuple[float, ...]:
    """How far the neighbours of each on its front are apart, summed over the objectives, each in units of its range.

        distance(i) = Σ over objectives (next above i - next below i) / (largest - least);  ∞ at either end

    Args:
        values: for each candidate of one front one number an objective.

    Example:
        >>> crowding([(0.0, 4.0), (1.0, 2.0), (4.0, 0.0)])
        (inf, 2.0, inf)

    Reference:
        Deb, Pratap, Agarwal and Meyarivan 2002, section III.B. Ties are put in the order of the candidates.
    """
    found = [0.0] * len(values)
    for objective in range(len(values[0]) if values else 0):
        order = sorted(range(len(values)), key=lambda place: values[place][objective])
        least, largest = values[order[0]][objective], values[order[-1]][objective]
        found[order[0]] = found[order[-1]] = math.inf
        if largest > least:
            for below, place, above in zip(order, order[1:], order[2:], strict=False):
                found[place] += (values[above][objective] - values[below][objective]) / (largest - least)
    return tuple(found)


def _checked(values: Values, objectives: Sequence[Direction]) -> list[tuple[float, ...]]:
    """The values, all of them the better the larger."""
    signs = [1 if direction == "max" else -1 for direction in checked_objectives(objectives)]
    for row in values:
        if len(row) != len(signs) or any(math.isnan(value) for value in row):
            raise RequestError(f"values: found {tuple(row)}, expected {len(signs)} numbers, one an objective")
    return [tuple(sign * value for sign, value in zip(signs, row, strict=True)) for row in values]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(own >= its for own, its in pairs) and any(own > its for own, its in pairs)
