"""Networks with lightning tails beside one that starts as He's: the cells of Table 4 and what is said of them.

What Table 4a (LeNet-5) and Table 4b (ResNet14d) of the lightning paper share.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

from pydantic import Field
from torch import nn

from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.lightning.cifar_setup import CifarSpec, scheduled
from sparsewire.experiments.lightning.recorded import curve, numbers
from sparsewire.experiments.lightning.setup import Lightnings
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable
from sparsewire.models.initialize import he_normal_, lightning_

HE = "He"
ABOUT_TRENDS = (
    "Differences of the best test accuracies, seed by seed, in points; at least 0 is what the text says. Judged by the "
    "95 % interval of their mean over seeds, so that few seeds or a short training may leave it open."
)


class CellSpec(CifarSpec):
    """One network from one start; "lightning" takes `lightnings` and `strength`, for the dense tail alone."""

    initialization: Literal["he", "lightning"] = "lightning"
    lightnings: Lightnings = 1000
    strength: float = Field(default=0.25, gt=0)

    @property
    def start(self) -> str:
        """Its name in tables: "He", or the lightnings and their strength."""
        return HE if self.initialization == "he" else cell(self.lightnings, self.strength)


class Trend(NamedTuple):
    """What the paper says of two groups of cells: the mean of `better` is at least that of `worse`."""

    label: str
    better: tuple[str, ...]
    worse: tuple[str, ...]


@dataclass(frozen=True)
class CellTable:
    """What is shown of the cells of one network.

    Args:
        title: of the table.
        figure: of the curves.
        free: the fields that tell the cells from each other.
        name: a spec's cell.
        published: cell → best accuracy, percent, in the paper's setup.
        tolerance: in points.
        trends: what the paper says of the cells; those are judged whose cells all occur.
        gain: (lightning's cell, He's cell) whose difference grows when the learning rate falls.
    """

    title: str
    figure: str
    free: tuple[str, ...]
    name: Callable[[CellSpec], str]
    published: Mapping[str, float]
    tolerance: float
    trends: tuple[Trend, ...]
    gain: tuple[str, str]

    def blocks(self, outcomes: Sequence[Outcome]) -> list[Block]:
        """Table, trends and curves, for each of the setups that the outcomes have."""
        specs = [outcome.spec.model_dump(exclude={*self.free, "experiment"}) for outcome in outcomes]
        differing = [name for name in specs[0] if len({spec[name] for spec in specs}) > 1]
        setups: dict[str, list[Outcome]] = {}
        for spec, outcome in zip(specs, outcomes, strict=True):
            setup = "".join(f", {name.replace('_', ' ')} {spec[name]}" for name in differing)
            setups.setdefault(setup, []).append(outcome)
        found: list[Block] = []
        for setup, group in setups.items():
            found += self._of_setup(setup, by_spec(group, self.name))  # type: ignore[arg-type]
        return found

    def _of_setup(self, suffix: str, cells: dict[str, list[Outcome]]) -> list[Block]:
        first: CellSpec = next(iter(cells.values()))[0].spec  # type: ignore[assignment]
        published = self.published if as_published(first, *self.free, "device") else {}
        accuracies = tuple(
            Claim(label, published.get(label), numbers(group, "best_accuracy"), self.tolerance, unit="%")
            for label, group in cells.items()
        )
        curves = tuple(series(label, [curve(o, "accuracy") for o in group]) for label, group in cells.items())
        what = f"Best test accuracy of {first.epochs} epochs on {first.images:,} images. "
        blocks: list[Block] = [
            ClaimTable(
                f"{self.title}{suffix}",
                accuracies,
                f"{what}Tolerance in points: {self.tolerance:g}; the paper's are single runs.",
            )
        ]
        if trends := tuple(self._trends(cells, judged=first.data == "cifar10")):
            blocks.append(ClaimTable(f"What the text says of {self.title}{suffix}", trends, ABOUT_TRENDS))
        blocks.append(
            Chart(f"{self.figure}{suffix}", "Test accuracy after each epoch.", "epoch", "test accuracy, %", curves)
        )
        return blocks

    def _trends(self, cells: dict[str, list[Outcome]], judged: bool) -> list[Claim]:
        found = [
            _trend(trend.label, _difference(cells, trend, _best), judged)
            for trend in self.trends
            if {*trend.better, *trend.worse} <= cells.keys()
        ]
        lightning, he = self.gain
        if {lightning, he} <= cells.keys():
            label = f"{lightning} − {he}: after the last epoch, more than at the end of the first learning rate"
            found.append(_trend(label, _difference(cells, Trend(label, (lightning,), (he,)), _later), judged))
        return found


def cell(lightnings: int, strength: float) -> str:
    """What a cell is called.

    Example:
        >>> cell(1000, 0.25)
        '1,000 × 0.25'
    """
    return f"{lightnings:,} × {strength:g}"


def start_(model: nn.Module, spec: CellSpec, trial: Trial) -> nn.Module:
    """He-normal weights, and where the spec says so lightnings in place of those of the dense tail.

    The convolutions of one seed start alike, whatever the tail. Hidden neurons of the tail that no lightning touches
    have no weights but zeros before and behind them, and with ReLU never get a gradient; that belongs to the method,
    and explains the paper's row of 100 lightnings.
    """
    he_normal_(model, generator=trial.generator("weights"))
    if spec.initialization == "lightning":
        lightning_(model, spec.lightnings, spec.strength, generator=trial.generator("lightnings"))
    return model


def _trend(label: str, values: tuple[float, ...], judged: bool) -> Claim:
    return Claim(label, 0.0 if judged else None, values, 0.0, unit="points", kind="at_least", by_interval=True)


def _difference(cells: dict[str, list[Outcome]], trend: Trend, value: Callable[[Outcome], float]) -> tuple[float, ...]:
    """Mean over the better cells - mean over the worse, for each seed that all of them have."""
    of = {name: {outcome.seed: value(outcome) for outcome in cells[name]} for name in (*trend.better, *trend.worse)}
    seeds = set.intersection(*(set(found) for found in of.values()))
    return tuple(
        fmean(of[name][seed] for name in trend.better) - fmean(of[name][seed] for name in trend.worse)
        for seed in sorted(seeds)
    )


def _best(outcome: Outcome) -> float:
    return outcome.metrics["best_accuracy"]


def _later(outcome: Outcome) -> float:
    """What the accuracy gained after the last epoch with the first learning rate."""
    spec: CellSpec = outcome.spec  # type: ignore[assignment]
    accuracy = dict(outcome.series["accuracy"])
    first = max(epoch for epoch in accuracy if scheduled(epoch, spec.epochs) == scheduled(1, spec.epochs))
    return accuracy[max(accuracy)] - accuracy[first]
