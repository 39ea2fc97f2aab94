"""Sparse convolutions against torch's dense one, forward and backward, by every route."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.kernels.images import Window, convolve
from sparsewire.kernels.junctions import Junction, junction_of

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 2e-2}
needs_native = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")


class Case(NamedTuple):
    """Images, live values and a bias, and what the dense convolution needs."""

    x: Tensor
    values: Tensor
    bias: Tensor | None
    junction: Junction
    window: Window
    weight: Tensor

    def leaves(self) -> list[Tensor]:
        return [tensor for tensor in (self.x, self.values, self.bias) if tensor is not None]

    def run(self) -> Tensor:
        return convolve(self.x, self.values, self.bias, self.junction, self.window)


def case(
    window: Window = Window((3, 3), margins=(1, 1, 1, 1)),  # noqa: B008  # frozen
    shape: tuple[int, int, int, int] = (2, 3, 7, 9),
    outputs: int = 5,
    density: float = 0.4,
    block: int | None = None,
    group: int | None = None,
    dtype: torch.dtype = torch.float64,
    bias: bool = True,
    seed: int = 0,
) -> Case:
    g = torch.Generator().manual_seed(seed)

    def draw(*sides: int) -> Tensor:
        return torch.randn(sides, generator=g, dtype=torch.float64).to(dtype)

    inputs = shape[1] * window.size[0] * window.size[1]
    mask = torch.rand(outputs, inputs, generator=g) < density
    junction, weight = junction_of(mask, block, group), draw(outputs, inputs) * mask
    values = junction.values_of(weight).requires_grad_()
    b = draw(outputs).requires_grad_() if bias else None
    dense = weight.view(outputs, shape[1], *window.size)
    return Case(draw(*shape).requires_grad_(), values, b, junction, window, dense)


def by_torch(c: Case, grad: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """The dense convolution in double precision, and its gradients at the live weights."""
    above, below, left, right = c.window.margins
    x, weight = c.x.detach().double().requires_grad_(), c.weight.double().requires_grad_()
    bias = None if c.bias is None else c.bias.detach().double().requires_grad_()
    padded = functional.pad(x, (left, right, above, below))
    y = functional.conv2d(padded, weight, bias, c.window.stride, 0, c.window.dilation)
    wanted = [tensor for tensor in (x, weight, bias) if tensor is not None]
    grads = torch.autograd.grad(y, wanted, torch.ones_like(y) if grad is None else grad.double())
    return y.detach(), [grads[0], c.junction.values_of(grads[1].flatten(1)), *grads[2:]]


def assert_equals_torch(c: Case) -> None:
    y = c.run()
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64).to(y.dtype)
    found = [y.detach(), *torch.autograd.grad(y, c.leaves(), grad)]
    expected, grads = by_torch(c, grad)
    assert y.is_contiguous()
    for ours, theirs in zip(found, (expected, *grads), strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == c.x.dtype
        scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 1.0
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=TOLERANCE[c.x.dtype] * scale)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=pairs,
    dilation=pairs,
    margins=st.tuples(*[st.integers(0, 3)] * 4),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 20), st.integers(1, 20)),
    outputs=st.integers(1, 10),
    density=st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]),
    block=st.sampled_from([None, 7]),
    group=st.sampled_from([1, 4]),
    dtype=st.sampled_from(list(TOLERANCE)),
    bias=st.booleans(),
)
def test_any_window_over_any_images(
    size: Any, stride: Any, dilation: Any, margins: Any, shape: Any, **others: Any
) -> None:
    window = Window(size, stride, dilation, margins)
    if min(window.places(*shape[2:])) >= 1:
        assert_equals_torch(case(window, shape, **others))


def test_a_sum_worked_out_by_hand() -> None:
    # A kernel of two pixels side by side, of which the left one is pruned, over 1 2 3 with a zero behind: 2 3 0.
    junction = junction_of(torch.tensor([[False, True]]))
    x, value = torch.tensor([[[[1.0, 2.0, 3.0]]]], requires_grad=True), torch.tensor([10.0], requires_grad=True)
    y = convolve(x, value, None, junction, Window((1, 2), margins=(0, 0, 0, 1)))
    assert y.tolist() == [[[[20.0, 30.0, 0.0]]]]
    y.backward(torch.tensor([[[[1.0, 2.0, 4.0]]]]))
    assert x.grad.tolist() == [[[[0.0, 10.0, 20.0]]]]
    assert value.grad.tolist() == [2.0 + 2 * 3.0]


def test_gradcheck() -> None:
    c = case(Window((2, 3), (2, 1), (1, 2), (1, 0, 2, 1)), shape=(2, 2, 5, 6))
    assert torch.autograd.gradcheck(lambda *leaves: convolve(*leaves, c.junction, c.window), c.leaves())


@pytest.mark.parametrize("bias", [True, False])
def test_opcheck(bias: bool) -> None:
    c = case(bias=bias)
    j, window = c.junction, [number for part in c.window for number in part]
    given = c.bias if c.bias is not None else c.x.new_empty(0)
    arguments = (c.x, c.values, given, j.columns, j.starts, [j.outputs, j.inputs, j.block, j.group], window)
    assert set(torch.library.opcheck(torch.ops.sparsewire.convolve.default, arguments).values()) == {"SUCCESS"}


def test_compiled_and_eager_are_equal() -> None:
    c = case(dtype=torch.float32)
    compiled = torch.compile(convolve, backend="aot_eager", fullgraph=True)
    y = compiled(c.x, c.values, c.bias, c.junction, c.window)
    assert torch.equal(y, c.run())
    grads = [torch.autograd.grad(result.square().sum(), c.leaves()) for result in (y, c.run())]
    assert all(map(torch.equal, *grads))


@pytest.mark.parametrize("layout", ["channels last", "sliced", "expanded", "negated"])
def test_unusual_strides(layout: str) -> None:
    c = case(shape=(2, 4, 6, 6))
    with torch.no_grad():
        x = {
            "channels last": c.x.contiguous(memory_format=torch.channels_last),
            "sliced": torch.stack([c.x, c.x], dim=4)[..., 0],
            "negated": torch._neg_view(c.x.detach().clone()),
            "expanded": c.x[:1, :, :1].expand(c.x.shape),
        }[layout]
    assert_equals_torch(c._replace(x=x.requires_grad_()))
    with torch.no_grad():
        values = torch.stack([c.values, c.values], dim=1)[:, 0]
    assert_equals_torch(c._replace(values=values.requires_grad_()))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_are_the_same_every_time_for_as_many_threads(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        c = case(shape=(9, 16, 20, 20), outputs=32, dtype=torch.float32)
        runs = [(y := c.run(), *torch.autograd.grad(y.square().sum(), c.leaves())) for _ in range(2)]
        assert all(map(torch.equal, *runs))
        assert_equals_torch(c)
    finally:
        torch.set_num_threads(before)


def test_only_what_is_wanted_is_computed() -> None:
    c = case()
    frozen = c._replace(x=c.x.detach(), bias=c.bias.detach())
    (grad,) = torch.autograd.grad(frozen.run().sum(), frozen.values)
    torch.testing.assert_close(grad, by_torch(c, None)[1][1])


def test_what_is_not_a_number_stays_where_the_kernel_meets_it() -> None:
    c = case(shape=(2, 1, 5, 5), outputs=1, density=1.0)
    with torch.no_grad():
        c.x[0, 0, 0, 0] = torch.nan
        found = c.run().isnan()
    assert found[0, 0, :2, :2].all()
    assert int(found.count_nonzero()) == 4


def test_under_autocast_it_is_bfloat16() -> None:
    c = case(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = c.run()
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), by_torch(c, None)[0], rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.ones(2, 2, 7, 9).double()}, r"x: found shape \(2, 2, 7, 9\), expected .* = 27"),
        ({"x": torch.ones(3, 7, 9).double()}, r"x: found shape \(3, 7, 9\)"),
        ({"values": torch.ones(3).double()}, r"values: found torch.float64 of shape \(3,\)"),
        ({"bias": torch.ones(5)}, r"bias: found torch.float32 of shape \(5,\) on cpu, expected torch.float64"),
        ({"window": Window((3, 3), dilation=(4, 4))}, r"found 7 × 9 pixels, less than the kernel of 3 × 3 with dil"),
        ({"window": Window((3, 3), dilation=(9, 1), margins=(1, 1, 1, 1))}, r"7 × 9 pixels with margins"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        case()._replace(**change).run()


def test_gradients_of_gradients_are_refused() -> None:
    c = case()
    (grad,) = torch.autograd.grad(c.run().square().sum(), c.values, create_graph=True)
    with pytest.raises(RequestError, match="gradient of a gradient"):
        grad.sum().backward()


@needs_native
@pytest.mark.parametrize("setting", ["VECTOR_BYTES=16", "VECTOR_BYTES=32", "NATIVE=0"])
def test_narrower_vectors_and_none(setting: str) -> None:
    file = Path(__file__)
    program = (
        f"import sys; sys.path.insert(0, {str(file.parent)!r})\n"
        f"from {file.stem} import *\n"
        "for dtype in TOLERANCE:\n"
        "    for shape in ((2, 3, 7, 9), (1, 2, 20, 33), (0, 3, 4, 4)):\n"
        "        for stride in ((1, 1), (2, 3)):\n"
        "            assert_equals_torch(case(Window((3, 2), stride, margins=(1, 0, 1, 2)), shape, dtype=dtype))\n"
    )
    name, value = setting.split("=")
    environment = {**os.environ, f"SPARSEWIRE_{name}": value}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=100)
