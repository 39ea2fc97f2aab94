"""What a rule is, and what it says of itself.

A rule says how masks move while the weights are trained: it is asked at every step and answers the masks from now on,
or None: leave them. Those that come with the library are in `training.rules`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks

Move = Callable[[int, Masks, Mapping[str, Tensor], Mapping[str, Tensor]], Masks | None]
Moment = Literal["before", "after"]


class Rule(Protocol):
    """How masks move: a function of (step, masks, weights, gradients), and two facts about it.

    A plain function of these four is a rule as well, with `when="before"` and `dense=False`.

    A rule that draws owns its `torch.Generator`; a rule that remembers anything, its generator included, has
    `state_dict()` and `load_state_dict(state)`, so that a run can be stopped and resumed to the same bits. Such a
    state holds only what `torch.load(..., weights_only=True)` reads: tensors, numbers, strings, lists, dicts. A rule is
    copied with the optimizer by `copy.deepcopy`: it keeps what it remembers in attributes, not in a closure. A rule
    that acts after the step and is not dense costs a copy of the gradients at every step at which it acts.

    Two more facts save work, and a rule that does not state them is taken at its most demanding. `acts_at(step)`, a
    method: may the rule answer at this step? Where it says no it is not even asked. `grows`, True or False: may it
    look at gradients outside the present masks, or, acting before the step, keep a weight that these lack? (One that
    comes after the step takes its first step with the next gradient, hence a rule that grows by chance after it may say
    False.) Sparse layers store no weight outside their masks: they compute dense gradients only for a step at which a
    rule acts that grows, and a rule that does not grow sees zero gradients outside the masks there. A rule
    that is `dense` works with dense weights alone.

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
            weights: the names of `masks` → parameters, not to be changed; for a sparse layer a tensor of the dense
                weight's shape with its gradient as `grad`. Before the step they are zero outside the
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
        >>> checked_rule(lambda step: None)
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: rule: found <function <lambda> ...>, which takes no (step, masks, weights, ...
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
        >>> is_dense(lambda step, masks, weights, gradients: None)
        False
    """
    return bool(getattr(rule, "dense", False))


def acts_at(rule: Rule | Move, step: int) -> bool:
    """Whether a rule may answer at a step; if it does not say, it may at every one.

    Example:
        >>> acts_at(lambda step, masks, weights, gradients: None, 7)
        True
    """
    asked = getattr(rule, "acts_at", None)
    return True if asked is None else bool(asked(step))


def grows(rule: Rule | Move) -> bool:
    """Whether a rule may look at gradients outside the masks, or grow before the step; if it does not say, it may.

    Example:
        >>> grows(lambda step, masks, weights, gradients: None)
        True
    """
    return bool(getattr(rule, "grows", True))


def remembered(rule: Rule | Move) -> dict[str, Any]:
    """What a rule remembers, to be given to `recall`; nothing, if it has no `state_dict`.

    Example:
        >>> remembered(lambda step, masks, weights, gradients: None)
        {}
    """
    return dict(rule.state_dict()) if hasattr(rule, "state_dict") else {}


def recall(rule: Rule | Move, memory: Mapping[str, Any]) -> None:
    """Gives back to a rule what `remembered` took from one that was made alike.

    Raises:
        RequestError: there is memory, and the rule has no place for it.

    Example:
        >>> from sparsewire.training.rules import static
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
