"""One table of laws: on a GPU where there is one, else in Triton's interpreter.

The interpreter has to be chosen before Triton is imported, and would change what torch.compile finds in this process.
So this file is also a program: it reads the names and arguments of laws, a line each, and answers what went wrong.
"""

import contextlib
import importlib.util
import itertools
import json
import os
import runpy
import subprocess
import sys
import traceback

import pytest
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import plain, products, triton_chain
from sparsewire.kernels.junctions import Junction, junction_of
from sparsewire.kernels.triton_products import (
    Tile,
    backward_by_features,
    forward_by_features,
    linear_backward,
    linear_forward,
    tile_for,
)

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
# Of the scale of the values; a sum that is made in float32 and rounded once.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10, "bfloat16": 2**-7, "float16": 2**-10}
# (outputs, inputs, density, batch); rows and columns 0 are empty where the density is below 1.
SHAPES = [
    (1, 1, 1.0, 1),
    (7, 5, 0.5, 3),
    (12, 17, 0.3, 1),
    (9, 33, 0.1, 32),
    (6, 20, 1.0, 37),
    (3, 70, 0.6, 130),  # two tiles of samples, and several rounds through the longer lines
    (5, 4, 0.0, 3),
    (6, 8, 0.4, 0),
    (0, 4, 1.0, 2),
    (4, 0, 1.0, 2),
]
TILES = [(1, 1, 1), (2, 4, 1), (4, 2, 2), (16, 128, 4)]


def mask_of(outputs: int, inputs: int, density: float) -> Tensor:
    mask = torch.rand(outputs, inputs, generator=torch.Generator().manual_seed(outputs * 100 + inputs)) < density
    if density < 1:
        mask[:1], mask[:, :1] = False, False
    return mask


def random(*shape: int, dtype: str = "float32", seed: int = 0) -> Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return numbers.to(DEVICE, getattr(torch, dtype))


