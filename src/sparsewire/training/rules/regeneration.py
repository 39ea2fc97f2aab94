"""Gradual pruning with regeneration: the density falls on a schedule, and what is left keeps moving."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import Scope
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.schedules import Schedule
from sparsewire.structure.selection import Only
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.exchange import Exchange, magnitude
from sparsewire.training.rules.gradual_pruning import Gradual, gradual
from sparsewire.training.rules.pools import Over
from sparsewire.training.rules.timetable import Timetable


@dataclass(frozen=True)
class Regeneration:
    """The rule behind `granet`: one that prunes, then one that exchanges."""

    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False
    grows: ClassVar[bool] = True

    pruning: Gradual
    exchange: Exchange

    def acts_at(self, step: int) -> bool:
        """Whether the density falls at a step, or connections are exchanged."""
        return self.pruning.acts_at(step) or self.exchange.acts_at(step)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks pruned to the schedule's density, then moved, as far as either happens at this step."""
        pruned = self.pruning(step, masks, weights, gradients)
        moved = self.exchange(step, masks if pruned is None else pruned, weights, gradients)
        return pruned if moved is None else moved


def granet(
    schedule: Schedule,
    *,
    steps: int = 1000,
    until: int | None = None,
    fraction: float = 0.5,
    decay: str = "cosine",
    scope: Scope = "blind",
    over: Over = "parts",
    only: Only | None = None,
) -> Regeneration:
    """The rule of gradual pruning with regeneration (GraNet): `gradual`, and an exchange after each pruning.

        every `steps` steps:  prune by magnitude to the schedule's density;
                              then in each weight, of what is left, drop the f(t) smallest |w|, grow as many by gradient

    The density falls on the schedule and is exact at every step; the exchange does not change it. The rule acts before
    the weights' step, which is taken all the same. It starts from the density of the masks: full ones are the method's
    dense-to-sparse form, those of `prune(score="random", density=0.5, scope="erk")` with
    `cubic(0.1, until=…, every=…, initial=0.5)` its sparse-to-sparse form.

    Args:
        schedule: step → density, as for `gradual`; it is looked at every `steps` steps.
        steps: from one pruning and exchange to the next.
        until: the last step at which there may be an exchange; None: the schedule's own `until`.
        fraction: of what is left after the pruning, at the beginning.
        decay: of the fraction: "cosine", "constant", "linear" or "cubic".
        scope: how much of each layer is pruned, as for `prune`: over all layers by one ranking, unless told.
        over: within which weights the exchange keeps the number of connections, as for `set_`.
        only: which weights, as for `prune`; the others stay as they are.

    Raises:
        RequestError: an argument that cannot be; when it prunes, all that `prune` refuses.

    Example:
        >>> import torch
        >>> from sparsewire.structure.schedules import one_shot
        >>> rule = granet(one_shot(0.5, begin=1), steps=1, until=9, fraction=0.5)
        >>> weights = {"weight": torch.tensor([[4.0, 3.0, 2.0, 1.0]])}
        >>> gradients = {"weight": torch.tensor([[0.0, 0.0, 0.0, 7.0]])}
        >>> rule(1, Masks({"weight": torch.ones(1, 4, dtype=torch.bool)}), weights, gradients)["weight"]
        tensor([[ True, False, False,  True]])

    Reference: Liu et al. 2021 (Sparse Training via Boosting Pruning Plasticity with Neuroregeneration), section 4:
    cubic schedule, fraction 0.5. What has just been pruned may come again, and keeps its weight then.
    """
    pruning = gradual(schedule, scope=scope, every=whole("steps", steps, least=1), only=only)
    last = getattr(schedule, "until", None) if until is None else until
    if last is None and decay != "constant":
        raise RequestError(
            f"until: found None, and {schedule!r} has none either; give the last step of an exchange, such as 5000"
        )
    timetable = Timetable(steps, last, fraction, decay)
    exchange = Exchange("granet", timetable, magnitude, "gradient", over, only)
    return Regeneration(pruning, exchange)
