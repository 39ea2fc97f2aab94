"""How important each weight or neuron is: the higher its score, the sooner it is kept.

A score is one of

    a function     (weight) → scores                  one weight by itself: `magnitude`, `torch.abs`, or your own
    a `ModelScore` (question) → name → scores         what needs more: a generator, the masks, the model, data, a loss
    a mapping      name → scores                      numbers that you have already

and gives numbers of the weight's shape, or one number per unit of the pattern (a neuron, a block), as a tensor or an
array.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.data_scores import Gradient as Gradient
from sparsewire.structure.data_scores import OptimalBrainDamage as OptimalBrainDamage
from sparsewire.structure.data_scores import Taylor as Taylor
from sparsewire.structure.initial_scores import Fisher as Fisher
from sparsewire.structure.initial_scores import Grasp as Grasp
from sparsewire.structure.initial_scores import Snip as Snip
from sparsewire.structure.initial_scores import SynapticFlow as SynapticFlow
from sparsewire.structure.score_contract import ModelScore as ModelScore
from sparsewire.structure.score_contract import Question as Question

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
        >>> from torch import nn
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
    """The norm of the live weights of each neuron (its gates together), channel or head: (Σ |w|^order)^(1 / order).

    A head has a norm in each weight it is part of, and is ranked by their sum.

    Args:
        order: 2 (Euclid), 1 (sum of magnitudes), or `math.inf` (largest magnitude).

    Raises:
        RequestError: the pattern is not whole neurons, channels or heads.

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
                    "score: norms of neurons need the pattern Neurons() (or channels, heads); pass it, or score by "
                    "'magnitude'"
                )
            live = torch.where(question.live[name], weight, 0)
            if question.unit_of is None:  # neurons, by their gates
                gates, inputs = weight.shape[0] // max(1, shape[0]), weight.numel() // max(1, weight.shape[0])
                scores[name] = torch.linalg.vector_norm(live.reshape(gates, *shape, inputs), self.order, dim=(0, 2))
            else:
                scores[name] = self._of_units(live, question.unit_of(name), shape[0])
        return scores

    def _of_units(self, weight: Tensor, unit_of: Tensor, units: int) -> Tensor:
        sizes = weight.abs().double().flatten()
        is_largest = self.order == math.inf
        norms = sizes.new_zeros(units + 1)  # one more for the weights of no unit, at -1
        sizes, places = sizes if is_largest else sizes**self.order, unit_of.flatten() % (units + 1)
        norms = norms.scatter_reduce(0, places, sizes, "amax" if is_largest else "sum")[:-1]
        return norms if is_largest else norms ** (1 / self.order)


SCORES: dict[str, Score] = {
    "magnitude": magnitude,
    "random": Random(),
    "neuron_l1": NeuronNorm(1),
    "neuron_l2": NeuronNorm(2),
}


# Those that ask for the model and data too: of weights alone, as in a checkpoint, they say nothing.
DATA_SCORES: dict[str, Score] = {
    "obd": OptimalBrainDamage(),
    "gradient": Gradient(),
    "taylor": Taylor(),
    "taylor_signed": Taylor(signed=True),
    "snip": Snip(),
    "grasp": Grasp(),
    "synflow": SynapticFlow(),
    "fisher": Fisher(),
}


def needs_data(score: Score) -> bool:
    """Whether a score asks for the model and data, as `prune(model, score="obd", data=(inputs, labels))` gives them.

    Example:
        >>> [needs_data(score) for score in ("obd", "magnitude", OptimalBrainDamage(), magnitude)]
        [True, False, True, False]
    """
    found = DATA_SCORES.get(score) if isinstance(score, str) else score
    return isinstance(found, ModelScore) and found.needs_data


def answers(score: Score, question: Question) -> dict[str, Tensor]:
    """The scores of all weights of the question: the one place that knows what a score may be.

    Raises:
        RequestError: an unknown name, a score that is none, a name without scores, or scores that are no numbers.

    Example:
        >>> answers("magnitude", Question({"w": torch.tensor([[-2.0]])}, {}, {}))
        {'w': tensor([[2.]])}
    """
    if isinstance(score, str):
        named = {**SCORES, **DATA_SCORES}
        if score not in named:
            raise UnknownNameError("score", score, named)
        score = named[score]
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
        f"score: found {score!r}, expected a name ({', '.join([*SCORES, *DATA_SCORES])}), a function of a weight or a "
        "mapping"
    )
