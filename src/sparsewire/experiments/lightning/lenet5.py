"""The lightning paper, Table 4a and Figure 8a: LeNet-5 on CIFAR-10 whose dense tail starts from lightnings."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.cells import HE, CellSpec, CellTable, Trend, cell, start_
from sparsewire.experiments.lightning.cifar_setup import SMOKE, train
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Section
from sparsewire.models.zoo import lenet_5

NAME: Final = "lightning.lenet5"

# Lightnings → best accuracy by strength, percent (Table 4a); He's in its caption.
NUMBERS, STRENGTHS = (100, 1000, 5000), (0.1, 0.25, 0.5)
ACCURACIES = {100: (69.11, 70.57, 69.32), 1000: (72.03, 74.47, 74.39), 5000: (72.76, 75.17, 74.78)}
HE_ACCURACY = 74.76
PUBLISHED = {HE: HE_ACCURACY} | {
    cell(number, strength): value
    for number, row in ACCURACIES.items()
    for strength, value in zip(STRENGTHS, row, strict=True)
}
TRENDS = (
    *(
        Trend(f"{more:,} lightnings − {fewer:,}, strength 0.25", (cell(more, 0.25),), (cell(fewer, 0.25),))
        for fewer, more in ((100, 1000), (1000, 5000))
    ),
    Trend("strength 0.5 − 0.1, 5,000 lightnings", (cell(5000, 0.5),), (cell(5000, 0.1),)),
    Trend("5,000 lightnings of strength 0.25 − He", (cell(5000, 0.25),), (HE,)),
)
TABLE = CellTable(
    "Table 4a: LeNet-5",
    "Figure 8a: LeNet-5",
    ("initialization", "lightnings", "strength"),
    lambda spec: spec.start,
    PUBLISHED,
    1.0,
    TRENDS,
    (cell(5000, 0.25), HE),
)


class LeNet5Spec(CellSpec):
    """LeNet-5 from one start."""

    experiment: Literal["lightning.lenet5"] = NAME


def specs(scale: Scale) -> Sequence[LeNet5Spec]:
    """He and the paper's nine cells at 200 epochs.

    At desk scale the six cells that the text speaks of, for 10 epochs on half of the images: with four seeds 24 trials
    of 64 s on one thread (6.4 s for an epoch), 13 minutes on two cores. A full trial takes about 40 minutes.
    """
    if scale == "smoke":
        return [
            LeNet5Spec(**SMOKE, initialization="he"),
            *(LeNet5Spec(**SMOKE, lightnings=number) for number in (100, 1000)),
        ]
    cells = [(number, strength) for number in NUMBERS for strength in STRENGTHS]
    size: dict[str, Any] = {}
    if scale == "desk":
        cells = [(number, strength) for number, strength in cells if strength == 0.25 or number == 5000]
        size = {"images": 25_000, "epochs": 10}
    return [
        LeNet5Spec(initialization="he", **size),
        *(LeNet5Spec(lightnings=number, strength=strength, **size) for number, strength in cells),
    ]


def run(spec: LeNet5Spec, trial: Trial) -> None:
    """Trains one network."""
    model = start_(lenet_5(), spec, trial)
    train(
        model,
        spec,
        trial,
        told=lambda epoch: trial.report(epoch / spec.epochs, f"{spec.start}, epoch {epoch}"),
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Table 4a, what the text says of it, and Figure 8a."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "The convolutions start as He et al. say; the dense tail, 400-120-84-10, likewise or from lightnings: their "
        "number × their strength.",
        tuple(TABLE.blocks(outcomes)),
    )


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=LeNet5Spec,
    specs=specs,
    seeds={"smoke": 1, "desk": 4, "full": 3},
    trial=run,
    findings=findings,
)
