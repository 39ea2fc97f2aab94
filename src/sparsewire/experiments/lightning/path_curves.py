"""The lightning paper, Figure 3: of the k strongest edges of an untrained network, how many lie on complete paths?"""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

import numpy as np
import torch
from pydantic import Field

from sparsewire.analysis.paths import complete_path_fraction
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.setup import SOURCE, Hidden, Source, as_published, by_spec, network
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section
from sparsewire.lab.spec import Spec
from sparsewire.models import initialize

NAME: Final = "lightning.path_curves"
Initialization = Literal[
    "glorot_uniform", "he_uniform", "lecun_uniform", "glorot_normal", "he_normal", "lecun_normal", "truncated_normal"
]
SCALED_UNIFORM: tuple[Initialization, ...] = ("glorot_uniform", "he_uniform", "lecun_uniform")
ALL: tuple[Initialization, ...] = (*SCALED_UNIFORM, "glorot_normal", "he_normal", "lecun_normal", "truncated_normal")


class PathCurveSpec(Spec):
    """The whole curve, every k, averaged over draws of one initialisation."""

    experiment: Literal["lightning.path_curves"] = NAME
    data: Source = "mnist"
    hidden: Hidden = (300, 100)
    initialization: Initialization = "glorot_uniform"
    draws: int = Field(default=250, ge=2)


def specs(scale: Scale) -> Sequence[PathCurveSpec]:
    """250 draws of each initialisation, as in the paper; at smoke scale a few of two, on a small network."""
    if scale == "smoke":
        return [
            PathCurveSpec(data=SOURCE[scale], hidden=(30, 20), initialization=name, draws=5)
            for name in ("glorot_uniform", "glorot_normal")
        ]
    return [PathCurveSpec(initialization=name) for name in ALL]


def initialize_(model: torch.nn.Module, name: Initialization, generator: torch.Generator) -> torch.nn.Module:
    """The initialisation by its name; the truncated normal has the paper's standard deviation of 0.1."""
    if name == "truncated_normal":
        return initialize.truncated_normal_(model, 0.1, generator=generator)
    draw: torch.nn.Module = getattr(initialize, f"{name}_")(model, generator=generator)
    return draw


def run(spec: PathCurveSpec, trial: Trial) -> None:
    """Keeps the mean and the standard deviation of the curve over the draws, for every k."""
    model, generator = network(spec.data, spec.hidden), trial.generator("weights")
    edges = sum(weight.numel() for name, weight in model.named_parameters() if name.endswith("weight"))
    counts = np.arange(1, edges + 1)
    total, squares = np.zeros(edges), np.zeros(edges)
    for draw in range(spec.draws):
        curve = complete_path_fraction(initialize_(model, spec.initialization, generator), counts)
        total += curve
        squares += curve**2
        trial.report((draw + 1) / spec.draws, spec.initialization)
    mean = total / spec.draws
    spread = np.sqrt(np.maximum(squares / spec.draws - mean**2, 0) * spec.draws / (spec.draws - 1))
    trial.keep("curve", {"mean": mean.astype(np.float32), "std": spread.astype(np.float32)})
    # Where the mean leaves 0.01 for good, and where it reaches 0.99.
    first, last = int(np.argmax(mean >= 0.01)) + 1, int(np.argmax(mean >= 0.99)) + 1
    trial.record("first", first)
    trial.record("last", last)
    trial.record("width", 100 * (last - first) / edges)
    for count in (1_000, 10_000, 11_500, 12_000, 13_000, 14_000):
        if count <= edges:
            trial.record(f"share at {count}", float(mean[count - 1]))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 3, and the two statements that the text makes of it."""
    groups = by_spec(outcomes, lambda spec: _plain(spec.initialization))  # type: ignore[attr-defined]
    blocks: list[Block] = [
        Chart(
            "Figure 3",
            "Share of the k strongest edges that lie on a complete path from an input to an output; mean over draws.",
            "strongest edges",
            "share on complete paths",
            tuple(_curve(name, group) for name, group in groups.items()),
            log_x=True,
            band="std",
        )
    ]
    uniform = {
        name: group
        for name, group in groups.items()
        if as_published(group[0].spec, "initialization", "draws") and group[0].spec.initialization in SCALED_UNIFORM  # type: ignore[attr-defined]
    }
    claims = [
        *(
            Claim(f"share at 10,000 edges, {name}", 0.0, _values(group, "share at 10000"), 0.01, digits=3)
            for name, group in uniform.items()
        ),
        *(
            Claim(f"width of the step, {name}", 0.75, _values(group, "width"), 0.25, unit="%")
            for name, group in uniform.items()
        ),
    ]
    if claims:
        note = (
            "Width: from the k with a share of 1 % to that with 99 %, in percent of all edges. The paper's sharp step "
            "is a property of uniform initialisations that are scaled by layer: it is where the bound of the first "
            "layer is crossed. Normal ones rise slowly, as the table below shows."
        )
        blocks.append(ClaimTable("What the text says of Figure 3", tuple(claims), note))
    counts = sorted(
        {int(metric.split()[-1]) for outcome in outcomes for metric in outcome.metrics if metric.startswith("share at")}
    )
    rows = [
        (name, *(_mean(group, f"share at {count}") for count in counts), _mean(group, "width"))
        for name, group in groups.items()
    ]
    columns = ("initialisation", *(f"k = {count:,}" for count in counts), "width, %")
    blocks.append(Grid("Share on complete paths", columns, tuple(rows)))
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "An untrained network's strongest edges, taken alone, connect nothing; then, over a short stretch, everything.",
        tuple(blocks),
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _curve(name: str, outcomes: Sequence[Outcome]) -> Series:
    """The mean over all draws and their standard deviation; that of a seed is over its draws, several are pooled."""
    kept = [outcome.arrays("curve") for outcome in outcomes]
    draws = sum(outcome.spec.draws for outcome in outcomes)  # type: ignore[attr-defined]
    mean = np.stack([one["mean"] for one in kept]).mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.stack([one["std"] ** 2 for one in kept]).mean(axis=0, dtype=np.float64))
    shown = np.unique(np.geomspace(max(len(mean) / 300, 1), len(mean), 400).astype(int))
    middle, aside = mean[shown - 1], spread[shown - 1]
    return Series(name, tuple(shown), tuple(middle), tuple(middle - aside), tuple(middle + aside), draws)


def _values(outcomes: Sequence[Outcome], metric: str) -> tuple[float, ...]:
    return tuple(outcome.metrics[metric] for outcome in outcomes if metric in outcome.metrics)


def _mean(outcomes: Sequence[Outcome], metric: str) -> float | None:
    values = _values(outcomes, metric)
    return fmean(values) if values else None


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=PathCurveSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 1, "full": 1},
    trial=run,
    findings=findings,
)
