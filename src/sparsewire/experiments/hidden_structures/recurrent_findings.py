"""Figures 2b, 5a and 5b of the paper on hidden structures beside ours: safe shares, recovery, what never comes back."""

from collections.abc import Sequence
from typing import Final

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, families
from sparsewire.experiments.hidden_structures.recurrent_claims import (
    Groups,
    base_claims,
    curve_claims,
    recovery_claims,
    safe_claims,
)
from sparsewire.experiments.hidden_structures.recurrent_published import (
    CELLS,
    DROP,
    FIGURES,
    SAFE,
    SCOPES,
    STORED,
    STRICT_DROP,
    Scope,
    by_share,
    stored_safe_share,
)
from sparsewire.experiments.hidden_structures.recurrent_readings import (
    after,
    by_cell,
    by_removed,
    middle_and_range,
    safe,
    spec_of,
)
from sparsewire.experiments.hidden_structures.recurrent_setup import NAME, RecurrentSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Grid, Note, Section

FREE: Final = ("cell", "execution")  # which cell, and how the same is computed
NOTES: Final = (
    "The caption of Figure 5 says iterative; code and stored runs prune each share at once from the same base. By the "
    "text each layer has a threshold; the code has one for all weights that are pruned, which gives the stored "
    "accuracies, so that is what is shown unless a title says otherwise.",
    "The code removes what is strictly below the threshold: at 100 % one weight of all stays, here too. Biases, the "
    "vectors of the letters and the readout are never pruned. Gradients are clipped at norm 5, of which the text says "
    "nothing.",
    "A string is padded to the longest of its batch, and the state after the last padded step is classified: a network "
    "has to carry its answer through the padding. With h2h gone, one of tanh or ReLU can only see whether a string is "
    "its batch's longest; LSTM and GRU live on their carry, c ← f · c + … and h ← z · h + …, which needs no h2h.",
)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """What can be removed, what comes back, and with it the base networks and what two letters tell."""
    blocks: list[Block] = []
    for label, family in families(outcomes, *FREE, name=_setup).items():
        suffix = f", {label}" if label else ""
        groups = by_cell(family)
        published = all(as_published(outcome.spec, *FREE) for outcome in family)
        scopes = [scope for scope in SCOPES if scope in spec_of(family[0]).scopes]
        blocks += [_training(groups, suffix), base_claims(groups, published, suffix)]
        for scope in scopes:
            blocks += [_figure(groups, scope, 0, suffix), _accuracies(groups, scope, 0, published, suffix)]
        blocks.append(curve_claims(groups, scopes, published, suffix))
        blocks += [safe_claims(groups, scopes, published, suffix), _safe_shares(groups, scopes, published, suffix)]
        for scope in scopes:
            blocks += [_figure(groups, scope, 1, suffix), _accuracies(groups, scope, 1, published, suffix)]
        blocks.append(recovery_claims(groups, scopes, published, suffix))
    intro = (
        "A network learns Reber's grammar. Then the smallest of its input-to-hidden weights (i2h), of its "
        "hidden-to-hidden weights (h2h) or of both are removed, each time from the same base; it is tested at once and "
        "trained again."
    )
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (*blocks, *map(Note, NOTES)))


def _setup(spec: RecurrentSpec) -> str:
    """What a family is called where there are several, or where it is not the code's way."""
    words = [
        ("threshold per layer", spec.threshold == "layer"),
        ("nothing left at 100 %", not spec.leaves_one),
        ("padding not read", not spec.reads_padding),
        ("false strings perturbed", spec.false_strings == "perturbed"),
    ]
    return ", ".join(word for word, holds in words if holds)


def _training(groups: Groups, suffix: str) -> Chart:
    lines = []
    for cell, group in groups.items():
        courses = [outcome.series["base accuracy"] for outcome in group]
        runs = [([step for step, _ in points], [value for _, value in points]) for points in courses]
        lines.append(series(CELLS[cell], runs))
    caption = "Of tanh the paper reports a drop to 50 % between epochs three and five, and 90 % after six."
    return Chart(f"Base networks{suffix}", caption, "epoch", "test accuracy, %", tuple(lines))


def _figure(groups: Groups, scope: Scope, epoch: int, suffix: str) -> Chart:
    lines = tuple(by_removed(CELLS[cell], group, scope, epoch) for cell, group in groups.items())
    title = f"{FIGURES[scope]}: {SCOPES[scope]} pruned"
    caption = "Directly after pruning; at 0 % the base."
    if epoch:
        title, caption = f"{title}, and trained again", "After one epoch of retraining; at 0 % the base."
    return Chart(f"{title}{suffix}", caption, "weights removed, %", "test accuracy, %", lines)


def _accuracies(groups: Groups, scope: Scope, epoch: int, published: bool, suffix: str) -> Grid:
    """Every accuracy of a figure, and directly after pruning the stored one."""
    stored = published and not epoch
    columns = ["removed, %"]
    for cell in groups:
        columns += [CELLS[cell], "stored"] if stored else [CELLS[cell]]
    rows = []
    for removed in spec_of(next(iter(groups.values()))[0]).removed:
        cells: list[str | None] = [f"{removed}"]
        for cell, group in groups.items():
            cells.append(middle_and_range(after(one, scope, epoch).get(removed) for one in group))
            cells += [f"{by_share(STORED[scope, cell])[removed]:.1f}"] if stored else []
        rows.append(tuple(cells))
    moment = "after one epoch of retraining" if epoch else "directly after pruning"
    note = "Median (smallest to largest) over the seeds, percent." + (STORED_NOTE if stored else "")
    return Grid(f"Accuracy {moment}: {SCOPES[scope]}{suffix}", tuple(columns), tuple(rows), note)


STORED_NOTE: Final = " Stored: the authors' runs, one of each, to know the size by; where a curve falls, seeds differ."


def _safe_shares(groups: Groups, scopes: Sequence[Scope], published: bool, suffix: str) -> Grid:
    """Text, stored accuracies and ours, by both rules."""
    rows = []
    for scope in scopes:
        for cell, group in groups.items():
            ours = [middle_and_range([safe(one, scope, drop) for one in group], 0) for drop in (DROP, STRICT_DROP)]
            text, stored, strict = (
                f"{share}" if published else None
                for share in (
                    SAFE[scope, cell],
                    stored_safe_share(scope, cell),
                    stored_safe_share(scope, cell, STRICT_DROP),
                )
            )
            rows.append((f"{CELLS[cell]}, {SCOPES[scope]}", text, stored, ours[0], strict, ours[1]))
    columns = (
        "pruned", "text", f"stored, by {DROP:g} points", "ours", f"stored, by {STRICT_DROP:g} points", "ours, too",
    )  # fmt: skip
    return Grid(f"Safe shares by two rules, %{suffix}", columns, tuple(rows), _disagreements() if published else "")


def _disagreements() -> str:
    """Where the text and the stored accuracies say different things.

    Example:
        >>> print(_disagreements())
        Text and stored accuracies disagree for LSTM, h2h alone by 4.5 points; LSTM, h2h alone and GRU, h2h alone by 2.
        Median (smallest to largest).
    """
    found = []
    for drop in (DROP, STRICT_DROP):
        cells = [key for key, share in SAFE.items() if stored_safe_share(*key, drop) != share]
        found.append(" and ".join(f"{CELLS[cell]}, {SCOPES[scope]}" for scope, cell in cells))
    return (
        f"Text and stored accuracies disagree for {found[0]} by {DROP:g} points; {found[1]} by {STRICT_DROP:g}.\n"
        "Median (smallest to largest)."
    )
