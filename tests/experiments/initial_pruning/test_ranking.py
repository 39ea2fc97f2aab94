"""The ranking: what is planned, what a trial records, who is ranked where, claims of made-up outcomes."""

import pytest

from sparsewire.experiments.initial_pruning import contenders, ranking
from sparsewire.experiments.initial_pruning.contenders import BEFORE, METHODS, NAMES
from sparsewire.experiments.initial_pruning.ranking import RankingSpec
from sparsewire.experiments.initial_pruning.ranking_findings import cells_of, contest_of, ranked_first
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid, Note

SMALL = RankingSpec(data="digits", hidden=(24, 16), epochs=1, batch=50, density=0.2)


def trials(method: str, density: float, accuracies, thinnest: float = 5.0, **fields) -> list[Outcome]:
    """One outcome for each seed."""
    spec = RankingSpec(method=method, density=density, **fields)
    return [
        Outcome(spec, seed, "done", None, 1.0, {"accuracy": one, "weights of the thinnest layer": thinnest}, {})
        for seed, one in enumerate(accuracies)
    ]


def verdicts(section) -> dict[str, str]:
    return {claim.label: claim.verdict for _, claim in section.claims()}


class TestSpecs:
    def test_every_method_at_every_density_and_dense_once(self) -> None:
        found = [(spec.method, spec.density) for spec in ranking.specs("desk")]
        for density in (0.1, 0.01):
            assert {method for method, own in found if own == density} == set(METHODS) - {"dense"}
        assert [density for method, density in found if method == "dense"] == [1.0]
        assert {method for method, density in found if density == 0.001} == set(BEFORE)
        assert ("edge_popup", 0.5) in found

    def test_desk_is_mnist_and_full_is_what_is_at_hand(self, monkeypatch) -> None:
        monkeypatch.setattr(ranking, "missing", lambda source: "")
        assert {spec.data for spec in ranking.specs("desk")} == {"mnist"}
        assert {spec.data for spec in ranking.specs("full")} == {"mnist", "fashion_mnist"}
        monkeypatch.setattr(ranking, "missing", lambda source: "not here")
        assert {spec.data for spec in ranking.specs("full")} == {"mnist"}


