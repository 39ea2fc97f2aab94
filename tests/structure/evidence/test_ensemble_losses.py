"""Losses of masked networks against the network run for each mask, whatever the layers, the draws and the budget."""

import copy
import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils._python_dispatch import TorchDispatchMode

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo import lenet_5, mlp
from sparsewire.structure.evidence.ensemble_losses import ensemble_losses
from sparsewire.structure.evidence.ensemble_portions import portions
from sparsewire.structure.evidence.unit_chain import unit_layer, unit_layers
from sparsewire.structure.evidence.unit_masks import unit_masks


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def slowly(model, layer, masks, data, loss=cross_entropy):
    """The whole network for every mask, with the mask as a layer in front of the following weights."""
    chain, inputs, losses = unit_layer(model, layer), data[0], []
    for mask in masks:
        values = inputs
        with torch.no_grad():
            for module in chain.before:
                values = module(values)
            mask = mask.repeat_interleave(values.shape[1] // chain.units)
            values = values * mask.to(values).view(1, -1, *[1] * (values.dim() - 2))
            for module in (chain.following, *chain.after):
                values = module(values)
            losses.append(float(loss(values, data[1])))
    return torch.tensor(losses, dtype=torch.float64)


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="circular"), nn.Tanh(),
        nn.Flatten(), nn.BatchNorm1d(6 * 4), nn.Linear(24, 5), nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(5, 3),
    )  # fmt: skip


CHAINS = {
    "dense": (lambda: mlp((7, 9, 5, 3)), (7,)),
    "dense, no bias": (lambda: mlp((7, 8, 3), "tanh", bias=False), (7,)),
    "two behind": (lambda: nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)), (7,)),
    "softplus behind": (lambda: nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 3)), (7,)),
    "convolutions": (convolutional, (2, 8, 8)),
    "LeNet-5": (lambda: lenet_5(1, 3, side=16), (1, 16, 16)),
}


def case(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        make, shape = CHAINS[name]
        model = make().double().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.running_mean)
    inputs = torch.randn(11, *shape, generator=seeded(2), dtype=torch.float64)
    return model, (inputs, torch.randint(3, (11,), generator=seeded(3)))


@pytest.mark.parametrize("draw", ["count", "pairs", "bernoulli"])
@pytest.mark.parametrize("share", [0.5, 0.85])
@pytest.mark.parametrize("name", CHAINS)
def test_as_the_network_run_for_each_mask(name, share, draw) -> None:
    model, data = case(name)
    for layer, chain in unit_layers(model).items():
        masks = unit_masks(chain.units, 9, generator=seeded(), share=share, draw=draw)
        expected = slowly(model, layer, masks, data)
        torch.testing.assert_close(ensemble_losses(model, layer, masks, data), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["dense", "convolutions"])
def test_batches_budgets_and_modes_change_nothing(name) -> None:
    model, (inputs, labels) = case(name)
    layer = next(iter(unit_layers(model)))
    masks = unit_masks(unit_layer(model, layer).units, 12, generator=seeded(), draw="pairs")
    expected = ensemble_losses(model, layer, masks, (inputs, labels))
    before = copy.deepcopy(model.state_dict())
    model.train()
    batches = [(inputs[:4], labels[:4]), (inputs[4:], labels[4:])]
    for data, budget in ((batches, 2**28), ((inputs, labels), 30_000), ((inputs, labels), 60_000)):
        found = ensemble_losses(model, f"{layer}.weight", masks, data, budget=budget)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_all_and_nothing_on() -> None:
    """A mask with all units on is the network; the product with none of the units is the bias."""
    model, data = case("dense")
    masks = torch.tensor([[True] * 9, [False] * 9, [True] * 9])
    found = ensemble_losses(model, "0", masks, data)
    with torch.no_grad():
        assert float(found[0]) == pytest.approx(float(cross_entropy(model(data[0]), data[1])), abs=1e-12)
    torch.testing.assert_close(found, slowly(model, "0", masks, data))


def test_another_loss() -> None:
    model, (inputs, _) = case("dense")
    data = inputs, torch.randn(11, 3, generator=seeded(), dtype=torch.float64)
    masks = unit_masks(5, 6, generator=seeded())
    torch.testing.assert_close(
        ensemble_losses(model, "2", masks, data, loss=mse_loss), slowly(model, "2", masks, data, mse_loss)
    )


def test_ignored_labels() -> None:
    model, (inputs, labels) = case("dense")
    labels = torch.where(torch.arange(11) < 2, -100, labels)
    masks = unit_masks(9, 4, generator=seeded())
    torch.testing.assert_close(
        ensemble_losses(model, "0", masks, (inputs, labels)), slowly(model, "0", masks, (inputs, labels))
    )


