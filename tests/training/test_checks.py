"""Requests that `fit` cannot mean well are refused before anything is trained."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.training.loop import fit

DATA = torch.rand(6, 3), torch.tensor([0, 1, 0, 1, 0, 1])


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def frozen() -> nn.Module:
    return nn.Linear(3, 2).requires_grad_(False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "model: found NoneType"),
        ({"model": nn.ReLU()}, "model: found no parameter with requires_grad"),
        ({"model": frozen()}, "model: found no parameter with requires_grad"),
        ({"optimizer": None}, "optimizer: found None"),
        ({"optimizer": "sgd"}, "optimizer: found 'sgd', a str"),
        ({"optimizer": lambda parameters: None}, "optimizer: found None"),
        ({"optimizer": sgd(nn.Linear(3, 2).parameters())}, "optimizer: found no parameter of `model`"),
        ({"loss": "mse"}, "loss: found 'mse', a str"),
        ({"loss": nn.CrossEntropyLoss}, "loss: found the class CrossEntropyLoss"),
        ({"clip_norm": -1}, "clip_norm: found -1"),
        ({"clip_norm": float("nan")}, "clip_norm: found nan"),
        ({"clip_norm": "1"}, "clip_norm: found '1'"),
        ({"clip_norm": True}, "clip_norm: found True"),
        ({"generator": 0}, "generator: found 0, a int"),
        ({"augment": 0.1}, "augment: found 0.1, a float"),
        ({"augment": nn.Dropout}, "augment: found the class Dropout"),
        pytest.param({"device": "cuda:99"}, "device: found 'cuda:99'", id="a device that is not there"),
        ({"device": "cudaa"}, "device: found 'cudaa'"),
    ],
)
def test_it_is_refused_with_the_name_of_the_argument(change, message) -> None:
    model = change.get("model", nn.Linear(3, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()} if model is not None else {}
    with pytest.raises(RequestError, match=message):
        fit(**({"model": model, "data": DATA, "optimizer": sgd, "epochs": 1} | change))
    for name, value in before.items():
        assert torch.equal(value, model.state_dict()[name])
