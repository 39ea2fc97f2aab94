import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import dag_plain, native
from sparsewire.kernels.dag import outputs_of
from sparsewire.kernels.dag_compute import compute_backward, compute_forward, kept_numbers, tile_width
from sparsewire.kernels.dag_structure import dag_of
from sparsewire.kernels.plain import ACTIVATIONS, activate

needs_native = pytest.mark.skipif(not native.is_at_hand(), reason="there is no native library")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.05}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Case:
    """A random network with inputs for it, as leaves."""

    def __init__(self, sizes=(5, 7, 1, 6), batch=4, density=0.4, apart=False, dtype=torch.float64, reads=None, seed=0):
        random = np.random.default_rng(seed)
        layer = np.repeat(np.arange(len(sizes)), sizes)
        self.sizes, self.layer = sizes, layer
        targets, sources = np.nonzero((layer[:, None] > layer[None, :]) & (random.random((len(layer),) * 2) < density))
        last = np.arange(len(layer) - sizes[-1], len(layer))
        self.targets, self.sources, self.read = targets, sources, last if reads is None else np.array(reads)
        self.dag = dag_of(sizes, targets, sources, self.read, apart=apart)

        def leaf(*shape):
            return torch.randn(*shape, generator=generator(seed), dtype=torch.float64).to(dtype).requires_grad_()

        self.x, self.values, self.bias = leaf(batch, sizes[0]), leaf(len(targets)), leaf(self.dag.units)

    @property
    def leaves(self):
        return self.x, self.values, self.bias

    def run(self, activation="tanh"):
        return outputs_of(*self.leaves, self.dag, activation)

    def oracle(self, activation="tanh"):
        """Node by node, from the formula: a unit for all edges of a node, or for those from one layer."""
        x, values, bias = (leaf.to(torch.promote_types(leaf.dtype, torch.float32)) for leaf in self.leaves)
        nodes, unit = list(x.unbind(1)), 0
        for n in range(self.sizes[0], len(self.layer)):
            mine = np.flatnonzero(self.targets == n)
            layers = [self.layer[self.sources[e]] if self.dag.first is not None else 0 for e in mine]
            parts = [
                [e for e, layer in zip(mine, layers, strict=True) if layer == which] for which in sorted(set(layers))
            ]
            total = torch.zeros_like(nodes[0])
            for part in parts or [[]]:
                z = bias[unit] + sum(values[e] * nodes[self.sources[e]] for e in part)
                total = total + activate(z.expand_as(total), activation)
                unit += 1
            nodes.append(total)
        assert unit == self.dag.units
        return torch.stack([nodes[n] for n in self.read], 1).to(self.x.dtype)


def gradients(y, leaves):
    weight = torch.randn(y.shape, generator=generator(9), dtype=torch.float64).to(y.dtype)
    return torch.autograd.grad((y * weight).sum(), leaves, allow_unused=True, materialize_grads=True)


def assert_close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    if not ours.numel():
        return
    scale = max(1.0, float(theirs.detach().abs().max()))
    assert float((ours - theirs).detach().abs().max()) <= tolerance * scale


def check(case, activation="tanh"):
    tolerance = TOLERANCE[case.x.dtype]
    y, expected = case.run(activation), case.oracle(activation)
    assert_close(y, expected, tolerance)
    with torch.no_grad():
        assert_close(case.run(activation), expected, tolerance)
    for ours, theirs in zip(gradients(y, case.leaves), gradients(expected, case.leaves), strict=True):
        assert_close(ours, theirs, tolerance)


def test_a_literal_by_hand():
    dag = dag_of((2, 1, 1), np.array([2, 3, 3]), np.array([0, 1, 2]), np.array([3]), apart=True)
    x = torch.tensor([[5.0, -7.0]])
    values, bias = torch.tensor([2.0, 3.0, -1.0]), torch.tensor([1.0, 22.0, 4.0])
    # a₂ = 2·5 + 1 = 11; a₃ = relu(3·(−7) + 22) + relu(−11 + 4) = 1 + 0
    assert outputs_of(x, values, bias, dag, "relu").tolist() == [[1.0]]
    assert outputs_of(x, values, bias, dag, "identity").tolist() == [[1.0 - 7.0]]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_as_node_by_node(apart, activation):
    check(Case(apart=apart), activation)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 47, 64, 65, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_of_all_widths(apart, batch, dtype):
    check(Case(batch=batch, apart=apart, dtype=dtype, density=0.7))


