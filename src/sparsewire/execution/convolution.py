"""The sparse convolution: a product with what lies under its kernel at each place."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from sparsewire.errors import RequestError
from sparsewire.execution.linear import draw_by_live_fan_in_
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels.images import Window, convolve

Pair = tuple[int, int]


class SparseConv2d(SparseModule):
    """A two-dimensional convolution that stores, computes and differentiates the weights inside the mask only.

    Takes the place of `torch.nn.Conv2d` with one group and padding by zeros. What lies under the kernel at each place
    (one input channel after the other) is multiplied by the (out_channels, in_channels · height · width) matrix of
    weights; the native kernels take it straight from the images. `weight` is a 1-D Parameter of the live values, in the
    order of `junction("weight")`. Fresh layers are drawn as those of `SparseLinear`.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        mask: bool, shape (out_channels, in_channels, height, width), True where a weight exists; its last two sides
            are the size of the kernel.
        stride: one number or two.
        padding: zeros around the input, one number or two; or "valid" (none), or "same" (for stride 1: as many as keep
            height and width).
        dilation: one number or two.
        bias: whether there is one.
        device: where the values are; None: torch's default.
        dtype: of the values; None: torch's default.
        generator: of the values; None: torch's own, as in torch.nn.Conv2d.

    Raises:
        RequestError: the mask is no bool tensor of that shape, or stride, padding or dilation is none, or "same" is
            asked for with another stride than 1.

    Example:
        >>> layer = SparseConv2d(1, 2, torch.ones(2, 1, 3, 3).tril().bool(), padding=1)
        >>> layer, layer(torch.ones(4, 1, 8, 8)).shape
        (SparseConv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), bias=True,
        density=0.6667), torch.Size([4, 2, 8, 8]))
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mask: Tensor,
        stride: int | Pair = 1,
        padding: int | Pair | Literal["same", "valid"] = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else None  # what is no tensor is refused below
        if shape is not None and (shape[:2] != (out_channels, in_channels) or len(shape) != 4 or 0 in shape[2:]):
            raise RequestError(f"mask: found shape {shape}, expected ({out_channels}, {in_channels}, height, width)")
        margins = padding if isinstance(padding, str) else _pair("padding", padding, least=0)
        self._set_shape(_pair("stride", stride, least=1), margins, _pair("dilation", dilation, least=1))
        self.register_sparse("weight", mask, device=device, dtype=dtype)
        made = nn.Parameter(torch.zeros(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", made)
        self.reset_parameters(generator)

    @classmethod
    def from_dense(cls, convolution: nn.Conv2d, mask: Tensor) -> "SparseConv2d":
        """The same layer with the weights inside the mask: same dtype, device, training mode and requires_grad.

        Raises:
            RequestError: no torch.nn.Conv2d, or one with several groups or another padding than zeros, or the mask is
                not of its weight's shape.

        Example:
            >>> dense = nn.Conv2d(3, 2, 1)
            >>> SparseConv2d.from_dense(dense, torch.ones(2, 3, 1, 1).bool()).weight.shape
            torch.Size([6])
        """
        if not isinstance(convolution, nn.Conv2d):
            raise RequestError(f"convolution: found {type(convolution).__name__}, expected torch.nn.Conv2d")
        if convolution.groups != 1:
            raise RequestError(f"convolution: found groups={convolution.groups}, expected 1; leave this layer dense")
        if convolution.padding_mode != "zeros":
            mode = convolution.padding_mode
            raise RequestError(f"convolution: found padding_mode={mode!r}, expected 'zeros'; leave this layer dense")
        layer = cls.__new__(cls)
        SparseModule.__init__(layer)
        layer._set_shape(convolution.stride, convolution.padding, convolution.dilation)  # type: ignore[arg-type]
        layer.register_sparse("weight", mask, convolution.weight)
        layer.register_copy("bias", convolution.bias)
        return layer.train(convolution.training)

    def _set_shape(self, stride: Pair, padding: str | Pair, dilation: Pair) -> None:
        if padding == "same" and stride != (1, 1):
            raise RequestError(f"padding: found 'same' with stride={stride}, expected stride 1; give the numbers")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise RequestError(f"padding: found {padding!r}, expected a number, two numbers, 'same' or 'valid'")
        self.stride, self.padding, self.dilation = stride, padding, dilation

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.shape_of("weight")[0]

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.shape_of("weight")[1]

    @property
    def kernel_size(self) -> Pair:
        """Height and width of the kernel."""
        return self.shape_of("weight")[2], self.shape_of("weight")[3]

    def to_dense(self) -> nn.Conv2d:
        """The torch.nn.Conv2d with the same weights, and exact zeros where none exist.

        Example:
            >>> SparseConv2d(1, 1, torch.zeros(1, 1, 2, 2).bool()).to_dense().weight.abs().sum().item()
            0.0
        """
        sizes = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        dense = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            bias=False,
            device="meta",
            **sizes,  # type: ignore[arg-type]
        )  # draws no numbers
        dense.weight = nn.Parameter(self.dense_weight("weight"), requires_grad=self.weight.requires_grad)
        dense.bias = self.copy_of("bias")
        return dense.train(self.training)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws weights and bias anew from U(−1/√nᵢ, 1/√nᵢ) for each output channel i with nᵢ live weights."""
        draw_by_live_fan_in_(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x, of shape (batch, in_channels, height, width) or without the batch."""
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise RequestError(
                f"x: found shape {tuple(x.shape)}, expected (batch, {self.in_channels}, height, width) or without batch"
            )
        images = x if x.ndim == 4 else x.unsqueeze(0)
        y = convolve(images, self.weight, self.bias, self.junction("weight"), self._window())
        if self.wants_dense_gradients and self.weight.requires_grad and y.requires_grad:
            self._watch(images.detach(), y)
        return y if x.ndim == 4 else y.squeeze(0)

    def _watch(self, images: Tensor, y: Tensor) -> None:
        """Sees to it that the backward notes the gradient of every weight, live or not."""
        above, below, left, right = self._margins()

        def note(gradient: Tensor) -> None:
            padded = functional.pad(images.to(gradient.dtype), (left, right, above, below))
            shape, way = self.shape_of("weight"), (self.stride, 0, self.dilation)
            dense = conv2d_weight(padded, shape, gradient, *way)  # type: ignore[no-untyped-call]
            self.note_dense_gradient("weight", dense)

        y.register_hook(note)  # type: ignore[no-untyped-call]

    def _window(self) -> Window:
        return Window(self.kernel_size, self.stride, self.dilation, self._margins())

    def _margins(self) -> tuple[int, int, int, int]:
        """Zeros above, below, to the left and to the right."""
        if isinstance(self.padding, tuple):
            above, left = self.padding
            return above, above, left, left
        if self.padding == "valid":
            return 0, 0, 0, 0
        above, left = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))
        # Of an odd number the larger half lies behind, as torch has it.
        return above // 2, above - above // 2, left // 2, left - left // 2

    def extra_repr(self) -> str:
        """The arguments, and the density."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, bias={self.bias is not None}, "
            f"density={self.junction('weight').density:.4g}"
        )


def _pair(name: str, sides: int | Pair, least: int) -> Pair:
    pair = (sides, sides) if isinstance(sides, int) else tuple(sides) if isinstance(sides, list | tuple) else ()
    if len(pair) != 2 or not all(type(side) is int and side >= least for side in pair):
        raise RequestError(f"{name}: found {sides!r}, expected a whole number of at least {least}, or two of them")
    return pair[0], pair[1]
