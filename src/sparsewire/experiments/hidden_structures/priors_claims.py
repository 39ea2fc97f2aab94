"""What the paper says of random graphs as recurrent networks, as claims: families, correlations, predictions."""

import math
from collections.abc import Mapping
from typing import Final

from sparsewire.analysis.prediction.r2_scores import R2
from sparsewire.experiments.comparable import paired
from sparsewire.experiments.hidden_structures.priors_correlations import Correlated, chance_reach
from sparsewire.experiments.hidden_structures.priors_published import (
    FAMILIES,
    LEVELS,
    P_VALUES,
    R2_SPREAD,
    R2_STORED,
    R2_TEXT,
    REGRESSORS,
    SAID_EQUAL,
    STORED_GRAPHS,
    STRONG,
    TABLE,
)
from sparsewire.experiments.hidden_structures.priors_readings import Groups, accuracy, by_family
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, Cell
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Kind

SIZE: Final = 5.0  # points; our own bound on a mean accuracy, to know the size by
EQUAL: Final = 2.0  # points; our own bound on what is said to perform equally
Correlations = Mapping[Cell, Mapping[str, Correlated]]
Predictions = Mapping[Cell, Mapping[str, R2]]

ABOUT_FAMILIES: Final = (
    "Differences of trials of one seed, whose graphs have nothing to do with each other, judged by the 95 % interval "
    "of their mean. The stored runs have Watts-Strogatz ahead with every cell, and that is what the first claims are. "
    "The text says the opposite of its own data: equal with tanh and ReLU, Barabási-Albert better with LSTM and GRU; "
    f"where it differs here, it is the text that does. {EQUAL:g} points count as equal; the text has no number."
)
ABOUT_SIGNS: Final = (
    f"Where the paper's correlation is {STRONG:g} or more in size. Ours is inconclusive where its 95 % interval, from "
    "a bootstrap over trials, holds 0; else the sign decides. Each is one number of all trials of a cell."
)
ABOUT_TABLE: Final = (
    "Tolerance: what two samples of one law, the paper's 200 networks and ours, are apart by in at most 95 of 100 "
    "cases (Fisher's z). So one claim in twenty would differ by chance alone."
)
ABOUT_R2: Final = (
    "R² from ten-fold cross-validation on all trials of a cell, scaled inside the fold; published: the same from the "
    "stored runs. Tolerance: the 95 % interval of ours, from a bootstrap over trials."
)
ABOUT_TEXT: Final = (
    "The paper's own split: one tenth is tested, 20 networks, chosen by random_state 7, scaled with the others. "
    f"Tolerance: two standard deviations of the R² of GRU's forest over other splits of the stored runs, {R2_SPREAD:g}."
)


def family_claims(groups: Groups, published: bool, suffix: str) -> ClaimTable:
    """Watts-Strogatz ahead, as in the stored runs; and what the text says instead."""
    zero, stored, text = 0.0 if published else None, [], []
    for cell, group in groups.items():
        parts = by_family(group)
        if len(parts) < len(FAMILIES):
            continue
        ahead = paired(parts["barabasi_albert"], parts["watts_strogatz"], accuracy)
        label = f"{CELLS[cell]}: Watts-Strogatz − Barabási-Albert"
        stored.append(
            Claim(
                f"{label} (stored: p = {P_VALUES[cell]})", zero, ahead, 0.0, "points", 1, "at_least", by_interval=True
            )
        )
        if cell in SAID_EQUAL:
            text.append(Claim(f"{label}: the text, equal", zero, ahead, EQUAL, "points", 1, by_interval=True))
        else:
            label = f"{label}: the text, Barabási-Albert better"
            text.append(Claim(label, zero, ahead, 0.0, "points", 1, "at_most", by_interval=True))
    claims = tuple(claim for claim in (*stored, *text) if claim.ours)
    return ClaimTable(f"Figure 7: which family is better?{suffix}", claims, ABOUT_FAMILIES)


