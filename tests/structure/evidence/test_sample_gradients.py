import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.models.zoo import mlp
from sparsewire.structure.evidence import sample_gradients
from sparsewire.structure.evidence.sample_gradients import mean_squared_gradients
from sparsewire.structure.masks import maskable


def samples(*shape, count=13, classes=3):
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, *(shape or (6,)), generator=source, dtype=torch.float64)
    return inputs, torch.arange(count) % classes


def slowly(model, data, loss=cross_entropy):
    weights = list(maskable(model).values())
    total = [torch.zeros_like(weight) for weight in weights]
    for one, label in zip(*data, strict=True):
        for sum_, gradient in zip(
            total, torch.autograd.grad(loss(model(one[None]), label[None]), weights), strict=True
        ):
            sum_ += gradient.square()
    return {name: part.detach() / len(data[0]) for name, part in zip(maskable(model), total, strict=True)}


def made(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().double().eval()


class Looking(nn.Sequential):
    """Has a branch that depends on values, which cannot be mapped."""

    def forward(self, inputs):
        return super().forward(inputs * 2 if float(inputs.detach().sum()) > 0 else inputs)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.cell(inputs)[0][:, -1])


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 3))
    )


MODELS = {
    "dense": (lambda: mlp((6, 5, 3)), (6,)),
    "convolution": (convolutional, (1, 6, 6)),
    "recurrent": (Recurrent, (4, 2)),
    "branches": (lambda: Looking(nn.Linear(6, 3)), (6,)),
}


@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("kind", MODELS)
def test_it_is_the_mean_of_the_squares_of_single_gradients(kind, batch_size):
    build, shape = MODELS[kind]
    model, data = made(build), samples(*shape)
    torch.testing.assert_close(mean_squared_gradients(model, None, data, batch_size=batch_size), slowly(model, data))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_memory_is_bounded_and_nothing_else(monkeypatch):
    model, data = made(MODELS["dense"][0]), samples()
    whole = mean_squared_gradients(model, None, data)
    for largest in (1, 100):
        monkeypatch.setattr(sample_gradients, "_LARGEST", largest)
        torch.testing.assert_close(mean_squared_gradients(model, None, data), whole)


def test_of_a_sparse_layer_what_it_stores():
    dense, data = made(lambda: nn.Linear(6, 3)), samples()
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    dense.weight.data.masked_fill_(~mask, 0)
    found = mean_squared_gradients(SparseLinear.from_dense(dense, mask), None, data)["weight"]
    torch.testing.assert_close(found, slowly(dense, data)["weight"] * mask)


def test_other_losses_and_several_labels_of_a_sample():
    model = made(lambda: nn.Linear(6, 3))
    data = samples()[0], torch.ones(13, 3, dtype=torch.float64)
    loss = nn.MSELoss()
    torch.testing.assert_close(mean_squared_gradients(model, loss, data), slowly(model, data, loss))


def test_weights_without_a_path_have_zero():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(6, 3), nn.Linear(2, 2)

        def forward(self, inputs):
            return self.used(inputs)

    assert not mean_squared_gradients(made(Aside), None, samples())["unused.weight"].any()


@pytest.mark.parametrize(
    ("data", "loss", "message"),
    [
        ([({"a": 1}, torch.zeros(3))], None, "data: found inputs of dict for labels of shape"),
        (
            [(torch.ones(2, 6), torch.zeros(3))],
            None,
            r"data: found inputs of shape \(2, 6\) for labels of shape \(3,\)",
        ),
        ([(torch.ones(2, 6), torch.tensor(1))], None, r"for labels of shape \(\)"),
        (samples(), nn.CrossEntropyLoss(reduction="sum"), "loss: found .* with reduction='sum', expected 'mean'"),
        (samples(), lambda outputs, labels: outputs, "loss: found shape"),
        (samples(), lambda outputs, labels: torch.tensor(1.0), "loss: found a number without gradient"),
        ([], None, "data: found no samples"),
    ],
)
def test_what_cannot_be_is_refused(data, loss, message):
    with pytest.raises(RequestError, match=message):
        mean_squared_gradients(made(MODELS["dense"][0]), loss, data)
