"""What the findings claim of made-up trials: the stored runs reproduce themselves, turned ones do not."""

import dataclasses
import functools
import importlib.util
import math

import pytest
from tests.experiments.hidden_structures.made_priors import made, verdicts

from sparsewire.analysis.prediction.r2_scores import R2
from sparsewire.experiments.hidden_structures.priors import specs
from sparsewire.experiments.hidden_structures.priors_claims import held_out_claims, text_claims
from sparsewire.experiments.hidden_structures.priors_findings import findings
from sparsewire.experiments.hidden_structures.priors_published import (
    ABLATION,
    CHOICES,
    LEVELS,
    PROPERTIES,
    R2_STORED,
    R2_TEXT,
    REGRESSORS,
    STRONG,
    TABLE,
)
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.comparison import ComparisonTable
from sparsewire.lab.reporting.findings import Grid, Note

SIGNS = "Table 1: signs of the strong correlations"
WHICH = "Figure 7: which family is better?"


@pytest.fixture(scope="module")
def stored():
    """As many trials as the paper has, of two cells; without predictions, which take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparsewire.experiments.hidden_structures.priors_findings.prediction_blocks", lambda *_: [])
        return findings([*made("gru"), *made("tanh")])


@pytest.fixture(scope="module")
def predicted():
    """Of one cell and few trials, with small forests, so that it takes seconds."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    small = functools.partial(ensemble.RandomForestRegressor, n_estimators=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "RandomForestRegressor", small)
        return findings(made("gru", 10))


def grid(section, title: str) -> Grid:
    [found] = [block for block in section.blocks if isinstance(block, Grid) and block.title.startswith(title)]
    return found


def test_the_stored_correlations_reproduce_table_1(stored) -> None:
    found = verdicts(stored)
    for cell in ("gru", "tanh"):
        table = found[f"Table 1: correlation with accuracy, {CELLS[cell]}"]
        assert list(table) == list(TABLE[cell])
        assert set(table.values()) == {"reproduced"}
    strong = [name for cell in ("gru", "tanh") for name, value in TABLE[cell].items() if abs(value) >= STRONG]
    assert len(found[SIGNS]) == len(strong) == 9
    assert set(found[SIGNS].values()) == {"reproduced"}
    claims = {claim.label: claim for _, claim in stored.claims()}
    assert claims["source_nodes"].ours == pytest.approx((0.74,), abs=1e-9)  # the last cell in the paper's order
    row = next(row for row in grid(stored, "Table 1").rows if row[0] == "source_nodes")
    assert [row[place] for place in (1, 3, 4, 6)] == ["0.35", "0.35", "0.74", "0.74"]


def test_the_stored_families_reproduce_themselves_and_not_the_text(stored) -> None:
    for label, verdict in verdicts(stored)[WHICH].items():
        assert verdict == ("differs" if "the text" in label else "reproduced"), label
    assert set(verdicts(stored)["Figure 7: mean accuracy"].values()) == {"reproduced"}
    [compared] = [block for block in stored.blocks if isinstance(block, ComparisonTable)]
    assert [one.verdict for one in compared.comparisons] == [
        "RNN tanh, Watts-Strogatz is higher", "GRU, Watts-Strogatz is higher",
    ]  # fmt: skip


def test_turned_families_and_signs_differ() -> None:
    found = verdicts(findings(made("gru", 5, sign=-1.0, turned=True)))
    assert found[WHICH] == {
        "GRU: Watts-Strogatz − Barabási-Albert (stored: p = 8e-20)": "differs",
        "GRU: Watts-Strogatz − Barabási-Albert: the text, Barabási-Albert better": "reproduced",
    }
    found = verdicts(findings(made("lstm", 9, sign=-1.0)))
    assert set(found[SIGNS].values()) == {"differs", "inconclusive"}
    assert found["Table 1: correlation with accuracy, LSTM"]["nodes_betweenness_var"] == "differs"


def test_few_graphs_decide_no_sign() -> None:
    """Of four graphs there is no interval that means anything."""
    assert set(verdicts(findings(made("lstm", 2)))[SIGNS].values()) == {"inconclusive"}


def test_predictions_stand_beside_the_papers(predicted) -> None:
    rows = {row[0]: row[1:] for row in grid(predicted, "R² of 23 properties").rows}
    assert list(rows) == [f"GRU, {word}" for word in REGRESSORS.values()]
    assert rows["GRU, random forest"][0] == "0.88"
    assert rows["GRU, random forest"][2] == "0.65"
    assert rows["GRU, Gaussian process"][0] == ""
    assert all(float(row[1].replace("−", "-")) <= 1 for row in rows.values())
    ablated = {row[0]: row[1:] for row in grid(predicted, "Which properties it takes").rows}
    assert len(ablated) == len(CHOICES)
    assert ablated["GRU, the five variances alone"][0] == "0.76"
    assert ablated["GRU, without the five variances"][0] == ""
    important = grid(predicted, "What R² loses").rows
    assert len(important) == 6
    assert all(row[0].split(", ")[1] in PROPERTIES for row in important)


def test_the_papers_split_is_compared_only_where_it_is_as_large(predicted) -> None:
    found = verdicts(predicted)
    assert "R² of the text, on the paper's split" not in found
    assert len(found["How well is accuracy predicted?"]) == 3


