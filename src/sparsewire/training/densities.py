"""Which density each step of a loop asks for, from all the forms in which that can be said."""

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import checked_density
from sparsewire.structure.score_buckets import buckets
from sparsewire.structure.scores import ModelScore, Question, Score, answers
from sparsewire.training.iterations import Iterations

# A schedule or any function of the step, or of the step and the loop so far, None ending the loop; densities one after
# another; or one number for a single step.
Densities: TypeAlias = (
    float | Sequence[float] | buckets | Callable[[int], float | None] | Callable[[int, Iterations], float | None]
)

_FAR = 10**9  # a step that no loop reaches


def checked_densities(densities: Any, has_end: bool) -> Densities:
    """The densities themselves, a single number as a sequence of one.

    Args:
        densities: as for `iterate`.
        has_end: whether the loop ends by itself, by a number of steps or by a rule.

    Raises:
        RequestError: they are none, or they grow, or the loop would never end.

    Example:
        >>> checked_densities(0.1, False), checked_densities([0.5, 0.25], False)
        ((0.1,), (0.5, 0.25))
    """
    if isinstance(densities, buckets):
        return densities
    if callable(densities) and not isinstance(densities, type):
        if not has_end and not _falls(densities):
            raise RequestError(
                f"densities: found {densities!r}, which does not say where it ends; give steps=…, or a rule as stop=…"
            )
        return cast(Densities, densities)
    if isinstance(densities, str | bytes | Mapping | type) or densities is None:
        raise RequestError(
            f"densities: found {densities!r}, expected numbers from 0 to 1, a schedule such as "
            "schedules.relative(0.25, density=0.05), or a function step → density"
        )
    numbers = list(densities) if hasattr(densities, "__iter__") and not _is_scalar(densities) else [densities]
    found = tuple(checked_density(number, f"densities[{place}]") for place, number in enumerate(numbers))
    if not found:
        raise RequestError("densities: found none; give at least one, such as [0.5, 0.25, 0.1]")
    for place, (earlier, later) in enumerate(itertools.pairwise(found)):
        if later > earlier:
            raise RequestError(
                f"densities[{place + 1}]: found {later} after {earlier}; masks only shrink: give them in falling order"
            )
    return found


def next_density(densities: Densities, step: int, done: Iterations) -> float | buckets | None:
    """The density that a step asks for, or the buckets that say it; None once there is none any more.

    Args:
        densities: from `checked_densities`.
        step: from 0.
        done: the steps before.

    Raises:
        RequestError: a function gives no density.

    Example:
        >>> from sparsewire.structure.schedules import relative
        >>> from sparsewire.training.history import Evaluation
        >>> done = Iterations(Evaluation(0.1, 0.9, 10))
        >>> [next_density(relative(0.5, density=0.2), step, done) for step in range(4)]
        [0.5, 0.25, 0.2, None]
    """
    if isinstance(densities, buckets):
        return densities
    if isinstance(densities, tuple):
        return densities[step] if step < len(densities) else None
    assert callable(densities)
    if step and _was_last(densities, step - 1):
        return None
    found = densities(step, done) if _takes_two(densities) else densities(step)  # type: ignore[call-arg]
    return None if found is None else checked_density(found, f"densities({step})")


class Overheard(ModelScore):
    """A score that lets others hear what was asked and answered.

    Args:
        score: that answers.

    Attributes:
        scores: name → what it said last.
        total: how many units were asked about, live or not; single weights in a loop of buckets.

    Example:
        >>> from sparsewire.structure.select import prune
        >>> score = Overheard("magnitude")
        >>> import torch
        >>> _ = prune({"weight": torch.tensor([[3.0, -1.0]])}, score=score, density=0.5)
        >>> score.total, score.of_live()
        (2, {'weight': tensor([3., 1.])})
    """

    def __init__(self, score: Score) -> None:
        self.score = score
        self.scores: dict[str, Tensor] = {}
        self.total = 0
        self._question: Question | None = None

    def __call__(self, question: Question) -> Mapping[str, Tensor]:
        """The score's own answer."""
        self.scores = answers(self.score, question)
        self._question = question
        # Not all weights: of stacked ones (gates) the units are those of the rows that are meant.
        self.total = sum(math.prod(shape) for shape in question.units.values())
        return self.scores

    def of_live(self) -> dict[str, Tensor]:
        """The scores of the weights that existed."""
        return {name: self._of_live(name, scores) for name, scores in self.scores.items()}

    def _of_live(self, name: str, scores: Tensor) -> Tensor:
        question = self._question
        assert question is not None
        live = question.live[name]
        if scores.shape != live.shape and question.unit_of is not None:  # one for each unit, as random ones are
            return scores.flatten()[question.unit_of(name)[live].to(scores.device)]
        return scores[live.to(scores.device)]


def _falls(schedule: Any) -> bool:
    """Whether it is one of ours, or like them, and gets to its end."""
    if not hasattr(schedule, "density"):
        return False
    return getattr(schedule, "until", None) is not None or bool(schedule(_FAR) <= schedule.density)


def _was_last(schedule: Any, step: int) -> bool:
    """Whether the density of a step is the last one that a schedule gives."""
    density, until = getattr(schedule, "density", None), getattr(schedule, "until", None)
    if density is None:
        return False
    return (until is not None and step >= until) or bool(schedule(step) <= density)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0)
    except TypeError:  # the step alone is not enough for it
        return True
    except ValueError:  # a function in C that hides its signature
        return False
    return False


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray) and value.ndim == 0
