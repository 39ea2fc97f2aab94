"""The lightning paper, Figure 4: while a network learns, its strongest edges come to lie on complete paths."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from sparsewire.analysis.paths import complete_path_fraction
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.setup import (
    SOURCE,
    Hidden,
    Source,
    as_published,
    by_spec,
    glorot,
    load,
    network,
    train,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Section
from sparsewire.lab.spec import Spec

NAME: Final = "lightning.path_training"


class PathTrainingSpec(Spec):
    """One network from a Glorot-uniform start; the share on complete paths at the start and after every epoch."""

    experiment: Literal["lightning.path_training"] = NAME
    data: Source = "mnist"
    hidden: Hidden = (300, 100)
    epochs: int = Field(default=30, ge=1)
    rate: float = Field(default=0.05, gt=0)
    edges: tuple[Annotated[int, Field(ge=1)], ...] = (1_000, 10_000)


def specs(scale: Scale) -> Sequence[PathTrainingSpec]:
    """The paper's own setup; at smoke scale a small network on digits."""
    if scale == "smoke":
        return [PathTrainingSpec(data=SOURCE[scale], hidden=(30, 20), epochs=3, edges=(50, 200))]
    return [PathTrainingSpec()]


def run(spec: PathTrainingSpec, trial: Trial) -> None:
    """Trains one network and records both shares beside the accuracy."""
    model = glorot(network(spec.data, spec.hidden), trial)

    def record(epoch: int) -> None:
        for edges, share in zip(spec.edges, complete_path_fraction(model, spec.edges), strict=True):
            trial.record(f"share at {edges}", float(share), step=epoch)
        trial.report(epoch / spec.epochs, f"epoch {epoch}")

    record(0)
    train(model, load(spec.data), spec.epochs, trial, rate=spec.rate, on_epoch=lambda epoch, *_: record(epoch))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 4, one picture for each number of edges, and whether the share rises as the paper says."""
    charts, claims = [], []
    for label, edges, group in _curves(outcomes):
        charts.append(
            Chart(
                f"Figure 4: {label}",
                "A point an epoch, a marker a seed.",
                f"share of the {edges:,} strongest edges on complete paths",
                "test accuracy, %",
                tuple(_way(outcome, edges) for outcome in group),
                kind="points",
                value_label="epoch",
            )
        )
        rises = tuple(
            outcome.series[f"share at {edges}"][-1][1] - outcome.series[f"share at {edges}"][0][1] for outcome in group
        )
        # "More than nothing" is one edge; at least 0 would hold for a share that stays where it is.
        least = 1 / edges if as_published(group[0].spec, "edges") else None
        claims.append(
            Claim(f"rise from the start to the last epoch, {label}", least, rises, 0.0, digits=4, kind="at_least")
        )
    note = "The paper says that the share rises and names no number, so that the claim is: by one edge at least."
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Nobody tells the optimizer about paths, and yet it lays the strongest edges along them.",
        (*charts, ClaimTable("Does the share rise?", tuple(claims), note)),
    )


def _way(outcome: Outcome, edges: int) -> Series:
    """Where one seed's training leads: share and accuracy after each epoch."""
    shares, accuracies = dict(outcome.series[f"share at {edges}"]), dict(outcome.series["accuracy"])
    epochs = sorted(accuracies)
    xs, ys = ([of[epoch] for epoch in epochs] for of in (shares, accuracies))
    return Series(f"seed {outcome.seed}", tuple(xs), tuple(ys), moments=tuple(epochs))


def _curves(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, int, list[Outcome]]]:
    """What each picture is about: its name, how many edges, and the seeds of one spec."""
    for run, group in by_spec(outcomes).items():
        spec: PathTrainingSpec = group[0].spec  # type: ignore[assignment]
        for edges in spec.edges:
            yield ", ".join(filter(None, (f"{edges:,} edges", run))), edges, group


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=PathTrainingSpec,
    specs=specs,
    seeds={"smoke": 2, "desk": 5, "full": 5},
    trial=run,
    findings=findings,
)