@pytest.mark.parametrize("sizes", [(1,), (4,), (1, 1), (3, 1, 1, 1, 1, 2), (2, 40), (40, 2)])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("apart", [False, True])
def test_shapes_and_densities(sizes, density, apart):
    check(Case(sizes, density=density, apart=apart))


@pytest.mark.parametrize("reads", [[0], [0, 5, 18], [18], [3, 4, 5], list(range(19))])
def test_any_nodes_are_read(reads):
    check(Case(reads=reads))


@pytest.mark.parametrize("apart", [False, True])
def test_bfloat16_is_computed_in_float(apart):
    check(Case(dtype=torch.bfloat16, apart=apart, density=0.3))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6).map(tuple),
    st.floats(0, 1),
    st.integers(1, 20),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_network(sizes, density, batch, apart, seed):
    check(Case(sizes, batch, density, apart, seed=seed), "relu")


@pytest.mark.parametrize("apart", [False, True])
def test_gradcheck(apart):
    case = Case((3, 2, 2), batch=3, density=0.8, apart=apart)
    assert gradcheck(lambda *leaves: outputs_of(*leaves, case.dag, "tanh"), case.leaves)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("apart", [False, True])
def test_threads_share_the_batch(threads, apart):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        case = Case((40, 60, 80, 60), batch=150, density=0.5, apart=apart, dtype=torch.float32)
        case.values.data.mul_(0.2)
        y = case.run()
        first = [y, *gradients(y, case.leaves)]
        again = case.run()
        plain, nodes = dag_plain.forward(case.x, case.values, case.bias, case.dag, "tanh")
        assert_close(y, plain, 1e-4)
        for ours, theirs in zip(first, [again, *gradients(again, case.leaves)], strict=True):
            assert torch.equal(ours, theirs)
        weight = torch.randn(y.shape, generator=generator(9), dtype=torch.float64).float()
        with torch.no_grad():
            expected = dag_plain.backward(weight, nodes, case.values, case.bias, case.dag, "tanh")
        for ours, theirs in zip(first[1:], expected, strict=True):
            assert_close(ours, theirs, 1e-4)
    finally:
        torch.set_num_threads(before)


def test_the_widths_of_tiles_give_the_same_and_what_is_kept_does_not_depend_on_the_machine():
    case = Case(batch=70, dtype=torch.float32)
    with torch.no_grad():
        expected, grad = case.run(), torch.ones(70, 6)
        slow = dag_plain.backward(
            grad, dag_plain.forward(*case.leaves, case.dag, "tanh")[1], *case.leaves[1:], case.dag, "tanh"
        )
        for wide in (1, 8, 16, 24, 32, 48, 64, 1000):
            y, kept = compute_forward(*case.leaves, case.dag, "tanh", wide, keep=True)
            assert len(kept) == kept_numbers(case.dag, 70) == 80 * 19
            assert_close(y, expected, 1e-5)
            for ours, theirs in zip(
                compute_backward(grad, case.x, kept, *case.leaves[1:], case.dag, "tanh", wide), slow, strict=True
            ):
                assert_close(ours, theirs, 1e-4)


def test_the_width_of_a_tile_is_at_least_a_vector():
    for batch in (0, 1, 5, 64, 128, 1000):
        assert tile_width(batch, torch.float32) >= 1


@pytest.mark.parametrize("needed", range(3))
def test_only_one_gradient(needed):
    case = Case()
    for place, leaf in enumerate(case.leaves):
        leaf.requires_grad_(place == needed)
    leaf = case.leaves[needed]
    ours = torch.autograd.grad(case.run().sum(), leaf)[0]
    assert_close(ours, torch.autograd.grad(case.oracle().sum(), leaf)[0], 1e-10)


def test_inputs_and_gradients_that_do_not_lie_side_by_side():
    case = Case()
    wide = torch.randn(4, 10, generator=generator(), dtype=torch.float64)
    straight = outputs_of(wide[:, ::2].contiguous(), *case.leaves[1:], case.dag, "tanh")
    y = outputs_of(wide[:, ::2], *case.leaves[1:], case.dag, "tanh")
    assert torch.equal(y, straight)
    expanded = torch.autograd.grad(y.sum(), case.values)[0]  # the gradient of a sum has no strides
    assert torch.equal(expanded, torch.autograd.grad(straight, case.values, torch.ones_like(straight))[0])


def test_nan_goes_through():
    case = Case()
    with torch.no_grad():
        case.x[0] = torch.nan
        assert case.run("relu")[0].isnan().any()
        assert not case.run("relu")[1:].isnan().any()


