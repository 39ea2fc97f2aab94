"""The lightning paper, Tables 1 and 2: what of a trained network is in the signs of its strongest edges?

A parent is trained; of its strongest edges only the sign is kept; a child starts from ±0.1 at these edges, has no
others, and is trained in the same way. How many edges end with another sign, how alike are the weights, how good is the
child?
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final, Literal

from pydantic import Field

from sparsewire.analysis.change import connection_changes, type_correlation, weight_correlation
from sparsewire.analysis.paths import sparse_graph
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
    places,
    train,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Grid, Section
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import signed_constant_
from sparsewire.structure.masks import Masks

NAME: Final = "lightning.rebuild"

# Active fraction → percent of changed connections, hidden 0, hidden 1, output, over all (Table 1).
CHANGES = {
    0.1: (6.30, 3.40, 3.39, 4.82),
    0.2: (0.31, 0.27, 1.15, 0.32),
    0.3: (0.00, 0.02, 1.00, 0.02),
    0.4: (0.00, 0.00, 0.22, 0.00),
    0.5: (0.00, 0.00, 0.22, 0.00),
}
# … → Pearson's r between parent and child (Table 2).
CORRELATIONS = {
    0.1: (0.968, 0.983, 0.983, 0.976),
    0.2: (0.998, 0.999, 0.994, 0.998),
    0.3: (1.0, 1.0, 0.995, 1.0),
    0.4: (1.0, 1.0, 0.999, 1.0),
    0.5: (1.0, 1.0, 0.999, 1.0),
}
# … → best accuracy of the child, percent (both tables); the parent's below them.
ACCURACIES = {0.1: 97.71, 0.2: 98.01, 0.3: 98.00, 0.4: 97.98, 0.5: 97.98}
PARENT = 98.12
ABOUT_CHANGES = (
    "Edges that were active in the parent and are, by the parent's threshold, of another type in the trained child. "
    "Tolerance: one percentage point, or half of the published rate where that is more."
)
ABOUT_CORRELATION = (
    "Of the types +1, 0, -1. The paper speaks of weights, but each of its 20 figures is √(1 - f) of the rate f in "
    "Table 1: the correlation of types that became inactive. Tolerance: 0.02."
)


class RebuildSpec(Spec):
    """One parent and a child for each active fraction."""

    experiment: Literal["lightning.rebuild"] = NAME
    data: Source = "mnist"
    hidden: Hidden = (300, 100)
    epochs: int = Field(default=30, ge=1)
    rate: float = Field(default=0.05, gt=0)
    active: tuple[float, ...] = tuple(CHANGES)
    constant: float = Field(default=0.1, gt=0)


def specs(scale: Scale) -> Sequence[RebuildSpec]:
    """The paper's own setup; at smoke scale a small network on digits."""
    if scale == "smoke":
        return [RebuildSpec(data=SOURCE[scale], hidden=(30, 20), epochs=2, active=(0.2, 0.5))]
    return [RebuildSpec()]


