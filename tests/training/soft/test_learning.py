import math
from typing import Any

import pytest
import torch
from tests.training.shelf import Shelf, Stopped
from tests.training.soft.small_supermasks import DATA, INPUTS, LABELS, adam, chain, source
from torch import nn

from sparsewire.errors import CheckpointError, DivergedError, RequestError, UnknownNameError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.soft.coins import Coins
from sparsewire.training.soft.learning import learn_masks
from sparsewire.training.soft.network import SoftNetwork
from sparsewire.training.soft.top_scores import edge_popup


def learn(model: Any = None, data: Any = DATA, method: Any = None, **options: Any) -> Any:
    settings = {"generator": source(), "optimizer": adam, "epochs": 2, "batch_size": 20} | options
    return learn_masks(chain() if model is None else model, data, Coins() if method is None else method, **settings)


def test_progress_rate_and_the_end_are_the_callers():
    steps, rates, kept = [], [], []

    def optimizer(scores):
        kept.append(torch.optim.SGD(scores, lr=7.0))
        return kept[0]

    def after(epoch, network, history):
        assert isinstance(network, SoftNetwork)
        return len(history) == 3

    def step(epoch, step, steps_of_it, loss):
        steps.append((epoch, step, steps_of_it))
        rates.append(kept[0].param_groups[0]["lr"])

    found = learn(epochs=9, optimizer=optimizer, on_epoch=after, progress=step, rate=lambda epoch: 1.0 / (1 + epoch))
    assert steps == [(epoch, step, 3) for epoch in (1, 2, 3) for step in (1, 2, 3)]
    assert rates == [1.0] * 3 + [0.5] * 3 + [1 / 3] * 3
    assert len(found.history) == 3
    assert found.judged is None


def test_any_loss_data_augmentation_and_clipping():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    batches = [(INPUTS[:30], INPUTS[:30, :1]), (INPUTS[30:], INPUTS[30:, :1])]
    found = learn(
        model, batches, loss=nn.functional.mse_loss, validation=batches, clip_norm=0.1,
        augment=lambda inputs, generator: inputs + 0.01 * torch.rand(inputs.shape, generator=generator),
    )  # fmt: skip
    assert math.isnan(found.judged.accuracy)
    assert found.judged.count == 60


def test_running_statistics_follow_the_training():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    learn(model)
    assert model[1].num_batches_tracked == 6
    assert model[1].running_mean.abs().sum() > 0
    assert torch.equal(model[1].weight, torch.ones(8))


def test_a_training_that_diverges_leaves_the_weights():
    model, inputs = chain(), INPUTS.clone()
    inputs[7] = math.nan
    with pytest.raises(DivergedError, match="training diverged"):
        edge_popup(
            model, (inputs, LABELS), density=0.5, init="signed_constant", generator=source(), optimizer=adam, epochs=1
        )
    before = chain().state_dict()
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_what_was_kept_of_another_method_is_refused():
    shelf = Shelf((2,))
    with pytest.raises(Stopped):
        learn(checkpoints=shelf)
    with pytest.raises(CheckpointError, match=r"start=1\.0"):
        learn(method=Coins(start=1.0), checkpoints=shelf)
    with pytest.raises(CheckpointError, match="checkpoints"):
        learn(only="0", checkpoints=shelf)


def test_new_weights_are_kept_with_the_training():
    """The same call after the model has got them: they must not be scaled a second time."""

    def found(shelf, model):
        return edge_popup(
            model, DATA, density=0.25, scaled=True, generator=source(), optimizer=adam, epochs=2, batch_size=20,
            checkpoints=shelf,
        )  # fmt: skip

    expected, model, shelf = chain(), chain(), Shelf((4,))
    found(None, expected)
    with pytest.raises(Stopped):
        found(shelf, model)
    with torch.no_grad():
        model[0].weight.mul_(2)
    found(shelf, model)
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in expected.state_dict().items())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("model", 3), ("model", nn.ReLU()), ("method", "coins"), ("method", Coins), ("generator", 0),
        ("optimizer", None), ("optimizer", torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)),
        ("optimizer", lambda scores: 3), ("optimizer", torch.optim.LBFGS),
        ("optimizer", lambda scores: torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)),
        ("epochs", -1), ("epochs", 1.5), ("epochs", True), ("epochs", math.nan), ("epochs", "many"),
        ("batch_size", 0), ("batch_size", 2.5), ("data", 3), ("data", (INPUTS, LABELS[:3])),
        ("data", (INPUTS[:0], LABELS[:0])), ("loss", "mse"), ("loss", nn.MSELoss), ("rate", 0.1),
        ("rate", lambda epoch: -1.0), ("rate", lambda epoch: math.nan), ("clip_norm", 0), ("augment", 3),
        ("on_epoch", 3), ("device", "nowhere"), ("weights", {"0.weight": torch.ones(2, 2)}),
        ("weights", {"0.weight": 3}), ("only", "gate:new"), ("only", ()),
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused_and_the_model_is_left(argument, value):
    model = chain()
    with pytest.raises(RequestError, match=r"\w" if argument == "only" else argument):
        learn(**({"model": model} | {argument: value}))
    before = chain().state_dict()
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_an_unknown_weight_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean '0\.weight'"):
        learn(weights={"0.wieght": torch.ones(2, 2)})
    with pytest.raises(TypeError, match="epoch"):
        edge_popup(chain(), DATA, density=0.5, generator=source(), optimizer=adam, epoch=1)


def test_sparse_layers_and_parts_of_weights_are_refused():
    model = chain()
    sparse = sparsify(model, prune(model, score="magnitude", density=0.3), "sparse")
    with pytest.raises(RequestError, match=r"densify"):
        learn(sparse)
    with pytest.raises(RequestError, match=r"found a part of 'weight_ih_l0', expected whole weights"):
        learn(nn.GRU(6, 4), only="gate:new")


def test_a_tied_weight_has_one_mask_that_acts_at_both_places():
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    network = SoftNetwork(model, Coins(sampled=False, rescale=False), generator=source())
    assert list(network.scores_by_name()) == ["0.weight"]
    halved = model[0].weight.detach() / 2
    expected = (INPUTS @ halved.T + model[0].bias).tanh() @ halved.T + model[2].bias
    assert torch.allclose(network(INPUTS), expected)


def test_the_network_is_called_without_patching_the_model():
    model = chain()
    network = SoftNetwork(model, Coins(), generator=source())
    network(INPUTS).sum().backward()
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in chain().named_parameters()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(scores.grad is not None for scores in network.scores.parameters())
    assert Masks.from_model(model).count == 6 * 16 + 16 * 12 + 12 * 4
