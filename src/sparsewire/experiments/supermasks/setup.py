"""What the two experiments on dense supermasks share: images, networks, the four ways, one trial (section 3)."""

import functools
import math
import time
from typing import Annotated, Final, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from sparsewire.data.embedded import digits
from sparsewire.data.images import mnist
from sparsewire.data.samples import Samples
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import normal_
from sparsewire.models.zoo import mlp
from sparsewire.structure.evidence.filter_ensembles import linear_filter_ensembles
from sparsewire.structure.evidence.mean_loss import Data
from sparsewire.structure.evidence.unit_chain import unit_layer
from sparsewire.training.dense_supermasks import SCORES, Score, dense_supermask
from sparsewire.training.judging import evaluate

Source = Literal["mnist", "digits"]
Way = Literal["lfe", "lfe_one_shot", "magnitude", "random"]
Draw = Literal["count", "pairs", "bernoulli"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

WORDS: Final[dict[str, str]] = {
    "lfe": "LFE, iterative",
    "lfe_one_shot": "LFE, one-shot",
    "magnitude": "magnitude",
    "random": "random",
}
HIDDEN: Final = ("0", "2")  # the names of the hidden layers


class SupermaskSpec(Spec):
    """A network of two hidden layers, how it loses units, and how the ensembles are drawn.

    Args:
        data: which images; pixels in [0, 1].
        hidden: units of the two hidden layers.
        removed: how many of them go in each iteration.
        iterations: how many there are.
        ways: which methods.
        deviation: of the weights, all N(0, deviation²); biases are 0.
        ensembles: masks for a layer, at least.
        per_unit: … and at least so many for each of its units.
        samples: training images that the ensembles are evaluated on.
        share: of units that are on in a mask.
        draw: how masks are drawn, see `unit_masks`.
    """

    data: Source = "mnist"
    hidden: tuple[Count, Count] = (300, 100)
    removed: tuple[Count, Count] = (6, 2)
    iterations: Count = 49
    ways: Annotated[tuple[Way, ...], Field(min_length=1)] = ("lfe", "lfe_one_shot", "magnitude", "random")
    deviation: float = Field(default=0.1, gt=0)
    ensembles: Count = 1000
    per_unit: float = Field(default=3.0, ge=0)
    samples: Count = 1000
    share: float = Field(default=0.5, gt=0, lt=1)
    draw: Draw = "count"


class Images(NamedTuple):
    """Training and test images as rows of pixels."""

    train: Samples
    test: Samples


@functools.cache
def load(source: Source) -> Images:
    """The images of a set, read once a process and never changed."""
    data = (mnist() if source == "mnist" else digits()).flat()
    return Images(data.train, data.test)


def network(spec: SupermaskSpec, trial: Trial) -> nn.Sequential:
    """The untrained network of a seed."""
    model = mlp((load(spec.data).train.inputs.shape[1], *spec.hidden, 10))
    normal_(model, spec.deviation, generator=trial.generator("weights"))
    return model


def score_of(spec: SupermaskSpec, way: str) -> Score:
    """What decides which units go."""
    if way in ("magnitude", "random"):
        return SCORES["l2" if way == "magnitude" else "random"]

    def ensembles(model: nn.Module, layer: str, data: Data | None, generator: torch.Generator) -> Tensor:
        assert data is not None
        number = max(spec.ensembles, math.ceil(spec.per_unit * unit_layer(model, layer).units))
        return linear_filter_ensembles(
            model, layer, data, number, generator=generator, share=spec.share, draw=spec.draw
        )  # fmt: skip

    return ensembles


def run(spec: SupermaskSpec, trial: Trial) -> None:
    """Each way from the same network to the smallest one; recorded are size, test accuracy and test loss.

    The ensembles see training images, drawn once for each seed; the test images only judge.
    """
    images, model = load(spec.data), network(spec, trial)
    seen = images.train.shuffled(generator=trial.generator("samples")).take(spec.samples)
    for number, way in enumerate(spec.ways):
        start = time.perf_counter()
        found = dense_supermask(
            model, seen, removed=dict(zip(HIDDEN, spec.removed, strict=True)), iterations=spec.iterations,
            score=score_of(spec, way), one_shot=way == "lfe_one_shot", generator=trial.generator(way),
        )  # fmt: skip
        for one in found:
            judged = evaluate(one.model, images.test)
            trial.record(f"{way} size", 100 * one.size, step=one.iteration)
            trial.record(f"{way} accuracy", 100 * judged.accuracy, step=one.iteration)
            trial.record(f"{way} loss", judged.loss, step=one.iteration)
            share = (number + one.iteration / spec.iterations) / len(spec.ways)
            trial.report(share, f"{WORDS[way]}: {100 * one.size:.1f} % left, {100 * judged.accuracy:.1f} % right")
        trial.record(f"{way} seconds", time.perf_counter() - start)
