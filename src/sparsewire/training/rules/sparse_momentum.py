"""Sparse momentum: connections move to where averaged gradients are largest, within layers and between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.structure.selection import Only
from sparsewire.training.agreement import plain_name
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.exchange import check_memory, missing, with_strongest, without_weakest
from sparsewire.training.rules.pools import Pools, gathered, pools_of, returned, shared
from sparsewire.training.rules.timetable import Timetable


@dataclass
class Momentum:
    """The rule behind `snfs`; `averages` are those of the dense gradients so far."""

    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False
    grows: ClassVar[bool] = True

    timetable: Timetable
    smoothing: float
    only: Only | None
    averages: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.smoothing, bool) or not isinstance(self.smoothing, Real) or not 0 <= self.smoothing < 1:
            raise RequestError(f"smoothing: found {self.smoothing!r}, expected a number from 0 to below 1, such as 0.9")

    def acts_at(self, step: int) -> bool:
        """At every step until the last exchange: it averages the gradients of all."""
        return self.timetable.until is None or step <= self.timetable.until

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks after the exchange, if there is one at this step; the gradients are remembered at every step."""
        if not self.acts_at(step):
            return None
        if step == 0:  # of this training; what an earlier one has left is no matter of it
            self.averages = {}
        pools = pools_of(weights, self.only)
        averages = self._remembered(pools, gradients)
        if not self.timetable.acts_at(step):
            return None
        before, values = gathered(pools, masks), gathered(pools, weights)
        sizes = {pool: average.abs() for pool, average in gathered(pools, averages).items()}
        kept = without_weakest(
            before, {p: value.abs() for p, value in values.items()}, self.timetable.fraction_at(step)
        )
        counts = shared(sum(missing(kept, before).values()), _means(sizes, before), kept)
        return returned(pools, with_strongest(kept, sizes, counts), masks)

    def _remembered(self, pools: Pools, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The averages with the gradients of this step."""
        present = {}
        for name in {part.name: None for parts in pools.values() for part in parts}:
            gradient, plain = _wide(gradients[name].detach()), plain_name(name)
            average = self.averages.get(plain)
            if average is None:
                average = torch.zeros_like(gradient, memory_format=torch.contiguous_format)
            elif average.shape != gradient.shape:
                raise RequestError(
                    f"rule: remembers gradients of shape {tuple(average.shape)} for {name!r}, found "
                    f"{tuple(gradient.shape)}; make a new snfs(…) for every model"
                )
            elif average.device != gradient.device or average.dtype != gradient.dtype:
                average = average.to(gradient)
            self.averages[plain] = present[name] = average.lerp_(gradient, 1 - float(self.smoothing))
        return present

    def state_dict(self) -> dict[str, Any]:
        """The averages of the gradients, by the names of their weights; the live tensors."""
        return {"averages": dict(self.averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets them to copies of those given."""
        check_memory("snfs", state, self.state_dict())
        found = state["averages"]
        if not isinstance(found, Mapping) or not all(isinstance(one, Tensor) for one in found.values()):
            raise RequestError(f"averages of the rule's state: found {type(found).__name__}, expected name → tensor")
        self.averages = {name: average.detach().clone() for name, average in found.items()}


def snfs(
    steps: int = 100,
    until: int | None = 5000,
    fraction: float = 0.5,
    *,
    smoothing: float = 0.9,
    decay: str = "cosine",
    only: Only | None = None,
) -> Momentum:
    """The rule of sparse momentum (SNFS): connections move to the layers and places of the largest averaged gradients.

        at every step:        M ← α M + (1 − α) g,   over all places, also where nothing exists
        every `steps` steps:  of each layer the fraction with the smallest |w| goes, K in all layers;
        layer l grows:        K · m_l / Σ m   where its |M| is largest,   m_l = mean |M| over the connections it had

    The number of connections in the network stays, those of its layers do not; a layer that is full passes on what it
    cannot take. It acts before the weights' step, which is taken all the same (as in `rigl`); what comes starts from
    zero with fresh memory. M is as large as the dense weights, and sparse layers compute dense gradients at every step
    up to `until`: memory and time are those of dense training until then.

    Args:
        steps: from one exchange to the next. In the paper it is an epoch.
        until: the last step at which there may be an exchange, and gradients are averaged; None with decay="constant".
        fraction: of the connections of each layer that go, at the beginning.
        smoothing: α, from 0 (the gradient of the last step alone) to below 1.
        decay: of the fraction: "cosine", "constant", "linear" or "cubic".
        only: which weights, as for `prune`; the others stay as they are. Each gate of a recurrent weight is a layer.

    Raises:
        RequestError: an argument that cannot be.

    Example:
        >>> rule = snfs(steps=1, until=None, fraction=0.5, decay="constant")
        >>> weights = {"a": torch.tensor([[1.0, 2.0, 0.0, 0.0]]), "b": torch.tensor([[1.0, 2.0, 0.0, 0.0]])}
        >>> gradients = {"a": torch.tensor([[9.0, 9.0, 1.0, 2.0]]), "b": torch.tensor([[0.1, 0.1, 0.3, 0.2]])}
        >>> masks = Masks({name: weight != 0 for name, weight in weights.items()})
        >>> rule(1, masks, weights, gradients).densities()  # both connections that went come to a
        {'a': 0.75, 'b': 0.25}

    Reference: Dettmers and Zettlemoyer 2019, section 3 (momentum 0.9, at the end of each epoch; half of the weights,
    with cosine decay, in their program). Their M is the optimizer's momentum; here the rule has its own, so that any
    optimizer will do, and shares are rounded so that the total stays exactly.
    """
    return Momentum(Timetable(steps, until, fraction, decay), smoothing, only)


def _wide(gradient: Tensor) -> Tensor:
    """In float32 where it is shorter: a tenth of a bfloat16 is lost in an average of some hundred times its size."""
    return gradient if gradient.dtype in (torch.float32, torch.float64) else gradient.float()


def _means(sizes: Mapping[str, Tensor], rows: Mapping[str, Tensor]) -> dict[str, float]:
    means = {pool: float(sizes[pool][mask].double().mean()) if mask.any() else 0.0 for pool, mask in rows.items()}
    for pool, mean in means.items():
        if not 0 <= mean < float("inf"):
            raise RequestError(
                f"gradients of {pool!r}: found NaN or infinity in their average, expected finite numbers; "
                "look at the loss of the steps before"
            )
    return means
