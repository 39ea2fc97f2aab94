"""What the studies share: images, one training and what it records, sets that are not at hand."""

import pytest
import torch

from sparsewire.errors import DataError
from sparsewire.experiments.initial_pruning import setup
from sparsewire.experiments.initial_pruning.setup import TrainingSpec
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.models.zoo import mlp

SMALL = TrainingSpec(experiment="x", data="digits", hidden=(8,), epochs=2, batch=100)


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A machine without any files of images."""
    for name in ("SPARSEWIRE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


def outcome(**fields) -> Outcome:
    return Outcome(SMALL.model_copy(update=fields), 0, "done", None, 1.0, {}, {})


class TestImages:
    def test_digits_are_always_at_hand_in_rows_of_pixels_from_0_to_1(self) -> None:
        data = setup.load("digits")
        assert data.train.inputs.shape == (1437, 64)
        assert (float(data.train.inputs.min()), float(data.train.inputs.max())) == (0, 1)
        assert setup.load("digits") is data

    @pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
    def test_what_is_missing_is_said_and_how_it_comes_here(self, source, empty) -> None:
        assert f"sparsewire data fetch {source}" in setup.missing(source)
        with pytest.raises(DataError, match="is not on this machine"):
            setup.load(source)

    def test_the_report_names_the_sets_that_were_left_out(self, empty) -> None:
        [note] = setup.left_out([outcome(data="mnist")], ("mnist", "fashion_mnist"))
        assert note.text.startswith("Not run: fashion_mnist is not on this machine")
        assert setup.left_out([outcome(data="mnist"), outcome(data="fashion_mnist")], ("mnist", "fashion_mnist")) == []
        assert setup.left_out([outcome()], ("mnist", "fashion_mnist")) == []


class TestTraining:
    def test_records_accuracy_and_loss_by_epoch_under_its_name(self, tmp_path) -> None:
        trial = Trial(0, tmp_path)
        setup.trained(mlp((64, 8, 10), generator=trial.generator("weights")), SMALL, trial, name="first")
        assert set(trial.series) == {"first accuracy", "first loss"}
        assert [step for step, _ in trial.series["first loss"]] == [1, 2]
        assert trial.metrics["first accuracy"] == trial.series["first accuracy"][-1][1] > 1  # percent

    def test_targets_that_are_no_classes_have_no_accuracy(self, tmp_path) -> None:
        trial, pixels = Trial(0, tmp_path), setup.load("digits").train.inputs
        model = mlp((64, 8, 64), generator=trial.generator("weights"))
        pair = (pixels, pixels)
        setup.trained(model, SMALL, trial, train=pair, test=pair, loss=torch.nn.functional.mse_loss)
        assert set(trial.series) == {"loss"}

    def test_the_seed_alone_gives_the_batches(self, tmp_path) -> None:
        found = []
        for folder in ("a", "b"):
            trial = Trial(1, tmp_path / folder)
            model = mlp((64, 8, 10), generator=trial.generator("weights"))
            setup.trained(model, SMALL, trial)
            found.append(torch.cat([weight.flatten() for weight in model.parameters()]))
        assert torch.equal(*found)

    def test_two_trainings_of_a_trial_keep_checkpoints_apart(self, tmp_path) -> None:
        trial = Trial(0, tmp_path)
        model = mlp((64, 8, 10), generator=trial.generator("weights"))
        for name in ("before", ""):
            setup.trained(model, SMALL, trial, name=name)
        assert {"before loss", "loss"} <= set(trial.series)

    @pytest.mark.parametrize(("batch", "steps"), [(1437, 1), (1436, 2), (1, 1437), (5000, 1)])
    def test_the_last_batch_counts(self, batch, steps) -> None:
        assert setup.steps_of(SMALL.model_copy(update={"batch": batch})) == steps


@pytest.mark.parametrize("removed", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_two_halves_remove_the_whole(removed) -> None:
    assert (1 - setup.half(removed)) ** 2 == pytest.approx(1 - removed)
