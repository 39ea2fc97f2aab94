"""When a loop of pruning and retraining ends before its densities do.

A rule is a function of the loop so far, asked after every step, the one just done being the last; it answers a reason
(a text) or True to end the loop, and anything empty to go on.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.training.iterations import Iterations, difference

StopRule: TypeAlias = Callable[[Iterations], str | bool | None]


@dataclass(frozen=True)
class few_left:  # noqa: N801
    """Ends the loop once at most so many weights are left, of all that can be pruned.

    Args:
        weights: the number, 0 or more.

    Raises:
        RequestError: it is no such number.

    Example:
        >>> few_left(500)
        few_left(weights=500)

    Reference: Stier, Darji and Granitzer 2021, section 4.1; 500 weights for 784-100-10, 2000 for 784-300-100-10.
    """

    weights: int

    def __post_init__(self) -> None:
        whole("weights", self.weights, least=0)

    def __call__(self, done: Iterations) -> str | None:
        """The reason, once it is one."""
        left = done[-1].left
        return f"{left:,} weights are left, no more than {self.weights:,}" if left <= self.weights else None


@dataclass(frozen=True)
class empty_layer:  # noqa: N801
    """Ends the loop once a layer has lost all of its weights.

    Example:
        >>> empty_layer()
        empty_layer()

    Reference: Stier, Darji and Granitzer 2021, section 4.1.
    """

    def __call__(self, done: Iterations) -> str | None:
        """The reason, once there is one."""
        masks = done[-1].masks
        empty = [name for name, mask in masks.items() if mask.numel() and not bool(mask.any())]
        return f"{empty[0]!r} became empty" if empty else None


@dataclass(frozen=True)
class dropped:  # noqa: N801
    """Ends the loop once a retrained network's accuracy is more than so much below that before the first pruning.

    Args:
        by: the fraction that may be lost: 0.01 is one percentage point.

    Raises:
        RequestError: it is no fraction.

    Example:
        >>> dropped(0.05)
        dropped(by=0.05)
    """

    by: float

    def __post_init__(self) -> None:
        if isinstance(self.by, bool) or not isinstance(self.by, int | float) or not 0 <= self.by <= 1:
            raise RequestError(f"by: found {self.by!r}, expected a fraction from 0 to 1; one percentage point is 0.01")

    def __call__(self, done: Iterations) -> str | None:
        """The reason, once it is one; an accuracy that is not known (NaN) is none."""
        lost = difference(done.base.accuracy, done[-1].accuracy)
        if math.isnan(lost) or lost <= self.by:
            return None
        return f"the accuracy dropped by {100 * lost:.2f} points, more than {100 * self.by:g}"


def reason_to_stop(rules: StopRule | Iterable[StopRule] | None, done: Iterations) -> str:
    """The first reason that the rules give, in their order; empty: go on.

    Raises:
        RequestError: a rule is none.

    Example:
        >>> from sparsewire.training.history import Evaluation
        >>> reason_to_stop(lambda done: len(done) >= 3, Iterations(Evaluation(0.1, 0.9, 10)))
        ''
    """
    for rule in checked_stop_rules(rules):
        answer = rule(done)
        if answer:
            return answer if isinstance(answer, str) else f"{getattr(rule, '__name__', repr(rule))} said so"
    return ""


def checked_stop_rules(rules: StopRule | Iterable[StopRule] | None) -> tuple[StopRule, ...]:
    """The rules as a tuple.

    Raises:
        RequestError: one of them cannot be called, or is a class that was not.

    Example:
        >>> checked_stop_rules(few_left(500))
        (few_left(weights=500),)
    """
    if rules is None:
        return ()
    several = tuple(rules) if isinstance(rules, list | tuple) else (rules,)
    for rule in several:
        if isinstance(rule, type) or not callable(rule):
            raise RequestError(
                f"stop: found {rule!r}, expected a rule such as stop_rules.few_left(500), a function of the "
                "Iterations so far, or a list of these"
            )
    return several
