"""The lightning paper, Table 4b and Figure 8b: a ResNet with a dense tail that starts from lightnings."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from torch import nn

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.cells import HE, CellSpec, CellTable, Trend, cell, start_
from sparsewire.experiments.lightning.cifar_setup import SMOKE, train
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Section
from sparsewire.models.zoo import resnet_8d, resnet_14d, resnet_20

NAME: Final = "lightning.resnet"
NETWORKS = {"resnet_8d": resnet_8d, "resnet_14d": resnet_14d, "resnet_20": resnet_20}

# Lightnings → best accuracy of ResNet14d by strength, percent (Table 4b); the others in its caption and in the text.
NUMBERS, STRENGTHS = (100, 1000, 5000), (0.1, 0.25, 0.5)
ACCURACIES = {100: (90.55, 90.93, 90.75), 1000: (90.59, 90.92, 90.75), 5000: (90.63, 90.81, 90.33)}
HE_ACCURACIES = {"resnet_8d": 87.75, "resnet_14d": 90.79, "resnet_20": 91.54}
BEST = (90, 0.25, 91.12)


class ResNetSpec(CellSpec):
    """One network from one start; ResNet20 has a single dense layer, where every edge is a whole path."""

    experiment: Literal["lightning.resnet"] = NAME
    network: Literal["resnet_8d", "resnet_14d", "resnet_20"] = "resnet_14d"


def of(network: str, start: str) -> str:
    """What a cell of this table is called.

    Example:
        >>> of("resnet_14d", "He")
        'ResNet14d, He'
    """
    return f"{network.replace('resnet_', 'ResNet')}, {start}"


def _lightning(number: int, strength: float) -> str:
    return of("resnet_14d", cell(number, strength))


PUBLISHED = {
    **{of(network, HE): value for network, value in HE_ACCURACIES.items()},
    **{
        _lightning(number, strength): value
        for number, row in ACCURACIES.items()
        for strength, value in zip(STRENGTHS, row, strict=True)
    },
    _lightning(*BEST[:2]): BEST[2],
}
HE_14D = of("resnet_14d", HE)
TRENDS = (
    Trend("ResNet14d: 90 lightnings of strength 0.25 − He", (_lightning(90, 0.25),), (HE_14D,)),
    Trend(
        "ResNet14d: 100 lightnings − 5,000, mean over strengths",
        tuple(_lightning(100, strength) for strength in STRENGTHS),
        tuple(_lightning(5000, strength) for strength in STRENGTHS),
    ),
    Trend("ResNet14d − ResNet8d, He", (HE_14D,), (of("resnet_8d", HE),)),
    Trend("ResNet20 − ResNet14d, He", (of("resnet_20", HE),), (HE_14D,)),
)
TABLE = CellTable(
    "Table 4b: ResNets",
    "Figure 8b: ResNets",
    ("network", "initialization", "lightnings", "strength"),
    lambda spec: of(spec.network, spec.start) if isinstance(spec, ResNetSpec) else spec.start,
    PUBLISHED,
    0.5,
    TRENDS,
    (_lightning(90, 0.25), HE_14D),
)


def specs(scale: Scale) -> Sequence[ResNetSpec]:
    """Three networks from He's start, and ResNet14d from the paper's ten others, at 200 epochs: work for a GPU.

    At desk scale a token, ResNet8d and ResNet14d from He's start and the paper's best cell, for 6 epochs on a tenth of
    the images and a fifth of the test's: with four seeds 12 trials of 50 s (ResNet8d) or 90 s on one thread, 8 minutes
    on two cores. A full trial of ResNet14d takes some 9 hours there.
    """
    if scale == "smoke":
        small = {**SMOKE, "network": "resnet_8d"}
        return [ResNetSpec(**small, initialization="he"), ResNetSpec(**small, lightnings=90)]
    if scale == "desk":
        token: dict[str, Any] = {"images": 5_000, "test_images": 2_000, "epochs": 6}
        return [
            ResNetSpec(network="resnet_8d", initialization="he", **token),
            ResNetSpec(initialization="he", **token),
            ResNetSpec(lightnings=BEST[0], strength=BEST[1], **token),
        ]
    cells = [*((number, strength) for number in NUMBERS for strength in STRENGTHS), BEST[:2]]
    return [
        *(ResNetSpec(network=network, initialization="he") for network in NETWORKS),  # type: ignore[arg-type]
        *(ResNetSpec(lightnings=number, strength=strength) for number, strength in cells),
    ]


def run(spec: ResNetSpec, trial: Trial) -> None:
    """Trains one network."""
    model = start_(NETWORKS[spec.network](), spec, trial)
    name = of(spec.network, spec.start)
    train(
        model,
        spec,
        trial,
        penalized=(nn.Conv2d,),
        told=lambda epoch: trial.report(epoch / spec.epochs, f"{name}, epoch {epoch}"),
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Table 4b, what the text says of it, and Figure 8b."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "The convolutions start as He et al. say; the dense tail, 64-120-84-10, likewise or from lightnings: their "
        "number × their strength.",
        tuple(TABLE.blocks(outcomes)),
    )


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=ResNetSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 4, "full": 3},
    trial=run,
    findings=findings,
)
