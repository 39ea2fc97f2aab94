"""What the findings claim of made-up searches: what is so is found, and nothing is said of what is not known."""

import dataclasses
import functools
import hashlib

import pytest
from tests.experiments.hidden_structures.made_priors import verdicts
from tests.experiments.hidden_structures.made_search import SMALL, large, led, made

from sparsewire.analysis.prediction.permutations import Importance
from sparsewire.errors import DivergedError
from sparsewire.experiments.hidden_structures.priors_correlations import correlated
from sparsewire.experiments.hidden_structures.search_claims import (
    best_claims,
    budget,
    method_claims,
    sign_claims,
    top_claims,
)
from sparsewire.experiments.hidden_structures.search_findings import findings
from sparsewire.experiments.hidden_structures.search_labels import label
from sparsewire.experiments.hidden_structures.search_prediction import LEAST
from sparsewire.experiments.hidden_structures.search_published import SIGNS, SPREADS
from sparsewire.experiments.hidden_structures.search_readings import complete, guesses, studies, table, until
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid, Note, Picture
from sparsewire.search.measures import FEATURES, features

pytest.importorskip("sklearn")
FIRST = CandidateSpec(**{**SMALL, "searches": 3, "trainings": 24})


def close(genome) -> float:
    """Exactly as the paper says of mean closeness: less is better."""
    return 100 - 50 * features(genome)["closeness_mean"]


def noise(genome) -> float:
    """Nothing that structure could tell of."""
    return int(hashlib.sha256(genome.key.encode()).hexdigest()[:4], 16) / 2**16


@pytest.fixture(scope="module")
def outcomes():
    return led(FIRST, worth=close)


@pytest.fixture(scope="module")
def section(outcomes):
    """With small forests, so that it takes seconds."""
    with small_forests():
        return findings(outcomes)


def small_forests():
    ensemble = pytest.importorskip("sklearn.ensemble")
    patch = pytest.MonkeyPatch()
    patch.setattr(ensemble, "RandomForestRegressor", functools.partial(ensemble.RandomForestRegressor, n_estimators=10))
    return _undoing(patch)


class _undoing:
    def __init__(self, patch) -> None:
        self.patch = patch

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


def grid(section, title: str) -> Grid:
    [found] = [block for block in section.blocks if isinstance(block, Grid) and block.title.startswith(title)]
    return found


def test_a_search_that_can_see_its_way_is_ahead_of_chance(section) -> None:
    """Mutations make genomes larger than any that is drawn."""
    [study] = studies(led(FIRST.model_copy(update={"searches": 6}), worth=large))
    found = {claim.label: claim.verdict for claim in method_claims(study, "").claims}
    assert found["genetic, half foretold by Bayesian ridge − random, validation"] == "reproduced"
    assert found["genetic, all trained − random, test"] == "reproduced"
    labels = [
        f"{label}, {kind}"
        for label in (
            "genetic, half foretold by Bayesian ridge − random", "genetic, all trained − random",
            "genetic, half foretold by Bayesian ridge − genetic, all trained",
        )
        for kind in ("validation", "test")
    ]  # fmt: skip
    assert list(found) == labels
    assert list(verdicts(section)["Is one search better, after 24 trainings each?"]) == labels


def test_foretelling_saves_trainings(outcomes, section) -> None:
    assert verdicts(section)["What the surrogate saves"]["training time that foretelling saves"] == "reproduced"
    label = "training time that foretelling saves"
    [claim] = [claim for _, claim in section.claims() if claim.label == label]
    [net] = [claim for _, claim in section.claims() if claim.label == f"{label}, less the surrogate’s own"]
    assert all(one < other for one, other in zip(net.ours, claim.ours, strict=True))
    [study] = studies(outcomes)
    for value, one, other in zip(claim.ours, study.of("genetic"), study.of("all_trained"), strict=True):
        last = min(complete(one), complete(other))
        # Every made-up training takes a second.
        assert value == pytest.approx(100 * (1 - len(until(one, last)) / len(until(other, last))))


