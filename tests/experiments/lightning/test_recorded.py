"""What is recorded of a training: the test set's accuracy after every epoch, and the best of them."""

import torch

from sparsewire.data import digits
from sparsewire.experiments.lightning import recorded
from sparsewire.lab.experiment import Trial
from sparsewire.models.zoo import mlp
from sparsewire.training.history import Epoch, Evaluation, History
from sparsewire.training.loop import fit


def test_the_test_set_only_judges_and_the_seed_decides_the_order(tmp_path, monkeypatch) -> None:
    data, orders = digits().flat(), []

    def keep(model, train, **options):
        assert torch.equal(train.inputs, data.train.inputs)
        assert torch.equal(options["validation"].inputs, data.test.inputs)
        orders.append(options["generator"].initial_seed())
        return fit(model, train, **options)

    monkeypatch.setattr(recorded, "fit", keep)
    for place, (seed, prefix) in enumerate(((0, "parent "), (0, "child "), (1, "parent "))):
        trial = Trial(seed, tmp_path / str(place))
        recorded.train_recorded(
            mlp((64, 10)), data, trial, prefix, optimizer=lambda own: torch.optim.SGD(own, lr=0.1), epochs=1
        )
        assert f"{prefix}best_accuracy" in trial.metrics
        assert list(trial.series) == [f"{prefix}accuracy", f"{prefix}loss"]
    assert orders[0] == orders[1] != orders[2]


def test_the_best_need_not_be_the_last(tmp_path, monkeypatch) -> None:
    epochs = tuple(Epoch(at, 1, 1.0, 2.0, Evaluation(1.0, own, 8), "update") for at, own in ((1, 0.5), (2, 0.25)))
    monkeypatch.setattr(recorded, "fit", lambda *_, **__: History(epochs))
    trial = Trial(0, tmp_path)
    recorded.train_recorded(mlp((64, 10)), digits().flat(), trial)
    assert trial.metrics["best_accuracy"] == 50.0
