import functools
import itertools

import pytest
import torch
from torch.autograd import forward_ad, gradcheck
from torch.library import opcheck

from sparsewire.errors import RequestError
from sparsewire.kernels.chain_compute import Layers, compute_backward, compute_forward
from sparsewire.kernels.chain_operator import ChainFunction, operate
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.plain import ACTIVATIONS
from sparsewire.kernels.products import chain, linear

CHAINS = [
    ((5, 4), ("identity",)),
    ((5, 4), ("relu",)),
    ((3, 6, 2), ("tanh", "identity")),
    ((4, 5, 3, 6), ("sigmoid", "relu", "tanh")),
]


class Given:
    """A chain as the operators take it; the second bias, if there is one, is missing."""

    def __init__(self, sizes, activations, batch=3, group=4, grads=True, dtype=torch.float64):
        g = torch.Generator().manual_seed(sum(sizes))

        def leaf(*shape):
            return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_(grads)

        masks = [torch.rand(n, m, generator=g) < 0.6 for m, n in itertools.pairwise(sizes)]
        self.junctions = [junction_of(mask, block=3, group=group) for mask in masks]
        self.layers = Layers(tuple(self.junctions), activations)
        self.x, self.values = leaf(batch, sizes[0]), [leaf(j.count) for j in self.junctions]
        self.biases = [leaf(j.outputs) for j in self.junctions]
        if len(self.biases) > 1:
            self.biases[1] = None
        self.leaves = [one for one in (self.x, *self.values, *self.biases) if one is not None]
        self.columns, self.starts = [j.columns for j in self.junctions], [j.starts for j in self.junctions]
        self.shapes = [
            n
            for j, act in zip(self.junctions, activations, strict=True)
            for n in (j.outputs, j.inputs, j.block, j.group, ACTIVATIONS.index(act))
        ]
        self.grad = torch.randn(batch, sizes[-1], generator=g, dtype=torch.float64).to(dtype)

    def put(self, leaves):
        """x, values and biases with these leaves in place of the own ones."""
        x, *rest = leaves
        values, biases = rest[: len(self.values)], iter(rest[len(self.values) :])
        return x, values, [None if bias is None else next(biases) for bias in self.biases]


@pytest.mark.parametrize(("sizes", "activations"), CHAINS)
@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("by_operator", [True, False])
def test_gradients_are_those_of_finite_differences(sizes, activations, group, batch, by_operator):
    given = Given(sizes, activations, batch, group)

    def run(*leaves):
        x, values, biases = given.put(leaves)
        if by_operator:
            return operate(x, values, biases, given.layers)
        return ChainFunction.apply(given.layers, x, *values, *biases)

    assert gradcheck(run, given.leaves)


@pytest.mark.parametrize(("sizes", "activations"), CHAINS)
@pytest.mark.parametrize(("batch", "dtype"), [(0, torch.float32), (1, torch.float64), (5, torch.float32)])
def test_the_operators_keep_all_of_torchs_promises(sizes, activations, batch, dtype):
    given = Given(sizes, activations, batch, dtype=dtype)
    biases = [torch.empty(0, dtype=dtype) if bias is None else bias for bias in given.biases]
    arguments = given.x, given.values, biases, given.columns, given.starts, given.shapes, True
    opcheck(torch.ops.sparsewire.chain.default, arguments)
    with torch.no_grad():
        _, hidden = torch.ops.sparsewire.chain(*arguments)
        values, needs = [value.detach() for value in given.values], [True] * (1 + 2 * len(given.values))
        needs[1] = needs[-1] = False
        back = given.grad, given.x.detach(), hidden, values, given.columns, given.starts, given.shapes, needs
        opcheck(torch.ops.sparsewire.chain_backward.default, back)


@pytest.mark.parametrize(("sizes", "activations"), CHAINS)
def test_all_ways_give_the_same_bits(sizes, activations):
    given = Given(sizes, activations, batch=40, dtype=torch.float32)
    direct = compute_forward(given.x.detach(), given.values, given.biases, given.layers, keep=False)[0]
    found = []
    for way in (operate, functools.partial(ChainFunction.apply), None):
        if way is operate:
            y = operate(given.x, given.values, given.biases, given.layers)
        elif way is None:
            y = chain(given.x, given.values, given.biases, *given.layers)
        else:
            y = way(given.layers, given.x, *given.values, *given.biases)
        assert torch.equal(y, direct)
        found.append(torch.autograd.grad(y, given.leaves, given.grad))
    with torch.no_grad():
        assert torch.equal(operate(given.x, given.values, given.biases, given.layers), direct)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
    _, hidden = compute_forward(given.x.detach(), given.values, given.biases, given.layers, keep=given.layers.keeps)
    needs = [True] * len(given.values)
    dx, *_ = compute_backward(given.grad, given.x.detach(), hidden, given.values, given.layers, True, needs, needs)
    assert torch.equal(dx, found[0][0])


