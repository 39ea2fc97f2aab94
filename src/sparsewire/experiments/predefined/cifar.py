"""What the experiments on CIFAR-10 and CIFAR-100 share: their scales and what they say."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.predefined.convolutional import CifarSpec, Question, curves
from sparsewire.experiments.predefined.published import TABLE_1
from sparsewire.lab.experiment import Outcome, Scale
from sparsewire.lab.reporting.findings import Section

AnySpec = TypeVar("AnySpec", bound=CifarSpec)

HIDDEN = ((512,), (512, 256))  # of conv+2CLs and of conv+3CLs, as Table 1 lists them


def cifar_specs(
    kind: Callable[..., AnySpec], scale: Scale, nets: tuple[str, str], short: Sequence[tuple[int, ...]]
) -> list[AnySpec]:
    """Full: Table 1's densities with two and three connected layers; desk: conv+2CLs in a short form.

    A step of 128 images takes about 1.9 s on one thread, so that one network of the paper would take 6 hours. Desk:
    4,096 images, five epochs, 160 steps: 330 s a trial, three networks × two seeds in 17 minutes on two cores. With so
    few steps the normalisation's statistics need PyTorch's momentum.

    Args:
        kind: of the specs.
        scale: which of them.
        nets: the paper's names of the networks with two and with three connected layers.
        short: the fan-outs of the desk's sparse networks.
    """
    if scale == "smoke":
        small = kind(
            data="digits", images=256, test_images=100, epochs=1, hidden=(32,), filters=(4, 4, 8, 8, 16, 16),
            momentum=0.1, execution="masked",
        )  # fmt: skip
        return [small.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), (2, 4))]
    if scale == "desk":
        desk = kind(images=4096, test_images=2000, epochs=5, momentum=0.1)
        return [desk.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), *short)]
    return [
        kind(hidden=hidden, fan_outs=fan_outs)
        for net, hidden in zip(nets, HIDDEN, strict=True)
        for fan_outs in ((), *(row.fan_outs for row in TABLE_1[net]))
    ]


def cifar_findings(name: str, outcomes: Sequence[Outcome], question: Question) -> Section:
    """A row of Figure 1: the curves of one set of images."""
    return Section(
        CATALOGUE[name].title,
        CATALOGUE[name].source,
        "Connected layers with less than one connection in a hundred, behind six convolutions that keep all of theirs; "
        "no augmentation.",
        curves(outcomes, question),
    )
