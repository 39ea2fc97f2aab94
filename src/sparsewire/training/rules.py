"""How masks move while the weights are trained.

A rule is asked at every step and answers the masks from now on, or None: leave them. The masks that a training starts
with are no matter of rules (`prune` and the priors make them). A new method is a new rule, most often a short function
around `prune` or `Masks`; nothing has to be registered.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import SCOPES, Scope
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.pattern_names import pattern_of
from sparsewire.structure.patterns import Pattern
from sparsewire.structure.schedules import Schedule
from sparsewire.structure.scores import SCORES, Score
from sparsewire.structure.select import Only, prune

Move = Callable[[int, Masks, Mapping[str, Tensor], Mapping[str, Tensor]], Masks | None]
Moment = Literal["before", "after"]


class Rule(Protocol):
    """How masks move: a function of (step, masks, weights, gradients), and two facts about it.

    A plain function of these four is a rule as well, with `when="before"` and `dense=False`.

    A rule that draws owns its `torch.Generator`; a rule that remembers anything, its generator included, has
    `state_dict()` and `load_state_dict(state)`, so that a run can be stopped and resumed to the same bits. Such a
    state holds only what `torch.load(..., weights_only=True)` reads: tensors, numbers, strings, lists, dicts. A rule is
    copied with the optimizer by `copy.deepcopy`: it keeps what it remembers in attributes, not in a closure. A rule
    that acts after the step and is not dense costs a copy of the gradients at every step.

    Attributes:
        when: `"before"` or `"after"` the optimizer's own step.
        dense: whether connections outside the mask live on: neither gradients nor the optimizer's memory are masked
            or cleared, only the weights are set to zero after the step.

    Example:
        >>> class Frozen:
        ...     when, dense = "before", False
        ...     def __call__(self, step, masks, weights, gradients):
        ...         return None
        >>> rule: Rule = Frozen()
    """

    @property
    def when(self) -> Moment:
        """`"before"` or `"after"` the optimizer's own step."""

    @property
    def dense(self) -> bool:
        """Whether connections outside the mask live on."""

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks from now on, or None for no change.

        Args:
            step: the number of this step, from 0; before and after it the same number.
            masks: the present ones.
            weights: the names of `masks` → parameters, not to be changed. Before the step they are zero outside the
                masks; after it as well, unless the rule is dense: then they are what the step made of them.
            gradients: the same names → the dense gradients as they were when `step` was called, hence after clipping,
                and unscaled where a GradScaler is used; zero for a weight that has none. They are the optimizer's own
                and are masked later: a rule that remembers them copies them.

        Returns:
            Masks of the same names and shapes, or None. The weights are stepped in either case, with the new masks if
            the rule acts before the step.
        """


def moment_of(rule: Rule | Move) -> Moment:
    """When a rule acts, `"before"` or `"after"` the optimizer's step; before, if it does not say.

    Raises:
        RequestError: it is no rule.

    Example:
        >>> moment_of(lambda step, masks, weights, gradients: None)
        'before'
    """
    when = getattr(rule, "when", "before")
    if not callable(rule) or when not in ("before", "after"):
        raise RequestError(
            f"rule: found {rule!r}, expected a function of (step, masks, weights, gradients) whose attribute `when`, "
            "if it has one, is 'before' or 'after'; e.g. rules.static()"
        )
    return "after" if when == "after" else "before"


def checked_rule(rule: Rule | Move) -> Rule | Move:
    """The rule itself.

    Raises:
        RequestError: it is none, or it cannot be called as one.

    Example:
        >>> checked_rule(static)
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: rule: found <function static ...>, which takes no (step, masks, weights, ...
    """
    moment_of(rule)
    try:
        inspect.signature(rule).bind(0, {}, {}, {})
    except ValueError:  # a function in C that hides its signature
        pass
    except TypeError:
        raise RequestError(
            f"rule: found {rule!r}, which takes no (step, masks, weights, gradients); what makes a rule is called "
            "first, e.g. rules.static()"
        ) from None
    return rule


def is_dense(rule: Rule | Move) -> bool:
    """Whether connections outside the masks live on under a rule; not, if it does not say.

    Example:
        >>> is_dense(static())
        False
    """
    return bool(getattr(rule, "dense", False))


def remembered(rule: Rule | Move) -> dict[str, Any]:
    """What a rule remembers, to be given to `recall`; nothing, if it has no `state_dict`.

    Example:
        >>> remembered(static())
        {}
    """
    return dict(rule.state_dict()) if hasattr(rule, "state_dict") else {}


def recall(rule: Rule | Move, memory: Mapping[str, Any]) -> None:
    """Gives back to a rule what `remembered` took from one that was made alike.

    Raises:
        RequestError: there is memory, and the rule has no place for it.

    Example:
        >>> recall(static(), {})
        >>> recall(static(), {"seen": 3})
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: rule: found a memory of ['seen'], but Static() remembers nothing; ...
    """
    if hasattr(rule, "load_state_dict"):
        rule.load_state_dict(memory)
    elif memory:
        raise RequestError(
            f"rule: found a memory of {sorted(memory)}, but {rule!r} remembers nothing; "
            "make the rule as it was made for the saved run"
        )


@dataclass(frozen=True)
class Static:
    """The rule behind `static`."""

    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """None: the masks stay."""
        return None


def static() -> Static:
    """The rule that never moves a mask.

    Example:
        >>> static()(0, Masks({}), {}, {}) is None
        True
    """
    return Static()


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
        if isinstance(self.score, str) and self.score not in SCORES:
            raise UnknownNameError("score", self.score, SCORES)
        if isinstance(self.scope, str) and self.scope not in SCOPES:
            raise UnknownNameError("scope", self.scope, SCOPES)
        pattern_of(self.pattern)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks pruned to the schedule's density, if it changes at this step."""
        if step % self.every:
            return None
        density = self.schedule(step)
        if density == (self.schedule(step - self.every) if step else 1):
            return None
        pruned = partial(
            prune,
            weights,
            score=self.score,
            density=density,
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
