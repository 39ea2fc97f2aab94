"""Figure 2: the networks of the paper, methods that end at the sparsity asked for, claims of made-up outcomes."""

import math

import pytest
import torch

from sparsewire.experiments.initial_pruning import methods
from sparsewire.experiments.initial_pruning.methods import METHODS, REMOVED, MethodsSpec
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid, Note
from sparsewire.structure.masks import maskable

SMALL = MethodsSpec(data="digits", hidden=(30, 20), epochs=3, batch=32, k=4)


def verdicts(section) -> dict[str, str]:
    return {claim.label: claim.verdict for _, claim in section.claims()}


class TestSpecs:
    @pytest.mark.parametrize("scale", ["desk", "full"])
    def test_two_networks_four_methods_nine_sparsities(self, scale, monkeypatch) -> None:
        monkeypatch.setattr(methods, "missing", lambda source: "")
        found = methods.specs(scale)
        assert len(found) == 2 * 2 * (4 * 9 + 1)
        pruned = [spec for spec in found if spec.removed]
        assert {(spec.method, spec.removed) for spec in pruned} == {(one, much) for one in METHODS for much in REMOVED}
        assert {(spec.network, spec.hidden) for spec in found} == {
            ("classifier", (128, 100)),
            ("autoencoder", (128, 64)),
        }

    def test_what_is_not_at_hand_is_not_planned_but_mnist_is(self, monkeypatch) -> None:
        monkeypatch.setattr(methods, "missing", lambda source: f"{source} is not here")
        assert {spec.data for spec in methods.specs("full")} == {"mnist"}


class TestNetworks:
    def test_the_decoder_mirrors_the_encoder_and_ends_in_its_activation(self) -> None:
        model = methods.built(SMALL.model_copy(update={"network": "autoencoder"}))
        assert [tuple(weight.shape) for weight in maskable(model).values()] == [(30, 64), (20, 30), (30, 20), (64, 30)]
        assert isinstance(model[-1], torch.nn.Sigmoid)

    def test_the_classifier_ends_in_ten_logits(self) -> None:
        model = methods.built(SMALL)
        assert [tuple(weight.shape) for weight in maskable(model).values()] == [(30, 64), (20, 30), (10, 20)]
        assert isinstance(model[-1], torch.nn.Linear)


class TestTrials:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("network", ["classifier", "autoencoder"])
    def test_every_method_ends_at_its_sparsity(self, method, network, tmp_path) -> None:
        trial = Trial(0, tmp_path)
        methods.run(SMALL.model_copy(update={"method": method, "network": network, "removed": 0.6}), trial)
        weights = 64 * 30 + 30 * 20 + (20 * 10 if network == "classifier" else 20 * 30 + 30 * 64)
        # Four deviations of a Bernoulli mask; dissipating gradients alone are exact.
        slack = 0.5 / weights if method == "dissipating" else 4 * math.sqrt(0.25 / weights)
        assert trial.metrics["removed"] == pytest.approx(60, abs=100 * slack)
        assert ("accuracy" in trial.metrics) is (network == "classifier")

    def test_a_dense_network_loses_nothing(self, tmp_path) -> None:
        trial = Trial(0, tmp_path)
        methods.run(SMALL.model_copy(update={"removed": 0.0}), trial)
        assert trial.metrics["removed"] == 0

    def test_one_start_is_the_random_mask(self, tmp_path) -> None:
        found = []
        for method in ("random", "k_starts"):
            trial = Trial(2, tmp_path / method)
            methods.run(SMALL.model_copy(update={"method": method, "k": 1}), trial)
            found.append(trial.metrics["removed"])
        assert found[0] == found[1]


def outcomes(spread: dict[str, float], good: dict[str, float], network: str = "classifier", **fields) -> list[Outcome]:
    """Five seeds of every method at two sparsities: this accuracy, or a loss that is as much smaller."""
    found = []
    for method in METHODS:
        for removed in (0.5, 0.9):
            for seed in range(5):
                value = 90 + good[method] + spread[method] * (seed - 2) - 5 * removed
                metrics = {"accuracy": value} if network == "classifier" else {"loss": 1 - value / 100}
                spec = MethodsSpec(network=network, method=method, removed=removed, **fields)
                found.append(Outcome(spec, seed, "done", None, 1.0, metrics, {}))
    return found


