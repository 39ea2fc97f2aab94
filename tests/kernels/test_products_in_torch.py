"""The products among torch's own things: compile, export, autocast; and what they refuse."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.products import chain, linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def layer_of(outputs, inputs, density=0.5, dtype=torch.float32, **layout):
    """A junction with an empty row and an empty column, values and a bias."""
    mask = torch.rand(outputs, inputs, generator=generator(outputs)) < density
    mask[:1], mask[:, :1] = False, False
    junction = junction_of(mask, **layout)
    return junction, random(junction.count, dtype=dtype, seed=1), random(outputs, dtype=dtype, seed=2)


class Network(nn.Module):
    """A layer and a chain of two, as modules have them."""

    def __init__(self):
        super().__init__()
        layers = [layer_of(*shape) for shape in ((6, 5), (7, 6), (4, 7))]
        self.junctions = [junction for junction, _, _ in layers]
        self.values = nn.ParameterList([values for _, values, _ in layers])
        self.biases = nn.ParameterList([bias for _, _, bias in layers])
        for number, junction in enumerate(self.junctions):
            self.register_buffer(f"columns{number}", junction.columns)
            self.register_buffer(f"starts{number}", junction.starts)

    def forward(self, x):
        x = torch.relu(linear(x, self.values[0], self.biases[0], self.junctions[0]))
        return chain(x, list(self.values)[1:], [None, self.biases[2]], self.junctions[1:], ["tanh", "identity"])


def gradients(network, y):
    used = [parameter for name, parameter in network.named_parameters() if name != "biases.1"]
    return torch.autograd.grad(y.pow(2).sum(), used)


@pytest.mark.parametrize("dynamic", [False, True])
def test_it_compiles_as_one_graph(dynamic):
    torch.compiler.reset()
    network = Network()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    for batch in (3, 8, 17):
        x = random(batch, 5, seed=batch)
        y, expected = compiled(x), network(x)
        assert torch.equal(y, expected)
        assert all(map(torch.equal, gradients(network, y), gradients(network, expected)))
        with torch.no_grad():
            assert torch.equal(compiled(x), network(x))
    torch.compiler.reset()


@pytest.mark.parametrize("strict", [True, False])
def test_it_exports_for_any_batch(strict):
    network = Network().eval()
    batch = torch.export.Dim("batch", min=2, max=100)
    program = torch.export.export(network, (random(4, 5),), dynamic_shapes=({0: batch},), strict=strict)
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("sparsewire.chain" in name for name in names)
    for rows in (2, 4, 33):
        x = random(rows, 5, seed=rows)
        torch.testing.assert_close(program.module()(x), network(x), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("given", list(itertools.product([torch.float32, torch.float64, torch.bfloat16], repeat=2)))
def test_autocast_is_that_of_a_dense_layer(dtype, given):
    junction, values, bias = layer_of(4, 5)
    x, values, bias = random(3, 5).to(given[0]), values.to(given[1]), bias.to(given[1])
    with torch.autocast("cpu", dtype=dtype):
        try:
            expected = nn.functional.linear(x, junction.weight_of(values), bias)
        except RuntimeError:  # it refuses to mix float64 with another
            with pytest.raises(RequestError, match="values of layer 0: found"):
                linear(x, values, bias, junction)
            return
        y = linear(x, values.requires_grad_(), bias, junction)
    assert y.dtype == expected.dtype
    torch.testing.assert_close(y, expected, rtol=2**-6, atol=2**-6)
    (grad,) = torch.autograd.grad(y.sum(), values)
    assert grad.dtype == given[1]


def test_autocast_that_is_switched_off_changes_nothing():
    junction, values, bias = layer_of(4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.autocast("cpu", enabled=False):
        assert linear(random(3, 5), values, bias, junction).dtype == torch.float32


def test_shapes_are_known_without_numbers():
    junction, values, bias = layer_of(4, 5)
    y = linear(random(2, 3, 5).to("meta"), values.to("meta"), bias.to("meta"), junction.to("meta"))
    assert (y.shape, y.device.type) == ((2, 3, 4), "meta")
    y = linear(random(3, 5).to("meta"), values.to("meta").requires_grad_(), None, junction)
    y.sum().backward()


@pytest.mark.parametrize("subject", ["values", "bias"])
def test_a_parameter_may_be_changed_in_place_between_calls(subject):
    junction, values, bias = layer_of(4, 5)
    parameters = {"values": nn.Parameter(values), "bias": nn.Parameter(bias)}
    before = linear(random(3, 5), *parameters.values(), junction)
    with torch.no_grad():
        parameters[subject].mul_(2)
    expected = nn.functional.linear(random(3, 5), junction.weight_of(parameters["values"]), parameters["bias"])
    after = linear(random(3, 5), *parameters.values(), junction)
    torch.testing.assert_close(after, expected)
    assert not torch.equal(before, after)


def test_an_input_changed_before_backward_is_noticed_by_torch():
    junction, values, _ = layer_of(4, 5)
    x = random(3, 5)
    y = linear(x, values.requires_grad_(), None, junction)
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_those_who_watch_the_dispatcher_see_the_operator():
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    junction, values, bias = layer_of(4, 5)
    with Watch():
        y = linear(random(3, 5), values, bias, junction)
    assert "sparsewire.chain.default" in seen
    assert torch.equal(y, linear(random(3, 5), values, bias, junction))


WRONG = {
    "x has too few numbers": ({"x": (3, 4)}, r"x: found shape \(3, 4\), expected 5 numbers in the last dimension"),
    "x is a single number": ({"x": ()}, r"x: found shape \(\)"),
    "x is whole": ({"x": torch.ones(3, 5).int()}, r"x: found torch\.int32, expected a dtype of real numbers"),
    "x is complex": ({"x": torch.ones(3, 5).cfloat()}, r"x: found torch\.complex64"),
    "x is of another dtype": ({"x": torch.ones(3, 5).double()}, r"values of layer 0: found torch\.float32 .*float64"),
    "a value too many": ({"values": (9,)}, r"values of layer 0: found torch\.float32 of shape \(9,\)"),
    "values of two dimensions": ({"values": "two"}, r"values of layer 0: found .*, 1\) on cpu, expected"),
    "a single value": ({"values": ()}, r"values of layer 0: found torch\.float32 of shape \(\) on cpu"),
    "values elsewhere": ({"values": "meta"}, r"values of layer 0: .* on meta, expected .* on cpu, as x has"),
    "a bias too long": ({"bias": (5,)}, r"bias of layer 0: found torch\.float32 of shape \(5,\)"),
    "a bias of two dimensions": ({"bias": (4, 2)}, r"bias of layer 0: found torch\.float32 of shape \(4, 2\)"),
    "a bias without dimensions": ({"bias": ()}, r"bias of layer 0: found torch\.float32 of shape \(\)"),
    "a bias of another dtype": ({"bias": torch.ones(4).double()}, r"bias of layer 0: found torch\.float64"),
    "a bias elsewhere": ({"bias": torch.ones(4).to("meta")}, r"bias of layer 0: .* on meta, expected .* on cpu"),
    "a junction elsewhere": ({"junction": "meta"}, r"found its (junction|arrays) on meta"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name):
    changes, message = WRONG[name]
    junction, values, bias = layer_of(4, 5)
    given = {"x": random(3, 5), "values": values, "bias": bias, "junction": junction}
    for key, change in changes.items():
        if change == "two" and key == "values":
            given[key] = values[:, None]
        elif isinstance(change, str):
            given[key] = given[key].to(change)
        else:
            given[key] = torch.ones(change) if isinstance(change, tuple) else change
    with pytest.raises(RequestError, match=message):
        linear(**given)
    x, values, bias, junction = given.values()
    with pytest.raises(RequestError, match=message):
        chain(x, [values], [bias], [junction], ["relu"])


def test_layers_that_are_no_chain_are_refused():
    junction, values, bias = layer_of(4, 5)
    with pytest.raises(RequestError, match="layer 1: found 4 inputs, expected 5"):
        chain(random(3, 5), [values] * 2, [bias] * 2, [junction] * 2, ["relu"] * 2)
    with pytest.raises(RequestError, match=r"values, biases, junctions, activations: found \[1, 2\]"):
        chain(random(3, 5), [values], [bias], [junction], ["relu", "relu"])
    with pytest.raises(RequestError, match=r"found \[0\], expected one number ≥ 1"):
        chain(random(3, 5), [], [], [], [])
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        chain(random(3, 5), [values], [bias], [junction], ["rellu"])