@pytest.mark.parametrize("method", ["dense", "random_erk", "synflow", "rigl", "magnitude_after", "edge_popup"])
def test_a_trial_records_what_it_ends_with(method, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(contenders, "ROUNDS", 5)
    trial = Trial(0, tmp_path)
    ranking.run(SMALL.model_copy(update={"method": method}), trial)
    assert trial.metrics["density"] == pytest.approx(100 if method == "dense" else 20, abs=0.05)
    assert 0 < trial.metrics["weights of the thinnest layer"] <= 160
    assert 0 <= trial.metrics["accuracy"] <= 100
    assert {f"density of junction {place}" for place in (1, 2, 3)} <= trial.metrics.keys()


class TestContest:
    def test_all_methods_where_most_were_run(self) -> None:
        cells = cells_of(
            [
                *trials("dense", 1.0, (98, 98)), *trials("magnitude_after", 0.1, (98, 98)),
                *trials("snip", 0.1, (90, 91)), *trials("rigl", 0.1, (92, 93)), *trials("set", 0.1, (91, 90)),
                *trials("snip", 0.03, (80, 81)), *trials("rigl", 0.03, (82, 83)), *trials("set", 0.03, (81,)),
                *trials("snip", 0.001, (20, 20)),
            ]
        )  # fmt: skip
        contest = contest_of(cells)
        assert contest.methods == ("snip", "set", "rigl")
        assert contest.blocks == ((("mnist", 0.1), 0), (("mnist", 0.1), 1), (("mnist", 0.03), 0))
        assert ranked_first(cells, contest) == ["rigl", "set", "snip", "dense", "magnitude_after"]

    def test_one_method_alone_has_no_rank(self) -> None:
        section = ranking.findings(trials("snip", 0.1, (90, 91)))
        assert not any(isinstance(block, Grid) for block in section.blocks)
        assert contest_of({}).blocks == ()


class TestFindings:
    def found(self):
        pruned = [
            one
            for density, cost in ((0.1, 1.0), (0.01, 9.0))
            for place, method in enumerate(("rigl", "set", "random_erk", "snip"))
            for one in trials(method, density, [97 - cost - place + seed / 10 for seed in range(4)])
        ]
        return ranking.findings([*trials("dense", 1.0, [98 + seed / 10 for seed in range(4)]), *pruned])

    def test_the_table_goes_from_the_best_mean_rank_down(self) -> None:
        [grid] = [block for block in self.found().blocks if isinstance(block, Grid)]
        assert [row[1] for row in grid.rows] == [NAMES[name] for name in ("rigl", "set", "random_erk", "snip")]
        assert [row[3] for row in grid.rows] == ["1.00", "2.00", "3.00", "4.00"]
        assert [row[4] for row in grid.rows] == ["1.00 to 1.00", "2.00 to 2.00", "3.00 to 3.00", "4.00 to 4.00"]
        ahead = [row[5] for row in grid.rows]
        assert ahead[0].startswith("+2.00 (+2.00")
        assert ahead[2] == ""  # of itself
        assert grid.rows[0][6].startswith("-6.00 (-6.00")  # 2 points and 10 points below dense
        # Nemenyi: 2.569 · √(4 · 5 / (6 · 8 blocks))
        assert "less than 1.66" in grid.note

    def test_a_map_and_a_chart_for_each_moment(self) -> None:
        charts = [block for block in self.found().blocks if isinstance(block, Chart)]
        assert [chart.title for chart in charts] == [
            "Accuracy by method and density: MNIST",
            "Choosing before training: MNIST",
            "Choosing during training: MNIST",
        ]
        assert charts[0].x_ticks == ("10", "1")
        assert charts[1].names == (NAMES["random_erk"], NAMES["snip"], "dense")
        assert charts[1].series[-1].x == (1.0, 10.0)

    def test_two_lengths_of_training_are_not_mixed(self) -> None:
        both = [
            one
            for epochs in (5, 20)
            for method in ("rigl", "set")
            for one in trials(method, 0.1, (97, 98), epochs=epochs)
        ]
        titles = [block.title for block in ranking.findings(both).blocks if not isinstance(block, Note)]
        assert len(set(titles)) == len(titles)
        assert sum(title.startswith("Ranking") for title in titles) == 2


class TestClaims:
    def section(self, close: float = 0.3, flow: tuple[float, float] = (54.0, 33.0), soft: float = 95.0, **fields):
        return ranking.findings(
            [
                *trials("dense", 1.0, (98.0, 98.2, 98.1), **fields),
                *trials("rigl", 0.1, (98 - close, 98.2 - close, 98.15 - close), **fields),
                *trials("set", 0.1, (98 - close, 98.2 - close, 98.15 - close), **fields),
                *trials("synflow", 0.001, (flow[1], flow[1] + 1, flow[1] + 2), flow[0], **fields),
                *trials("magnitude", 0.001, (11.35,) * 3, 0.0, **fields),
                *trials("edge_popup", 0.5, (soft, soft + 0.1, soft + 0.2), **fields),
            ]
        )

    LABELS = (
        "dense − RigL at 10 %",
        "dense − SET at 10 %",
        "SynFlow at 0.1 %: weights of the thinnest layer, smallest of all seeds",
        "magnitude at 0.1 %: weights of the thinnest layer, largest of all seeds",
        "SynFlow − magnitude at 0.1 %",
        "edge-popup at 50 %, no weight trained",
    )

    def test_what_must_show_does(self) -> None:
        assert verdicts(self.section()) == dict.fromkeys(self.LABELS, "reproduced")

    def test_what_must_show_does_not(self) -> None:
        found = verdicts(self.section(close=2.0, flow=(0.0, 11.35), soft=80.0))
        magnitude = self.LABELS[3]
        assert found == {label: "reproduced" if label == magnitude else "differs" for label in self.LABELS}

    @pytest.mark.parametrize("fields", [{"data": "digits"}, {"hidden": (24, 16)}, {"data": "fashion_mnist"}])
    def test_other_networks_and_images_are_asked_nothing(self, fields) -> None:
        assert set(verdicts(self.section(**fields)).values()) == {"no published number"}
