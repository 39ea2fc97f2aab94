"""How a pruned network is retrained: for how long, with which learning rates, with what memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import difference

# The number of an epoch, from 0 → its learning rate.
Rate: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class Retraining:
    """What happens after each pruning of a loop.

    Args:
        epochs: how many; with `gain`, at most so many.
        gain: the retraining ends with the first epoch that adds less than this to the validation accuracy (0.001 is a
            tenth of a point); before the first one it is the accuracy right after the pruning. None: all epochs.
        fresh: whether each retraining begins with an optimizer that remembers nothing; else one optimizer is kept, and
            forgets what it knew of the weights that went. A loop that rewinds makes it afresh anyhow.
        rate: the learning rate of each epoch, a function of its number; None: the optimizer's own. Epochs are counted
            through the whole loop, from 0; where the loop rewinds, the count goes back too.

    Raises:
        RequestError: a number that is none, or a rate that cannot be called.

    Example:
        >>> fixed, variable = Retraining(epochs=2), Retraining(epochs=10, gain=0.001)
        >>> stepped = Retraining(epochs=3, rate=lambda epoch: 0.1 if epoch < 2 else 0.01)
        >>> [stepped.rate_of(epoch) for epoch in range(3)]
        [0.1, 0.1, 0.01]

    Reference: Stier, Darji and Granitzer 2021, section 4.1: two epochs, or up to ten while each gains 0.001.
    """

    epochs: int = 2
    gain: float | None = None
    fresh: bool = False
    rate: Rate | None = None

    def __post_init__(self) -> None:
        whole("epochs", self.epochs, least=0)
        if self.gain is not None and not (_is_number(self.gain) and math.isfinite(self.gain)):
            raise RequestError(f"gain: found {self.gain!r}, expected a number such as 0.001, or None for all epochs")
        if not isinstance(self.fresh, bool):
            raise RequestError(f"fresh: found {self.fresh!r}, expected True or False")
        if self.rate is not None and not callable(self.rate):
            raise RequestError(
                f"rate: found {self.rate!r}, expected a function epoch → learning rate; a rate that does not change "
                "is set by the optimizer: lambda parameters: torch.optim.SGD(parameters, lr=0.01)"
            )

    def rate_of(self, epoch: int) -> float | None:
        """The learning rate of an epoch, or None for the optimizer's own.

        Raises:
            RequestError: the function gives no rate.
        """
        rate = None if self.rate is None else self.rate(epoch)
        if rate is not None and not (_is_number(rate) and 0 <= rate < math.inf):
            raise RequestError(f"rate: found {rate!r} for epoch {epoch}, expected a learning rate, 0 or more")
        return rate

    def set_rate_(self, optimizer: Optimizer, epoch: int) -> None:
        """Sets the learning rate of every group to that of an epoch, if there is a rule for it."""
        rate = self.rate_of(epoch)
        for group in optimizer.param_groups if rate is not None else ():
            group["lr"] = rate

    def has_enough(self, pruned: Evaluation, accuracies: Sequence[float]) -> bool:
        """Whether the last epoch gained too little for another one.

        Args:
            pruned: how good the network was before the first epoch.
            accuracies: after each epoch that was done.

        Example:
            >>> Retraining(epochs=10, gain=0.01).has_enough(Evaluation(0.4, 0.8, 100), [0.9, 0.95])
            False
        """
        if self.gain is None or not accuracies:
            return False
        *before, last = (pruned.accuracy, *accuracies)
        return difference(last, before[-1]) < self.gain


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
