"""The products as callers see them. The cases and their judge are those of benchmarks/kernel_fuzz.py."""

import itertools
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from sparsewire.kernels import native
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.products import chain, linear

FILE = Path(__file__).parents[2] / "benchmarks" / "kernel_fuzz.py"
FUZZ = SimpleNamespace(**runpy.run_path(str(FILE)))
needs_native = pytest.mark.skipif(not native.is_at_hand(), reason="there is no native library")
LAYOUTS = [{"group": 1}, {"group": 4}, {"group": 1, "block": 3}, {"group": 4, "block": 5}]


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


@settings(deadline=None, max_examples=250)
@given(st.data())
def test_any_chain_equals_the_masked_dense_network(data):
    FUZZ.check(FUZZ.case_of(lambda options: data.draw(st.sampled_from(options))))


@pytest.mark.parametrize(
    "how", [{"SPARSEWIRE_VECTOR_BYTES": width} for width in ("16", "32", "64")] + [{"SPARSEWIRE_NATIVE": "0"}], ids=str
)
def test_so_it_does_with_vectors_of_every_width_and_without_the_library(how):
    done = subprocess.run(
        [sys.executable, str(FILE), "--cases", "40"], env=os.environ | how, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    plainly = "SPARSEWIRE_NATIVE" in how or (not native.is_at_hand() and "SPARSEWIRE_GUEST" not in os.environ)
    assert ("plain torch" if plainly else "") in done.stdout


@pytest.mark.parametrize("batch", range(1, 70))
@pytest.mark.parametrize("group", [1, 4])
def test_every_batch_of_a_few_tiles(batch, group):
    # All remainders of all vectors and tiles, exactly.
    plainest = FUZZ.case_of(lambda options: options[0])
    for dtype, threads in itertools.product((torch.float32, torch.float64, torch.bfloat16), (1, 3)):
        FUZZ.check(plainest._replace(sizes=(37, 21), batch=batch, group=group, dtype=dtype, threads=threads, block=16))


@needs_native
@pytest.mark.parametrize("dtype", FUZZ.TOLERANCE, ids=str)
def test_the_judge_of_the_cases_notices_a_single_wrong_number(monkeypatch, dtype):
    plainest = FUZZ.case_of(lambda options: options[0])._replace(sizes=(9, 7), way="chain", dtype=dtype)
    run = FUZZ.check.__globals__["_run"]
    for whole, place in itertools.product((True, False), range(3)):

        def wrong(*arguments, place=place):
            y, (dx, grads, *others) = run(*arguments)
            one = [y, dx, grads][place]
            one.view(-1)[0] = one.view(-1)[0] * 1.02 + 1e-3
            return y, (dx, grads, *others)

        FUZZ.check(plainest._replace(whole=whole))
        with monkeypatch.context() as patch:
            patch.setitem(FUZZ.check.__globals__, "_run", wrong)
            with pytest.raises(AssertionError, match="of what is permitted"):
                FUZZ.check(plainest._replace(whole=whole))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("batch", [1, 6, 19])
@pytest.mark.parametrize("needs", [needs for needs in itertools.product([True, False], repeat=3) if any(needs)])
def test_gradients_of_a_layer_are_those_of_finite_differences(layout, batch, needs):
    junction, values, bias = layer_of(5, 7, dtype=torch.float64, **layout)
    leaves = [random(batch, 7, dtype=torch.float64), values, bias]
    for leaf, need in zip(leaves, needs, strict=True):
        leaf.requires_grad_(need)
    assert gradcheck(lambda *tensors: linear(*tensors, junction), leaves)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("activations", list(itertools.product(["relu", "tanh", "sigmoid", "identity"], repeat=2)))
def test_gradients_of_a_chain_are_those_of_finite_differences(batch, activations):
    layers = [layer_of(*shape, dtype=torch.float64, group=group) for shape, group in (((5, 4), 4), ((3, 5), 1))]
    junctions, values, biases = zip(*layers, strict=True)
    leaves = [random(batch, 4, dtype=torch.float64), *values, *biases]
    for leaf in leaves:
        leaf.requires_grad_()
    assert gradcheck(lambda x, *rest: chain(x, rest[:2], rest[2:], junctions, activations), leaves)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0, 3), (0,), (1, 1, 1)])
@pytest.mark.parametrize(("outputs", "inputs"), [(4, 6), (4, 0), (0, 6), (0, 0)])
def test_any_leading_dimensions(shape, outputs, inputs):
    junction, values, bias = layer_of(outputs, inputs)
    x, values, bias = random(*shape, inputs).requires_grad_(), values.requires_grad_(), bias.requires_grad_()
    weight = junction.weight_of(values)
    for run in (
        lambda: linear(x, values, bias, junction),
        lambda: chain(x, [values], [bias], [junction], ["identity"]),
    ):
        y, expected = run(), nn.functional.linear(x, weight, bias)
        assert y.shape == expected.shape == (*shape, outputs)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)
        grad = random(*shape, outputs, seed=5)
        found = torch.autograd.grad(y, (x, values, bias), grad)
        wanted = torch.autograd.grad(expected, (x, values, bias), grad, retain_graph=True)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


