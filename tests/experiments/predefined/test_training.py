"""How a trial trains: masks hold, planned and masked agree, the penalty is on weights, seeds make pairs."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.experiments.predefined.mnist_dense import MnistSpec, run
from sparsewire.experiments.predefined.setup import TrainingSpec, _conclude, connected, optimizer_of, run_training
from sparsewire.experiments.predefined.sources import images
from sparsewire.lab.experiment import Trial
from sparsewire.models.zoo import mlp
from sparsewire.training.history import Epoch, Evaluation, History
from sparsewire.training.loop import fit

SMALL = {"data": "digits", "sizes": (64, 32, 10), "epochs": 2, "execution": "masked"}


def trained(spec: MnistSpec, folder, seed: int = 0) -> tuple[nn.Module, Trial]:
    trial = Trial(seed, folder)
    model = mlp(spec.sizes)
    masks = connected(model, spec, trial)
    return run_training(model, masks, images("digits").flat(), spec, trial), trial


def test_absent_connections_stay_absent_and_all_have_as_many(tmp_path) -> None:
    model, trial = trained(MnistSpec(fan_outs=(4, 5), **SMALL), tmp_path)
    assert ((model[0].weight != 0).sum(0) == 4).all()
    assert ((model[2].weight != 0).sum(1) == 16).all()
    found = trial.metrics
    assert (found["density of junction 1"], found["density of junction 2"]) == (12.5, 50.0)
    assert found["density"] == pytest.approx(100 * (64 * 4 + 32 * 5) / (64 * 32 + 32 * 10))


def test_of_one_seed_the_weights_that_exist_start_alike(tmp_path, monkeypatch) -> None:
    """Else a difference of one seed would compare two draws."""
    starts = []

    def keep(model, *args, **kwargs):
        starts.append([weight.detach().clone() for weight in model.parameters()])
        return fit(model, *args, **kwargs)

    monkeypatch.setattr("sparsewire.experiments.predefined.setup.fit", keep)
    for place, fan_outs in enumerate(((), (4, 5), (16, 10))):
        trained(MnistSpec(fan_outs=fan_outs, **SMALL), tmp_path / str(place))
    full, *others = starts
    for start in others:
        for weight, whole in zip(start, full, strict=True):
            assert torch.equal(weight, whole * (weight != 0))
    # He-normal by the fan-in of the whole layer, however few connections there are.
    assert others[0][0][others[0][0] != 0].std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.15)
    assert all(not start[1].any() for start in starts)


def test_the_test_set_only_judges_and_the_seed_decides_the_order(tmp_path, monkeypatch) -> None:
    seen = []

    def keep(model, data, **options):
        seen.append((data, options["validation"], options["generator"].initial_seed()))
        return fit(model, data, **options)

    monkeypatch.setattr("sparsewire.experiments.predefined.setup.fit", keep)
    spec = MnistSpec(**{**SMALL, "epochs": 1})
    for place, (fan_outs, seed) in enumerate((((), 0), ((4, 5), 0), ((), 1))):
        trained(spec.model_copy(update={"fan_outs": fan_outs}), tmp_path / str(place), seed)
    data = images("digits").flat()
    for train, test, _ in seen:
        assert torch.equal(train.inputs, data.train.inputs)
        assert torch.equal(test.inputs, data.test.inputs)
    orders = [order for _, _, order in seen]
    assert orders[0] == orders[1] != orders[2]


def test_planned_and_masked_agree(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sparsewire.experiments.predefined.setup.plan", lambda *_, **__: pytest.skip("not reached"))
    monkeypatch.setattr(Trial, "plan", lambda *_: "sparse")
    spec = MnistSpec(fan_outs=(4, 10), **SMALL)
    accuracies = []
    for execution in ("masked", "planned"):
        _, trial = trained(spec.model_copy(update={"execution": execution}), tmp_path / execution)
        accuracies.append([value for _, value in trial.series["accuracy"]])
    assert accuracies[0] == pytest.approx(accuracies[1], abs=1.0)


def test_the_plan_is_kept_with_the_trial(tmp_path) -> None:
    spec = MnistSpec(fan_outs=(4, 10), **{**SMALL, "execution": "planned"})
    assert list(trained(spec, tmp_path)[1].plans) == ["layers"]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_penalty_is_on_weights_alone(name) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4))
    optimizer = optimizer_of(model, TrainingSpec(experiment="x", optimizer=name, penalty=0.25, rate=0.1))
    decay = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert {path: decay[id(each)] for path, each in model.named_parameters()} == {
        "0.weight": 0.5, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0, "3.weight": 0.5, "3.bias": 0.0,
    }  # fmt: skip


def test_the_penalty_has_the_gradient_that_it_says() -> None:
    """λ Σ w² falls by 2 λ w a step of rate 1, where nothing else pulls."""
    layer = nn.Linear(3, 1)
    before = layer.weight.detach().clone()
    optimizer = optimizer_of(layer, TrainingSpec(experiment="x", optimizer="sgd", penalty=0.1, rate=1.0))
    (layer.weight * 0).sum().backward()
    optimizer.step()
    assert torch.allclose(layer.weight, before - 0.2 * before)


def test_adam_is_keras() -> None:
    defaults = optimizer_of(nn.Linear(3, 1), TrainingSpec(experiment="x")).defaults
    assert (defaults["lr"], defaults["betas"], defaults["eps"]) == (1e-3, (0.9, 0.999), 1e-7)


def test_the_best_of_the_first_epochs_need_not_be_the_last(tmp_path) -> None:
    trial = Trial(0, tmp_path)
    accuracies = (0.5, 0.75, 0.25, 0.5, 0.625, 0.5)
    epochs = (Epoch(at, 1, 1.0, 2.0, Evaluation(1.0, own, 8), "update") for at, own in enumerate(accuracies, start=1))
    _conclude(History(tuple(epochs)), trial)
    assert trial.metrics == {
        "best after 1": 50.0, "best after 5": 75.0, "best_accuracy": 75.0, "seconds of training": 12.0,
    }  # fmt: skip


def test_biases_may_start_elsewhere(tmp_path) -> None:
    model, _ = trained(MnistSpec(bias=0.1, rate=1e-12, **SMALL), tmp_path)
    assert torch.allclose(model[0].bias, torch.tensor(0.1))


def test_what_a_trial_records(tmp_path) -> None:
    trial = Trial(0, tmp_path)
    run(MnistSpec(**{**SMALL, "epochs": 5}), trial)
    values = [value for _, value in trial.series["accuracy"]]
    assert len(values) == 5
    assert trial.metrics["best after 1"] == values[0]
    assert trial.metrics["best after 5"] == trial.metrics["best_accuracy"] == max(values)
    assert "best after 30" not in trial.metrics
    assert trial.metrics["density"] == 100.0


def test_fan_outs_that_do_not_divide_are_refused_with_the_nearest(tmp_path) -> None:
    with pytest.raises(RequestError, match="fan_out"):
        run(MnistSpec(fan_outs=(4, 3), **SMALL), Trial(0, tmp_path))


@pytest.mark.parametrize(
    "fields", [{"fan_outs": (0, 10)}, {"fan_outs": (1.5,)}, {"penalty": -1.0}, {"rate": 0.0}, {"epochs": True}]
)
def test_impossible_fields_are_refused(fields) -> None:
    with pytest.raises(ValidationError):
        MnistSpec(**fields)