def run(spec: RebuildSpec, trial: Trial) -> None:
    """Trains the parent, then rebuilds and trains a child for each active fraction."""
    data = load(spec.data)
    parent = glorot(network(spec.data, spec.hidden), trial)
    train(parent, data, spec.epochs, trial, "parent ", rate=spec.rate)
    for done, active in enumerate(spec.active, start=1):
        trial.report(done / (len(spec.active) + 1), f"child with {active:.0%} of the edges")
        # The threshold is global over the dense layers: a tenth of all edges, not of each layer's.
        strong = sparse_graph(parent, active)
        child = signed_constant_(network(spec.data, spec.hidden), strong.graph, constant=spec.constant)
        train(child, data, spec.epochs, trial, f"{active:.0%} ", rate=spec.rate, masks=Masks.from_weights(child))
        measures = {
            "changes": connection_changes(strong.graph, child, strong.threshold),
            "correlation": type_correlation(strong.graph, child, strong.threshold),
            "sign changes": connection_changes(strong.graph, child),
            "weight correlation": weight_correlation(strong.graph, child),
        }
        for measure, found in measures.items():
            for place, value in zip(places(spec.hidden), found.values(), strict=True):
                trial.record(f"{active:.0%} {measure} {place}", value)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Tables 1 and 2 with the paper's numbers, and the accuracy of each network over the epochs."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Of a trained parent only the signs of the strongest edges are kept. A child grows from them, has no other "
        "edges, and is trained as its parent was.",
        tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group)),
    )


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[ClaimTable | Grid | Chart]:
    """The findings of one spec; `label` tells it from others of the same report."""
    spec: RebuildSpec = outcomes[0].spec  # type: ignore[assignment]
    networks = ("parent", *(f"{active:.0%}" for active in spec.active))
    curves = tuple(series(name, [_points(outcome, f"{name} accuracy") for outcome in outcomes]) for name in networks)
    blocks = (
        _accuracies(spec, outcomes),
        ClaimTable("Table 1: changed connections", tuple(_claims(spec, outcomes, "changes")), ABOUT_CHANGES),
        ClaimTable("Table 2: Pearson correlation", tuple(_claims(spec, outcomes, "correlation")), ABOUT_CORRELATION),
        _by_weight(spec, outcomes),
        Chart(
            "Accuracy while training",
            "Test accuracy after each epoch, of the parent and of its children by active fraction.",
            "epoch",
            "test accuracy, %",
            curves,
        ),
    )
    return [replace(block, title=f"{block.title}, {label}" if label else block.title) for block in blocks]


def _accuracies(spec: RebuildSpec, outcomes: Sequence[Outcome]) -> ClaimTable:
    published = ACCURACIES if as_published(spec, "active") else {}
    rows = {"parent": ("parent", PARENT if published else None)}
    rows |= {f"child, {active:.0%} active": (f"{active:.0%}", published.get(active)) for active in spec.active}
    claims = [
        Claim(label, number, _values(outcomes, f"{name} best_accuracy"), tolerance=0.3, unit="%")
        for label, (name, number) in rows.items()
    ]
    return ClaimTable("Best test accuracy", tuple(claims), "Tolerance: 0.3 points; the paper's are single runs.")


def _claims(spec: RebuildSpec, outcomes: Sequence[Outcome], measure: str) -> Iterator[Claim]:
    """The cells of Table 1 ("changes", in percent) or 2 ("correlation"), row by row."""
    table = {"changes": CHANGES, "correlation": CORRELATIONS}[measure] if as_published(spec, "active") else {}
    found = places(spec.hidden)
    for active in spec.active:
        numbers = table.get(active, ())
        for index, place in enumerate(found):
            published = numbers[index] if numbers else None
            label, values = f"{active:.0%} active, {place}", _values(outcomes, f"{active:.0%} {measure} {place}")
            if measure == "correlation":
                yield Claim(label, published, values, tolerance=0.02, digits=3)
            else:
                percent = tuple(100 * value for value in values)
                yield Claim(label, published, percent, tolerance=max(1.0, (published or 0) / 2), unit="%")


def _by_weight(spec: RebuildSpec, outcomes: Sequence[Outcome]) -> Grid:
    """What the text, taken by the word, would mean: signs alone, and the weights themselves."""
    rows = []
    for active in spec.active:
        signs, weights = (
            fmean(_values(outcomes, f"{active:.0%} {measure} over all"))
            for measure in ("sign changes", "weight correlation")
        )
        rows.append((f"{active:.0%}", f"{100 * signs:.3f}", f"{weights:.3f}"))
    columns = ("active", "edges whose sign turned, %", "correlation of the weights")
    return Grid("The same by signs and by weights, over all", columns, tuple(rows), "Mean over seeds.")


def _values(outcomes: Sequence[Outcome], metric: str) -> tuple[float, ...]:
    return tuple(outcome.metrics[metric] for outcome in outcomes if metric in outcome.metrics)


def _points(outcome: Outcome, name: str) -> tuple[list[int], list[float]]:
    points = outcome.series.get(name, ())
    return [step for step, _ in points], [value for _, value in points]


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RebuildSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 5},
    trial=run,
    findings=findings,
)
