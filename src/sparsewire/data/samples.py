"""Samples and data sets: what training and evaluation are fed with."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError


class Samples(NamedTuple):
    """Inputs and their labels, in the same order; unpacks as `inputs, labels`.

    Like every pair its `len` is 2; the number of samples is `len(samples.labels)`.

    Args:
        inputs: float tensor (n, …); images are (n, channels, height, width) with values in [0, 1].
        labels: int64 tensor (n,), each in 0 … classes − 1.

    Example:
        >>> samples = Samples(torch.zeros(5, 1, 8, 8), torch.arange(5))
        >>> samples.flat().inputs.shape, samples.take(2).labels
        (torch.Size([5, 64]), tensor([0, 1]))
    """

    inputs: Tensor
    labels: Tensor

    def flat(self) -> "Samples":
        """The same samples with inputs of shape (n, features), as dense networks take them."""
        return Samples(self.inputs.flatten(1), self.labels)

    def take(self, count: int) -> "Samples":
        """The first `count` samples.

        Raises:
            RequestError: there are fewer, or `count` is negative.
        """
        return self.split(count)[0]

    def split(self, count: int) -> tuple["Samples", "Samples"]:
        """The first `count` samples, and the rest: e.g. training and validation, after `shuffled`.

        Raises:
            RequestError: there are fewer, or `count` is negative.

        Example:
            >>> first, rest = Samples(torch.zeros(5, 2), torch.arange(5)).split(3)
            >>> first.labels, rest.labels
            (tensor([0, 1, 2]), tensor([3, 4]))
        """
        have = len(self.labels)
        if not 0 <= count <= have:
            raise RequestError(f"count: found {count}, expected 0 to {have}, the number of samples")
        first = Samples(self.inputs[:count], self.labels[:count])
        return first, Samples(self.inputs[count:], self.labels[count:])

    def shuffled(self, *, generator: torch.Generator) -> "Samples":
        """The same samples in an order that is drawn from `generator`.

        Example:
            >>> samples = Samples(torch.arange(4.0)[:, None], torch.arange(4))
            >>> mixed = samples.shuffled(generator=torch.Generator().manual_seed(0))
            >>> sorted(mixed.labels.tolist()), torch.equal(mixed.inputs[:, 0].long(), mixed.labels)
            ([0, 1, 2, 3], True)
        """
        order = torch.randperm(len(self.labels), generator=generator, device=generator.device).to(self.labels.device)
        return Samples(self.inputs[order], self.labels[order])


@dataclass(frozen=True, eq=False, repr=False)
class DataSet:
    """A named data set: samples to train with and samples to test with.

    Args:
        name: e.g. "mnist".
        train: the training samples.
        test: the test samples, of the same input shape.
        classes: how many labels there can be; labels are 0 … classes − 1.

    Example:
        >>> blank = Samples(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))
        >>> data = DataSet("blank", blank, blank, classes=10)
        >>> data
        DataSet('blank', 2 + 2 samples of (1, 8, 8), 10 classes)
        >>> data.flat().input_shape, data.features
        ((64,), 64)
    """

    name: str
    train: Samples
    test: Samples
    classes: int

    def __repr__(self) -> str:
        counts = f"{len(self.train.labels):,} + {len(self.test.labels):,} samples of {self.input_shape}"
        return f"DataSet({self.name!r}, {counts}, {self.classes} classes)"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def features(self) -> int:
        """How many numbers one input has: the input size of a dense network."""
        return torch.Size(self.input_shape).numel()

    def flat(self) -> "DataSet":
        """The same data set with inputs of shape (n, features)."""
        return DataSet(self.name, self.train.flat(), self.test.flat(), self.classes)
