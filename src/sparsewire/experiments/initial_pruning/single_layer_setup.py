"""What the experiments on single-layer networks share: the setting, the networks of a trial, what it records.

The paper names Adam, K, p and the numbers of iterations. A large start and one image a step with a rate of 0.01 give
its dense column nearly, and the order of its columns after 100 iterations; with a small start K-starts has nothing to
gain, as there is nothing that it could wipe out.
"""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Annotated, Final, NamedTuple

import torch
from pydantic import Field

from sparsewire.data.samples import Samples
from sparsewire.experiments.initial_pruning.setup import Count, Source, load
from sparsewire.experiments.initial_pruning.single_layer_training import Output, SingleLayers, order_of, train
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.spec import Spec
from sparsewire.training.rules.populations import Population, bernoulli

Starts = Annotated[int, Field(ge=0, le=1_000)]
Removed = Annotated[float, Field(gt=0, lt=1)]
PAPER: Final = "What to prune and what not to prune at initialization (2021 submission)"
_TOLD_EVERY: Final = 100  # steps


class SingleLayerSpec(Spec):
    """Pixels → ten classes without a hidden layer, and how such a network is trained.

    Args:
        data: which images, pixels in [0, 1].
        iterations: steps of the optimizer.
        batch: images in a step.
        rate: Adam's.
        deviation: of the normal distribution that weights start from.
        output: softmax with cross-entropy, or sigmoid outputs with the cross-entropy or the squared error of each.
        every: iterations from one drop of a mask to the next.
    """

    data: Source = "mnist"
    iterations: Count = 10_000
    batch: Count = 1
    rate: float = Field(default=1e-2, gt=0)
    deviation: float = Field(default=1.0, ge=0)
    output: Output = "softmax"
    every: Count = 5


class Way(NamedTuple):
    """One network of a trial.

    Args:
        removed: the fraction that each of its masks removes.
        k: how many masks compete; 1: a static random mask, 0: the dense network.
    """

    removed: float
    k: int

    @property
    def label(self) -> str:
        """What its numbers are called.

        Example:
            >>> Way(0.5, 10).label, Way(0.5, 0).label
            ('p = 0.5, K = 10', 'dense')
        """
        return f"p = {self.removed:g}, K = {self.k}" if self.k else "dense"


def run_ways(
    ways: Sequence[Way], spec: SingleLayerSpec, trial: Trial, samples: Samples, marks: Sequence[int], name: str = ""
) -> None:
    """Trains a network for each way and records its test accuracy, in percent, at each mark, and how masks changed.

    All networks of a seed start from the same weights and see the same images in the same order; the first mask of
    K = 10 is that of K = 1. So their differences are those of the ways.

    Args:
        ways: which networks.
        spec: how they are trained.
        trial: draws and records.
        samples: to train with.
        marks: after how many iterations to look.
        name: what the names of the numbers begin with.
    """
    data = load(spec.data)
    weights = spec.deviation * torch.randn(data.classes, data.features, generator=trial.generator("weights"))
    networks = SingleLayers(
        weights,
        [_population(way, weights, trial) for way in ways],
        rate=spec.rate, output=spec.output, every=spec.every,
    )  # fmt: skip

    def look(done: int) -> None:
        if done in marks:
            for way, accuracy in zip(ways, networks.accuracies(data.test), strict=True):
                trial.record(f"{name} {way.label}".strip(), accuracy, step=done)
        if done % _TOLD_EVERY == 0:
            trial.report(done / spec.iterations, f"{name} iteration {done:,}".strip())

    order = order_of(len(samples.labels), spec.iterations, spec.batch, trial.generator("order"))
    train(networks, samples, order, look)
    for way, changes in zip(ways, networks.changes, strict=True):
        trial.record(f"{name} changes of mask, {way.label}".strip(), changes)


def accuracy_at(outcome: Outcome, name: str, iteration: int) -> float:
    """The test accuracy of a network after so many iterations, in percent."""
    return dict(outcome.series[name])[iteration]


def looked_at(outcome: Outcome, name: str) -> list[int]:
    """After how many iterations there is an accuracy of this network."""
    return [iteration for iteration, _ in outcome.series.get(name, ())]


def mean_and_deviation(values: Sequence[float]) -> str:
    """As the paper prints them.

    Example:
        >>> mean_and_deviation([1.0, 2.0, 3.0]), mean_and_deviation([4.0])
        ('2.00 ± 1.00', '4.00')
    """
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def _population(way: Way, weights: torch.Tensor, trial: Trial) -> Population | None:
    if not way.k:
        return None
    frame = torch.ones_like(weights, dtype=torch.bool)
    return Population(bernoulli(frame, way.removed, way.k, trial.generator("masks")))
