"""What a score that looks at more than one weight is asked, and what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Question:
    """What is to be scored, and everything that a score may look at.

    Attributes:
        weights: name → weight, of those that are pruned: the parameters themselves, with their gradients; not to be
            changed.
        live: name → bool tensor of the weight's shape, False where masks dropped it already,
            and in gates that `only` does not mean.
        units: name → shape of the pattern's units: the weight's as a matrix, (neurons,), or (blocks down, across).
        generator: the source of all randomness, if one was given.
        model: the model, or None where plain weights are pruned.
        data: as it was given to `prune`.
        loss: as it was given to `prune`.
        unit_of: name → whole numbers of the weight's shape: the place of each weight's unit among the flattened units,
            -1 where the weight belongs to none that is meant; None where nothing is known of units.
    """

    weights: Mapping[str, Tensor]
    live: Mapping[str, Tensor]
    units: Mapping[str, tuple[int, ...]]
    generator: torch.Generator | None = None
    model: nn.Module | None = None
    data: Any = None
    loss: Any = None
    unit_of: Callable[[str], Tensor] | None = None


class ModelScore(ABC):
    """A score that looks at more than one weight by itself.

    Attributes:
        needs_data: whether it asks for the model and data; rules that prune while training have neither.
    """

    needs_data: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, question: Question) -> Mapping[str, Tensor]:
        """Name → scores, for each of `question.weights`; what is not live may be anything finite."""
