"""What the findings of the pruning experiments read off outcomes: accuracies at a level, the control's, the best."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from sparsewire.experiments.hidden_structures.descents import CONTROL
from sparsewire.experiments.hidden_structures.setup import WORDS
from sparsewire.lab.experiment import Outcome

_CLOSE = 0.02  # of a percent: counts are whole numbers


class Best(NamedTuple):
    """A network that a rule chose: how many weights it has, its test and its validation accuracy in percent."""

    weights: float
    accuracy: float
    validation: float


def word(method: str) -> str:
    """What readers call a method.

    Example:
        >>> word("obd"), word("blind")
        ('OBD', 'blind')
    """
    return WORDS.get(method, method)


def descent_name(method: str, step: str) -> str:
    """What the numbers of a descent are called.

    Example:
        >>> descent_name("blind", "25 %")
        'blind 25 %'
    """
    return f"{method} {step}"


def percent_label(share: float) -> str:
    """A fraction as percent.

    Example:
        >>> percent_label(0.25), percent_label(0.125)
        ('25 %', '12.5 %')
    """
    return f"{100 * share:g} %"


def values(outcome: Outcome, name: str) -> list[float]:
    """What was recorded step by step under `name`, from step 0 on; empty if nothing was."""
    return [value for _, value in outcome.series.get(name, ())]


def at(outcome: Outcome, name: str, removed: float, measure: str = "after") -> float:
    """A measure of a descent where so many percent of the weights are gone; between two steps linear in between.

    NaN where the descent did not come so far.
    """
    places = values(outcome, f"{name} removed")
    if not places or removed > places[-1] + _CLOSE:
        return math.nan
    return float(np.interp(removed, places, values(outcome, f"{name} {measure}")))


def control_at(outcome: Outcome, name: str, removed: float) -> float:
    """The accuracy of the unpruned network after as many epochs as the descent took to where `at` looks."""
    epochs = at(outcome, name, removed, "epochs")
    found = values(outcome, CONTROL)
    return math.nan if math.isnan(epochs) or not found else float(np.interp(epochs, range(len(found)), found))


def finite(numbers: Sequence[float]) -> tuple[float, ...]:
    """Those that are numbers: a descent that ended early has none."""
    return tuple(number for number in numbers if math.isfinite(number))


def smallest(outcome: Outcome, name: str) -> Best | None:
    """The smallest network whose validation accuracy is less than one point below that of its base."""
    found = _networks(outcome, name)
    return min((one for one in found if found[0].validation - one.validation < 1), default=None)


def best_half(outcome: Outcome, name: str) -> Best | None:
    """Of the networks that lost half of their weights or more the one of the best validation accuracy."""
    found = _networks(outcome, name)
    small = [one for one in found if one.weights <= found[0].weights / 2]
    return max(small, key=lambda one: one.validation, default=None)


def _networks(outcome: Outcome, name: str) -> list[Best]:
    """All of a descent, from its base on."""
    columns = (values(outcome, f"{name} {measure}") for measure in ("weights", "after", "validation"))
    return [Best(*row) for row in zip(*columns, strict=True)]


def mean_and_spread(numbers: Sequence[float], digits: int = 2) -> str:
    """The mean of what is a number, ± its sample standard deviation; "-" for none.

    Example:
        >>> mean_and_spread([97.0, 98.0]), mean_and_spread([97.0]), mean_and_spread([math.nan])
        ('97.50 ± 0.71', '97.00', '-')
    """
    found = finite(numbers)
    if not found:
        return "-"
    return f"{fmean(found):.{digits}f}" + (f" ± {stdev(found):.{digits}f}" if len(found) > 1 else "")
