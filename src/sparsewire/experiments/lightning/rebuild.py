"""The lightning paper, Tables 1 and 2: what of a trained network is in the signs of its strongest edges?

A parent is trained; of its strongest edges only the sign is kept; a child starts from ±0.1 at these edges, has no
others, and is trained in the same way. How many edges end with another sign, how alike are the weights, how good is the
child?
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from pydantic import Field

from sparsewire.analysis.paths import sparse_graph
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.rebuilding import ABOUT_CHANGES, Published, Tables, rebuild_, record_measures
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
from sparsewire.lab.reporting.findings import Block, Section
from sparsewire.lab.spec import Spec

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
ABOUT = (
    ABOUT_CHANGES + "Tolerance: one percentage point, or half of the published rate where that is more.",
    "Of the types +1, 0, -1. The paper speaks of weights, but each of its 20 figures is √(1 - f) of the rate f in "
    "Table 1: the correlation of types that became inactive. Tolerance: 0.02.",
    "Tolerance: 0.3 points; the paper's are single runs.",
)
PUBLISHED = Published(PARENT, ACCURACIES, CHANGES, CORRELATIONS, 0.3, 1.0, 0.02)
TITLES = ("Table 1: changed connections", "Table 2: Pearson correlation")


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
        strong = sparse_graph(parent, active)
        child = network(spec.data, spec.hidden)
        masks = rebuild_(child, strong, spec.constant)
        train(child, data, spec.epochs, trial, f"{active:.0%} ", rate=spec.rate, masks=masks)
        record_measures(trial, f"{active:.0%}", strong, child, places(spec.hidden))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Tables 1 and 2 with the paper's numbers, and the accuracy of each network over the epochs."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Of a trained parent only the signs of the strongest edges are kept. A child grows from them, has no other "
        "edges, and is trained as its parent was.",
        tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group)),
    )


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    """The findings of one spec; `label` tells it from others of the same report."""
    spec: RebuildSpec = outcomes[0].spec  # type: ignore[assignment]
    tables = Tables(places(spec.hidden), spec.active, TITLES, ABOUT, PUBLISHED, as_published(spec, "active"))
    blocks = tables.blocks(outcomes)
    return [replace(block, title=f"{block.title}, {label}" if label else block.title) for block in blocks]


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
