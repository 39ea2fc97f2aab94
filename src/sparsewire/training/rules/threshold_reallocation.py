"""Dynamic sparse reparameterization: one threshold for the whole network, and room for the layers that keep most."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import count_of
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.masks import Masks
from sparsewire.structure.selection import Only
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.exchange import chances, check_memory, missing, with_strongest
from sparsewire.training.rules.pools import gathered, pools_of, returned, shared
from sparsewire.training.rules.timetable import Timetable

_SMALLEST, _LARGEST = 2.0**-1022, 2.0**1023  # thresholds, so that halving or doubling for ever ends in a number above 0


@dataclass
class Reallocation:
    """The rule behind `dsr`; `threshold` is the present one."""

    when: ClassVar[Moment] = "after"
    dense: ClassVar[bool] = False
    grows: ClassVar[bool] = False  # by chance, after the step: no gradient outside the masks is looked at

    timetable: Timetable
    threshold: float
    tolerance: float
    only: Only | None
    generator: torch.Generator = field(compare=False)

    def __post_init__(self) -> None:
        _check_positive("threshold", self.threshold)
        _check_positive("tolerance", self.tolerance)
        checked_generator(self.generator)
        self._first = self.threshold

    def acts_at(self, step: int) -> bool:
        """Whether there is an exchange at a step."""
        return self.timetable.acts_at(step)

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks after the exchange, if there is one at this step; the threshold is set for the next one."""
        if not self.acts_at(step):
            return None
        if step <= self.timetable.steps:  # of this training; where an earlier one has left it is no matter of it
            self.threshold = self._first
        pools = pools_of(weights, self.only)
        before, values = gathered(pools, masks), gathered(pools, weights)
        # Not >=: a weight that is NaN stays, and the training finds it.
        kept = {pool: mask & ~(values[pool].abs() < self.threshold) for pool, mask in before.items()}
        gone = sum(missing(kept, before).values())
        live = sum(int(mask.count_nonzero()) for mask in before.values())
        self._adapt(gone, count_of(self.timetable.fraction_at(step), live))
        survivors = {pool: float(mask.count_nonzero()) for pool, mask in kept.items()}
        grown = with_strongest(kept, chances(kept, self.generator), shared(gone, survivors, kept))
        return returned(pools, grown, masks)

    def _adapt(self, gone: int, wanted: int) -> None:
        if gone < (1 - self.tolerance) * wanted:
            self.threshold = min(2 * self.threshold, _LARGEST)
        elif gone > (1 + self.tolerance) * wanted:
            self.threshold = max(self.threshold / 2, _SMALLEST)

    def state_dict(self) -> dict[str, Any]:
        """The present threshold and the state of the generator."""
        return {"threshold": self.threshold, "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets both."""
        check_memory("dsr", state, self.state_dict())
        self.threshold = float(_check_positive("threshold of the state", state["threshold"]))
        self.generator.set_state(state["generator"])


def dsr(
    steps: int = 100,
    until: int | None = None,
    fraction: float = 0.01,
    *,
    generator: torch.Generator,
    threshold: float = 0.001,
    tolerance: float = 0.1,
    decay: str = "constant",
    only: Only | None = None,
) -> Reallocation:
    """The rule of dynamic sparse reparameterization (DSR): small weights go, and layers that keep many get more.

        every `steps` steps:  drop all |w| < H, anywhere in the network: K of them
                              K < (1 − δ) · fraction · connections: H ← 2 H;   K > (1 + δ) · …: H ← H / 2
                              grow K, in layer l   K · R_l / Σ R   of them by chance,   R_l = connections that it kept

    The number of connections in the network stays, those of its layers do not; a layer that is full passes on what it
    cannot take. It acts after the weights' step, without gradients; what comes starts from zero with fresh memory.

    Args:
        steps: from one exchange to the next.
        until: the last step at which there may be an exchange; None: none is the last.
        fraction: of the network's connections, how many should go at an exchange; H is doubled or halved towards it,
            so that the first exchanges may move many more or fewer.
        generator: draws what comes; its state and the present threshold are saved with the optimizer's.
        threshold: H of the first exchange of each training, above 0.
        tolerance: δ, above 0.
        decay: of the fraction, on the way to `until`: "constant", "cosine", "linear" or "cubic".
        only: which weights, as for `prune`; the others stay as they are. Each gate of a recurrent weight is a layer.

    Raises:
        RequestError: an argument that cannot be.

    Example:
        >>> rule = dsr(steps=1, fraction=0.5, threshold=0.5, generator=torch.Generator().manual_seed(0))
        >>> weights = {"a": torch.tensor([[1.0, 2.0, 0.0, 0.0]]), "b": torch.tensor([[0.1, 0.2, 0.0, 0.0]])}
        >>> rule(1, Masks({name: weight != 0 for name, weight in weights.items()}), weights, {}).densities()
        {'a': 1.0, 'b': 0.0}

    Reference: Mostafa and Wang 2019, algorithm 1 and section 3 (H starts at 0.001, δ = 0.1). They give the wanted
    number itself, for each network by hand; here it is a fraction. Shares are rounded so that the total stays exactly.
    """
    return Reallocation(Timetable(steps, until, fraction, decay), threshold, tolerance, only, generator)


def _check_positive(argument: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
        raise RequestError(f"{argument}: found {value!r}, expected a finite number above 0")
    return float(value)