AS_IN_THE_PAPER = {"random": 0.0, "k_starts": 0.5, "dissipating": 0.7, "combination": 2.0}
STEADY = {"random": 0.04, "k_starts": 0.04, "dissipating": 0.01, "combination": 0.03}


class TestFindings:
    @pytest.mark.parametrize("network", ["classifier", "autoencoder"])
    def test_the_papers_own_picture(self, network) -> None:
        found = verdicts(methods.findings(outcomes(STEADY, AS_IN_THE_PAPER, network)))
        assert set(found.values()) == {"reproduced"}
        assert list(found) == [
            "combination ahead of random",
            "combination ahead of K-starts",
            "combination ahead of dissipating gradients",
            "K-starts ahead of random",
            "dissipating gradients ahead of random",
            "every method: least removed ahead of most removed",
            "spread of random above that of dissipating gradients",
            "spread of K-starts above that of dissipating gradients",
            "spread of combination above that of dissipating gradients",
        ]

    @pytest.mark.parametrize("network", ["classifier", "autoencoder"])
    def test_the_opposite_picture(self, network) -> None:
        good = {method: -value for method, value in AS_IN_THE_PAPER.items()}
        spread = STEADY | {"dissipating": 0.1}
        found = verdicts(methods.findings(outcomes(spread, good, network)))
        assert found.pop("every method: least removed ahead of most removed") == "reproduced"
        assert set(found.values()) == {"differs"}

    def test_errors_are_shown_as_they_are(self) -> None:
        blocks = methods.findings(outcomes(STEADY, AS_IN_THE_PAPER, "autoencoder")).blocks
        [chart] = [block for block in blocks if isinstance(block, Chart)]
        assert chart.log_y
        assert all(value > 0 for line in chart.series for value in line.mean)
        [grid] = [block for block in blocks if isinstance(block, Grid)]
        assert grid.rows[0][:2] == ("50", "0.12500 ± 0.00063")  # 0.04 points · √2.5

    def test_digits_have_nothing_to_be_compared_with(self) -> None:
        found = verdicts(methods.findings(outcomes(STEADY, AS_IN_THE_PAPER, data="digits")))
        assert set(found.values()) == {"no published number"}

    def test_a_seed_that_lacks_a_sparsity_does_not_count(self) -> None:
        found = outcomes(STEADY, AS_IN_THE_PAPER)[:-1]
        claims = {claim.label: claim for _, claim in methods.findings(found).claims()}
        assert len(claims["combination ahead of random"].ours) == 4
        assert len(claims["K-starts ahead of random"].ours) == 5
        # with unequal numbers of seeds spreads are not compared
        assert len(claims["spread of combination above that of dissipating gradients"].ours) == 1

    def test_networks_of_two_kinds_stand_apart_and_the_dense_one_is_a_line(self) -> None:
        both = [*outcomes(STEADY, AS_IN_THE_PAPER), *outcomes(STEADY, AS_IN_THE_PAPER, "autoencoder", hidden=(128, 64))]
        dense = [Outcome(MethodsSpec(removed=0.0), seed, "done", None, 1.0, {"accuracy": 92.0}, {}) for seed in (0, 1)]
        charts = [block for block in methods.findings([*both, *dense]).blocks if isinstance(block, Chart)]
        assert [chart.title for chart in charts] == [
            "Figure 2, classifier 128-100 on MNIST",
            "Figure 2, autoencoder 128-64 on MNIST",
        ]
        assert charts[0].names[-1] == "dense"
        assert charts[0].series[-1].x == (50.0, 90.0)

    def test_dense_networks_alone_show_nothing(self) -> None:
        dense = [Outcome(MethodsSpec(removed=0.0), 0, "done", None, 1.0, {"accuracy": 92.0}, {})]
        assert all(isinstance(block, Note) for block in methods.findings(dense).blocks)

    def test_what_the_paper_leaves_open_is_said(self) -> None:
        blocks = methods.findings(outcomes(STEADY, AS_IN_THE_PAPER)).blocks
        assert "says nothing of the decoder" in blocks[-1].text