# What is not finite comes out where a live weight leads, and nowhere else. Plain torch fills in a dense matrix, whose
# zeros are multiplied by it as well.


@needs_native
@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", FUZZ.TOLERANCE, ids=str)
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_what_is_not_finite_goes_where_weights_lead(special, layout, dtype, batch):
    junction, values, bias = layer_of(11, 13, 0.4, dtype, **layout)
    x, grad, mask = random(batch, 13, dtype=dtype), random(batch, 11, dtype=dtype, seed=3), junction.mask()
    row_of = junction.positions() // 13
    sample = batch - 1

    def run(x, values, bias, grad):
        leaves = [one.clone().requires_grad_() for one in (x, values, bias)]
        y = linear(*leaves, junction)
        return y.detach(), *torch.autograd.grad(y, leaves, grad)

    def put(tensor, place):
        changed = tensor.clone()
        changed[place] = special
        return changed

    clean = run(x, values, bias, grad)

    def check(found, touched):
        for one, other, hit in zip(found, clean, touched, strict=True):
            assert not one[hit].isfinite().any()
            assert torch.equal(one[~hit], other[~hit])

    none = [torch.zeros_like(one, dtype=torch.bool) for one in clean]
    with torch.no_grad():
        assert torch.equal(linear(x, values, bias, junction), clean[0])
    for column in range(13):
        spoilt = put(x, (sample, column))
        touched = [one.clone() for one in none]
        touched[0][sample] = mask[:, column]
        touched[2][:] = junction.positions() % 13 == column
        check(run(spoilt, values, bias, grad), touched)
        with torch.no_grad():  # another kernel where there is one sample
            y = linear(spoilt, values, bias, junction)
        assert torch.equal(y[~touched[0]], clean[0][~touched[0]])
        assert not y[touched[0]].isfinite().any()
    for row in range(11):
        touched = [one.clone() for one in none]
        touched[1][sample], touched[2][:], touched[3][row] = mask[row], row_of == row, True
        check(run(x, values, bias, put(grad, (sample, row))), touched)
        touched = [one.clone() for one in none]
        touched[0][:, row] = True
        check(run(x, values, put(bias, row), grad), touched)
    for place in range(0, junction.count, 5):
        touched = [one.clone() for one in none]
        touched[0][:, row_of[place]], touched[1][:, junction.positions()[place] % 13] = True, True
        check(run(x, put(values, place), bias, grad), touched)


@needs_native
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", FUZZ.TOLERANCE, ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_activations_of_special_numbers_are_those_of_torch(activation, dtype, batch):
    specials = torch.tensor([math.nan, math.inf, -math.inf, 0.0, 1e-38, 90.0, -90.0, 700.0, -800.0, 2.0**-7, 1.0])
    count = len(specials)
    junction, ones = junction_of(torch.eye(count).bool()), torch.ones(count, dtype=dtype)
    x = specials.to(dtype).expand(batch, count).clone().requires_grad_()
    y = chain(x, [ones], [None], [junction], [activation])
    wide = x.detach().double().requires_grad_()
    expected = getattr(torch, activation)(wide) if activation != "identity" else wide + 0
    torch.testing.assert_close(y.double(), expected, rtol=2 * FUZZ.ROUNDING[dtype] + 1e-6, atol=1e-37, equal_nan=True)
    found, wanted = torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(expected.sum(), wide)[0]
    torch.testing.assert_close(found.double(), wanted, rtol=2 * FUZZ.ROUNDING[dtype] + 1e-6, atol=1e-6, equal_nan=True)
    with torch.no_grad():
        alone = chain(x, [ones], [None], [junction], [activation])
    assert torch.equal(alone.nan_to_num(7), y.nan_to_num(7))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", FUZZ.TOLERANCE, ids=str)
def test_results_are_the_same_each_time_for_so_many_threads(threads, dtype):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layers = [layer_of(*shape, dtype=dtype) for shape in ((200, 300), (300, 200))]
        junctions, values, biases = zip(*layers, strict=True)
        leaves = [random(300, 300, dtype=dtype), *values, *biases]
        for leaf in leaves:
            leaf.requires_grad_()
        results = []
        for _ in range(6):
            y = chain(leaves[0], values, biases, junctions, ["tanh", "identity"])
            one = linear(leaves[0], values[0], biases[0], junctions[0])
            results.append([y, one, *torch.autograd.grad(y.sum() + one.sum(), leaves)])
        for others in results[1:]:
            assert all(map(torch.equal, results[0], others))
    finally:
        torch.set_num_threads(before)
