"""How large the networks are that a run comes through, counted and as the paper prints them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sparsewire.lab.reporting.findings import Claim, ClaimTable

PIXELS: Final = 784
CLASSES: Final = 10
_CUT: Final = 0.01  # the paper cuts digits off where others round


class Printed(NamedTuple):
    """A size that the paper prints, in percent of all weights, and the units that it says belong to it, if it does."""

    percent: float
    units: tuple[int, int] | None


def weights_of(units: Sequence[int]) -> int:
    """The weights of 784-…-10 without biases.

    Example:
        >>> weights_of((300, 100))
        266200
    """
    first, second = units
    return PIXELS * first + first * second + CLASSES * second


def percent_of(units: Sequence[int], whole: Sequence[int]) -> float:
    """The size of a network in percent of another one's.

    Example:
        >>> round(percent_of((108, 36), (300, 100)), 2), round(percent_of((114, 38), (300, 100)), 2)
        (33.4, 35.34)
    """
    return 100 * weights_of(units) / weights_of(whole)


def units_at(iteration: int, whole: Sequence[int], removed: Sequence[int]) -> tuple[int, int]:
    """The units that are left after so many iterations.

    Example:
        >>> units_at(31, (300, 100), (6, 2))
        (114, 38)
    """
    first, second = (units - iteration * gone for units, gone in zip(whole, removed, strict=True))
    return first, second


def iteration_of(units: Sequence[int], whole: Sequence[int], removed: Sequence[int]) -> int:
    """After how many iterations the first layer has so many units.

    Example:
        >>> iteration_of((108, 36), (300, 100), (6, 2))
        32
    """
    return round((whole[0] - units[0]) / removed[0])


def nearest(percent: float, whole: Sequence[int], removed: Sequence[int], iterations: int) -> int:
    """The iteration whose network is nearest to a size.

    Example:
        >>> nearest(35.34, (300, 100), (6, 2), 49)
        31
    """
    sizes = [percent_of(units_at(one, whole, removed), whole) for one in range(iterations + 1)]
    return min(range(len(sizes)), key=lambda one: abs(sizes[one] - percent))


def sizes(printed: Sequence[Printed], whole: Sequence[int], removed: Sequence[int], iterations: int) -> ClaimTable:
    """The printed sizes beside those that are counted: of the units that are named, and of the nearest network.

    Args:
        printed: what the paper says.
        whole: units of the network.
        removed: units that go in each iteration.
        iterations: how many.
    """
    claims = []
    for percent, units in printed:
        if units is not None:
            claims.append(Claim(f"{_text(units)} units", percent, (percent_of(units, whole),), _CUT, "%"))
        near = units_at(nearest(percent, whole, removed, iterations), whole, removed)
        if near != units:
            label = f"nearest to it of what a run comes through: {_text(near)} units"
            claims.append(Claim(label, percent, (percent_of(near, whole),), _CUT, "%"))
    note = (
        "Weights without biases, in percent of the whole network's, rounded or cut off; where two differ, both count."
    )
    return ClaimTable("Sizes, printed and counted", tuple(claims), note)


def _text(units: Sequence[int]) -> str:
    return " and ".join(map(str, units))
