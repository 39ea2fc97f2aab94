"""Our own study: who chooses connections best before and early in training? All methods on one budget, ranked.

Every method has the same networks of the same starts, the same batches and the same number of epochs, at each density.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data.samples import Samples
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.initial_pruning.contenders import BEFORE, METHODS, Method, rule_of, starting_masks
from sparsewire.experiments.initial_pruning.ranking_findings import blocks_of
from sparsewire.experiments.initial_pruning.setup import (
    Hidden,
    Source,
    TrainingSpec,
    left_out,
    load,
    missing,
    recorder,
    steps_of,
    trained,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Section
from sparsewire.models.zoo.dense import mlp
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.soft.top_scores import edge_popup

NAME: Final = "initial_pruning.ranking"

DENSITIES: Final[dict[Scale, tuple[float, ...]]] = {
    "smoke": (0.2,),
    "desk": (0.1, 0.01),
    "full": (0.3, 0.1, 0.03, 0.01, 0.003),
}
COLLAPSING: Final = 0.001  # 99.9 % compression, for methods before training alone
UNTRAINED: Final = 0.5  # where untrained subnetworks are best, for edge-popup alone
DATA: Final[tuple[Source, ...]] = ("mnist", "fashion_mnist")
_SAMPLE: Final = 1000  # training images that a score looks at
_SCORES_RATE: Final = 0.1  # of edge-popup's scores, SGD with momentum as its authors have it
_MOMENTUM: Final = 0.9


class RankingSpec(TrainingSpec):
    """LeNet-300-100 with one method at one density.

    Args:
        method: a name in `contenders.METHODS`.
        density: of all weights together, at the end of the training.
    """

    experiment: Literal["initial_pruning.ranking"] = NAME
    hidden: Hidden = (300, 100)
    epochs: int = Field(default=20, ge=1, le=10_000)
    batch: int = Field(default=100, ge=1, le=1_000_000)
    method: Method = "random_erk"
    density: float = Field(default=0.1, gt=0, le=1)


def specs(scale: Scale) -> Sequence[RankingSpec]:
    """All methods at all densities, the dense network, and what single methods are asked beside.

    Full: 20 epochs, five densities, Fashion-MNIST as well where its files are at hand; desk: 10 epochs, two densities,
    MNIST alone. On one thread an epoch takes about 0.6 s where masks stay, 2 to 3 s where they move or the network is
    dense, 4.5 s for edge-popup, so three seeds take some 20 minutes at desk scale on two cores.
    """
    if scale == "smoke":
        small = RankingSpec(data="digits", hidden=(24, 16), epochs=2, batch=32, rate=0.01)
        return _grid(small, DENSITIES[scale])
    base = RankingSpec(epochs=20 if scale == "full" else 10)
    sets = [data for data in DATA[: 1 if scale == "desk" else None] if data == DATA[0] or not missing(data)]
    return [spec for data in sets for spec in _grid(_with(base, data=data), DENSITIES[scale])]


def run(spec: RankingSpec, trial: Trial) -> None:
    """Trains one network with one method; records the accuracy, and what is left of each layer."""
    data = load(spec.data)
    model = mlp((data.features, *spec.hidden, data.classes), generator=trial.generator("weights"))
    masks = _trained(model, spec, trial)
    masks = Masks.from_model(model) if masks is None else masks
    trial.record("density", 100 * masks.density)
    trial.record("weights of the thinnest layer", min(int(mask.sum()) for mask in masks.values()))
    for place, own in enumerate(masks.densities().values(), start=1):
        trial.record(f"density of junction {place}", 100 * own)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The ranking, and what is claimed of single methods."""
    intro = "The same starts, batches and epochs for every method; accuracies after the last epoch, none chosen."
    return Section(
        CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (*blocks_of(outcomes), *left_out(outcomes, DATA))
    )


def _trained(model: nn.Module, spec: RankingSpec, trial: Trial) -> Masks | None:
    """Trains in place; the masks at the end."""
    if spec.method == "edge_popup":
        return _supermask(model, spec, trial)
    if spec.method == "dense":
        return trained(model, spec, trial).masks
    if spec.method == "magnitude_after":
        trained(model, spec, trial, name="before")
        return trained(model, spec, trial, masks=prune(model, score="magnitude", density=spec.density)).masks
    masks = starting_masks(spec.method, model, spec.density, _sample(spec, trial), trial.generator("masks"))
    trial.record("density at the start", 100 * masks.density)
    rule = rule_of(spec.method, spec.density, steps_of(spec), spec.epochs, trial.generator("rule"))
    return trained(model, spec, trial, masks=masks, rule=rule).masks


def _sample(spec: RankingSpec, trial: Trial) -> Samples:
    """Training images that a trial's seed chooses."""
    inputs, labels = load(spec.data).train
    chosen = torch.randperm(len(labels), generator=trial.generator("sample"))[:_SAMPLE]
    return Samples(inputs[chosen], labels[chosen])


def _supermask(model: nn.Module, spec: RankingSpec, trial: Trial) -> Masks:
    """The best subnetwork of the untrained one, whose weights become constants with the signs that were drawn."""
    data = load(spec.data)
    found = edge_popup(
        model,
        data.train,
        density=spec.density,
        generator=trial.generator("order"),
        init="signed_constant",
        scaled=True,
        optimizer=lambda scores: torch.optim.SGD(scores, lr=_SCORES_RATE, momentum=_MOMENTUM),
        epochs=spec.epochs,
        batch_size=spec.batch,
        validation=data.test,
        on_epoch=recorder(spec, trial),
        checkpoints=trial.checkpoints("scores"),
    )
    return found.masks


def _grid(base: RankingSpec, densities: Sequence[float]) -> list[RankingSpec]:
    whole = _with(base, method="dense", density=1.0)
    ranked = [_with(base, method=method, density=one) for one in densities for method in METHODS if method != "dense"]
    beside = [_with(base, method=method, density=COLLAPSING) for method in BEFORE]
    return [whole, *ranked, *beside, _with(base, method="edge_popup", density=UNTRAINED)]


def _with(spec: RankingSpec, **fields: Any) -> RankingSpec:
    return spec.model_copy(update=fields)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RankingSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 10},
    trial=run,
    findings=findings,
)
