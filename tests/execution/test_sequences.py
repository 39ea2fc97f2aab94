"""Sequences: which children make a run, and that the result is that of calling them one by one."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sequences import SparseSequential
from sparsewire.kernels.junctions import junction_of


def sparse(inputs: int, outputs: int, bias: bool = True) -> SparseLinear:
    generator = torch.Generator().manual_seed(inputs * 31 + outputs)
    mask = torch.rand(outputs, inputs, generator=generator) < 0.5
    return SparseLinear(inputs, outputs, mask, bias, dtype=torch.float64, generator=generator)


def dense(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias, dtype=torch.float64)


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    return layer


def wanting(layer: SparseLinear) -> SparseLinear:
    layer.wants_dense_gradients = True
    return layer


def overridden(layer: SparseLinear) -> SparseLinear:
    layer.forward = lambda x: 2 * SparseLinear.forward(layer, x)
    return layer


# children, and how many of them each call takes
RUNS = {
    "a chain": (lambda: [sparse(6, 8), nn.ReLU(), sparse(8, 5), nn.Tanh(), dense(5, 3)], [5]),
    "without activations": (lambda: [sparse(6, 8, bias=False), sparse(8, 5), dense(5, 3, bias=False)], [3]),
    "one layer and its activation": (lambda: [sparse(6, 8), nn.Sigmoid()], [2]),
    "one layer alone": (lambda: [sparse(6, 8), nn.Softmax(-1)], [1, 1]),
    "dense layers alone": (lambda: [dense(6, 8), nn.ReLU(), dense(8, 3), nn.ReLU()], [1, 1, 1, 1]),
    "dense first": (lambda: [dense(6, 8), nn.ReLU(), sparse(8, 3)], [3]),
    "two activations": (lambda: [sparse(6, 8), nn.ReLU(), nn.Tanh(), sparse(8, 3), nn.ReLU()], [2, 1, 2]),
    "something between": (lambda: [sparse(6, 8), nn.GELU(), sparse(8, 3), nn.ReLU()], [1, 1, 2]),
    "a hook": (lambda: [sparse(6, 8), nn.ReLU(), hooked(sparse(8, 3)), nn.ReLU()], [2, 1, 1]),
    "a hook at an activation": (lambda: [sparse(6, 8), hooked(nn.ReLU()), sparse(8, 3), nn.ReLU()], [1, 1, 2]),
    "another forward": (lambda: [overridden(sparse(6, 8)), sparse(8, 3), nn.ReLU()], [1, 2]),
    "dense gradients": (lambda: [sparse(6, 8), nn.ReLU(), wanting(sparse(8, 3)), nn.ReLU()], [2, 1, 1]),
    "a parametrization": (
        lambda: [sparse(6, 8), nn.ReLU(), nn.utils.parametrizations.spectral_norm(dense(8, 3))],
        [2, 1],
    ),
    "a large dense layer": (lambda: [sparse(6, 300), nn.ReLU(), dense(300, 300), sparse(300, 3)], [2, 1, 1]),
    "nested": (lambda: [SparseSequential(sparse(6, 8), nn.ReLU()), sparse(8, 3), nn.ReLU()], [1, 2]),
    "nothing": (list, []),
}


@pytest.fixture(params=RUNS.values(), ids=RUNS.keys())
def case(request: pytest.FixtureRequest) -> tuple[SparseSequential, list[int]]:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        children, runs = request.param
        return SparseSequential(*children()).eval(), runs


def test_runs_are_as_long_as_they_can_be(case: tuple[SparseSequential, list[int]]) -> None:
    model, runs = case
    assert [run.children for run in model.runs()] == runs


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6), (6,), (0, 6)])
def test_the_result_is_that_of_the_children_one_by_one(
    case: tuple[SparseSequential, list[int]], shape: tuple[int, ...]
) -> None:
    model, _ = case
    results = []
    for call in (model, lambda x: nn.Sequential.forward(model, x)):
        x = torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).reshape(shape).requires_grad_()
        model.zero_grad()
        y = call(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(parameter.grad for parameter in model.parameters())])
    torch.testing.assert_close(*results, rtol=0, atol=1e-10)


def test_the_values_of_a_full_junction_lie_row_by_row() -> None:
    for outputs, inputs in [(1, 1), (4, 3), (5, 7), (7, 500), (3, 0), (6, 5000)]:
        full = torch.ones(outputs, inputs, dtype=torch.bool)
        junction = junction_of(full, block=max(inputs, 1), group=4)
        assert torch.equal(junction.positions(), torch.arange(outputs * inputs))


def test_dense_layers_in_a_run_leave_no_trace_in_copies_and_states() -> None:
    model = SparseSequential(sparse(6, 8), nn.ReLU(), dense(8, 3))
    x = torch.ones(2, 6, dtype=torch.float64)
    names = list(model.state_dict())
    expected = model(x)
    assert list(model.state_dict()) == names
    other = copy.deepcopy(model)
    with torch.no_grad():
        model[2].weight.zero_()
    assert torch.equal(other(x), expected)
    assert torch.equal(other.float()(x.float()).double().round(decimals=4), expected.round(decimals=4))
    expected = model(x)
    model.compile(backend="eager")
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)  # noqa: S301


def test_a_slice_is_a_sequence_of_the_same_kind() -> None:
    model = SparseSequential(sparse(6, 8), nn.ReLU(), dense(8, 3))
    assert type(model[:2]) is SparseSequential
    assert list(model[:2].state_dict()) == list(model.state_dict())[:5]


def test_what_changes_between_calls_is_seen() -> None:
    model = SparseSequential(sparse(6, 8), nn.ReLU(), sparse(8, 3))
    x = torch.ones(2, 6, dtype=torch.float64)
    expected = model(x)
    assert len(model.runs()) == 1
    model[2].wants_dense_gradients = True
    assert len(model.runs()) == 2
    model[2].wants_dense_gradients = False
    hook = model[0].register_forward_hook(lambda module, inputs, output: -output)
    assert len(model.runs()) == 3
    assert not torch.equal(model(x), expected)
    hook.remove()
    assert torch.equal(model(x), expected)
    model[1] = nn.Tanh()
    assert model.runs()[0].activations == ("tanh", "identity")
    assert len(copy.deepcopy(model).append(nn.ReLU()).runs()) == 1


def test_global_hooks_see_every_child() -> None:
    model, seen = SparseSequential(sparse(6, 8), nn.ReLU()), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: seen.append(module))
    try:
        model(torch.ones(2, 6, dtype=torch.float64))
    finally:
        handle.remove()
    assert seen == [model[0], model[1], model]


def test_compiles_and_exports() -> None:
    model = SparseSequential(sparse(6, 8), nn.ReLU(), dense(8, 3))
    x = torch.ones(2, 6, dtype=torch.float64)
    expected: Tensor = model(x)
    for other in (
        torch.compile(model, backend="aot_eager", fullgraph=True),
        torch.export.export(model, (x,)).module(),
    ):
        torch.testing.assert_close(other(x), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)


def test_a_sequence_without_memory_or_under_a_dispatch_mode() -> None:
    model = SparseSequential(sparse(6, 8), nn.ReLU(), dense(8, 3))
    x, fresh = torch.ones(4, 6, dtype=torch.float64), copy.deepcopy(model)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert fresh(mode.from_tensor(x)).shape == (4, 3)
    assert torch.equal(fresh(x), model(x))
    assert fresh.to("meta")(x.to("meta")).shape == (4, 3)
