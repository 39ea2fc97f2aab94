"""The paper's schedule, penalty and preprocessing on CIFAR-10, and that a stopped training goes on as if it had not."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.data import digits
from sparsewire.experiments.lightning import cifar_rebuild, lenet5, resnet
from sparsewire.experiments.lightning.cifar_setup import (
    PENALTY,
    SMOKE,
    CifarSpec,
    adam,
    enlarged,
    scheduled,
    train,
)
from sparsewire.lab.checkpoint_folder import Stopped
from sparsewire.lab.experiment import Trial
from sparsewire.models.zoo import lenet_5, resnet_8d
from sparsewire.training.loop import fit

# Table 3, counted from 1: first and last epoch of each phase.
TABLE = {1: 1e-3, 80: 1e-3, 81: 1e-4, 120: 1e-4, 121: 1e-5, 160: 1e-5, 161: 1e-6, 180: 1e-6, 181: 5e-7, 200: 5e-7}


def small(**fields) -> CifarSpec:
    return CifarSpec(experiment="test", **{**SMOKE, "images": 64, "test_images": 20, **fields})


class TestSchedule:
    @pytest.mark.parametrize("epoch", TABLE)
    def test_is_table_3(self, epoch) -> None:
        assert scheduled(epoch, 200) == TABLE[epoch]

    @pytest.mark.parametrize("epochs", [1, 2, 3, 7, 10, 50, 199])
    def test_a_shorter_training_goes_through_the_phases_in_proportion(self, epochs) -> None:
        rates = [scheduled(epoch, epochs) for epoch in range(1, epochs + 1)]
        assert rates == sorted(rates, reverse=True)
        assert rates == [scheduled((epoch - 1) * 200 // epochs + 1, 200) for epoch in range(1, epochs + 1)]

    def test_a_longer_training_stays_in_the_last_phase(self) -> None:
        assert [scheduled(epoch, 300) for epoch in (80, 81, 200, 201, 300)] == [1e-3, 1e-4, 5e-7, 5e-7, 5e-7]

    def test_training_obeys_it(self, tmp_path) -> None:
        """Rates are asked for before each epoch; with a rate of 0 nothing is learned."""
        asked = []

        def rate(epoch: int, epochs: int) -> float:
            asked.append((epoch, epochs))
            return 0.0

        model = lenet_5(generator=torch.Generator().manual_seed(0))
        before = [parameter.clone() for parameter in model.parameters()]
        train(model, small(epochs=2), Trial(0, tmp_path), rate=rate)
        assert asked == [(1, 2), (2, 2), (3, 2)]
        assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


class TestAdam:
    def test_weight_decay_is_the_penalty_of_the_loss(self) -> None:
        """Three steps give what Adam gives for cross-entropy + λ · Σ w² over the kernels, written out."""
        torch.manual_seed(0)
        ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()
        theirs = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()
        theirs.load_state_dict(ours.state_dict())
        images, labels = torch.rand(5, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
        one, other = adam(ours, (nn.Conv2d, nn.Linear)), torch.optim.Adam(theirs.parameters(), eps=1e-7)
        for _ in range(3):
            for optimizer, model, added in ((one, ours, 0.0), (other, theirs, PENALTY)):
                optimizer.zero_grad()
                penalty = model[0].weight.square().sum() + model[2].weight.square().sum()
                (cross_entropy(model(images), labels) + added * penalty).backward()
                optimizer.step()
        for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, their, rtol=1e-10, atol=1e-12)

    def test_penalizes_the_kinds_that_are_named_and_no_bias(self) -> None:
        model = resnet_8d()
        penalized, free = adam(model, (nn.Conv2d,)).param_groups
        assert {weight.dim() for weight in penalized["params"]} == {4}
        assert (penalized["weight_decay"], free["weight_decay"]) == (2e-4, 0)
        assert len(penalized["params"]) + len(free["params"]) == len(list(model.parameters()))
        assert model.head[0].weight in set(free["params"])

    def test_frozen_parameters_are_left_out(self) -> None:
        model = lenet_5()
        model.features.requires_grad_(False)
        owned = {id(p) for group in adam(model, (nn.Conv2d, nn.Linear)).param_groups for p in group["params"]}
        assert owned == {id(parameter) for parameter in model.head.parameters()}


class TestTraining:
    def options_of(self, run, spec, folder, monkeypatch) -> list[dict]:
        """What `fit` is given in each training of a trial, and the rates of its optimizer at the end."""
        found = []

        def keep(model, data, **options):
            history = fit(model, data, **options)
            found.append({**options, "rates": {group["lr"] for group in options["optimizer"].param_groups}})
            return history

        monkeypatch.setattr("sparsewire.experiments.lightning.recorded.fit", keep)
        run(spec, Trial(0, folder))
        return found

    def test_batches_of_32_are_shifted_by_a_tenth_and_mirrored(self, tmp_path, monkeypatch) -> None:
        spec = lenet5.LeNet5Spec(**{**SMOKE, "images": 64, "test_images": 20})
        [options] = self.options_of(lenet5.run, spec, tmp_path, monkeypatch)
        assert options["augment"].keywords == {"fraction": 0.1, "flip": True}
        assert (options["batch_size"], options["masks"]) == (32, None)

    def test_children_keep_their_masks_and_the_parents_first_rate(self, tmp_path, monkeypatch) -> None:
        spec = cifar_rebuild.CifarRebuildSpec(**{**SMOKE, "images": 64, "test_images": 20, "epochs": 2}, active=(0.3,))
        parent, *children = self.options_of(cifar_rebuild.run, spec, tmp_path, monkeypatch)
        assert (parent["rates"], parent["masks"]) == ({5e-7}, None)
        assert len(children) == 2
        for child in children:
            assert child["rates"] == {1e-3}
            assert child["masks"].count == 17_676  # 30 % of 58,920

    @pytest.mark.parametrize(
        ("module", "spec", "kinds"),
        [
            (lenet5, lenet5.LeNet5Spec(), (nn.Conv2d, nn.Linear)),
            (resnet, resnet.ResNetSpec(network="resnet_8d"), (nn.Conv2d,)),
        ],
    )
    def test_of_a_resnet_only_convolutions_are_penalized(self, module, spec, kinds, tmp_path, monkeypatch) -> None:
        asked = []
        monkeypatch.setattr(module, "train", lambda *_, **options: asked.append(options))
        module.run(spec, Trial(0, tmp_path))
        usual = inspect.signature(train).parameters["penalized"].default
        assert [options.get("penalized", usual) for options in asked] == [kinds]


class TestData:
    def test_digits_become_images_of_cifars_size(self) -> None:
        some = digits()
        images = enlarged(some).test.inputs
        assert images.shape == (360, 3, 32, 32)
        assert torch.equal(images[:, 2, 3::4, ::4], some.test.inputs[:, 0])
        assert torch.equal(images[:, 0, 1, :4], images[:, 1, 2, :1].expand(-1, 4))

    def test_each_pixel_has_mean_zero_over_the_training_images(self) -> None:
        data = small().load()
        assert (len(data.train.labels), len(data.test.labels)) == (64, 20)
        assert data.train.inputs.mean(0).abs().max() < 1e-6
        assert data.train.inputs.amax() - data.train.inputs.amin() <= 2
        assert data.test.inputs.mean(0).abs().max() > 0.01


@pytest.mark.parametrize(
    ("run", "spec"),
    [
        (lenet5.run, lenet5.LeNet5Spec(**{**SMOKE, "images": 96, "test_images": 20, "epochs": 3})),
        (
            cifar_rebuild.run,
            cifar_rebuild.CifarRebuildSpec(**{**SMOKE, "images": 96, "test_images": 20}, active=(0.3,)),
        ),
    ],
    ids=["lenet5", "cifar_rebuild"],
)
def test_a_trial_that_was_stopped_goes_on_as_if_it_had_not_been(run, spec, tmp_path) -> None:
    undisturbed = Trial(1, tmp_path / "whole")
    run(spec, undisturbed)

    looks = 0

    def is_stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 12

    with pytest.raises(Stopped):
        run(spec, Trial(1, tmp_path / "stopped", is_stopped=is_stopped, every=0.0))
    again = Trial(1, tmp_path / "stopped")
    run(spec, again)
    assert {name: repr(value) for name, value in again.metrics.items()} == {
        name: repr(value) for name, value in undisturbed.metrics.items()
    }
    assert again.series == undisturbed.series
