"""What the three experiments on convolutional networks share: Figures 1 and 2 (a, b) of pre-defined sparsity."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from pydantic import Field
from torch import nn

from sparsewire.experiments.comparable import as_published, families, paired
from sparsewire.experiments.predefined.readings import accuracies, best, by_fan_outs, mean_and_spread
from sparsewire.experiments.predefined.setup import (
    FREE,
    MARKS,
    Count,
    Counts,
    Some,
    TrainingSpec,
    connected,
    run_training,
)
from sparsewire.experiments.predefined.sources import Source, images
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Note
from sparsewire.models.zoo import conv_cifar, conv_mnist


class ConvolutionalSpec(TrainingSpec):
    """A convolutional network whose connected layers may be sparse.

    Args:
        data: the images.
        images: of the training images so many; 0: all.
        test_images: of the test images so many; 0: all.
        hidden: neurons of the connected layers between the last map and the outputs.
        outputs: those beyond the classes are never a label, and stay in the softmax.
    """

    data: Source
    images: Some = 0
    test_images: Some = 0
    hidden: Counts
    outputs: Count


class CifarSpec(ConvolutionalSpec):
    """The paper's CIFAR network.

    Args:
        filters: of its convolutions, in pairs.
        momentum: of the normalisation's running statistics, PyTorch's meaning; Keras' 0.99 is 0.01.
    """

    filters: Counts = (64, 64, 128, 128, 256, 256)
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.01


@dataclass(frozen=True)
class Question:
    """What a figure is said to show.

    Args:
        figure: its name.
        margin: by how many points a sparse network may be worse than the full one to count as equal.
        equal: which fan-outs are said to be equal to the full network in the end; None: all.
        is_ahead: whether sparse networks are said to be ahead after the first epoch.
    """

    figure: str
    margin: float
    equal: tuple[tuple[int, ...], ...] | None = None
    is_ahead: bool = False


def run_convolutional(spec: ConvolutionalSpec, trial: Trial) -> None:
    """Trains one network; the accuracy after every epoch is what the figures show."""
    data = images(spec.data, spec.images, spec.test_images)
    model = _network(spec, data.input_shape)
    run_training(model, connected(model, spec, trial), data, spec, trial, _name(spec))


def curves(outcomes: Sequence[Outcome], question: Question) -> tuple[Block, ...]:
    """Accuracy over the epochs, the best after 1, 5 and 30, and the claims: a set for each number of layers."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "fan_outs", *FREE, name=_name).items():
        groups = by_fan_outs(family)
        blocks += [
            Chart(
                f"{question.figure}: {label}",
                "Test accuracy after each epoch, by density of the connected layers and fan-outs.",
                "epoch",
                "test accuracy, %",
                tuple(series(name, [accuracies(outcome) for outcome in group]) for name, group in groups.items()),
            ),
            _bests(label, groups),
            ClaimTable(f"Does it cost accuracy? {label}", tuple(_claims(groups, question)), _about(question)),
        ]
        if note := _reduced(family[0].spec):  # type: ignore[arg-type]
            blocks.append(Note(f"{label}: {note}"))
    return tuple(blocks)


def _network(spec: ConvolutionalSpec, shape: Sequence[int]) -> nn.Module:
    channels, side = shape[0], shape[1]
    if isinstance(spec, CifarSpec):
        return conv_cifar(
            spec.hidden, spec.outputs, channels=channels, filters=spec.filters, side=side, momentum=spec.momentum
        )
    return conv_mnist(spec.hidden, spec.outputs, channels=channels, side=side)


def _claims(groups: dict[str, list[Outcome]], question: Question) -> list[Claim]:
    full, claims = groups.get("100 % (FC)", []), []
    # Differences of one seed may be judged in shorter trainings and with fewer images too, but not of other data.
    free = ("fan_outs", "hidden", "epochs", "images", "test_images", "momentum", *FREE)
    for name, group in groups.items():
        fan_outs = group[0].spec.fan_outs  # type: ignore[attr-defined]
        if not fan_outs or not full:
            continue
        zero = 0.0 if as_published(group[0].spec, *free) else None
        if question.equal is None or fan_outs in question.equal:
            ours = paired(group, full, best)
            claims.append(
                Claim(f"FC − {name}, best of all epochs", zero, ours, question.margin, "points", 2, "at_most", True)
            )
        if question.is_ahead:
            ours = paired(full, group, lambda outcome: outcome.metrics["best after 1"])
            claims.append(Claim(f"{name} − FC, after epoch 1", zero, ours, 0.0, "points", 2, "at_least", True))
    return claims


def _bests(label: str, groups: dict[str, list[Outcome]]) -> Grid:
    """Figure 1 (c) and (f) as a table."""
    rows = []
    marks = [
        mark for mark in MARKS if any(f"best after {mark}" in o.metrics for group in groups.values() for o in group)
    ]
    for name, group in groups.items():
        cells = [mean_and_spread([o.metrics[f"best after {mark}"] for o in group if f"best after {mark}" in o.metrics])
                 for mark in marks]  # fmt: skip
        seconds = fmean(outcome.metrics["seconds of training"] for outcome in group)
        rows.append((name, *cells, mean_and_spread([best(outcome) for outcome in group]), f"{seconds:,.0f}"))
    columns = ("density", *(f"best after {mark}, %" for mark in marks), "best of all, %", "training, s")
    return Grid(f"Best test accuracy, {label}", columns, tuple(rows), "Mean ± sample standard deviation over seeds.")


def _about(question: Question) -> str:
    return (
        f"Differences of one seed, which are judged by their 95 % interval over the seeds; {question.margin:g} "
        f"{'point counts' if question.margin == 1 else 'points count'} as nothing."
    )


def _reduced(spec: ConvolutionalSpec) -> str:
    """What is not as in the paper, in a sentence; empty where nothing is."""
    parts = []
    if spec.images:
        parts.append(f"{spec.images:,} training images")
    if spec.test_images:
        parts.append(f"{spec.test_images:,} test images")
    if spec.epochs != type(spec).model_fields["epochs"].default:
        parts.append(f"{spec.epochs} epochs")
    return f"only {', '.join(parts)}; the paper has all images and 30 epochs." if parts else ""


def _name(spec: TrainingSpec) -> str:
    return f"conv+{len(spec.hidden) + 1}CLs"  # type: ignore[attr-defined]
