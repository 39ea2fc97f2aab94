"""The part that all sparse training shares: some connections go, as many come.

Connections are compared within pools (`training.rules.pools`). Counts are exact, and of equal scores the connection
with the lower index stays or comes. One that goes and comes in the same exchange has not moved: it keeps its weight and
the optimizer's memory of it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.top_k import keep_top
from sparsewire.structure.allocation import count_of
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.masks import Masks
from sparsewire.structure.selection import Only
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.pools import Over, checked_over, gathered, pools_of, returned
from sparsewire.training.rules.timetable import Timetable

# (row of weights, row of booleans: which of them exist) → a row of scores, of which the lowest go.
Drop: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Rows: TypeAlias = Mapping[str, Tensor]


def magnitude(weight: Tensor, mask: Tensor) -> Tensor:
    """|w|: the smallest weights go."""
    return weight.abs()


def without_weakest(rows: Rows, scores: Rows, fraction: float) -> dict[str, Tensor]:
    """What is left of each pool when the fraction of its connections with the lowest scores has gone.

    Args:
        rows: pool → which connections exist, a row of booleans.
        scores: pool → a row of numbers; those of connections that do not exist do not matter.
        fraction: from 0 to 1; fraction · connections, rounded half up, go.

    Example:
        >>> mask = torch.tensor([True, True, False, True, True])
        >>> without_weakest({"w": mask}, {"w": torch.tensor([2.0, 1.0, 0.0, 3.0, 1.0])}, 0.25)["w"].int()
        tensor([1, 1, 0, 1, 0], dtype=torch.int32)
    """
    left = {}
    for pool, mask in rows.items():
        live = int(mask.count_nonzero())
        scored = _numbers(pool, scores[pool]).to(mask.device).masked_fill(~mask, -math.inf)
        left[pool] = keep_top(scored, live - count_of(fraction, live))
    return left


def with_strongest(rows: Rows, scores: Rows, counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Each pool with so many connections more: those with the highest scores of all that it lacks.

    Args:
        rows: pool → which connections exist.
        scores: pool → a row of numbers.
        counts: pool → how many come, at most as many as it lacks.

    Example:
        >>> mask = torch.tensor([True, False, False, False])
        >>> with_strongest({"w": mask}, {"w": torch.tensor([9.0, 1.0, 3.0, 3.0])}, {"w": 1})["w"].int()
        tensor([1, 0, 1, 0], dtype=torch.int32)
    """
    grown = {}
    for pool, mask in rows.items():
        scored = _numbers(pool, scores[pool]).to(mask.device).masked_fill(mask, -math.inf)
        grown[pool] = mask | keep_top(scored, counts[pool])
    return grown


def missing(rows: Rows, before: Rows) -> dict[str, int]:
    """How many connections each pool has lost since."""
    return {pool: int(before[pool].count_nonzero()) - int(mask.count_nonzero()) for pool, mask in rows.items()}


def chances(rows: Rows, generator: torch.Generator) -> dict[str, Tensor]:
    """A number from 0 to 1 for every place of each pool, drawn on the generator's device: the same on every other."""
    return {
        pool: torch.rand(mask.numel(), generator=generator, device=generator.device, dtype=torch.float64)
        for pool, mask in rows.items()
    }


def check_memory(rule: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuses what another kind of rule remembered.

    Raises:
        RequestError: the two have different keys.
    """
    if found.keys() != expected.keys():
        had, wanted = (", ".join(some) or "nothing" for some in (found, expected))
        raise RequestError(
            f"rule: found a memory of {had}, but {rule}(…) as made here remembers {wanted}; "
            "make the rule as it was made for the saved run"
        )


@dataclass(frozen=True)
class Exchange:
    """Some connections of each pool go, as many come: the rule behind `set_`, `rigl` and `selfish_rnn`.

    Args:
        name: what it is called.
        timetable: when, and which fraction.
        drop: what scores the connections that exist; the lowest go.
        grow: "gradient": those come whose gradient is largest; "chance": all that could come are equally likely.
        over: what a pool is.
        only: which weights.
        generator: for "chance".
    """

    dense: ClassVar[bool] = False

    name: str
    timetable: Timetable
    drop: Drop = field(repr=False)
    grow: Literal["chance", "gradient"]
    over: Over
    only: Only | None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        checked_over(self.over)
        if self.grow == "chance":
            checked_generator(self.generator)

    @property
    def when(self) -> Moment:
        """Before the step where gradients say what grows, so that these still are at hand; else after it."""
        return "before" if self.grow == "gradient" else "after"

    @property
    def grows(self) -> bool:
        """Whether gradients outside the masks are looked at; what grows by chance, after the step, needs none."""
        return self.grow == "gradient"

    def acts_at(self, step: int) -> bool:
        """Whether there is an exchange at a step."""
        return self.timetable.acts_at(step)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks after the exchange, if there is one at this step."""
        if not self.acts_at(step):
            return None
        pools = pools_of(weights, self.only, self.over)
        before, values = gathered(pools, masks), gathered(pools, weights)
        scores = {pool: self.drop(values[pool], mask) for pool, mask in before.items()}
        kept = without_weakest(before, scores, self.timetable.fraction_at(step))
        if self.generator is None:
            wishes = {pool: gradient.abs() for pool, gradient in gathered(pools, gradients).items()}
        else:
            wishes = chances(kept, self.generator)
        return returned(pools, with_strongest(kept, wishes, missing(kept, before)), masks)

    def state_dict(self) -> dict[str, Any]:
        """The state of the generator, if there is one."""
        return {} if self.generator is None else {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets the generator to a state."""
        check_memory(self.name, state, self.state_dict())
        if self.generator is not None:
            self.generator.set_state(state["generator"])


def _numbers(pool: str, scores: Tensor) -> Tensor:
    if scores.isnan().any():
        raise RequestError(
            f"weights or gradients of {pool!r}: found NaN, expected numbers that can be compared; "
            "look at the loss of the steps before"
        )
    return scores
