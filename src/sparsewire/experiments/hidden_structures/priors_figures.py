"""Figure 7 and Table 1 of the paper on hidden structures as charts and tables: random graphs as recurrent networks."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Final

import numpy as np

from sparsewire.experiments.hidden_structures.priors_claims import Correlations
from sparsewire.experiments.hidden_structures.priors_correlations import Correlated
from sparsewire.experiments.hidden_structures.priors_published import FAMILIES, LEVELS, STORED_HOURS, TABLE, Level
from sparsewire.experiments.hidden_structures.priors_readings import (
    Groups,
    accuracies,
    accuracy,
    by_family,
    features,
    level,
)
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, Series, distributions, series
from sparsewire.lab.reporting.comparison import ComparisonTable, compare
from sparsewire.lab.reporting.findings import Grid

_ACCURACY: Final = "test accuracy, %"


def distribution_chart(groups: Groups, suffix: str) -> Chart:
    """Figure 7: which share of a family's networks is no better than so much, a panel a cell."""
    panels = {
        CELLS[cell]: {FAMILIES[family]: _distribution(part) for family, part in by_family(group).items()}
        for cell, group in groups.items()
    }
    caption = "After the last epoch: the share of all graphs of a family whose network is at most as good."
    return Chart(f"Figure 7{suffix}", caption, _ACCURACY, "share", distributions(panels), kind="steps")


def training_chart(groups: Groups, suffix: str) -> Chart:
    """The mean course of training of each cell and family."""
    lines = []
    for cell, group in groups.items():
        for family, part in by_family(group).items():
            courses = [outcome.series["accuracy"] for outcome in part]
            runs = [([step for step, _ in points], [value for _, value in points]) for points in courses]
            lines.append(series(f"{CELLS[cell]}, {FAMILIES[family]}", runs, band="std"))
    caption = "Mean over all graphs of a family."
    return Chart(f"Training{suffix}", caption, "epoch", _ACCURACY, tuple(lines), band="std")


def sources_chart(groups: Groups, suffix: str) -> Chart:
    """Mean accuracy by the number of sources, as many as a letter has numbers: the strongest property."""
    lines = []
    for cell, group in groups.items():
        for family, part in by_family(group).items():
            found: dict[float, list[float]] = {}
            for outcome in part:
                found.setdefault(outcome.metrics["source_nodes"], []).append(accuracy(outcome))
            xs = sorted(found)
            lines.append(Series(f"{CELLS[cell]}, {FAMILIES[family]}", tuple(xs), tuple(fmean(found[x]) for x in xs)))
    caption = (
        "Mean over the graphs with as many nodes in their first layer. These are also the numbers that stand for a "
        "letter: the graph's narrowest place, where all that is known of a letter has to pass."
    )
    return Chart(f"Accuracy by the number of sources{suffix}", caption, "sources", _ACCURACY, tuple(lines))


def level_grid(groups: Groups, published: bool, suffix: str) -> Grid:
    """Mean, median and share of failures of each cell and family, ours and the stored runs'."""
    rows = []
    for cell, group in groups.items():
        for family, part in by_family(group).items():
            stored = _level(LEVELS[cell][family]) if published else ("", "", "")
            found = accuracies(part)
            extent = f"{found.min():.1f} to {found.max():.1f}"
            ours = _level(level(part))
            levels = [text for pair in zip(ours, stored, strict=True) for text in pair]
            rows.append((f"{CELLS[cell]}, {FAMILIES[family]}", f"{len(part)}", *levels, extent))
    columns = ("cell, family", "graphs", "mean", "stored", "median", "stored", "below 60 %", "stored", "from, to")
    note = "Test accuracy after the last epoch, percent. Stored: the authors' runs, 100 graphs of each family a cell."
    return Grid(f"Figure 7 in numbers{suffix}", columns, tuple(rows), note)


def family_comparison(groups: Groups, suffix: str) -> ComparisonTable:
    """The two families side by side, cell by cell, with a test."""
    found = []
    for cell, group in groups.items():
        parts = by_family(group)
        if len(parts) == len(FAMILIES):
            names = f"{CELLS[cell]}, Barabási-Albert", f"{CELLS[cell]}, Watts-Strogatz"
            found.append(compare(parts["barabasi_albert"], parts["watts_strogatz"], "accuracy", names=names))
    note = (
        "Test accuracy after the last epoch, percent. Trials of one seed see the strings in the same order; their "
        "graphs are drawn by themselves."
    )
    return ComparisonTable(f"Figure 7: the two families{suffix}", tuple(found), note)


def correlation_grid(correlations: Correlations, published: bool, suffix: str) -> Grid:
    """Table 1, ours with intervals beside the paper's."""
    columns, rows = ["property"], []
    for cell in correlations:
        columns += [CELLS[cell], "95 %"] + (["paper"] if published else [])
    for name in next(iter(TABLE.values())):
        cells: list[str | None] = [name]
        for cell, found in correlations.items():
            cells += [*_correlation(found[name])] + ([_signed(TABLE[cell][name])] if published else [])
        rows.append(tuple(cells))
    counts = ", ".join(f"{CELLS[cell]}: {found['nodes'].trials}" for cell, found in correlations.items())
    note = (
        "Pearson's correlation with the test accuracy, both families together, with the 95 % interval of a bootstrap "
        f"over trials. Trials: {counts}. The paper's are of 200 a cell."
    )
    return Grid(f"Table 1{suffix}", tuple(columns), tuple(rows), note)


def graph_grid(groups: Groups, suffix: str) -> Grid:
    """What the drawn graphs are like."""
    names = ("nodes", "edges", "layers", "source_nodes", "sink_nodes", "density")
    rows = []
    for cell, group in groups.items():
        for family, part in by_family(group).items():
            found = features(part, names)
            means = (
                f"{found[name].mean():.3f}" if name == "density" else f"{found[name].mean():.1f}" for name in names
            )
            rows.append((f"{CELLS[cell]}, {FAMILIES[family]}", f"{len(part)}", *means))
    columns = ("cell, family", "graphs", "nodes", "edges", "layers", "sources", "last layer", "density")
    return Grid(f"The graphs{suffix}", columns, tuple(rows), "Means. Each trial has a graph of its own.")


def cost_grid(groups: Groups, published: bool, suffix: str) -> Grid:
    """Seconds of a trial, and what 200 of them take."""
    rows = []
    for cell, group in groups.items():
        seconds = [outcome.seconds for outcome in group]
        hours = 200 * fmean(seconds) / 3600
        rows.append((CELLS[cell], f"{fmean(seconds):.1f}", f"{max(seconds):.1f}", f"{hours:.2f}"))
    note = "Of one whole trial on one thread: strings, graph, properties, training, tests."
    if published:
        note += (
            f" The authors' log has {STORED_HOURS['least']:g} to {STORED_HOURS['most']:g} hours for one, and "
            f"{STORED_HOURS['all']:g} hours for all 800."
        )
    columns = ("cell", "seconds a trial", "longest", "hours for 200")
    return Grid(f"What it takes{suffix}", columns, tuple(rows), note)


def _distribution(outcomes: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    found = np.sort(accuracies(outcomes))
    return found.tolist(), (np.arange(1, len(found) + 1) / len(found)).tolist()


def _level(found: Level) -> tuple[str, str, str]:
    return f"{found.mean:.1f}", f"{found.median:.1f}", f"{found.below:.0f}"


def _correlation(found: Correlated) -> tuple[str | None, str | None]:
    if math.isnan(found.value):
        return None, None
    if found.interval is None:
        return _signed(found.value), None
    return _signed(found.value), " to ".join(map(_signed, found.interval))


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