def test_the_texts_say_who_foretells_how_much() -> None:
    small = {**SMALL, "searches": 1, "trainings": 6}
    for fields, words in (
        ({}, "half is not trained: Bayesian ridge foretells"),
        ({"estimated": 0.25, "regressor": "random_forest"}, "25 % is not trained: a random forest foretells"),
        ({"methods": ("random",)}, "Every new genome is trained."),
    ):
        section = findings(led(CandidateSpec(**{**small, **fields})))
        assert words in section.intro, section.intro
    both = led(CandidateSpec(**small), CandidateSpec(**{**small, "methods": ("random",)}))
    assert "a regressor foretells" in findings(both).intro


def test_unseen_genomes_are_foretold_by_the_searchs_own(section) -> None:
    [table] = [one for one in section.blocks if getattr(one, "title", "").startswith("Does structure foretell")]
    assert table.note.startswith("Of Bayesian ridge. Whether")


def test_signs_are_found(section) -> None:
    title = "Figure 8b: signs of correlations with accuracy"
    assert verdicts(section)[title]["closeness_mean: less is better"] == "reproduced"
    turned = [
        dataclasses.replace(
            one, metrics={**one.metrics, "best validation accuracy": 50 * one.metrics["closeness_mean"]}
        )
        for one in led(FIRST, worth=lambda genome: 50 * features(genome)["closeness_mean"])
    ]
    [study] = studies(turned)
    columns, accuracy, _ = table(study)
    claims = {claim.label: claim.verdict for claim in sign_claims(correlated(columns, accuracy), "").claims}
    assert claims["closeness_mean: less is better"] == "differs"
    assert len(claims) == len(SIGNS)


def test_structure_foretells_what_it_decides(section) -> None:
    found = verdicts(section)["Does structure foretell accuracy?"]
    assert found["R², ten-fold"] == "reproduced"
    assert found["rank correlation, other searches"] == "reproduced"
    assert found["rank correlation, in the search"] == "reproduced"
    rows = {row[0]: row[1:] for row in grid(section, "Accuracy foretold").rows}
    assert float(rows["ten-fold, Bayesian ridge"][1]) > 0.9
    important = grid(section, "The 10 most important features, one by one").rows
    assert len(important) == 10
    assert important[0][0].startswith("closeness")


def test_noise_puts_nothing_ahead() -> None:
    [study] = studies(led(FIRST, worth=noise))
    found = [claim.verdict for claim in method_claims(study, "").claims]
    assert len(found) == 6
    assert "reproduced" not in found


def test_the_meta_data_set_has_every_genome_once(outcomes) -> None:
    [study] = studies(outcomes)
    columns, accuracy, owners = table(study)
    assert tuple(columns) == FEATURES
    assert len(accuracy) == len(outcomes) - 1 == len(owners)  # the chain is none of them
    assert set(owners) == {0, 1, 2}
    said, worth = guesses(study)
    assert len(said) == len(worth) > 10


def test_the_best_genome_is_drawn_with_its_cost(outcomes, section) -> None:
    [picture] = [block for block in section.blocks if isinstance(block, Picture)]
    [study] = studies(outcomes)
    best = max(one.metrics["best validation accuracy"] for one in outcomes if one.spec.genome)
    assert study.known[study.best][0].metrics["best validation accuracy"] == best
    assert f"Validation {best:.1f} %" in picture.caption
    assert picture.svg.lstrip().startswith("<svg")
    rows = grid(section, "The best genome, vertex by vertex").rows
    assert f"{len(rows)} vertices" in picture.caption


def test_the_course_is_shown_beside_the_hand_drawn_chain(section) -> None:
    [chart] = [block for block in section.blocks if isinstance(block, Chart)]
    assert [one.name for one in chart.series] == [*(label(FIRST, name) for name in FIRST.methods), "hand-drawn chain"]
    assert all(list(one.mean) == sorted(one.mean) for one in chart.series)
    rows = {row[0]: row for row in grid(section, "The searches").rows}
    assert [rows[label(FIRST, name)][2] for name in FIRST.methods] == ["24.0"] * 3
    assert float(rows["genetic, half foretold by Bayesian ridge"][3]) > 5


