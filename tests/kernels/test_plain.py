import itertools
import math

import pytest
import torch
from torch import nn

from sparsewire.kernels import plain
from sparsewire.kernels.junctions import Junction, junction_of
from sparsewire.kernels.plain import ACTIVATIONS, FEW, activate, backward, forward, slope

MODULES = {"identity": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 0.5, -2.0, 30.0, -30.0, math.inf, -math.inf, math.nan]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def layers_of(sizes, density, group=None, dtype=torch.float64):
    """Junctions, values and biases of a chain, as leaves."""
    g = generator(len(sizes))
    found = [
        junction_of(torch.rand(outputs, inputs, generator=g) < density, group=group)
        for inputs, outputs in itertools.pairwise(sizes)
    ]

    def leaf(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_()

    return found, [leaf(j.count) for j in found], [leaf(j.outputs) for j in found]


def dense(junctions, values, biases, activations):
    """The same network of torch's own modules, with masked weights that are leaves."""
    modules = []
    for junction, value, bias, activation in zip(junctions, values, biases, activations, strict=True):
        linear = nn.Linear(junction.inputs, junction.outputs, bias=bias is not None, dtype=value.dtype)
        with torch.no_grad():
            for parameter, wanted in zip(linear.parameters(), (junction.weight_of(value), bias), strict=False):
                parameter.copy_(wanted)
        modules += [linear, MODULES[activation]()]
    return nn.Sequential(*modules)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_their_slopes_are_those_of_autograd(activation):
    z = torch.tensor(SPECIAL, dtype=torch.float64, requires_grad=True)
    a = MODULES[activation]()(z)
    grad = torch.randn(len(z), generator=generator(), dtype=torch.float64)
    (expected,) = torch.autograd.grad(a, z, grad)
    assert torch.equal(activate(z, activation).nan_to_num(9), a.nan_to_num(9))
    torch.testing.assert_close(slope(grad, a.detach(), activation), expected, rtol=1e-14, atol=0, equal_nan=True)


def test_the_numbers_of_the_activations_are_those_of_the_native_library():
    assert ACTIVATIONS == ("identity", "relu", "tanh", "sigmoid")  # native/junctions.hpp: kIdentity, kRelu, …


@pytest.mark.parametrize("sizes", [(5, 3), (4, 6, 2), (3, 5, 1, 4)])
@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("batch", [0, 1, 6])
@pytest.mark.parametrize("group", [1, 4])
def test_a_chain_is_the_masked_dense_network(sizes, density, batch, group):
    junctions, values, biases = layers_of(sizes, density, group)
    activations = [ACTIVATIONS[1 + number % 3] for number in range(len(junctions))]
    biases[0] = None
    model = dense(junctions, values, biases, activations)
    x = torch.randn(batch, sizes[0], generator=generator(1), dtype=torch.float64, requires_grad=True)
    grad = torch.randn(batch, sizes[-1], generator=generator(2), dtype=torch.float64)
    expected = model(x)
    expected.backward(grad)
    plainly = [[None if one is None else one.detach() for one in part] for part in ([x], values, biases)]
    (given,), values, biases = plainly
    y, hidden = forward(given, values, biases, junctions, activations, keep=True)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    assert hidden.shape == (batch * sum(sizes[1:]),)
    alone, nothing = forward(given, values, biases, junctions, activations, keep=False)
    torch.testing.assert_close(alone, expected, rtol=1e-12, atol=1e-12)
    assert nothing.shape == (0,)
    needs = [True] * len(junctions)
    dx, grads, bias_grads = backward(grad, given, hidden, values, junctions, activations, True, needs, needs)
    torch.testing.assert_close(dx, x.grad, rtol=1e-12, atol=1e-12)
    for junction, found, of_bias, linear in zip(junctions, grads, bias_grads, model[::2], strict=True):
        torch.testing.assert_close(found, junction.values_of(linear.weight.grad), rtol=1e-12, atol=1e-12)
        if linear.bias is not None:
            torch.testing.assert_close(of_bias, linear.bias.grad, rtol=1e-12, atol=1e-12)


def test_a_layer_worked_out_by_hand():
    junction = junction_of(torch.tensor([[True, False, True], [False, True, False]]), group=1)
    x, values, bias = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([10.0, 20.0, -30.0]), torch.tensor([0.5, 0.25])
    y, hidden = forward(x, [values], [bias], [junction], ["relu"], keep=True)
    assert y.tolist() == [[70.5, 0.0]]
    assert hidden.tolist() == [70.5, 0.0]
    found = backward(torch.ones(1, 2), x, hidden, [values], [junction], ["relu"], True, [True], [True])
    assert found[0].tolist() == [[10.0, 0.0, 20.0]]
    assert found[1][0].tolist() == [1.0, 3.0, 0.0]
    assert found[2][0].tolist() == [1.0, 0.0]


def test_only_what_is_needed_is_made():
    junctions, values, biases = layers_of((4, 3, 5), 0.7)
    x, activations = torch.ones(2, 4, dtype=torch.float64), ["tanh", "identity"]
    values, biases = [one.detach() for one in values], [one.detach() for one in biases]
    _, hidden = forward(x, values, biases, junctions, activations, keep=True)
    grad = torch.ones(2, 5, dtype=torch.float64)

    def run(*needs):
        dx, grads, bias_grads = backward(grad, x, hidden, values, junctions, activations, *needs)
        return [dx, *grads, *bias_grads]

    everything = run(True, [True] * 2, [True] * 2)
    for number, wanted in enumerate(everything):
        needs = [place == number for place in range(5)]
        found = run(needs[0], needs[1:3], needs[3:])
        assert [one is not None for one in found] == needs
        assert torch.equal(found[number], wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_few_weights_predict_by_compressed_rows(monkeypatch, dtype, bias):
    junctions, values, biases = layers_of((40, 30), FEW / 2, dtype=dtype)
    values, biases = [values[0].detach()], [biases[0].detach() if bias else None]
    x = torch.randn(7, 40, generator=generator(), dtype=dtype)
    expected = nn.functional.linear(x, junctions[0].weight_of(values[0]), biases[0])
    monkeypatch.setattr(plain, "_weight", None)  # the dense formulation would fall over it
    y, _ = forward(x, values, biases, junctions, ["identity"], keep=False)
    assert y.is_contiguous()
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(("density", "batch", "dtype"), [(0.5, 7, torch.float32), (0.05, 1, torch.float32)])
def test_others_predict_by_the_dense_matrix(monkeypatch, density, batch, dtype):
    junctions, values, biases = layers_of((40, 30), density, dtype=dtype)
    monkeypatch.setattr(torch, "sparse_csr_tensor", None)  # the other formulation would fall over it
    x = torch.randn(batch, 40, generator=generator(), dtype=dtype)
    values, biases = [values[0].detach()], [biases[0].detach()]
    y, _ = forward(x, values, biases, junctions, ["identity"], keep=False)
    torch.testing.assert_close(y, nn.functional.linear(x, junctions[0].weight_of(values[0]), biases[0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_keep_their_dtype(dtype):
    junctions, values, biases = layers_of((40, 30), FEW / 2, dtype=dtype)
    x = torch.randn(3, 40, generator=generator()).to(dtype)
    y, hidden = forward(x, [values[0].detach()], [biases[0].detach()], junctions, ["tanh"], keep=True)
    assert y.dtype == hidden.dtype == dtype


def test_the_places_of_the_values_are_found_once(monkeypatch):
    found, positions = [], Junction.positions
    monkeypatch.setattr(Junction, "positions", lambda junction: found.append(1) or positions(junction))
    junctions, values, biases = layers_of((4, 3), 0.5)
    values, biases = [values[0].detach()], [biases[0].detach()]
    x = torch.ones(2, 4, dtype=torch.float64)
    for _ in range(3):
        _, hidden = forward(x, values, biases, junctions, ["tanh"], keep=True)
        backward(hidden.view(2, 3), x, hidden, values, junctions, ["tanh"], True, [True], [True])
    assert len(found) == 1
