import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from sparsewire.models.zoo import lenet_300_100, mlp
from sparsewire.structure.evidence.piecewise import why_unproven
from sparsewire.structure.masks import maskable


class Calls(nn.Module):
    """Linear, a function of the layers and the input, linear."""

    def __init__(self, function):
        super().__init__()
        self.one, self.two, self.three, self.function = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3), function

    def forward(self, inputs):
        return self.three(self.function(self, inputs))


class Subclass(nn.Linear):
    def forward(self, inputs):
        return functional.linear(inputs, self.weight.square(), self.bias)


def why(model, inputs=None):
    return why_unproven(model.eval(), maskable(model), torch.randn(5, 4) if inputs is None else inputs)


STRAIGHT = {
    "sum": lambda m, x: m.one(x) + x - m.two(x),
    "maximum": lambda m, x: torch.maximum(m.one(x), m.two(x)),
    "two halves": lambda m, x: torch.cat([m.one(x)[:, :2], m.two(x)[:, 2:]], 1),
    "factors": lambda m, x: 3 * m.one(x) / 2 * 0.5,
    "shapes": lambda m, x: m.one(x.reshape(x.shape[0], x.size(1) // 2, 2).flatten(1)),
    "pieces": lambda m, x: functional.hardtanh(m.one(x)).clamp(-0.5, 0.5).abs(),
    "sums within a sample": lambda m, x: m.one(x) - m.two(x).mean(1, keepdim=True),
    "in place": lambda m, x: m.one(x).add_(x).relu_(),
    "no dropout": lambda m, x: functional.dropout(m.one(x), 0.5, training=m.training),
    "pooling": lambda m, x: functional.pad(functional.max_pool1d(m.one(x), 2), (1, 1)),
}
CROOKED = {
    "tanh": (lambda m, x: torch.tanh(m.one(x)), "its forward calls 'tanh'"),
    "softmax": (lambda m, x: m.one(x).softmax(1), "its forward calls 'softmax'"),
    "product": (lambda m, x: m.one(x) * m.two(x), "its forward calls 'mul'"),
    "quotient": (lambda m, x: 1 / m.one(x), "its forward calls 'truediv'"),
    "power": (lambda m, x: m.one(x) ** 2, "its forward calls 'pow'"),
    "own weight": (lambda m, x: m.one(x) @ m.two.weight, "its forward calls 'matmul'"),
    "other samples' mean": (lambda m, x: m.one(x) - x.mean(0, keepdim=True), "its forward calls 'mean'"),
    "their mean from behind": (lambda m, x: m.one(x) - x.mean(-2, keepdim=True), "its samples are not kept apart"),
    "the mean of all": (lambda m, x: m.one(x) - x.mean(), "its forward calls 'mean'"),
    "in one row": (lambda m, x: m.one(x).view(1, -1).view(-1, 4), "its samples are not kept apart"),
    "twice": (lambda m, x: m.one(torch.relu(m.one(x))), "'one.weight' is used more than once"),
    "branch": (lambda m, x: m.one(x) if x.sum() > 0 else m.two(x), "its forward cannot be traced (TraceError)"),
    "dropout": (lambda m, x: functional.dropout(m.one(x), 0.5, training=True), "its forward calls 'dropout'"),
}


@pytest.mark.parametrize("function", STRAIGHT.values(), ids=STRAIGHT)
def test_straight_functions_are_proven(function):
    assert why(Calls(function)) is None


@pytest.mark.parametrize(("function", "reason"), CROOKED.values(), ids=CROOKED)
def test_crooked_ones_are_not_and_the_reason_is_told(function, reason):
    found = why(Calls(function))
    assert found is not None
    assert found.startswith(reason)


def test_networks_of_the_house_are_proven():
    assert why(mlp((4, 5, 3))) is None
    assert why(lenet_300_100(), torch.rand(1, 784)) is None
    assert why(nn.Linear(4, 2)) is None


def test_a_known_layer_that_was_changed_is_not():
    hooked = mlp((4, 5, 3))
    hooked[0].register_forward_hook(lambda module, inputs, outputs: outputs.tanh())
    assert why(hooked) == "a module has hooks or a forward of its own"
    patched = mlp((4, 5, 3))
    patched[0].forward = lambda inputs: torch.tanh(inputs)
    assert why(patched) == "a module has hooks or a forward of its own"
    assert why(nn.Sequential(Subclass(4, 4), nn.Linear(4, 3))).startswith("its forward calls")
    assert why(nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)))) == "'0' is a ParametrizedLinear"


def test_weights_that_are_tied_are_not():
    tied = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    assert why(tied) == "'0.weight' is used more than once"


def test_batch_normalisation_needs_stored_statistics():
    def normalised(**more):
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, **more), nn.Linear(4, 2))

    assert why(normalised()) is None
    assert why(normalised(track_running_stats=False)) == "'1' is a BatchNorm1d"


def test_inputs_are_one_tensor():
    assert why(mlp((4, 3)), (torch.ones(2, 4), torch.ones(2))) == "the inputs are not one tensor"


def test_a_dimension_as_long_as_the_batch_is_not_taken_for_it():
    swapped = Calls(lambda m, x: m.one(x.reshape(4, -1).reshape(-1, 4)))  # four samples would come out as four rows
    assert why(swapped, torch.randn(4, 4)).startswith("its samples are not kept apart")
