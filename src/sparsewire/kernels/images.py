"""Convolutions with sparse weights: the torch operator `sparsewire::convolve`, forward and backward.

The matrix of weights has an output channel in each row and, one input channel after the other, the elements of the
kernel in its columns. The native library takes what lies under the kernel straight from the images, a stretch of places
at a time; elsewhere it is written out as a matrix, which has every pixel as often as the kernel has elements.
"""

from array import array
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.kernels.chain_compute import (
    Layers,
    autocast,
    compute_backward,
    compute_forward,
    describe,
    in_line,
    is_native,
)  # fmt: skip
from sparsewire.kernels.chain_operator import refuse_transforms, refuse_twice
from sparsewire.kernels.junctions import Junction

_LIBRARY: Any = torch.library.Library("sparsewire", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define(
    "convolve(Tensor x, Tensor values, Tensor bias, Tensor columns, Tensor starts, int[] junction, int[] window)"
    " -> Tensor"
)
_LIBRARY.define(
    "convolve_backward(Tensor grad, Tensor x, Tensor values, Tensor columns, Tensor starts, int[] junction,"
    " int[] window, bool[] needs) -> Tensor[]"
)


class Window(NamedTuple):
    """How a kernel goes over an image; each pair is (down, right).

    Args:
        size: of the kernel.
        stride: between places.
        dilation: between the kernel's elements.
        margins: of zeros, above, below, to the left and to the right.
    """

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output; below 1 where the kernel does not fit.

        Example:
            >>> Window((3, 3), stride=(2, 1), margins=(1, 1, 1, 1)).places(8, 8)
            (4, 8)
        """
        above, below, left, right = self.margins
        return (
            (height + above + below - self.dilation[0] * (self.size[0] - 1) - 1) // self.stride[0] + 1,
            (width + left + right - self.dilation[1] * (self.size[1] - 1) - 1) // self.stride[1] + 1,
        )


def convolve(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction, window: Window) -> Tensor:
    """The convolution of images with the weights of these live values; differentiable in x, values and bias.

        y[n, o, p] = b[o] + Σ over c, i, j of W[o, (c, i, j)] · x[n, c, stride · p + dilation · (i, j) − margin]

    Args:
        x: shape (batch, channels, height, width), float32, float64 or bfloat16.
        values: the live weights in the junction's order, shape (count,), of x's dtype.
        bias: shape (outputs,), or None.
        junction: of outputs × (channels · kernel height · kernel width).
        window: the kernel's way over the images.

    Raises:
        RequestError: shapes or dtypes do not fit, or the images are smaller than the kernel.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction = junction_of(torch.tensor([[True, False, False, True]]))  # a 2 × 2 kernel's diagonal
        >>> convolve(torch.arange(9.0).view(1, 1, 3, 3), torch.ones(2), None, junction, Window((2, 2)))
        tensor([[[[ 4.,  6.],
                  [10., 12.]]]])
    """
    x, (values,), (bias,) = autocast(x, (values,), (bias,))
    _check(x, values, bias, junction, window)
    if not torch.compiler.is_compiling():
        refuse_transforms((x, values) if bias is None else (x, values, bias))
    numbers = [junction.outputs, junction.inputs, junction.block, junction.group]
    given = x.new_empty(0) if bias is None else bias
    y: Tensor = torch.ops.sparsewire.convolve(
        x, values, given, junction.columns, junction.starts, numbers, [number for part in window for number in part]
    )
    return y


def _check(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction, window: Window) -> None:
    inputs = x.shape[1] * window.size[0] * window.size[1] if x.ndim == 4 else -1
    if inputs != junction.inputs:
        raise RequestError(
            f"x: found shape {tuple(x.shape)}, expected (batch, channels, height, width) with channels · "
            f"{window.size[0]} · {window.size[1]} = {junction.inputs}"
        )
    for name, tensor, shape in (("values", values, (junction.count,)), ("bias", bias, (junction.outputs,))):
        if tensor is not None and (tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device):
            raise RequestError(
                f"{name}: found {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, "
                f"expected {x.dtype} of shape {shape} on {x.device}, as x has"
            )
    if min(window.places(x.shape[2], x.shape[3])) < 1:
        margins = f" with margins {window.margins}" * any(window.margins)
        raise RequestError(
            f"x: found {x.shape[2]} × {x.shape[3]} pixels{margins}, less than the kernel of {window.size[0]} × "
            f"{window.size[1]}" + f" with dilation {window.dilation}" * (window.dilation != (1, 1))
        )


def _window(numbers: list[int]) -> Window:
    a, b, c, d, e, f, *margins = numbers
    return Window((a, b), (c, d), (e, f), (margins[0], margins[1], margins[2], margins[3]))


def _alone(values: Tensor, columns: Tensor, starts: Tensor, numbers: list[int]) -> Layers:
    outputs, inputs, block, group = numbers
    return Layers((Junction(outputs, inputs, block, group, columns, starts, values.numel()),), ("identity",))


def _convolve(
    x: Tensor, values: Tensor, bias: Tensor, columns: Tensor, starts: Tensor, junction: list[int], window: list[int]
) -> Tensor:
    layers, shape = _alone(values, columns, starts, junction), _window(window)
    y = x.new_empty(x.shape[0], junction[0], *shape.places(x.shape[2], x.shape[3]))
    biases = (bias if bias.numel() else None,)
    if not (x.numel() and is_native(x, layers)):
        rows = _lowered(x, shape).flatten(0, 1)
        found = compute_forward(rows, (values,), biases, layers, keep=False)[0]
        return y.copy_(found.view(len(x), y.shape[2] * y.shape[3], junction[0]).transpose(1, 2).reshape(y.shape))
    x, values, bias = in_line(x), in_line(values), in_line(bias)
    layer = describe(layers, (values,), (bias if biases[0] is not None else None,), None, None)
    images = _images(x, shape)
    native.function("convolution_forward", "i" * 6)(
        native.DTYPES[x.dtype],
        layer.buffer_info()[0],
        images.buffer_info()[0],
        x.data_ptr(),
        y.data_ptr(),
        torch.get_num_threads(),
    )
    return y


def _convolve_fake(
    x: Tensor, values: Tensor, bias: Tensor, columns: Tensor, starts: Tensor, junction: list[int], window: list[int]
) -> Tensor:
    return x.new_empty(x.shape[0], junction[0], *_window(window).places(x.shape[2], x.shape[3]))


def _convolve_backward(
    grad: Tensor,
    x: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    junction: list[int],
    window: list[int],
    needs: list[bool],
) -> list[Tensor]:
    layers, shape = _alone(values, columns, starts, junction), _window(window)
    found = _convolve_backward_fake(grad, x, values, columns, starts, junction, window, needs)
    if not (x.numel() and is_native(x, layers)):
        return _lowered_backward(grad, x, values, layers, shape, needs, found)
    x, grad, values = in_line(x), in_line(grad), in_line(values)
    dx, grads, bias_grad = (tensor if need else None for tensor, need in zip(found, needs, strict=True))
    layer, images = describe(layers, (values,), (None,), (grads,), (bias_grad,)), _images(x, shape)
    native.function("convolution_backward", "i" * 7)(
        native.DTYPES[x.dtype],
        layer.buffer_info()[0],
        images.buffer_info()[0],
        x.data_ptr(),
        grad.data_ptr(),
        native.address(dx),
        torch.get_num_threads(),
    )
    return found


def _lowered_backward(
    grad: Tensor, x: Tensor, values: Tensor, layers: Layers, window: Window, needs: list[bool], found: list[Tensor]
) -> list[Tensor]:
    rows = _lowered(x, window)
    above, below, left, right = window.margins
    flat = grad.flatten(2).transpose(1, 2).reshape(-1, grad.shape[1])
    dx, grads, bias_grads = compute_backward(
        flat, rows.flatten(0, 1), rows.new_empty(0), (values,), layers, needs[0], needs[1:2], needs[2:]
    )
    if dx is not None and x.numel():
        size = (x.shape[2] + above + below, x.shape[3] + left + right)
        columns = dx.view(rows.shape).transpose(1, 2)
        wide = functional.fold(columns, size, window.size, window.dilation, 0, window.stride)
        dx = wide[:, :, above : size[0] - below, left : size[1] - right]
    parts = (dx, grads[0], bias_grads[0])
    return [to if part is None else to.copy_(part.reshape(to.shape)) for to, part in zip(found, parts, strict=True)]


def _convolve_backward_fake(
    grad: Tensor,
    x: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    junction: list[int],
    window: list[int],
    needs: list[bool],
) -> list[Tensor]:
    sizes = (x.shape, values.shape, (junction[0],))
    return [x.new_empty(size if need else (0,)) for size, need in zip(sizes, needs, strict=True)]


def _lowered(x: Tensor, window: Window) -> Tensor:
    """What lies under the kernel at each place, (batch, places, inputs)."""
    above, below, left, right = window.margins
    if not len(x):  # unfold refuses an empty batch
        height, width = window.places(x.shape[2], x.shape[3])
        return x.new_empty(0, height * width, x.shape[1] * window.size[0] * window.size[1])
    wide = functional.pad(x, (left, right, above, below))
    return functional.unfold(wide, window.size, window.dilation, 0, window.stride).transpose(1, 2)


def _images(x: Tensor, window: Window) -> "array[int]":
    """The struct `Images` of images.hpp."""
    above, _, left, _ = window.margins
    numbers = (*x.shape, *window.places(x.shape[2], x.shape[3]), *window.size, *window.stride, above, left)
    return array("q", (*numbers, *window.dilation))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, values, bias, columns, starts, junction, window = inputs
    ctx.save_for_backward(x, values, columns, starts)
    ctx.sizes, ctx.has_bias = (junction, window), bias.numel() > 0


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, values, columns, starts = ctx.saved_tensors
    needs = [*ctx.needs_input_grad[:2], ctx.needs_input_grad[2] and ctx.has_bias]
    found = torch.ops.sparsewire.convolve_backward(grad, x, values, columns, starts, *ctx.sizes, needs)
    grads = [tensor if need else None for tensor, need in zip(found, needs, strict=True)]
    return *grads, None, None, None, None


for _device in ("CPU", "CUDA"):
    _LIBRARY.impl("convolve", _convolve, _device)
    _LIBRARY.impl("convolve_backward", _convolve_backward, _device)
torch.library.register_fake("sparsewire::convolve", _convolve_fake, lib=_LIBRARY)
torch.library.register_fake("sparsewire::convolve_backward", _convolve_backward_fake, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::convolve", _differentiate, setup_context=_remember, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::convolve_backward", refuse_twice, lib=_LIBRARY)