def level_claims(groups: Groups, published: bool, suffix: str) -> ClaimTable:
    """Mean accuracy of each cell and family beside the stored one."""
    claims = [
        Claim(
            f"{CELLS[cell]}, {FAMILIES[family]}",
            LEVELS[cell][family].mean if published else None,
            tuple(map(accuracy, part)),
            SIZE,
            "%",
            1,
        )
        for cell, group in groups.items()
        for family, part in by_family(group).items()
    ]
    note = "Mean over all graphs of a family, beside the authors' stored runs of 100 each; to know the size by."
    return ClaimTable(f"Figure 7: mean accuracy{suffix}", tuple(claims), note)


def sign_claims(correlations: Correlations, published: bool, suffix: str) -> ClaimTable:
    """Whether correlations that the paper finds strong have its sign."""
    claims = []
    for cell, found in correlations.items():
        for name, known in TABLE[cell].items():
            ours = found[name]
            if abs(known) < STRONG or math.isnan(ours.value):
                continue
            label = f"{CELLS[cell]}, {name}: {'more is better' if known > 0 else 'less is better'}"
            kind: Kind = "at_least" if known > 0 else "at_most"
            # One value has no interval of its own: by_interval then says that it is not known, which it is not.
            zero = 0.0 if published else None
            claims.append(Claim(label, zero, (ours.value,), 0.0, "", 2, kind, by_interval=ours.is_open))
    return ClaimTable(f"Table 1: signs of the strong correlations{suffix}", tuple(claims), ABOUT_SIGNS)


def table_claims(correlations: Correlations, published: bool, suffix: str) -> list[ClaimTable]:
    """Table 1, a table a cell."""
    tables = []
    for cell, found in correlations.items():
        claims = []
        for name, known in TABLE[cell].items():
            ours, count = found[name].value, found[name].trials
            if not math.isnan(ours):
                tolerance = chance_reach(known, STORED_GRAPHS, ours, count)
                claims.append(Claim(name, known if published else None, (ours,), tolerance))
        tables.append(
            ClaimTable(f"Table 1: correlation with accuracy, {CELLS[cell]}{suffix}", tuple(claims), ABOUT_TABLE)
        )
    return [table for table in tables if table.claims]


def held_out_claims(scores: Predictions, published: bool, suffix: str) -> ClaimTable:
    """R² on networks that were held back, beside that of the stored runs; and whether the GRU's is the best."""
    claims = []
    for cell, found in scores.items():
        for name, known in R2_STORED[cell].items():
            if name in found:
                mean, low, high = found[name]
                reach = high - mean if known > mean else mean - low
                label = f"{CELLS[cell]}, {REGRESSORS[name]}"
                claims.append(Claim(label, known if published else None, (mean,), reach))
    forests = {cell: found["random_forest"].mean for cell, found in scores.items() if "random_forest" in found}
    if "gru" in forests and len(forests) > 1:
        others = max(value for cell, value in forests.items() if cell != "gru")
        zero = 0.0 if published else None
        label = "random forest: GRU − the best of the other cells"
        claims.append(Claim(label, zero, (forests["gru"] - others,), 0.0, kind="at_least"))
    return ClaimTable(f"How well is accuracy predicted?{suffix}", tuple(claims), ABOUT_R2)


def text_claims(scores: Mapping[Cell, Mapping[str, float]], suffix: str) -> ClaimTable:
    """R² of the text, where as many networks were trained as for it."""
    claims = [
        Claim(f"{CELLS[cell]}, {REGRESSORS[name]}", known, (found[name],), 2 * R2_SPREAD)
        for cell, found in scores.items()
        for name, known in R2_TEXT[cell].items()
        if name in found
    ]
    return ClaimTable(f"R² of the text, on the paper's split{suffix}", tuple(claims), ABOUT_TEXT)
