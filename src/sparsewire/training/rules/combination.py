"""Several rules at once: a weight exists where each of them keeps it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.agreement import plain_name
from sparsewire.training.rule_contract import (
    Moment,
    Move,
    Rule,
    acts_at,
    checked_rule,
    grows,
    is_dense,
    recall,
    remembered,
)
from sparsewire.training.rules.unmoved import Static


class Combined:
    """The rule behind `combined`."""

    when: ClassVar[Moment] = "after"

    def __init__(self, rules: tuple[Rule | Move, ...]) -> None:
        if len(rules) < 2:
            raise RequestError(f"rules: found {len(rules)}, expected two or more, e.g. k_starts(…) and another")
        self.rules = tuple(checked_rule(rule) for rule in rules)
        if any(one is other for place, one in enumerate(rules) for other in rules[:place]):
            raise RequestError("rules: found one of them twice, expected each by itself, as it remembers its own masks")
        self._own: list[Masks] = []

    def __repr__(self) -> str:
        return f"combined({', '.join(map(repr, self.rules))})"

    @property
    def dense(self) -> bool:
        """Whether one of the rules is."""
        return any(is_dense(rule) for rule in self.rules)

    @property
    def grows(self) -> bool:
        """Whether one of the rules does, or two may move masks: then each looks at gradients outside the product."""
        return any(map(grows, self.rules)) or sum(type(rule) is not Static for rule in self.rules) > 1

    def acts_at(self, step: int) -> bool:
        """Whether one of the rules may answer; and at step 0, to see the masks that the training starts with."""
        return step == 0 or any(acts_at(rule, step) for rule in self.rules)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The product of the rules' masks, if one of them answers."""
        own = self._own_like(masks) if step and self._own else [masks] * len(self.rules)
        answers = [
            rule(step, mine, weights, gradients) if acts_at(rule, step) else None
            for rule, mine in zip(self.rules, own, strict=True)
        ]
        self._own = [mine if answer is None else answer for mine, answer in zip(own, answers, strict=True)]
        if all(answer is None for answer in answers):
            return None
        product, *others = self._own
        for other in others:
            product = product & other
        return product

    def _own_like(self, masks: Masks) -> list[Masks]:
        """The rules' masks under the names and on the devices of those; a run may go on compiled, or elsewhere."""
        first = self._own[0]
        if all(name in first and first[name].device == mask.device for name, mask in masks.items()):
            return self._own
        plain = [{plain_name(name): mask for name, mask in own.items()} for own in self._own]
        return [Masks({n: own[plain_name(n)].to(mask.device) for n, mask in masks.items()}) for own in plain]

    def state_dict(self) -> dict[str, Any]:
        """What each rule remembers, and the masks that each would have by itself."""
        return {"rules": [remembered(rule) for rule in self.rules], "masks": [dict(masks) for masks in self._own]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state."""
        if state.keys() != {"rules", "masks"} or len(state["rules"]) != len(self.rules):
            raise RequestError(
                f"rule: found a memory of {', '.join(state) or 'nothing'} that is not one of {len(self.rules)} rules; "
                "make the rule as it was made for the saved run"
            )
        for rule, memory in zip(self.rules, state["rules"], strict=True):
            recall(rule, memory)
        self._own = [Masks(masks) for masks in state["masks"]]


def combined(*rules: Rule | Move) -> Combined:
    """The rule under which a weight exists where each of several rules keeps it: M = M₁ ⊙ M₂ ⊙ ….

    Each rule is asked with the masks that it would have by itself, from those that the training starts with. All of
    them act after the step, hence rules that score weights see them as the step left them; the combination is dense if
    one of the rules is. The paper's combination is

        combined(k_starts(0.5, generator=…), dissipating_gradients(steps))

    where K-starts gives the least fraction that is removed. As its masks do not look at the gradients, removing p and
    r by the two leaves about (1 − p) · (1 − r) of the weights.

    Args:
        rules: two or more, none of them twice.

    Raises:
        RequestError: fewer, the same one twice, or one is no rule.

    Example:
        >>> import torch
        >>> first = lambda step, masks, weights, gradients: Masks({"w": torch.tensor([True, True, False])})
        >>> second = lambda step, masks, weights, gradients: Masks({"w": torch.tensor([False, True, True])})
        >>> combined(first, second)(0, Masks({"w": torch.ones(3).bool()}), {}, {})["w"]
        tensor([False,  True, False])

    Reference: Haroon 2022, "What to prune and what not to prune at initialization", section 2.3.
    """
    return Combined(rules)
