"""The rule that prunes while training, on a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import SCOPES, Scope
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.pattern_names import pattern_of
from sparsewire.structure.patterns import Pattern
from sparsewire.structure.schedules import Schedule
from sparsewire.structure.scores import SCORES, Score, needs_data
from sparsewire.structure.select import Only, prune
from sparsewire.training.rule_contract import Moment


@dataclass(frozen=True)
class Gradual:
    """The rule behind `gradual`."""

    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False

    schedule: Schedule
    score: Score
    scope: Scope
    every: int
    pattern: Pattern | str | None
    only: Only | None
    generator: torch.Generator | None

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            raise RequestError(f"schedule: found {self.schedule!r}, expected a function step → density; try cubic(…)")
        whole("every", self.every, least=1)
        # Now, and not thousands of steps later, when the first weights are pruned.
        if needs_data(self.score):
            raise RequestError(
                f"score: found {self.score!r}, which asks for data, but a rule sees weights and gradients alone; use "
                "'magnitude' or lambda w: (w * w.grad).abs(), or call prune(model, data=…) between trainings"
            )
        if isinstance(self.score, str) and self.score not in SCORES:
            raise UnknownNameError("score", self.score, SCORES)
        if isinstance(self.scope, str) and self.scope not in SCOPES:
            raise UnknownNameError("scope", self.scope, SCOPES)
        pattern_of(self.pattern)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks pruned to the schedule's density, if it changes at this step."""
        if not self.acts_at(step):
            return None
        pruned = partial(
            prune,
            weights,
            score=self.score,
            density=self.schedule(step),
            scope=self.scope,
            pattern=self.pattern,
            only=self.only,
            generator=self.generator,
        )
        try:
            return pruned(masks=masks)
        except RequestError:
            pruned()  # says what is wrong with the request, if it is the request
            return None  # only the masks hold less than that already

    @property
    def grows(self) -> bool:
        """False, unless the score is one of your own, which may look at any gradient."""
        return not isinstance(self.score, str)

    def acts_at(self, step: int) -> bool:
        """Whether the schedule's density changes at this step."""
        if step % self.every:
            return False
        return self.schedule(step) != (self.schedule(step - self.every) if step else 1)

    def state_dict(self) -> dict[str, Any]:
        """The state of the generator, if there is one."""
        return {} if self.generator is None else {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets the generator to a state."""
        if state.keys() != self.state_dict().keys():
            found, expected = (", ".join(some) or "nothing" for some in (state, self.state_dict()))
            raise RequestError(
                f"rule: found a memory of {found}, but gradual(…) as made here remembers {expected}; "
                "make the rule as it was made for the saved run"
            )
        if self.generator is not None:
            self.generator.set_state(state["generator"])


def gradual(
    schedule: Schedule,
    *,
    score: Score = "magnitude",
    scope: Scope = "blind",
    every: int = 1,
    pattern: Pattern | str | None = None,
    only: Only | None = None,
    generator: torch.Generator | None = None,
) -> Gradual:
    """The rule that prunes while training: at each step where the schedule's density falls, `prune` to that density.

    Masks only shrink; they stay where they hold less already than the schedule asks for, as in a network that starts
    sparse. What is pruned is what `prune` takes of the weights that have masks.

    Args:
        schedule: step → density, from 0 to 1, e.g. `cubic(0.1, until=900)`; see `structure.schedules`.
        score: how important a weight is, as for `prune`, where a function sees the weight's gradient of this step as
            `weight.grad`; scores that need a model, data or a loss are none here.
        scope: how much of each layer, as for `prune`.
        every: look at the schedule only at steps 0, every, 2 · every, ….
        pattern: which shapes are dropped, as for `prune`.
        only: which weights, as for `prune`.
        generator: the source of randomness of scores that draw; its state is saved with the optimizer's.

    Raises:
        RequestError: no schedule, score, scope or `every`; when it prunes, all that `prune` refuses.

    Example:
        >>> from sparsewire.structure.schedules import relative
        >>> rule = gradual(relative(0.5, every=10))
        >>> weights = {"weight": torch.tensor([[1.0, -3.0, 2.0, 0.5]])}
        >>> rule(0, Masks({"weight": torch.ones(1, 4, dtype=torch.bool)}), weights, {})["weight"]
        tensor([[False,  True,  True, False]])

    Reference: Zhu and Gupta 2017, section 3, with `cubic`. They score by magnitude layer by layer (scope="uniform").
    """
    return Gradual(schedule, score, scope, every, pattern, only, generator)
