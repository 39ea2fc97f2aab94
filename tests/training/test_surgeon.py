import copy

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.allocation import count_of
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.layer_inputs import places_of
from sparsewire.training.surgeon import surgeon_


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 2, groups=2), nn.Flatten(), nn.Linear(16, 3))


def tied():
    model = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.Linear(12, 4))
    model[2].weight = model[0].weight
    return model


def pairs(model, count=60):
    if isinstance(model[0], nn.Conv2d):
        inputs = torch.randn(count, 2, 5, 5, generator=generator())
    else:
        inputs = torch.randn(count, 4, generator=generator()) @ torch.randn(4, 12, generator=generator(1))
        inputs += 0.2 * torch.randn(count, 12, generator=generator(2))
    return inputs, torch.zeros(count, dtype=torch.int64)


MODELS = {"mlp": mlp, "convolutional": convolutional, "tied": tied}


@torch.no_grad()
def error_of(before, after, inputs):
    """The summed squared change of the layers' outputs on the inputs that they had before."""
    total = 0.0
    for old, new in zip(before, after, strict=True):
        if isinstance(old, nn.Linear | nn.Conv2d):
            change = (new.weight - old.weight).reshape(getattr(old, "groups", 1), -1, old.weight[0].numel())
            total += float(((change @ places_of(old, inputs)) ** 2).sum())
        inputs = old(inputs)
    return total


@pytest.mark.parametrize("scope", ["uniform", "blind", {"0": 0.5}])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_counts_are_exact_masks_shrink_and_what_is_gone_is_zero(make, scope):
    model = make()
    start = prune(model, score="random", density=0.8, generator=generator())
    biases = {name: bias.clone() for name, bias in model.named_parameters() if name.endswith("bias")}
    masks = surgeon_(model, pairs(model), density=0.4, scope=scope, masks=start)
    assert list(masks) == list(start)
    assert masks & start == masks
    if isinstance(scope, str):
        assert masks.count == count_of(0.4, masks.total)
    else:
        assert int(masks["0.weight"].sum()) == count_of(0.5, masks["0.weight"].numel())
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        assert (weight[~mask] == 0).all()
        assert weight.isfinite().all()
    assert all(torch.equal(bias, dict(model.named_parameters())[name]) for name, bias in biases.items())
    fewer = surgeon_(model, pairs(model), density=0.2, masks=masks)
    assert fewer & masks == fewer