class _Watched(TorchDispatchMode):
    """Counts the bytes of storages that operations make and that are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            storage = result.untyped_storage()
            if storage.data_ptr() and storage.data_ptr() not in self.known and storage.nbytes() > 64:
                self._add(storage.data_ptr(), storage.nbytes(), result)
        return result

    def _add(self, place: int, size: int, tensor: torch.Tensor) -> None:
        def gone() -> None:
            self.now -= size
            self.known.discard(place)

        self.known.add(place)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(tensor, gone)


@pytest.mark.parametrize("budget", [400_000, 1_000_000, 4_000_000])
def test_memory_stays_within_the_budget(budget) -> None:
    model = mlp((64, 200, 50, 10), generator=seeded())
    data = torch.rand(500, 64, generator=seeded()), torch.randint(10, (500,), generator=seeded())
    masks = unit_masks(200, 64, generator=seeded())
    gc.collect()
    with _Watched() as watched:
        ensemble_losses(model, "0", masks, data, budget=budget)
    assert 0.2 * budget < watched.most < budget


class TestRefusals:
    def test_budget(self) -> None:
        model, data = case("dense")
        masks = unit_masks(9, 4, generator=seeded())
        with pytest.raises(RequestError, match=r"budget: found 100, expected at least \d+ bytes"):
            ensemble_losses(model, "0", masks, data, budget=100)
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(RequestError, match="budget: found"):
                ensemble_losses(model, "0", masks, data, budget=wrong)

    def test_the_least_budget_is_enough(self) -> None:
        model, data = case("dense")
        with pytest.raises(RequestError) as caught:
            portions(unit_layer(model, "0"), data[0], 100)
        least = int(str(caught.value).split("at least ")[1].split()[0])
        assert portions(unit_layer(model, "0"), data[0], least) == (1, 1)

    @pytest.mark.parametrize(
        "masks",
        [None, torch.ones(3, 9), torch.ones(9, dtype=torch.bool), torch.ones(2, 8).bool(), torch.ones(0, 9).bool()],
    )
    def test_masks(self, masks) -> None:
        model, data = case("dense")
        with pytest.raises(RequestError, match=r"masks: found .* expected torch.bool of shape \(ensembles, 9\)"):
            ensemble_losses(model, "0", masks, data)

    def test_data(self) -> None:
        model, (inputs, labels) = case("dense")
        masks = unit_masks(9, 4, generator=seeded())
        for data, match in (
            (None, "data: found nothing"),
            ((inputs, labels[:3]), "as many of the ones"),
            ([(inputs, labels[:3])], "as many labels as inputs"),
            ((inputs[:0], labels[:0]), "no samples"),
            ((inputs[:, None], labels), "expected \\(batch, features\\)"),
        ):
            with pytest.raises(RequestError, match=match):
                ensemble_losses(model, "0", masks, data)

    def test_losses(self) -> None:
        model, (inputs, labels) = case("dense")
        masks = unit_masks(9, 4, generator=seeded())
        for loss, match in (
            ("mse", "loss: found 'mse'"),
            (lambda outputs, _: outputs, "more than one number"),
            (lambda outputs, _: outputs.sum() / 0, "not finite"),
        ):
            with pytest.raises(RequestError, match=match):
                ensemble_losses(model, "0", masks, (inputs, labels), loss=loss)

    def test_layers(self) -> None:
        model, data = case("dense")
        masks = unit_masks(9, 4, generator=seeded())
        for layer in ("4", "first", 0, None):
            with pytest.raises(UnknownNameError, match="no layer with units"):
                ensemble_losses(model, layer, masks, data)


def test_hooks_behind_the_masked_layer_are_called() -> None:
    model, data = case("dense")
    for module in (model[3], model[4]):
        module.register_forward_hook(lambda module, args, output: 3 * output)
    masks = unit_masks(9, 4, generator=seeded())
    torch.testing.assert_close(ensemble_losses(model, "0", masks, data), slowly(model, "0", masks, data))


@pytest.mark.parametrize("layer", ["0", "2"])
def test_one_number_for_each_sample(layer) -> None:
    model = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 9), nn.Linear(9, 1), nn.Flatten(0)).double()
    data = torch.randn(11, 7, generator=seeded(2)).double(), torch.randn(11, generator=seeded(3)).double()
    masks = unit_masks(9, 4, generator=seeded())
    found = ensemble_losses(model, layer, masks, data, loss=mse_loss)
    torch.testing.assert_close(found, slowly(model, layer, masks, data, mse_loss))


def test_in_inference_mode() -> None:
    model, data = case("dense")
    masks = unit_masks(9, 4, generator=seeded())
    expected = ensemble_losses(model, "0", masks, data)
    with torch.inference_mode():
        assert torch.equal(ensemble_losses(model, "0", masks, data), expected)


def test_losses_of_half_precision_are_not_rounded_to_it() -> None:
    model, (inputs, labels) = case("dense")
    masks = unit_masks(9, 30, generator=seeded())
    found = ensemble_losses(model.bfloat16(), "0", masks, (inputs.bfloat16(), labels))
    assert not torch.equal(found, found.bfloat16().double())


def test_the_outputs_and_what_the_loss_makes_of_them_count_too() -> None:
    model = mlp((4, 8, 1000))
    chain, inputs = unit_layer(model, "0"), torch.zeros(100, 4)
    budget = 10 * 2**20
    found = portions(chain, inputs, budget)
    assert found.samples * found.masks * 3 * 1000 * 4 <= budget
