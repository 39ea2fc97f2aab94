"""The paper on pre-defined sparsity, Figure 2 (c): networks of connected layers alone on MNIST, by size and density."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal

from pydantic import Field

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, families, paired
from sparsewire.experiments.predefined.readings import best, by_density
from sparsewire.experiments.predefined.setup import (
    FREE,
    Count,
    Counts,
    Some,
    TrainingSpec,
    connected,
    run_training,
)
from sparsewire.experiments.predefined.sources import Source, images
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Note, Section
from sparsewire.models.zoo import mlp

NAME: Final = "predefined.mnist"
MARGIN: Final = 0.3  # points of accuracy that count as nothing: what single runs of such networks differ by

# Hidden neurons → fan-outs of the first junction; the second one, of ten outputs, keeps all of its connections. 28 are
# the circled points: 224 at 12.5 %, 112 at 25 %, 56 at 50 %, 28 at 100 % have about as many connections each.
FIRST_FAN_OUTS: Final = {224: (4, 14, 28, 56, 112), 112: (4, 14, 28, 56), 56: (7, 14, 28), 28: (7, 14)}
CIRCLED: Final = {224: (28, 10), 112: (28, 10), 56: (28, 10), 28: ()}
SINGLE: Final = (1, 2, 4, 8)  # fan-outs of 1024-16


class MnistSpec(TrainingSpec):
    """784-x-10, or 1024-16, whose images have a border of zeros and whose last six outputs are never a label."""

    experiment: Literal["predefined.mnist"] = NAME
    data: Source = "mnist"
    images: Some = 0
    sizes: Counts = (784, 224, 10)
    epochs: Count = 100
    penalty: float = Field(default=8e-5, ge=0)


def specs(scale: Scale) -> Sequence[MnistSpec]:
    """Four widths and the single junction at several densities, 23 networks; full: 100 epochs; desk: 50.

    On one thread an epoch takes from 0.2 s (784-28-10) to 1.3 s (784-224-10, full), 8 s over all networks, so six
    seeds take 20 minutes at desk scale on two cores.
    """
    if scale == "smoke":
        small = MnistSpec(data="digits", sizes=(64, 32, 10), epochs=1, execution="masked")
        return [small.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), (16, 10), (4, 10))]
    epochs = 100 if scale == "full" else 50
    found = [
        MnistSpec(sizes=(784, hidden, 10), fan_outs=fan_outs, epochs=epochs)
        for hidden, firsts in FIRST_FAN_OUTS.items()
        for fan_outs in (*((first, 10) for first in firsts), ())
    ]
    single = [MnistSpec(sizes=(1024, 16), fan_outs=(fan_out,), epochs=epochs) for fan_out in SINGLE]
    return [*found, *single, MnistSpec(sizes=(1024, 16), epochs=epochs)]


def run(spec: MnistSpec, trial: Trial) -> None:
    """Trains one network; its best accuracy is what counts."""
    data = images(spec.data, spec.images, 0, math.isqrt(spec.sizes[0])).flat()
    model = mlp(spec.sizes)
    run_training(model, connected(model, spec, trial), data, spec, trial, _name(spec))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 2 (c): half of the connections for nothing, and large and sparse before small and dense."""
    networks = families(outcomes, "fan_outs", *FREE, name=_name)
    chart = Chart(
        "Figure 2 (c)",
        "Best test accuracy of any epoch; a line for each network.",
        "density of all connections, %",
        "test accuracy, %",
        tuple(by_density(name, group, log_x=True) for name, group in networks.items()),
        log_x=True,
    )
    halves = ClaimTable(
        "Half of the connections",
        tuple(claim for name, group in networks.items() for claim in _half(name, group)),
        f"FC − half, seed by seed, judged by the 95 % interval; {MARGIN} points count as nothing. Half: of the first "
        "junction.",
    )
    setups = families(outcomes, "sizes", "fan_outs", *FREE)
    circled = ClaimTable(
        "Large and sparse or small and dense",
        tuple(claim for setup, group in setups.items() for claim in _circled(setup, group)),
        "Networks with about as many connections (the circled points of the figure), each against the next smaller "
        "one, seed by seed, judged by the 95 % interval.",
    )
    blocks = tuple(table for table in (halves, circled) if table.claims)
    notes = tuple(Note(text) for text in {_shortened(outcome) for outcome in outcomes} if text)
    intro = "Handwritten digits without convolutions before the connected layers."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (chart, *blocks, *notes))


def _half(name: str, outcomes: Sequence[Outcome]) -> Iterator[Claim]:
    full = [outcome for outcome in outcomes if not outcome.spec.fan_outs]  # type: ignore[attr-defined]
    half = [outcome for outcome in outcomes if _is_half(outcome.spec)]  # type: ignore[arg-type]
    if full and half:
        zero = 0.0 if _is_comparable(half) else None
        yield Claim(f"FC − half, {name}", zero, paired(half, full, best), MARGIN, "points", 2, "at_most", True)


def _is_half(spec: MnistSpec) -> bool:
    return bool(spec.fan_outs) and 2 * spec.fan_outs[0] == spec.sizes[1]


def _circled(setup: str, outcomes: Sequence[Outcome]) -> Iterator[Claim]:
    """The chain of comparisons, and its two ends, among trials of one length."""
    points: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        spec: MnistSpec = outcome.spec  # type: ignore[assignment]
        if len(spec.sizes) == 3 and CIRCLED.get(spec.sizes[1]) == spec.fan_outs and _is_comparable([outcome]):
            points.setdefault(spec.sizes[1], []).append(outcome)
    widths = sorted(points, reverse=True)
    pairs = [*pairwise(widths), *([(widths[0], widths[-1])] if len(widths) > 2 else [])]
    for large, small in pairs:
        label = f"{large} hidden at {2800 / large:.3g} % − {small} at {2800 / small:.3g} %"
        label += f", {setup}" if setup else ""
        ours = paired(points[small], points[large], best)
        yield Claim(label, 0.0, ours, 0.0, "points", 2, "at_least", True)


def _is_comparable(outcomes: Sequence[Outcome]) -> bool:
    return all(as_published(outcome.spec, "sizes", "fan_outs", "epochs", "images", *FREE) for outcome in outcomes)


def _shortened(outcome: Outcome) -> str:
    spec: MnistSpec = outcome.spec  # type: ignore[assignment]
    usual = MnistSpec.model_fields["epochs"].default
    return "" if spec.epochs == usual else f"Trained for {spec.epochs} epochs; in the paper for {usual}."


def _name(spec: TrainingSpec) -> str:
    return "-".join(map(str, spec.sizes))  # type: ignore[attr-defined]


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=MnistSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 6, "full": 6},
    trial=run,
    findings=findings,
)