def operands(mask: Tensor, batch: int, dtype: str, group: int) -> tuple[Junction, Tensor, Tensor, Tensor, Tensor]:
    """A junction in several blocks, x, values, bias and the gradient of the output."""
    junction = junction_of(mask, block=max(1, mask.shape[1] // 2), group=group).to(DEVICE)
    x, values = random(batch, junction.inputs, dtype=dtype), random(junction.count, dtype=dtype, seed=1)
    return (
        junction,
        x,
        values,
        random(junction.outputs, dtype=dtype, seed=2),
        random(batch, len(mask), dtype=dtype, seed=3),
    )


def assert_close(found: Tensor | None, expected: Tensor, like: Tensor) -> None:
    assert found is not None
    assert (found.shape, found.dtype, found.device) == (expected.shape, like.dtype, like.device)
    assert found.is_contiguous()
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    error = float((found.double() - expected).abs().max()) if expected.numel() else 0.0
    assert error <= TOLERANCE[str(like.dtype).removeprefix("torch.")] * scale


def assert_as_dense(junction: Junction, x: Tensor, values: Tensor, bias: Tensor, grad: Tensor, tile=None) -> None:
    weight = junction.weight_of(values.double())
    wide_x, wide_grad = x.double(), grad.double()
    assert_close(linear_forward(x, values, bias, junction, tile), wide_x @ weight.t() + bias.double(), x)
    assert_close(linear_forward(x, values, None, junction, tile), wide_x @ weight.t(), x)
    of_x, of_values, of_bias = linear_backward(grad, x, values, junction, tile=tile)
    assert_close(of_x, wide_grad @ weight, x)
    assert_close(of_values, junction.values_of(wide_grad.t() @ wide_x), x)
    assert_close(of_bias, wide_grad.sum(0), x)


# The laws. Their arguments are numbers and strings, so that they can be sent to the interpreter.


def law_equals_the_dense_product(outputs, inputs, density, batch, dtype, group):
    assert_as_dense(*operands(mask_of(outputs, inputs, density), batch, dtype, group))


def law_every_tile_gives_the_same_product(entries, samples, warps):
    case = operands(mask_of(4, 7, 0.6), 5, "float64", 4)
    assert_as_dense(*case, tile=Tile(entries, samples, warps))


def law_a_row_much_longer_than_the_mean_is_summed_to_its_end():
    mask = torch.zeros(12, 90, dtype=torch.bool)
    mask[5], mask[:, 7] = True, True
    assert_as_dense(*operands(mask, 3, "float64", 1))


def law_strides_do_not_matter():
    junction, x, values, bias, grad = operands(mask_of(6, 10, 0.5), 4, "float32", 1)
    wide = x.new_zeros(4, 20)
    wide[:, ::2] = x
    apart = torch.stack([values, values], 1)[:, 0]
    assert_as_dense(junction, wide[:, ::2], apart, torch.stack([bias, bias], 1)[:, 1], grad.t().contiguous().t())
    assert_as_dense(junction, x[:1].expand(4, -1), apart, bias, grad.new_ones(1, 1).expand(4, 6))


def law_only_the_gradients_that_are_needed_are_made():
    junction, x, values, _, grad = operands(mask_of(5, 6, 0.5), 3, "float32", 4)
    every = linear_backward(grad, x, values, junction)
    for number in range(8):
        needed = tuple(bool(number >> bit & 1) for bit in range(3))
        for one, wanted, whole in zip(linear_backward(grad, x, values, junction, needed), needed, every, strict=True):
            assert (one is not None) == wanted
            assert one is None or torch.equal(one, whole)


def law_the_same_call_gives_the_same_bits():
    mask = mask_of(8, 40, 0.5)
    first, *others = (operands(mask, 33, "float32", 4) for _ in range(3))
    expected = linear_forward(*first[1:4], first[0]), *linear_backward(first[4], *first[1:3], first[0])
    for junction, x, values, bias, grad in others:
        found = linear_forward(x, values, bias, junction), *linear_backward(grad, x, values, junction)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def law_layers_that_follow_each_other_need_no_transposition():
    junction, x, values, bias, grad = operands(mask_of(6, 9, 0.5), 5, "float64", 1)
    forward = forward_by_features(x.t().contiguous(), values, bias, junction)
    assert torch.equal(forward.t(), linear_forward(x, values, bias, junction))
    found = backward_by_features(grad.t().contiguous(), x.t().contiguous(), values, junction)
    of_x, of_values, of_bias = linear_backward(grad, x, values, junction)
    assert found[0].is_contiguous()
    assert torch.equal(found[0].t(), of_x)
    assert torch.equal(found[1], of_values)
    assert torch.equal(found[2], of_bias)


def law_a_chain_equals_plain_torch(activations, dtype, keep):
    sizes = [7, 9, 1, 4, 6][: len(activations) + 1]
    layers = [operands(mask_of(after, before, 0.6), 5, dtype, 1) for before, after in itertools.pairwise(sizes)]
    junctions, values = [layer[0] for layer in layers], [layer[2] for layer in layers]
    x, grad = layers[0][1], layers[-1][4]
    biases = [layer[3] if number else None for number, layer in enumerate(layers)]
    y, hidden = triton_chain.forward(x, values, biases, junctions, activations, keep)
    expected, kept = plain.forward(x, values, biases, junctions, activations, keep=True)
    assert_close(y, expected.double(), x)
    assert hidden.shape == (kept.shape if keep else (0,))
    for number in range(1 << 3) if keep else ():
        need_x, some, others = (bool(number >> bit & 1) for bit in range(3))
        needs = need_x, [some] + [others] * (len(layers) - 1), [others] + [some] * (len(layers) - 1)
        found = triton_chain.backward(grad, x, hidden, values, junctions, activations, *needs)
        wanted = plain.backward(grad, x, kept, values, junctions, activations, *needs)
        flat = zip([found[0], *found[1], *found[2]], [wanted[0], *wanted[1], *wanted[2]], strict=True)
        for one, other in flat:
            assert one is other is None or assert_close(one, other.double(), x) is None


def law_tensors_that_want_gradients_are_taken_and_nothing_is_recorded():
    junction, x, values, bias, _ = operands(mask_of(3, 4, 0.5), 2, "float32", 1)
    y = linear_forward(x.requires_grad_(), values.requires_grad_(), bias.requires_grad_(), junction)
    assert not y.requires_grad


def law_what_does_not_fit_is_refused():
    junction, x, values, bias, grad = operands(mask_of(5, 6, 0.5), 3, "float32", 1)
    for name, call in (
        ("x", lambda: linear_forward(x[:, 1:], values, bias, junction)),
        ("x", lambda: linear_forward(x[0], values, bias, junction)),
        ("x: found torch.int64", lambda: linear_forward(x.long(), values, bias, junction)),
        ("values", lambda: linear_forward(x, values[1:], bias, junction)),
        ("values: found torch.float64", lambda: linear_forward(x, values.double(), bias, junction)),
        ("bias", lambda: linear_forward(x, values, bias[1:], junction)),
        ("grad", lambda: linear_backward(grad[1:], x, values, junction)),
    ):
        with pytest.raises(RequestError, match=f"^{name}"):
            call()


# Running them.


@pytest.fixture(scope="module")
def hold():
    """Calls a law by its name: here on a GPU, in a process of its own under the interpreter."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed: pip install triton")
    if ON_GPU:
        yield lambda law, *arguments: globals()[law](*arguments)
        return
    command = [sys.executable, "-W", "error", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=environment, text=True) as process:

        def ask(law: str, *arguments: object) -> None:
            print(json.dumps([law, arguments]), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline() or '"The interpreter ended."')
            assert answer is None, answer

        yield ask
        process.stdin.close()


def answer_laws() -> None:
    replies = sys.stdout
    for line in sys.stdin:
        law, arguments = json.loads(line)
        found = None
        try:
            with contextlib.redirect_stdout(sys.stderr):
                globals()[law](*arguments)
        except Exception:  # noqa: BLE001  the test that asked reports it
            found = traceback.format_exc()
        print(json.dumps(found), file=replies, flush=True)


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_dense_product(hold, shape, dtype, group):
    hold("law_equals_the_dense_product", *shape, dtype, group)


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_tile_gives_the_same_product(hold, tile):
    hold("law_every_tile_gives_the_same_product", *tile)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activations", [("identity",), ("relu",), ("tanh", "sigmoid", "relu", "identity")], ids=str)
def test_a_chain_equals_plain_torch(hold, activations, dtype, keep):
    hold("law_a_chain_equals_plain_torch", activations, dtype, keep)


PLAIN = [name for name in list(globals()) if name.startswith("law_") and not globals()[name].__code__.co_argcount]


@pytest.mark.parametrize("law", PLAIN)
def test_law(hold, law):
    hold(law)


@pytest.mark.skipif(not ON_GPU, reason="no GPU: the table ran in Triton's interpreter")
def test_products_stay_on_the_gpu():
    junction = junction_of(mask_of(9, 33, 0.3))
    x, values = random(5, 33), random(junction.count, seed=1)
    y = products.linear(x, values, None, junction.to(DEVICE))
    assert y.is_cuda
    expected = products.linear(x.cpu(), values.cpu(), None, junction)
    torch.testing.assert_close(y.cpu(), expected, rtol=0, atol=1e-5)


# Every architecture, type and size (Triton compiles a size of 1 in), not all of their combinations: each takes seconds.
@pytest.mark.parametrize(
    ("architecture", "dtype", "size"),
    [
        (75, "fp32", "i32"), (80, "bf16", "i32"), (90, "fp64", "i32"), (90, "fp16", "i32"),
        (75, "fp16", 1), (80, "fp32", 1), (80, "fp64", 1), (90, "bf16", 1),
    ],
)  # fmt: skip
def test_the_kernels_compile_to_machine_code_without_a_gpu(tmp_path, monkeypatch, architecture, dtype, size):
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from sparsewire.kernels import triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    arrays = dict.fromkeys(("x", "values", "bias", "y", "gradient", "found"), f"*{dtype}")
    types = {**arrays, "starts": "*i32", "others": "*i16", "places": "*i32"}
    sums = triton_kernels.tl.float64 if dtype == "fp64" else triton_kernels.tl.float32
    fixed = {"ACC": sums, "ENTRIES": 16, "SAMPLES": 32, "BIAS": True}
    if size == 1:
        fixed |= dict.fromkeys(("lines", "parts", "batch"), 1)
    for kernel in (triton_kernels.sum_lines, triton_kernels.multiply_lines):
        names = kernel.arg_names
        signature = {name: "constexpr" if name in fixed else types.get(name, size) for name in names}
        constants = {(names.index(name),): value for name, value in fixed.items() if name in names}
        source = ASTSource(kernel, signature, constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 4})
        assert compiled.asm["cubin"]
        assert "atom" not in compiled.asm["ptx"]  # nothing whose order another run could change


@pytest.mark.parametrize("batch", [0, 1, 2, 31, 32, 100, 4096])
@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0, 41.0, 5000.0])
def test_tiles_are_powers_of_two_that_registers_hold(batch, mean):
    tile = tile_for(batch, mean)
    for number in (tile.entries, tile.samples, tile.warps):
        assert number > 0
        assert number & (number - 1) == 0
    assert tile.entries * tile.samples <= 2048
    assert tile.warps <= 8


def test_without_triton_the_kernels_can_be_imported_and_the_products_say_what_to_do(monkeypatch):
    from sparsewire.kernels import triton_kernels

    monkeypatch.setitem(sys.modules, "triton", None)  # makes every import of it fail
    found = runpy.run_path(triton_kernels.__file__)
    assert found["triton"] is None
    assert not found["is_interpreted"]()
    monkeypatch.setattr(triton_kernels, "triton", None)
    junction = junction_of(torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(RequestError, match="pip install triton"):
        linear_forward(torch.ones(1, 1), torch.ones(1), None, junction)


def test_a_tensor_on_the_cpu_is_refused():
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed: pip install triton")
    junction = junction_of(torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(RequestError, match=r"^x: found on cpu"):
        linear_forward(torch.ones(1, 1), torch.ones(1), None, junction)


if __name__ == "__main__":
    answer_laws()
