"""Accuracy against compression as charts and tables: what all pruning experiments show of their descents."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from sparsewire.experiments.hidden_structures.descents import CONTROL
from sparsewire.experiments.hidden_structures.readings import (
    Best,
    at,
    best_half,
    control_at,
    descent_name,
    finite,
    mean_and_spread,
    smallest,
    values,
    word,
)
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, Series, series
from sparsewire.lab.reporting.findings import Block, Grid

LEVELS = (60, 80, 90, 95)  # percent removed
_X_LABEL = "all weights / weights left (5 where 80 % are removed, 10 where 90 %)"


@dataclass(frozen=True)
class Ways:
    """The descents of an experiment: every method in every kind of steps.

    Args:
        methods: as in the spec.
        kinds: labels of the steps, such as "25 %"; the first one is what the figure shows.
        of: what the steps are of, for titles.
    """

    methods: tuple[str, ...]
    kinds: tuple[str, ...]
    of: str

    def names(self, kind: str) -> dict[str, str]:
        """Method → name of its descent, for one kind of steps."""
        return {method: descent_name(method, kind) for method in self.methods}

    def all_names(self) -> dict[tuple[str, str], str]:
        """(method, kind) → name of the descent."""
        return {(method, kind): descent_name(method, kind) for method in self.methods for kind in self.kinds}


def blocks(figure: str, outcomes: Sequence[Outcome], ways: Ways) -> list[Block]:
    """Accuracy after and before retraining, the same by size of the steps, at fixed levels, and the best networks.

    Args:
        figure: what the titles begin with.
        outcomes: of one spec.
        ways: the descents that the trials took.
    """
    kind = ways.kinds[0]
    names = {word(method): name for method, name in ways.names(kind).items()}
    shown: list[Block] = [
        _chart(f"{figure}: after retraining", f"{ways.of} {kind} a step; test accuracy.", outcomes, names, "after"),
        _chart(f"{figure}: right after pruning", f"{ways.of} {kind} a step; before.", outcomes, names, "before"),
    ]
    if len(ways.kinds) > 1:
        leader = "blind" if "blind" in ways.methods else ways.methods[0]
        by_kind = {f"{one} a step": descent_name(leader, one) for one in ways.kinds}
        title, caption = f"{figure}: {word(leader)}, by the size of the steps", f"After retraining. {ways.of} so many."
        shown.append(_chart(title, caption, outcomes, by_kind, "after"))
    return [*shown, levels(figure, outcomes, ways), best_networks(figure, outcomes, ways)]


def levels(figure: str, outcomes: Sequence[Outcome], ways: Ways) -> Grid:
    """How good every descent is where so many percent of the weights are gone."""
    rows = []
    for (method, kind), name in ways.all_names().items():
        after = [mean_and_spread([at(one, name, level) for one in outcomes]) for level in LEVELS]
        before = mean_and_spread([at(one, name, 90, "before") for one in outcomes])
        gaps = mean_and_spread([at(one, name, 90) - control_at(one, name, 90) for one in outcomes])
        epochs = finite([at(one, name, 90, "epochs") for one in outcomes])
        shown = f"{fmean(epochs):.1f}" if epochs else "-"
        seconds = mean_and_spread([one.metrics.get(f"{name} seconds", math.nan) for one in outcomes], 1)
        rows.append((f"{word(method)}, {kind}", *after, before, gaps, shown, seconds))
    at_levels = (f"{level} % removed" for level in LEVELS)
    columns = ("method, step", *at_levels, "90 %, before", "90 % − control", "epochs to 90 %", "s")
    note = (
        "Test accuracy in percent after retraining, mean over seeds ± sample standard deviation, linear between two "
        "steps. Control: the unpruned network after as many extra epochs, of which the table tells the number. Seconds "
        "are those of all pruning and retraining."
    )
    return Grid(f"{figure}: at fixed levels", columns, tuple(rows), note)


def best_networks(figure: str, outcomes: Sequence[Outcome], ways: Ways) -> Grid:
    """The paper's two rules for the best networks, over all kinds of steps of a method."""
    rows = []
    for method in ways.methods:
        names = [descent_name(method, kind) for kind in ways.kinds]
        small = [min(found) for one in outcomes if (found := _found(one, names, smallest))]
        good = [
            max(found, key=lambda best: best.validation)
            for one in outcomes
            if (found := _found(one, names, best_half))
        ]  # fmt: skip
        rows.append((word(method), *_cells(small), *_cells(good)))
    columns = ("method", "smallest: weights", "its accuracy, %", "best: weights", "its accuracy, %")
    note = (
        "Smallest: less than one point below its base. Best: of those that lost half of their weights or more. By "
        "validation accuracy, over all sizes of steps; the paper's code chooses by test accuracy."
    )
    return Grid(f"{figure}: best networks", columns, tuple(rows), note)


def _found(outcome: Outcome, names: Sequence[str], rule: Callable[[Outcome, str], Best | None]) -> list[Best]:
    return [best for name in names if (best := rule(outcome, name)) is not None]


def _cells(found: Sequence[Best]) -> tuple[str, str]:
    if not found:
        return "-", "-"
    return f"{fmean(best.weights for best in found):,.0f}", mean_and_spread([best.accuracy for best in found])


def _chart(title: str, caption: str, outcomes: Sequence[Outcome], names: Mapping[str, str], measure: str) -> Chart:
    lines = [_line(label, outcomes, name, measure) for label, name in names.items()]
    if measure == "after":
        lines.append(_control(outcomes, next(iter(names.values()))))
    found = tuple(line for line in lines if line is not None)
    return Chart(title, caption, _X_LABEL, "test accuracy, %", found, log_x=True)


def _line(label: str, outcomes: Sequence[Outcome], name: str, measure: str) -> Series | None:
    runs = [(_factors(one, name), values(one, f"{name} {measure}")) for one in outcomes if _factors(one, name)]
    return series(label, runs, log_x=True) if runs else None


def _control(outcomes: Sequence[Outcome], name: str) -> Series | None:
    """The unpruned network, drawn where the first descent of the chart was after as many epochs."""
    runs = []
    for one in outcomes:
        found, epochs = values(one, CONTROL), values(one, f"{name} epochs")
        if found and epochs:
            runs.append((_factors(one, name), np.interp(epochs, range(len(found)), found)))
    return series("unpruned, as many epochs", runs, log_x=True) if runs else None


def _factors(outcome: Outcome, name: str) -> list[float]:
    weights = values(outcome, f"{name} weights")
    return [weights[0] / left for left in weights]