def test_r2_is_judged_by_its_interval() -> None:
    scores = {
        "gru": {"random_forest": R2(0.7, 0.6, 0.8), "adaboost": R2(0.3, 0.1, 0.5)},
        "tanh": {"random_forest": R2(0.2, 0.0, 0.4)},
    }
    assert [(claim.label, claim.verdict) for claim in held_out_claims(scores, True, "").claims] == [
        ("GRU, random forest", "reproduced"),  # 0.65 stored
        ("GRU, AdaBoost", "differs"),  # 0.59
        ("RNN tanh, random forest", "reproduced"),  # 0.25
        ("random forest: GRU − the best of the other cells", "reproduced"),
    ]
    alone = {"gru": scores["gru"]}
    assert {claim.verdict for claim in held_out_claims(alone, False, "").claims} == {"no published number"}


def test_the_texts_r2_within_what_another_split_may_give() -> None:
    found = text_claims({"gru": {"random_forest": 0.6, "adaboost": 0.4, "gaussian_process": 0.9}}, "")
    assert [claim.verdict for claim in found.claims] == ["reproduced", "differs"]
    assert [claim.published for claim in found.claims] == [0.87635, 0.78313]


def test_without_scikit_learn_the_rest_is_told(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    section = findings(made("gru", 12))
    assert any("sparsewire[report]" in block.text for block in section.blocks if isinstance(block, Note))
    assert SIGNS in verdicts(section)


@pytest.mark.parametrize("fields", [{"merge": "pre"}, {"most_nodes": 40}, {"epochs": 5}, {"start": "star"}])
def test_other_setups_have_no_published_number(fields) -> None:
    section = findings(made("tanh", 8, **fields))
    assert {claim.verdict for _, claim in section.claims()} == {"no published number"}
    assert "paper" not in grid(section, "Table 1").columns


@pytest.mark.parametrize("fields", [{"gate_masks": "rows"}, {"data": 3}])
def test_other_strings_and_the_codes_masks_can_be_compared(fields) -> None:
    section = findings(made("gru", 8, **fields))
    assert all(claim.published is not None for _, claim in section.claims())


def test_setups_are_kept_apart() -> None:
    section = findings([*made("tanh", 6), *made("tanh", 6, merge="pre")])
    titles = [block.title for block in section.blocks if isinstance(block, Chart)]
    assert len(titles) == 6
    assert sum("one cell a layer" in title for title in titles) == 3


def test_one_family_alone_has_no_table_1() -> None:
    alone = [one for one in made("gru", 6) if one.spec.family == "watts_strogatz"]
    found = verdicts(findings(alone))
    assert list(found) == ["Figure 7: mean accuracy"]


def test_a_property_that_does_not_vary_claims_nothing() -> None:
    trials = [dataclasses.replace(one, metrics={**one.metrics, "nodes": 30.0}) for one in made("gru", 6)]
    section = findings(trials)
    found = verdicts(section)
    assert "nodes" not in found["Table 1: correlation with accuracy, GRU"]
    assert len(found[SIGNS]) == 5
    assert not any(math.isnan(value) for _, claim in section.claims() for value in claim.ours)


def test_networks_that_are_all_perfect() -> None:
    """There is nothing that goes with accuracy then, and nothing to be predicted."""
    section = findings(
        [dataclasses.replace(one, metrics={**one.metrics, "accuracy": 100.0}) for one in made("gru", 12)]
    )
    assert SIGNS not in verdicts(section)
    assert not any(block.title.startswith("R²") for block in section.blocks if isinstance(block, Grid))


def test_figure_7_is_a_distribution_for_each_cell_and_family(stored) -> None:
    chart = next(block for block in stored.blocks if isinstance(block, Chart))
    assert chart.title == "Figure 7"
    assert list(chart.panels) == ["RNN tanh", "GRU"]
    for lines in chart.panels.values():
        assert [line.name for line in lines] == ["Watts-Strogatz", "Barabási-Albert"]
        for line in lines:
            assert line.mean[-1] == 1.0
            assert list(line.x) == sorted(line.x)


def test_numbers_of_the_paper_are_whole() -> None:
    assert len(set(PROPERTIES)) == 23
    assert set(TABLE) == set(LEVELS) == set(R2_TEXT) == set(R2_STORED) == set(CELLS)
    assert all(len(table) == 12 and set(table) <= set(PROPERTIES) for table in TABLE.values())
    assert all(set(scores) <= set(REGRESSORS) for scores in (*R2_TEXT.values(), *R2_STORED.values()))
    assert all(set(scores) <= set(CHOICES) for scores in ABLATION.values())
    bold = sum(abs(value) >= STRONG for table in TABLE.values() for value in table.values())
    assert bold == 19
    # the stored data have the other family ahead than the text says
    assert all(level["watts_strogatz"].mean > level["barabasi_albert"].mean for level in LEVELS.values())


def test_the_scales() -> None:
    assert [(spec.cell, spec.family) for spec in specs("desk")] == [
        ("gru", "watts_strogatz"), ("gru", "barabasi_albert"), ("tanh", "watts_strogatz"), ("tanh", "barabasi_albert"),
    ]  # fmt: skip
    assert set(specs("desk")) < set(specs("full"))
    assert len(specs("full")) == 8
