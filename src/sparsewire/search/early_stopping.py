"""Ending trainings early that will not be among the better ones, by the curves of those before."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.priors.random_edges import checked_probability

_CURVES = "one list of numbers a training, such as [(0.2, 0.5)]"


def hopeless(curves: Sequence[Sequence[float]], *, quantile: float = 0.5, after: int = 1) -> tuple[float, ...]:
    """For each epoch the bar: a training whose best accuracy so far is below it will not be among the better ones.

        bar(e) = quantile over the curves c of max(c(1), …, c(e));  -∞ for the epochs up to `after`

    A curve that ended early counts with the best it had: were it left out, those that were not stopped would be among
    themselves, and the bar would rise from generation to generation. With the bars of earlier generations alone, who is
    stopped does not depend on the order in which trainings end.

    Args:
        curves: for each training its accuracy (or what else is the better the larger) epoch by epoch.
        quantile: which share of the trainings before shall lie under the bar, 0 to 1; 0 stops who is worse than all.
        after: in how many first epochs nothing is stopped, at least 0.

    Returns:
        One bar an epoch of the longest curve; none without curves, and then nothing is stopped.

    Raises:
        RequestError: a curve is none, a number is none, not finite or out of its range.

    Example:
        >>> bars = hopeless([(0.2, 0.5, 0.6), (0.3, 0.4, 0.7), (0.1, 0.2)])
        >>> bars, is_hopeless((0.1, 0.39), bars), is_hopeless((0.1,), bars)
        ((-inf, 0.4, 0.6), True, False)

    Reference:
        Golovin et al. 2017, "Google Vizier", section 3.2.2, whose bar is the median of the running means.
    """
    first = whole("after", after, least=0)
    share = checked_probability("quantile", quantile)
    best = [each for curve in _listed("curves", curves, _CURVES) if (each := _best_so_far(curve))]
    epochs = max((len(curve) for curve in best), default=0)
    return tuple(
        -math.inf if epoch < first else _quantile([curve[min(epoch, len(curve) - 1)] for curve in best], share)
        for epoch in range(epochs)
    )


def is_hopeless(curve: Sequence[float], bars: Sequence[float]) -> bool:
    """Whether a training that came so far is below the bar of its last epoch.

    Args:
        curve: its accuracy epoch by epoch, so far.
        bars: of `hopeless`; after the last of them nothing is stopped.

    Raises:
        RequestError: one of them is no list of numbers.

    Example:
        >>> is_hopeless((), (0.5,)), is_hopeless((0.4,), (0.5,)), is_hopeless((0.6, 0.1), (0.5, 0.5))
        (False, True, False)
    """
    reached, least = _numbers("curve", curve), _numbers("bars", bars)
    return 0 < len(reached) <= len(least) and not max(reached) >= least[len(reached) - 1]


def _numbers(argument: str, found: Any) -> list[float]:
    """NaN and ∞ may be among them: a training that has diverged is below every bar, and a bar may be −∞."""
    such_as = "numbers, such as (0.2, 0.5)"
    numbers = []
    for value in _listed(argument, found, such_as):
        try:
            numbers.append(float(value + 0))  # texts are none, though float() reads them
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise RequestError(f"{argument}: found {value!r:.60}, expected {such_as}") from None
    return numbers


def _listed(argument: str, found: Any, such_as: str) -> list[Any]:
    # An array of no dimension is a collection by its methods, none of which works.
    if not isinstance(found, Collection) or isinstance(found, str | bytes) or getattr(found, "ndim", 1) == 0:
        raise RequestError(f"{argument}: found {found!r:.60}, expected {such_as}")
    return list(found)


def _best_so_far(curve: Any) -> list[float]:
    found: list[float] = []
    for value in _listed("curves", curve, _CURVES):
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise RequestError(f"curves: found {value!r}, expected finite numbers")
        found.append(max([value, *found[-1:]]))
    return found


def _quantile(values: Sequence[float], quantile: float) -> float:
    """Between the two nearest in proportion, as numpy's."""
    ordered = sorted(values)
    place = quantile * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
