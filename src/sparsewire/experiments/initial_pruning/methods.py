"""The K-starts paper, Figure 2: random masks, K-starts, dissipating gradients, both together, at nine sparsities."""

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from pydantic import Field
from torch import nn
from torch.nn.functional import mse_loss

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.initial_pruning.methods_findings import figure
from sparsewire.experiments.initial_pruning.setup import (
    Count,
    Hidden,
    Source,
    TrainingSpec,
    half,
    left_out,
    load,
    missing,
    steps_of,
    trained,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Note, Section
from sparsewire.models.initialize import normal_
from sparsewire.models.zoo.dense import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.rule_contract import Rule
from sparsewire.training.rules.combination import combined
from sparsewire.training.rules.dissipation import dissipating_gradients
from sparsewire.training.rules.starts import bernoulli_masks, k_starts

NAME: Final = "initial_pruning.methods"

Method = Literal["random", "k_starts", "dissipating", "combination"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Network = Literal["classifier", "autoencoder"]
HIDDEN: Final[dict[Network, tuple[int, ...]]] = {"classifier": (128, 100), "autoencoder": (128, 64)}
REMOVED: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DATA: Final[tuple[Source, ...]] = ("mnist", "fashion_mnist")
NOTE: Final = (
    "The paper says nothing of the decoder, the loss, the rate, the batch, the epochs or the start; we take the mirror "
    "of the encoder, the squared error or cross-entropy, Adam at 0.001, batches of 128 and weights from N(0, 1), the "
    "start that its Table 1 needs. So that each method ends at the same sparsity, dissipating gradients drop the "
    "smallest sums, not those below a fixed number, and the combination removes equal shares by its two parts."
)


class MethodsSpec(TrainingSpec):
    """One sigmoid network, pruned in one way to one sparsity.

    Args:
        network: "classifier", or "autoencoder": the hidden layers, and mirrored back to the pixels.
        method: "random" (Bernoulli masks before training), "k_starts", "dissipating" or "combination".
        removed: the fraction of the weights that goes in all, the paper's sparsity; 0: a dense network, whatever the
            method.
        std: the deviation of the normal start; biases start at 0.
        k: masks that compete, in K-starts.
        every: steps from one drop of a mask to the next.
        dissipating: epochs after which gradients that dissipate take weights along.
    """

    experiment: Literal["initial_pruning.methods"] = NAME
    hidden: Hidden = HIDDEN["classifier"]
    network: Network = "classifier"
    method: Method = "random"
    removed: float = Field(default=0.5, ge=0, lt=1)
    std: float = Field(default=1.0, gt=0)
    k: Count = 10
    every: Count = 5
    dissipating: Count = 2


def specs(scale: Scale) -> Sequence[MethodsSpec]:
    """Two networks, four methods, nine sparsities, and the dense networks: 74 for each set of images that is at hand.

    Full: 10 epochs; desk: 4. On one thread an epoch takes about 0.8 s (classifier) or 2.4 s (autoencoder), so five
    seeds on MNIST take some 20 minutes at desk scale on two cores, and as long again with Fashion-MNIST.
    """
    if scale == "smoke":
        small = MethodsSpec(data="digits", hidden=(12, 8), epochs=3, batch=32, rate=0.01, k=3)
        return [*_grid(small, "classifier", (0.3, 0.8)), *_grid(small, "autoencoder", (0.8,))]
    base = MethodsSpec(epochs=10 if scale == "full" else 4)
    return [
        spec
        for data in DATA
        if not missing(data) or data == DATA[0]
        for network, hidden in HIDDEN.items()
        for spec in _grid(_with(base, data=data, hidden=hidden), network, REMOVED)
    ]


def run(spec: MethodsSpec, trial: Trial) -> None:
    """Trains one network while its method prunes; records what it costs, test accuracy or reconstruction error."""
    model = built(spec)
    normal_(model, spec.std, generator=trial.generator("weights"))
    options: dict[str, Any] = {}
    if spec.removed and spec.method == "random":
        options = {"masks": bernoulli_masks(model, spec.removed, generator=trial.generator("masks"))}
    elif spec.removed:
        options = {"masks": Masks.from_model(model), "rule": rule_of(spec, trial)}
    if spec.network == "autoencoder":
        data = load(spec.data)
        options |= {"loss": mse_loss, "train": (data.train.inputs,) * 2, "test": (data.test.inputs,) * 2}
    history = trained(model, spec, trial, **options)
    trial.record("removed", 0.0 if history.masks is None else 100 * (1 - history.masks.density))


def built(spec: MethodsSpec) -> nn.Sequential:
    """The network; an autoencoder ends in its activation, so that its outputs compare with pixels."""
    pixels = load(spec.data).features
    if spec.network == "classifier":
        return mlp((pixels, *spec.hidden, load(spec.data).classes), "sigmoid")
    return nn.Sequential(*mlp((pixels, *spec.hidden, *spec.hidden[-2::-1], pixels), "sigmoid"), nn.Sigmoid())


def rule_of(spec: MethodsSpec, trial: Trial) -> Rule:
    """The method as a rule that ends at the spec's sparsity.

    K-starts draw their masks from the stream that random masks come from: the first of them is the random one.
    """
    steps, stream = steps_of(spec), trial.generator("masks")
    if spec.method == "k_starts":
        return k_starts(spec.removed, spec.k, spec.every, generator=stream)
    if spec.method == "dissipating":
        return dissipating_gradients(steps, spec.dissipating, removed=spec.removed)
    share = half(spec.removed)
    return combined(
        k_starts(share, spec.k, spec.every, generator=stream),
        dissipating_gradients(steps, spec.dissipating, removed=share),
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 2, and what the text says of it."""
    intro = "Where weights are removed without or before learning: by chance, by competition, for want of gradients."
    return Section(
        CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (*figure(outcomes), *left_out(outcomes, DATA), Note(NOTE))
    )


def _grid(base: MethodsSpec, network: Network, removed: Sequence[float]) -> list[MethodsSpec]:
    """All methods at all sparsities, and the dense network."""
    base = _with(base, network=network)
    pruned = [_with(base, method=method, removed=one) for method in METHODS for one in removed]
    return [_with(base, removed=0.0), *pruned]


def _with(spec: MethodsSpec, **fields: Any) -> MethodsSpec:
    return spec.model_copy(update=fields)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=MethodsSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 5},
    trial=run,
    findings=findings,
)