@pytest.mark.parametrize(("sizes", "activations"), CHAINS)
def test_only_the_gradients_that_are_wanted_are_made(sizes, activations):
    given = Given(sizes, activations)
    everything = torch.autograd.grad(
        operate(given.x, given.values, given.biases, given.layers), given.leaves, given.grad
    )
    for number, leaf in enumerate(given.leaves):
        for other in given.leaves:
            other.requires_grad_(other is leaf)
        for way in (operate, lambda x, values, biases, layers: ChainFunction.apply(layers, x, *values, *biases)):
            way(given.x, given.values, given.biases, given.layers).backward(given.grad)
            assert torch.equal(leaf.grad, everything[number])
            assert all(other.grad is None for other in given.leaves if other is not leaf)
            leaf.grad = None


def test_shapes_are_known_without_numbers():
    given = Given((4, 5, 3), ("relu", "tanh"), batch=7, grads=False)
    y = operate(given.x.to("meta"), [v.to("meta") for v in given.values], [None, None], given.layers)
    assert (y.shape, y.device.type) == ((7, 3), "meta")


@pytest.mark.parametrize("way", ["operate", "chain", "linear"])
@pytest.mark.parametrize("constant", [True, False])
def test_a_gradient_of_a_gradient_is_refused(way, constant):
    given = Given((5, 4), ("identity" if way == "linear" else "tanh",), dtype=torch.float32)
    if way == "operate":
        y = operate(given.x, given.values, given.biases, given.layers)
    elif way == "chain":
        y = chain(given.x, given.values, given.biases, *given.layers)
    else:
        y = linear(given.x, given.values[0], given.biases[0], given.junctions[0])
    plain = torch.autograd.grad(y, given.leaves, given.grad, retain_graph=True)
    found = torch.autograd.grad(y, given.leaves, given.grad, create_graph=True, retain_graph=True)
    assert all(map(torch.equal, plain, found))
    # What follows a constant gradient would otherwise be cut off from the graph without a word.
    loss = y.sum() if constant else y.pow(2).sum()
    (dx,) = torch.autograd.grad(loss, given.x, create_graph=True)
    with pytest.raises(RequestError, match="backward: found a gradient of a gradient"):
        (y.sum() + dx.pow(2).sum()).backward()


TRANSFORMS = {
    "vmap": lambda f, x, v: torch.vmap(f, (0, None))(x[None], v),
    "vmap of values": lambda f, x, v: torch.vmap(f, (None, 0))(x, v[None]),
    "grad": lambda f, x, v: torch.func.grad(lambda a: f(x, a).sum())(v),
    "jvp": lambda f, x, v: torch.func.jvp(lambda a: f(x, a), (v,), (v,)),
    "jacrev": lambda f, x, v: torch.func.jacrev(lambda a: f(x, a))(v),
    "jacfwd": lambda f, x, v: torch.func.jacfwd(lambda a: f(x, a))(v),
    "hessian": lambda f, x, v: torch.func.hessian(lambda a: f(x, a).sum())(v),
    "batches of gradients": lambda f, x, v: torch.autograd.grad(
        f(x, v.requires_grad_()), v, torch.ones(2, *f(x, v).shape), is_grads_batched=True
    ),
}


def dual(f, x, v, of):
    with forward_ad.dual_level():
        given = [forward_ad.make_dual(one, torch.ones_like(one)) if one is of else one for one in (x, v)]
        return f(*given)


TRANSFORMS["forward mode in x"] = lambda f, x, v: dual(f, x, v, x)
TRANSFORMS["forward mode in values"] = lambda f, x, v: dual(f, x, v, v)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's forward mode itself
@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("way", ["chain", "operate"])
def test_what_has_no_such_derivative_says_so(name, way):
    given = Given((5, 4), ("relu",), grads=False, dtype=torch.float32)

    def f(x, values):
        run = chain if way == "chain" else lambda x, v, b, *layers: operate(x, v, b, Layers(*layers))
        return run(x, [values], [None], *given.layers)

    with pytest.raises(RequestError, match=r"x, values, biases: found a tensor of torch\.func"):
        TRANSFORMS[name](f, given.x, given.values[0])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_torch_func_and_forward_mode_are_free_to_do_other_things_around():
    given = Given((5, 4), ("relu",), grads=False, dtype=torch.float32)
    expected = chain(given.x, given.values, [None], *given.layers)
    found = torch.vmap(lambda a: a + chain(given.x, given.values, [None], *given.layers))(torch.zeros(2))
    assert torch.equal(found[1], expected)
    with forward_ad.dual_level():
        assert torch.equal(chain(given.x, given.values, [None], *given.layers), expected)
