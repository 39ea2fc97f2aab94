import itertools

import pytest
import torch

from sparsewire.kernels import native, plain
from sparsewire.kernels.chain_compute import Layers, compute_backward, compute_forward, wide, with_rows
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.plain import ACTIVATIONS

# Plain torch rounds to bfloat16 after every operation, the library once.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2.0 ** (-7 if native.is_at_hand() else -4)}
SIZES = [(5, 3), (33, 20), (7, 30, 5), (20, 3, 17, 40)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def chain_of(sizes, dtype, density=0.4, group=None, block=None):
    """The layers with each activation in turn, and values and biases; the first bias is missing."""
    pairs = list(itertools.pairwise(sizes))
    masks = [torch.rand(outputs, inputs, generator=generator(inputs)) < density for inputs, outputs in pairs]
    junctions = tuple(junction_of(mask, block, group) for mask in masks)
    layers = Layers(junctions, tuple(ACTIVATIONS[1 + number % 3] for number in range(len(pairs))))
    values = [random(j.count, dtype=dtype, seed=j.outputs) / j.inputs**0.5 for j in junctions]
    return layers, values, [None, *(random(j.outputs, dtype=dtype, seed=7) for j in junctions[1:])]


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    assert not found.numel() or (found.double() - expected).abs().max() <= tolerance * max(1, expected.abs().max())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch", [0, 1, 15, 16, 65, 140])
@pytest.mark.parametrize(("group", "block"), [(1, None), (4, None), (1, 4), (4, 6)])
def test_forward_and_backward_are_those_of_plain_torch(sizes, dtype, batch, group, block):
    layers, values, biases = chain_of(sizes, dtype, group=group, block=block)
    x, grad = random(batch, sizes[0], dtype=dtype), random(batch, sizes[-1], dtype=dtype, seed=1)
    wide_values, wide_biases = [v.double() for v in values], [b if b is None else b.double() for b in biases]
    expected, plain_hidden = plain.forward(x.double(), wide_values, wide_biases, *layers, keep=True)
    y, hidden = compute_forward(x, values, biases, layers, keep=True)
    assert_close(y, expected, TOLERANCE[dtype])
    assert_close(compute_forward(x, values, biases, layers, keep=False)[0], expected, TOLERANCE[dtype])
    needs = [True] * len(values)
    found = compute_backward(grad, x, hidden, values, layers, True, needs, needs)
    wanted = plain.backward(grad.double(), x.double(), plain_hidden, wide_values, *layers, True, needs, needs)
    for one, other in zip((found[0], *found[1], *found[2]), (wanted[0], *wanted[1], *wanted[2]), strict=True):
        assert one.dtype == dtype
        assert_close(one, other, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch", [0, 1, 3, 16, 17, 70])
def test_what_is_kept_has_a_size_that_no_machine_changes(dtype, batch):
    layers, values, biases = chain_of((7, 30, 5), dtype)
    _, hidden = compute_forward(random(batch, 7, dtype=dtype), values, biases, layers, keep=True)
    assert hidden.shape == (layers.kept(batch),) == (-(-batch // 16) * 16 * 35,)
    assert hidden.dtype == wide(dtype)
    assert hidden.isfinite().all()
    again = compute_forward(random(batch, 7, dtype=dtype), values, biases, layers, keep=True)[1]
    assert torch.equal(hidden, again)  # to its end, which nobody reads
    assert compute_forward(random(batch, 7, dtype=dtype), values, biases, layers, keep=False)[1].shape == (0,)


def test_a_single_layer_without_activation_keeps_nothing():
    junction = junction_of(torch.ones(2, 3).bool())
    assert not Layers((junction,), ("identity",)).keeps
    assert Layers((junction,), ("relu",)).keeps
    assert Layers((junction, junction), ("identity", "identity")).keeps


@pytest.mark.parametrize("sizes", [(9, 6), (9, 6, 8, 4)])
def test_only_what_is_needed_is_made_and_it_is_the_same(sizes):
    layers, values, biases = chain_of(sizes, torch.float64)
    count, x, grad = len(values), random(20, sizes[0]), random(20, sizes[-1], seed=1)
    _, hidden = compute_forward(x, values, biases, layers, keep=True)

    def run(needs):
        found = compute_backward(grad, x, hidden, values, layers, needs[0], needs[1 : 1 + count], needs[1 + count :])
        return [found[0], *found[1], *found[2]]

    everything = run([True] * (1 + 2 * count))
    for needs in itertools.product([True, False], repeat=1 + 2 * count):
        for one, need, wanted in zip(run(needs), needs, everything, strict=True):
            assert (one is not None) == need
            assert one is None or torch.equal(one, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.bfloat16])
def test_plain_torch_does_what_the_library_does_not(monkeypatch, dtype):
    layers, values, biases = chain_of((6, 5), dtype)
    called = []
    forward = plain.forward
    monkeypatch.setattr(plain, "forward", lambda *given: called.append(1) or forward(*given))
    x = random(4, 6, dtype=dtype)
    assert compute_forward(x, values, biases, layers, keep=False)[0].dtype == dtype
    assert bool(called) == (dtype not in native.DTYPES or not native.is_at_hand())


def test_a_layer_without_inputs_or_outputs_is_its_bias_or_nothing():
    for outputs, inputs in ((3, 0), (0, 3), (0, 0)):
        junction, bias = junction_of(torch.ones(outputs, inputs).bool()), torch.arange(float(outputs))
        layers = Layers((junction,), ("identity",))
        y, _ = compute_forward(torch.ones(2, inputs), [torch.ones(0)], [bias], layers, keep=False)
        assert torch.equal(y, bias.expand(2, outputs))
        found = compute_backward(y, torch.ones(2, inputs), y[:0], [torch.ones(0)], layers, True, [True], [True])
        assert [found[0].shape, found[1][0].shape, found[2][0].shape] == [(2, inputs), (0,), (outputs,)]


def test_rows_are_laid_side_by_side_only_where_they_are_not():
    x = torch.arange(12.0).view(3, 4)
    for good in (x, x[:, 1:3], x[::2], x[:1].expand(5, 4), x[1:1], x[:, :0]):
        assert with_rows(good).data_ptr() == good.data_ptr()
    for bad in (x.t(), x[:, ::2], x[:, :1].expand(3, 4), torch.view_as_complex(x.view(3, 2, 2)).conj().imag):
        assert with_rows(bad).stride()[1] == 1
        assert torch.equal(with_rows(bad), bad)
        assert not with_rows(bad).is_neg()
    lone = torch.tensor([[1 + 2j]]).conj().imag  # contiguous, and yet memory has +2
    assert with_rows(lone).view(-1).numpy().tolist() == [-2.0]
    assert not with_rows(lone).is_neg()