def test_a_gradient_of_a_gradient_is_refused():
    case = Case()
    with pytest.raises(RequestError, match="gradient of a gradient"):
        torch.autograd.grad(case.run().sum(), case.x, create_graph=True)


def test_functional_transforms_are_refused():
    case = Case()
    with pytest.raises(RequestError, match=r"torch\.func"):
        torch.vmap(lambda x: outputs_of(x, case.values, case.bias, case.dag, "relu"))(torch.ones(2, 3, 5).double())


@pytest.mark.parametrize("apart", [False, True])
def test_the_operator_is_as_torch_wants_it(apart):
    case = Case((3, 4, 2), batch=3, apart=apart)
    dag = case.dag
    arguments = (*case.leaves, dag.columns, dag.starts, dag.first, dag.read, list(dag.sizes), 2, 32, True)
    torch.library.opcheck(torch.ops.sparsewire.dag.default, arguments)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("place", ["cpu", "meta"])
def test_without_numbers_there_are_shapes(apart, place):
    case = Case((3, 4, 2), batch=3, apart=apart)
    dag = case.dag.to(place)
    leaves = [leaf.detach().to("meta").requires_grad_() for leaf in case.leaves]
    y = outputs_of(*leaves, dag, "tanh")
    assert y.is_meta
    assert y.shape == case.run().shape
    assert [grad.shape for grad in torch.autograd.grad(y.sum(), leaves)] == [leaf.shape for leaf in leaves]
    short = outputs_of(*(leaf.to(torch.bfloat16) for leaf in leaves), dag, "relu")
    assert short.is_meta
    assert short.dtype == torch.bfloat16


@pytest.mark.parametrize("apart", [False, True])
def test_it_compiles_in_one_graph(apart):
    case = Case(apart=apart, batch=20)
    compiled = torch.compile(
        lambda *leaves: outputs_of(*leaves, case.dag, "tanh") * 2, backend="aot_eager", fullgraph=True
    )
    ours, expected = compiled(*case.leaves), case.run() * 2
    assert_close(ours, expected, 1e-10)
    for mine, theirs in zip(gradients(ours, case.leaves), gradients(expected, case.leaves), strict=True):
        assert_close(mine, theirs, 1e-10)


def test_autocast():
    case = Case(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = case.run()
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), case.run(), 0.05)


BAD = [
    ({"x": torch.ones(4, 3)}, r"x: found torch.float32 of shape \(4, 3\), expected .* \(batch, 5\)"),
    ({"x": torch.ones(5)}, "x: found"),
    ({"x": torch.ones(4, 5, dtype=torch.int64)}, "x: found torch.int64"),
    ({"values": torch.ones(2)}, "values: found"),
    ({"bias": torch.ones(14)}, r"bias: found torch.float32 of shape \(14,\).* expected torch.float64"),
    ({"bias": torch.ones(14, 1).double()}, "bias: found"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_does_not_fit_is_said(change, message):
    case = Case()
    given = {"x": case.x, "values": case.values, "bias": case.bias} | change
    with pytest.raises(RequestError, match=message):
        outputs_of(**given, dag=case.dag, activation="relu")


def test_an_unknown_activation_is_said():
    case = Case()
    with pytest.raises(UnknownNameError, match="activation"):
        case.run("rleu")


def test_without_the_library():
    code = """
import torch
from sparsewire.kernels import native
import tests.kernels.test_dag as t
assert not native.is_at_hand()
t.check(t.Case(apart=True)); t.check(t.Case(batch=0)); t.check(t.Case(dtype=torch.bfloat16)); t.test_nan_goes_through()
"""
    environment = {**os.environ, "SPARSEWIRE_NATIVE": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_plain_in_many_parts(monkeypatch):
    case = Case(apart=True)
    monkeypatch.setattr(dag_plain, "_GATHERED", 9)
    with torch.no_grad():
        y, nodes = dag_plain.forward(*case.leaves, case.dag, "tanh")
        found = dag_plain.backward(torch.ones_like(y), nodes, case.values, case.bias, case.dag, "tanh")
    expected = case.oracle()
    assert_close(y, expected, 1e-10)
    for ours, theirs in zip(found, torch.autograd.grad(expected.sum(), case.leaves), strict=True):
        assert_close(ours, theirs, 1e-10)


def test_a_copy_computes_the_same():
    case = Case(apart=True)
    case.dag.layers  # noqa: B018  # what is derived is not copied
    other = copy.deepcopy(case.dag)
    assert torch.equal(outputs_of(*case.leaves, other, "tanh"), case.run())
