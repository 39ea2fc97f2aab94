"""How important each weight or neuron is: the higher its score, the sooner it is kept.

A score is one of

    a function     (weight) → scores                  one weight by itself: `magnitude`, `torch.abs`, or your own
    a `ModelScore` (question) → name → scores         what needs more: a generator, the masks, the model, data, a loss
    a mapping      name → scores                      numbers that you have already

and gives numbers of the weight's shape, or one number per unit of the pattern (a neuron, a block), as a tensor or an
array.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError


@dataclass(frozen=True)
class Question:
    """What is to be scored, and everything that a score may look at.

    Attributes:
        weights: name → weight, of those that are pruned: the parameters themselves, with their gradients; not to be
            changed.
        live: name → bool tensor of the weight's shape, False where masks dropped it already.
        units: name → shape of the pattern's units: the weight's as a matrix, (neurons,), or (blocks down, across).
        generator: the source of all randomness, if one was given.
        model: the model, or None where plain weights are pruned.
        data: as it was given to `prune`.
        loss: as it was given to `prune`.
    """

    weights: Mapping[str, Tensor]
    live: Mapping[str, Tensor]
    units: Mapping[str, tuple[int, ...]]
    generator: torch.Generator | None = None
    model: nn.Module | None = None
    data: Any = None
    loss: Any = None


class ModelScore(ABC):
    """A score that looks at more than one weight by itself."""

    @abstractmethod
    def __call__(self, question: Question) -> Mapping[str, Tensor]:
        """Name → scores, for each of `question.weights`; what is not live may be anything finite."""


Score = str | Callable[[Tensor], Tensor] | ModelScore | Mapping[str, Tensor]


def magnitude(weight: Tensor) -> Tensor:
    """|w| of each weight, in its shape. A block or neuron that is scored by it has the sum, its L1 norm.

    Example:
        >>> magnitude(torch.tensor([-2.0, 1.0]))
        tensor([2., 1.])
    """
    return weight.abs()


@dataclass(frozen=True)
class Random(ModelScore):
    """A number from [0, 1) for each unit, drawn from the generator: which units are kept is then pure chance.

    Raises:
        RequestError: `prune` was given no generator.

    Example:
        >>> from sparsewire.structure.select import prune
        >>> masks = prune(nn.Linear(8, 4), score=Random(), density=0.25, generator=torch.Generator().manual_seed(0))
        >>> masks.count
        8
    """

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """One draw per unit."""
        generator = question.generator
        if not isinstance(generator, torch.Generator):
            raise RequestError(
                f"generator: found {generator!r}, but random scores are drawn; pass torch.Generator().manual_seed(0)"
            )
        # Not one per weight: sums over many weights would favour large neurons.
        # float64, since float32 has only 2**24 numbers in [0, 1), too few to be free of ties.
        return {
            name: torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
            for name, shape in question.units.items()
        }


@dataclass(frozen=True)
class NeuronNorm(ModelScore):
    """The norm of the live weights into each neuron, its gates together: (Σ |w|^order)^(1 / order).

    Args:
        order: 2 (Euclid), 1 (sum of magnitudes), or `math.inf` (largest magnitude).

    Raises:
        RequestError: the pattern is not whole neurons.

    Example:
        >>> from sparsewire.structure.patterns import Neurons
        >>> from sparsewire.structure.select import prune
        >>> weights = {"weight": torch.tensor([[3.0, 4.0], [6.0, 0.0]])}
        >>> prune(weights, score=NeuronNorm(2), density=0.5, pattern=Neurons())["weight"].tolist()
        [[False, False], [True, True]]

    Reference: Li et al. 2017, section 3.1 (filters by their L1 norm).
    """

    order: float = 2

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """One norm per neuron."""
        scores = {}
        for name, weight in question.weights.items():
            shape = question.units[name]
            if len(shape) != 1:
                raise RequestError(
                    "score: norms of neurons need the pattern Neurons(); pass it, or score by 'magnitude'"
                )
            live = torch.where(question.live[name], weight, 0)
            gates, inputs = weight.shape[0] // max(1, shape[0]), weight.numel() // max(1, weight.shape[0])
            scores[name] = torch.linalg.vector_norm(live.reshape(gates, *shape, inputs), self.order, dim=(0, 2))
        return scores


SCORES: dict[str, Score] = {
    "magnitude": magnitude,
    "random": Random(),
    "neuron_l1": NeuronNorm(1),
    "neuron_l2": NeuronNorm(2),
}


def answers(score: Score, question: Question) -> dict[str, Tensor]:
    """The scores of all weights of the question: the one place that knows what a score may be.

    Raises:
        RequestError: an unknown name, a score that is none, a name without scores, or scores that are no numbers.

    Example:
        >>> answers("magnitude", Question({"w": torch.tensor([[-2.0]])}, {}, {}))
        {'w': tensor([[2.]])}
    """
    if isinstance(score, str):
        if score not in SCORES:
            raise UnknownNameError("score", score, SCORES)
        score = SCORES[score]
    with torch.no_grad():
        found = _asked(score, question)
    for name in question.weights:
        if name not in found:
            raise UnknownNameError("weight with a score", name, found)
    return {name: _numbers(found[name], name) for name in question.weights}


def _numbers(scores: Any, name: str) -> Tensor:
    if isinstance(scores, np.ndarray) and scores.dtype.kind in "fiub":
        return torch.tensor(scores)
    if not isinstance(scores, Tensor) or scores.is_complex():
        kind = scores.dtype if isinstance(scores, Tensor | np.ndarray) else type(scores).__name__
        raise RequestError(f"score: found {kind} for {name!r}, expected a tensor of real numbers")
    return scores.detach()


def _asked(score: Score, question: Question) -> Mapping[str, Tensor]:
    if isinstance(score, ModelScore):
        return score(question)
    if isinstance(score, Mapping):
        return score
    if callable(score):
        return {name: score(weight) for name, weight in question.weights.items()}
    raise RequestError(
        f"score: found {score!r}, expected a name ({', '.join(SCORES)}), a function of a weight or a mapping"
    )