@pytest.mark.parametrize("rounds", [0, 1])
def test_searches_under_way_are_shown_as_far_as_they_are(rounds) -> None:
    section = findings(led(FIRST, worth=close, most=rounds))
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert notes[0].startswith("9 of 9 searches are under way")
    assert any(isinstance(block, Chart) for block in section.blocks) is (rounds > 0)


def test_few_genomes_foretell_nothing() -> None:
    spec = CandidateSpec(**{**SMALL, "searches": 1, "trainings": 6})
    found = led(spec)
    assert len(found) < LEAST
    assert not [title for title in verdicts(findings(found)) if "foretell" in title or "Figure" in title]


def test_studies_are_told_apart() -> None:
    small = CandidateSpec(**{**SMALL, "searches": 1, "trainings": 6})
    two = [small, small.model_copy(update={"data": "cifar10", "side": 8})]
    titles = [block.title for block in findings(led(*two)).blocks if isinstance(block, Chart)]
    assert titles == ["The best genome so far, digits", "The best genome so far, cifar10"]
    two = [small, small.model_copy(update={"epochs": 5, "population": 5})]
    titles = [block.title for block in findings(led(*two)).blocks if isinstance(block, Chart)]
    assert titles[1] == "The best genome so far, epochs 5, population 5"


def test_the_first_trial_is_needed(outcomes) -> None:
    notes = [block.text for block in findings(outcomes[1:]).blocks if isinstance(block, Note)]
    assert notes[0].startswith("No search is among these trials")


def test_nothing_that_came_to_an_end() -> None:
    def never(genome) -> float:
        raise DivergedError("found nan")

    spec = CandidateSpec(**{**SMALL, "searches": 1, "trainings": 6})
    section = findings(led(spec, worth=never))
    assert not list(section.claims())


def test_the_papers_accuracy_is_compared_with_its_own_data_alone() -> None:
    for fields, published in (({}, 82.4), ({"images": 1_000}, None), ({"side": 16}, None), ({"data": "mnist"}, None)):
        spec = CandidateSpec(searches=1, trainings=2, population=2, least_tried=4, methods=("random",), **fields)
        [study] = studies([made(spec), *[made(one.spec) for one in led(spec)[1:]]])
        assert best_claims(study, "").claims[0].published == published


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "all images but 5,000 of cifar10, 5 epochs, batches of 128, Adam 0.001; no bound on multiply-adds"),
        (
            {"data": "mnist", "images": 900, "side": 14, "most_multiply_adds": 2_500_000},
            "900 images of mnist averaged to 14 × 14 pixels, 5 epochs, batches of 128, Adam 0.001; at most 2.5 million",
        ),
    ],
)
def test_the_budget_is_told(fields, words) -> None:
    assert words in budget(CandidateSpec(**fields))


def test_the_ten_most_important() -> None:
    six = [*SPREADS[:6], "closeness_mean", "depth", "nodes", "edges"]
    sure, chance = Importance(0.1, 0.05, 0.2), Importance(0.01, -0.01, 0.02)

    def verdicts_of(names, last=sure) -> list[str]:
        important = {**dict.fromkeys(names, sure), names[-1]: last}
        return [claim.verdict for claim in top_claims(important, "").claims]

    assert verdicts_of(six) == ["reproduced", "reproduced"]
    none = [name for name in FEATURES if name not in SIGNS][:10]
    assert verdicts_of(none) == ["differs", "differs"]
    assert verdicts_of(six, chance) == verdicts_of(none, chance) == ["inconclusive", "inconclusive"]


def test_a_genome_that_was_trained_under_several_bars_counts_once() -> None:
    [study] = studies(led(FIRST.model_copy(update={"hopeless": 0.5, "searches": 2})))
    trained = {one.spec for course in study.courses for one in course.tried}
    lines = {spec.genome for spec in trained}
    assert len(trained) > len(lines) == len(study.genomes)
    assert {spec.genome for spec in study.genomes} == lines
