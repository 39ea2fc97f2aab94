"""A child from the signs of its parent's strongest edges: how it is made, measured and compared with the paper's.

What Tables 1 and 2 (MNIST) and Tables 5 to 8 (CIFAR-10) of the lightning paper share. The metrics of a child are named
"{prefix}{active:.0%} {measure} {place}".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import nn

from sparsewire.analysis.change import connection_changes, type_correlation, weight_correlation
from sparsewire.analysis.paths import SparseGraph
from sparsewire.experiments.lightning.recorded import curve, numbers
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Grid
from sparsewire.models.initialize import signed_constant_
from sparsewire.structure.masks import Masks

ABOUT_CHANGES = (
    "Edges that were active in the parent and are, by the parent's threshold, of another type in the trained child. "
)


@dataclass(frozen=True)
class Published:
    """The paper's numbers of one parent and its children, and how far ours may be from them.

    Args:
        parent: its best accuracy, percent.
        accuracies: active fraction → best accuracy of the child, percent.
        changes: … → percent of changed connections, layer by layer and over all.
        correlations: … → Pearson's r between parent and child, likewise.
        accuracy_tolerance: in points.
        change_tolerance: in points; half of the published rate where that is more.
        correlation_tolerance: of r.
    """

    parent: float
    accuracies: Mapping[float, float]
    changes: Mapping[float, tuple[float, ...]]
    correlations: Mapping[float, tuple[float, ...]]
    accuracy_tolerance: float
    change_tolerance: float
    correlation_tolerance: float


@dataclass(frozen=True)
class Tables:
    """What is shown of the children of one kind.

    Args:
        places: the dense layers and "over all", as the paper names them.
        active: the children's active fractions.
        titles: of the table of changes and of the table of correlations.
        about: what to say below each of the two, and below the accuracies.
        published: the paper's setup and numbers; its tolerances hold for all.
        compared: whether the setup is the paper's, so that its numbers may stand beside ours.
        prefix: what the names of the children's metrics begin with.
    """

    places: tuple[str, ...]
    active: tuple[float, ...]
    titles: tuple[str, str]
    about: tuple[str, str, str]
    published: Published
    compared: bool
    prefix: str = ""

    def name(self, active: float) -> str:
        """What the names of a child's metrics begin with."""
        return f"{self.prefix}{active:.0%}"

    def blocks(self, outcomes: Sequence[Outcome]) -> tuple[ClaimTable | Grid | Chart, ...]:
        """Accuracies, changes, correlations, the same measured otherwise, and the course of the trainings."""
        networks = {"parent": "parent", **{f"{active:.0%}": self.name(active) for active in self.active}}
        curves = tuple(
            series(label, [curve(outcome, f"{name} accuracy") for outcome in outcomes])
            for label, name in networks.items()
        )
        return (
            ClaimTable("Best test accuracy", tuple(self._accuracies(outcomes)), self.about[2]),
            ClaimTable(self.titles[0], tuple(self._changes(outcomes)), self.about[0]),
            ClaimTable(self.titles[1], tuple(self._correlations(outcomes)), self.about[1]),
            self._by_weight(outcomes),
            Chart(
                "Accuracy while training",
                "Test accuracy after each epoch, of the parent and of its children by active fraction.",
                "epoch",
                "test accuracy, %",
                curves,
            ),
        )

    def _accuracies(self, outcomes: Sequence[Outcome]) -> Iterator[Claim]:
        numbers_of = self.published.accuracies if self.compared else {}
        rows = [("parent", "parent", self.published.parent if self.compared else None)]
        rows += [(f"child, {active:.0%} active", self.name(active), numbers_of.get(active)) for active in self.active]
        for label, name, published in rows:
            found = numbers(outcomes, f"{name} best_accuracy")
            yield Claim(label, published, found, tolerance=self.published.accuracy_tolerance, unit="%")

    def _changes(self, outcomes: Sequence[Outcome]) -> Iterator[Claim]:
        for label, published, found in self._cells(outcomes, "changes", self.published.changes):
            percent = tuple(100 * value for value in found)
            tolerance = max(self.published.change_tolerance, (published or 0) / 2)
            yield Claim(label, published, percent, tolerance=tolerance, unit="%")

    def _correlations(self, outcomes: Sequence[Outcome]) -> Iterator[Claim]:
        for label, published, found in self._cells(outcomes, "correlation", self.published.correlations):
            yield Claim(label, published, found, tolerance=self.published.correlation_tolerance, digits=3)

    def _cells(
        self, outcomes: Sequence[Outcome], measure: str, table: Mapping[float, tuple[float, ...]]
    ) -> Iterator[tuple[str, float | None, tuple[float, ...]]]:
        """Row by row: what a cell is called, the published number, and ours."""
        for active in self.active:
            row = table.get(active, ()) if self.compared else ()
            for index, place in enumerate(self.places):
                found = numbers(outcomes, f"{self.name(active)} {measure} {place}")
                yield f"{active:.0%} active, {place}", row[index] if row else None, found

    def _by_weight(self, outcomes: Sequence[Outcome]) -> Grid:
        """What the text, taken by the word, would mean: signs alone, and the weights themselves."""
        rows = []
        for active in self.active:
            signs, weights = (
                fmean(numbers(outcomes, f"{self.name(active)} {measure} over all"))
                for measure in ("sign changes", "weight correlation")
            )
            rows.append((f"{active:.0%}", f"{100 * signs:.3f}", f"{weights:.3f}"))
        columns = ("active", "edges whose sign turned, %", "correlation of the weights")
        return Grid("The same by signs and by weights, over all", columns, tuple(rows), "Mean over seeds.")


def rebuild_(child: nn.Module, strong: SparseGraph, constant: float) -> Masks:
    """Makes the child's dense layers what the parent's signs say; gives the masks to train it with.

    Args:
        child: of the parent's sizes; its dense weights become ±`constant` or zero, their biases zero, and all other
            layers stay.
        strong: the parent's strongest edges. Its threshold is global over the dense layers: a tenth of all edges, not
            of each layer's.
        constant: the magnitude of all weights.
    """
    signed_constant_(child, strong.graph, constant=constant)
    return strong.masks()


def record_measures(trial: Trial, name: str, strong: SparseGraph, child: nn.Module, places: Sequence[str]) -> None:
    """Records how far the trained child is from its parent, layer by layer and over all."""
    measures = {
        "changes": connection_changes(strong.graph, child, strong.threshold),
        "correlation": type_correlation(strong.graph, child, strong.threshold),
        "sign changes": connection_changes(strong.graph, child),
        "weight correlation": weight_correlation(strong.graph, child),
    }
    for measure, found in measures.items():
        for place, value in zip(places, found.values(), strict=True):
            trial.record(f"{name} {measure} {place}", value)
