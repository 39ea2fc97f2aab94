"""What the findings claim of made-up outcomes: the stored runs reproduce themselves, a worse network does not."""

import pytest

from sparsewire.experiments.hidden_structures.recurrent import specs
from sparsewire.experiments.hidden_structures.recurrent_findings import findings
from sparsewire.experiments.hidden_structures.recurrent_published import (
    BASE,
    BIGRAMS,
    CELLS,
    NOT_IN_ONE_EPOCH,
    REMOVED,
    RETURNS_AT_100,
    SCOPES,
    STORED,
    by_share,
)  # fmt: skip
from sparsewire.experiments.hidden_structures.recurrent_setup import RecurrentSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid


def stored(cell, seed=0, drop=0.0, **fields) -> Outcome:
    """The authors' runs of one cell, with every accuracy directly after pruning lower by `drop`."""
    base = BASE[cell]
    series = {"base accuracy": [(1, 60.0), (2, base)]}
    for scope in SCOPES:
        for removed in REMOVED:
            back = RETURNS_AT_100.get(cell, base) if scope == "h2h" and removed == 100 else base
            if removed == 100 and not (scope == "h2h" and cell in RETURNS_AT_100):
                back = 50.6
            once = NOT_IN_ONE_EPOCH.get((scope, cell, removed), back)
            twice = once if removed == 100 else back
            at_once = by_share(STORED[scope, cell])[removed] - drop
            series[f"{scope} {removed} % accuracy"] = [(0, at_once), (1, once), (2, twice)]
    metrics = {name: points[-1][1] for name, points in series.items()} | {"bigram accuracy": BIGRAMS}
    return Outcome(RecurrentSpec(cell=cell, **fields), seed, "done", None, 1.0, metrics, series)


def verdicts(section) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, claim in section.claims():
        found.setdefault(table.title, {})[claim.label] = claim.verdict
    return found


def test_the_stored_runs_reproduce_the_paper() -> None:
    section = findings([stored(cell, seed) for cell in CELLS for seed in range(3)])
    found = verdicts(section)
    assert {name: len(claims) for name, claims in found.items()} == {
        "Base networks: accuracy": 6, "Accuracy directly after pruning, on average": 12,
        "How much is safe to remove?": 12, "What comes back?": 12 + 2 + 12,
    }  # fmt: skip
    assert all(verdict == "reproduced" for claims in found.values() for verdict in claims.values())
    charts = [block.title for block in section.blocks if isinstance(block, Chart)]
    assert charts[1].startswith("Figure 2b")
    assert len(charts) == 1 + 2 * 3
    figure = next(block for block in section.blocks if isinstance(block, Chart) and "5a" in block.title)
    assert figure.names == tuple(CELLS.values())
    assert (figure.series[0].x[0], figure.series[0].mean[0]) == (0, BASE["tanh"])
    assert figure.series[0].runs == 3


def test_the_median_over_the_seeds_decides() -> None:
    good, bad = stored("gru", 0), [stored("gru", seed, drop=30.0) for seed in (1, 2)]
    table = "How much is safe to remove?"
    assert set(verdicts(findings([good, stored("gru", 3), bad[0]]))[table].values()) == {"reproduced"}
    assert set(verdicts(findings([good, *bad]))[table].values()) == {"differs"}


def test_every_accuracy_stands_beside_the_stored_one() -> None:
    section = findings([stored("lstm", seed, drop=seed / 10) for seed in range(3)])
    grid = next(block for block in section.blocks if isinstance(block, Grid) and "i2h and h2h" in block.title)
    assert grid.columns == ("removed, %", "LSTM", "stored")
    assert grid.rows[6] == ("70", "80.2 (80.1 to 80.3)", "80.3")


def test_text_and_stored_accuracies_are_told_apart() -> None:
    section = findings([stored(cell) for cell in CELLS])
    grid = next(block for block in section.blocks if isinstance(block, Grid) and "two rules" in block.title)
    rows = {row[0]: row[1:] for row in grid.rows}
    assert len(rows) == 12
    assert rows["LSTM, h2h alone"] == ("70", "80", "80", "80", "80")
    assert rows["GRU, h2h alone"] == ("80", "80", "80", "70", "70")
    assert "LSTM, h2h alone by 4.5 points" in grid.note


@pytest.mark.parametrize("fields", [{"hidden": 20}, {"threshold": "layer"}, {"epochs": 10}])
def test_other_setups_have_no_published_number(fields) -> None:
    section = findings([stored("tanh", **fields)])
    assert {claim.verdict for _, claim in section.claims()} == {"no published number"}


def test_setups_are_kept_apart() -> None:
    section = findings([stored("tanh"), stored("tanh", threshold="layer"), stored("gru")])
    titles = [block.title for block in section.blocks if isinstance(block, Chart)]
    assert len(titles) == 2 * 7
    assert sum("threshold per layer" in title for title in titles) == 7


def test_a_network_that_was_not_trained_again_so_long_claims_nothing_of_it() -> None:
    outcome = stored("relu")
    short = {name: points[:1] if "%" in name else points for name, points in outcome.series.items()}
    found = Outcome(outcome.spec, 0, "done", None, 1.0, outcome.metrics, short)
    assert "What comes back?" not in verdicts(findings([found]))


def test_the_longest_trials_come_first() -> None:
    assert [spec.cell for spec in specs("desk")] == ["lstm", "gru", "relu", "tanh"]
    assert specs("desk") == specs("full")