def test_the_kept_weights_are_the_least_squares_solution():
    model = mlp()
    inputs, labels = pairs(model)
    before = copy.deepcopy(model)
    masks = surgeon_(model, (inputs, labels), density=0.5, damping=0)
    for place, seen in ((0, inputs), (2, before[:2](inputs))):
        seen = seen.detach().double()
        wanted = seen @ before[place].weight.detach().double().T
        for row, mask in enumerate(masks[f"{place}.weight"]):
            if mask.any():
                solution = torch.linalg.lstsq(seen[:, mask], wanted[:, row]).solution
                torch.testing.assert_close(model[place].weight[row][mask].double(), solution, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("make", [mlp, convolutional])
@pytest.mark.parametrize("own", [{}, {"at_once": 3}, {"block": 5}, {"at_once": 100}], ids=str)
def test_layers_change_less_than_by_magnitude(make, density, own):
    model, plain = make(), make()
    inputs, labels = pairs(model)
    masks = surgeon_(model, (inputs, labels), density=density, **own)
    by_magnitude = prune(plain, score="magnitude", scope="uniform", density=density)
    by_magnitude.apply_(plain)
    assert masks.densities().keys() == by_magnitude.densities().keys()
    assert masks.count == by_magnitude.count
    assert error_of(make(), model, inputs) < error_of(make(), plain, inputs)


def test_of_two_inputs_that_are_one_the_other_takes_over():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data.copy_(torch.tensor([[1.0, 2.0]]))
    inputs = torch.randn(20, 1, generator=generator()).expand(20, 2)
    masks = surgeon_(layer, (inputs, torch.zeros(20)), density=0.5, damping=1e-9)
    assert masks["weight"].tolist() == [[False, True]]
    torch.testing.assert_close(layer.weight.data, torch.tensor([[0.0, 3.0]]))


def test_nothing_and_everything():
    model = mlp()
    before = copy.deepcopy(model.state_dict())
    assert surgeon_(model, pairs(model), density=1) == Masks.from_model(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert surgeon_(model, pairs(model), density=0).count == 0
    assert not model[0].weight.any()


def test_only_what_is_meant_is_pruned():
    model = nn.Sequential(nn.Linear(12, 8), nn.Unflatten(1, (1, 8)), nn.MultiheadAttention(8, 2), nn.Linear(8, 2))
    model[2].forward = lambda inputs: inputs  # called, but not through its projection
    before = copy.deepcopy(model.state_dict())
    inputs = torch.randn(30, 12, generator=generator()), torch.zeros(30)
    masks = surgeon_(model, inputs, density=0.5)
    assert masks["2.in_proj_weight"].all()
    assert masks["2.out_proj.weight"].all()
    model.load_state_dict(before)
    masks = surgeon_(model, iter([inputs]), density=0.5, only="3")
    assert masks["0.weight"].all()
    assert int(masks["3.weight"].sum()) == 8
    assert torch.equal(model[0].weight, before["0.weight"])


def test_half_precision_and_modes_stay():
    model = mlp().to(torch.bfloat16).train()
    inputs, labels = pairs(model)
    masks = surgeon_(model, (inputs.bfloat16(), labels), density=0.5)
    assert model[0].weight.dtype == torch.bfloat16
    assert model.training
    assert masks.count == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"density": 1.5}, r"density: found 1.5"),
        ({"scope": "wide"}, "no scope is named 'wide'"),
        ({"damping": -1}, "damping: found -1, expected a finite number of at least 0"),
        ({"damping": float("nan")}, "damping: found nan"),
        ({"damping": True}, "damping: found True"),
        ({"damping": "much"}, "damping: found 'much'"),
        ({"at_once": 0}, "at_once: found 0"),
        ({"block": 0.5}, "block: found 0.5"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"only": "7"}, "no weight to prune is named '7'"),
        ({"masks": {"0.weight": torch.ones(2, 2, dtype=torch.bool)}}, r"masks: '0.weight' has shape \(2, 2\)"),
        ({"masks": {"9.weight": torch.ones(2, 2, dtype=torch.bool)}}, "named '9.weight'"),
        ({"data": []}, "data: found no batch"),
        ({"data": (torch.full((3, 12), float("nan")), torch.zeros(3))}, r"data: found NaN or infinity in the inputs"),
        (
            {"data": (torch.ones(3, 12), torch.zeros(3)), "damping": 0},
            r"damping: found 0.0, but the inputs of '0.weight'",
        ),
        ({"model": nn.ReLU()}, "model: found no linear layer"),
        ({"model": {}}, "model: found dict, expected a torch module"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(change, message):
    model = mlp()
    before = copy.deepcopy(model.state_dict())
    asked = {"model": model, "data": pairs(model), "density": 0.5} | change
    with pytest.raises((RequestError, UnknownNameError), match=message):
        surgeon_(asked.pop("model"), asked.pop("data"), **asked)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_layers_without_neurons():
    model = nn.Sequential(nn.Linear(12, 0), nn.ReLU(), nn.Linear(0, 4), nn.Linear(4, 2))
    masks = surgeon_(model, (torch.randn(20, 12, generator=generator()), torch.zeros(20)), density=0.5)
    assert masks.densities() == {"0.weight": 1.0, "2.weight": 1.0, "3.weight": 0.5}


def test_inputs_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(12, 4)

        def forward(self, inputs):
            return self.layer(input=inputs)

    torch.manual_seed(0)
    model, data = Named(), pairs(mlp())
    plain = nn.Sequential(copy.deepcopy(model.layer))
    assert surgeon_(model, data, density=0.5)["layer.weight"].equal(surgeon_(plain, data, density=0.5)["0.weight"])
    assert torch.equal(model.layer.weight, plain[0].weight)


def test_sparse_layers_are_to_be_made_dense_first():
    model = mlp()
    masks = prune(model, score="magnitude", density=0.5)
    with pytest.raises(RequestError, match=r"sparse layer of '0\.weight'.* densify"):
        surgeon_(sparsify(model, masks, "sparse"), pairs(model), density=0.2)
