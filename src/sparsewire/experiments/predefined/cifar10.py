"""The paper on pre-defined sparsity, Figure 1 (a)–(c): CIFAR-10 with all connections and with some in a thousand."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.predefined.convolutional import CifarSpec, Question, curves, run_convolutional
from sparsewire.experiments.predefined.published import CIFAR10_2, CIFAR10_3, TABLE_1
from sparsewire.experiments.predefined.setup import Count, Counts
from sparsewire.experiments.predefined.sources import Source
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.findings import Section

NAME: Final = "predefined.cifar10"
QUESTION: Final = Question("Figure 1, CIFAR10", margin=1.0, is_ahead=True)


class Cifar10Spec(CifarSpec):
    """conv+2CLs; hidden (512, 256) makes it conv+3CLs."""

    experiment: Literal["predefined.cifar10"] = NAME
    data: Source = "cifar10"
    hidden: Counts = (512,)
    outputs: Count = 16


def specs(scale: Scale) -> Sequence[Cifar10Spec]:
    """Full: Table 1's densities with two and three connected layers; desk: conv+2CLs in a short form.

    A step of 128 images takes about 1.9 s on one thread, so that one network of the paper would take 6 hours. Desk:
    4,096 images, five epochs, 160 steps: 330 s a trial, three networks × two seeds in 17 minutes on two cores. With so
    few steps the normalisation's statistics need PyTorch's momentum.
    """
    if scale == "smoke":
        small = Cifar10Spec(
            data="digits", images=256, test_images=100, epochs=1, hidden=(32,), filters=(4, 4, 8, 8, 16, 16),
            momentum=0.1, execution="masked",
        )  # fmt: skip
        return [small.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), (2, 4))]
    if scale == "desk":
        short = Cifar10Spec(images=4096, test_images=2000, epochs=5, momentum=0.1)
        return [short.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), (1, 1), (1, 8))]
    return [
        Cifar10Spec(hidden=hidden, fan_outs=fan_outs)
        for net, hidden in ((CIFAR10_2, (512,)), (CIFAR10_3, (512, 256)))
        for fan_outs in ((), *(row.fan_outs for row in TABLE_1[net]))
    ]


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 1 (a)–(c)."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Connected layers with less than one connection in a hundred, behind six convolutions that keep all of theirs; "
        "no augmentation.",
        curves(outcomes, QUESTION),
    )


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=Cifar10Spec,
    specs=specs,
    seeds={"smoke": 1, "desk": 2, "full": 5},
    trial=run_convolutional,
    findings=findings,
)
