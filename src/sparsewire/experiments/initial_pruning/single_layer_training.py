"""Many single-layer networks trained at once on the same batches, with K-starts, each as it would be by itself.

A step of one such network at batch 1 is a few thousand multiplications and a hundred times as much overhead. Here the
networks of a trial lie in one tensor, so that a step of all of them costs little more than a step of one; the masks
compete in the very populations of `rules.k_starts`, and `SparseOptimizer` with that rule gives the same weights up to
rounding (`tests/experiments/initial_pruning/test_single_layer_training.py`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal

import torch
from torch import Tensor

from sparsewire.data.samples import Samples
from sparsewire.training.rules.populations import Population

Output = Literal["softmax", "sigmoid", "squared"]
_MEAN: Final = 0.9  # Adam's numbers, as torch has them
_SQUARE: Final = 0.999
_EPSILON: Final = 1e-8


class SingleLayers:
    """Networks of one layer, inputs → outputs, side by side under Adam; none of their bits depends on another network.

    Args:
        weights: (outputs, inputs), where all of them start; their biases start from zero.
        populations: of each network, the masks that compete for it, over the flattened weight; None: dense.
        rate: of learning.
        output: what is learnt: "softmax", cross-entropy over the classes; "sigmoid", the cross-entropy of each
            output by itself, summed up; "squared", half the squared error of sigmoid outputs, summed up.
        every: steps from one drop of a mask to the next.

    Attributes:
        layers: (networks, outputs, inputs + 1), weights and in the last column the biases.
        changes: of each network, how often it has put on another mask.

    Example:
        >>> networks = SingleLayers(torch.zeros(2, 3), [None, None], rate=0.1, output="softmax")
        >>> networks.step(torch.tensor([[1.0, 0.0, 2.0, 1.0]]), torch.tensor([1]))
        >>> networks.layers[1]  # the first step of Adam is the sign of the gradient
        tensor([[-0.1000,  0.0000, -0.1000, -0.1000],
                [ 0.1000,  0.0000,  0.1000,  0.1000]])
    """

    def __init__(
        self,
        weights: Tensor,
        populations: Sequence[Population | None],
        *,
        rate: float,
        output: Output,
        every: int = 5,
    ) -> None:
        outputs, inputs = weights.shape
        self.layers = torch.zeros(len(populations), outputs, inputs + 1, dtype=weights.dtype)
        self.layers[:, :, :-1] = weights
        self.changes = [0] * len(populations)
        self._populations, self._rate, self._output, self._every = list(populations), rate, output, every
        self._gradient, self._mean, self._square, self._divisor = (torch.zeros_like(self.layers) for _ in range(4))
        self._kept = torch.ones_like(self.layers)
        self._steps = 0

    def step(self, inputs: Tensor, labels: Tensor) -> None:
        """A step of every network on one batch; the inputs end with a column of ones."""
        for layer, gradient in zip(self.layers, self._gradient, strict=True):
            errors = _errors(inputs @ layer.T, labels, self._output)
            torch.mm(errors.T, inputs, out=gradient).div_(len(labels))
        self._steps += 1
        self._mean.lerp_(self._gradient, 1 - _MEAN)
        self._square.mul_(_SQUARE).addcmul_(self._gradient, self._gradient, value=1 - _SQUARE)
        torch.sqrt(self._square, out=self._divisor)
        self._divisor.div_(math.sqrt(1 - _SQUARE**self._steps)).add_(_EPSILON)
        self.layers.addcdiv_(self._mean, self._divisor, value=-self._rate / (1 - _MEAN**self._steps))
        self._choose()
        self.layers.mul_(self._kept)

    def _choose(self) -> None:
        """Gradients and Adam's memory stay dense: a zeroed weight has moved by now, and is judged by where it went."""
        for number, population in enumerate(self._populations):
            if population is None or population.is_decided:
                continue
            values = self.layers[number, :, :-1]
            worn = population.wear(values)
            if worn is not None:
                self._kept[number, :, :-1] = worn.view(values.shape)
                self.changes[number] += 1
            if self._steps % self._every == 0:
                population.drop(values)

    def accuracies(self, samples: Samples) -> list[float]:
        """Of each network, in percent."""
        inputs = with_ones(samples.inputs)
        return [100 * float(((inputs @ layer.T).argmax(1) == samples.labels).double().mean()) for layer in self.layers]


def with_ones(inputs: Tensor) -> Tensor:
    """The inputs with a column of ones at the end, which meets the biases."""
    return torch.cat((inputs, inputs.new_ones(len(inputs), 1)), dim=1)


def order_of(samples: int, iterations: int, batch: int, generator: torch.Generator) -> Tensor:
    """Which samples each batch has, shape (iterations, batch): one permutation of all samples after the other.

    Example:
        >>> order_of(3, 2, 3, torch.Generator()).sort(1).values.tolist()
        [[0, 1, 2], [0, 1, 2]]
    """
    passes = -(-iterations * batch // samples)
    drawn = torch.cat([torch.randperm(samples, generator=generator) for _ in range(passes)])
    return drawn[: iterations * batch].view(iterations, batch)


def train(networks: SingleLayers, samples: Samples, order: Tensor, on_step: Callable[[int], None]) -> SingleLayers:
    """Takes a step on each batch of the order, and after each calls `on_step` with how many were taken."""
    inputs = with_ones(samples.inputs)
    for done, batch in enumerate(order, start=1):
        networks.step(inputs[batch], samples.labels[batch])
        on_step(done)
    return networks


def _errors(outputs: Tensor, labels: Tensor, output: Output) -> Tensor:
    """The derivative of each sample's loss by the network's outputs before their nonlinearity."""
    wanted = torch.nn.functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    if output == "softmax":
        return outputs.softmax(1) - wanted
    answers = outputs.sigmoid()
    return answers - wanted if output == "sigmoid" else (answers - wanted) * answers * (1 - answers)
