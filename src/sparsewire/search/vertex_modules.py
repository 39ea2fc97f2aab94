"""What the vertices of a genome do with the maps that they read: one module for each kind of operation."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsewire.search.genotype import CONVOLUTIONS, Vertex
from sparsewire.search.shaping import SMALLEST, Shape, largest, stacked, window


def module_of(vertex: Vertex, maps: Sequence[Shape], generator: torch.Generator) -> nn.Module:
    """The module of a vertex: a list of maps → the vertex' own.

    Args:
        vertex: its operation, and its channels.
        maps: the shapes of what it reads.
        generator: where weights are drawn from.

    Example:
        >>> module_of(Vertex("max_pool"), [(3, 8, 8)], torch.Generator())([torch.zeros(1, 3, 8, 8)]).shape
        torch.Size([1, 3, 4, 4])
    """
    operation, channels = vertex
    if operation in CONVOLUTIONS:
        return Convolved(maps, channels, int(operation.removeprefix("conv")), generator)
    if operation in ("max_pool", "avg_pool"):
        return Pooled(maps, is_average=operation == "avg_pool")
    return Summed(maps, generator) if operation == "sum" else Stacked(maps)


def convolution(channels: int, filters: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    """A convolution that keeps height and width, without biases, its weights from U(−1/√fan_in, 1/√fan_in).

    Args:
        channels: of the input.
        filters: channels of the output.
        kernel: its height and width, odd.
        generator: where the weights are drawn from.

    Example:
        >>> layer = convolution(3, 6, 5, torch.Generator().manual_seed(0))
        >>> layer(torch.zeros(1, 3, 8, 9)).shape
        torch.Size([1, 6, 8, 9])
    """
    # by way of "meta", because a constructor on the CPU would draw from the global seed
    layer = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False, device="meta")
    layer.to_empty(device="cpu")
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    return layer


class Stacked(nn.Module):
    """Maps on top of each other, the larger ones max-pooled to the smallest height and width; one alone as it is.

    Args:
        maps: the shapes that will come.

    Example:
        >>> small, large = torch.ones(1, 2, 3, 4), torch.ones(1, 5, 7, 4)
        >>> Stacked([(2, 3, 4), (5, 7, 4)])([small, large]).shape
        torch.Size([1, 7, 3, 4])
    """

    def __init__(self, maps: Sequence[Shape]) -> None:
        super().__init__()
        _, height, width = stacked(maps)
        self.windows = tuple((window(shape[1], height), window(shape[2], width)) for shape in maps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """One tensor of all channels."""
        pooled = [
            some if pixels == (1, 1) else functional.max_pool2d(some, pixels)
            for some, pixels in zip(maps, self.windows, strict=True)
        ]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, 1)

    def extra_repr(self) -> str:
        """The windows of pooling, for print(model)."""
        return ", ".join(f"{height}×{width}" for height, width in self.windows)


class Summed(nn.Module):
    """The sum of maps in the largest shape: others get their channels by a 1×1 convolution, and zeros below and right.

    The convolution has no biases; so it is the same before and after the zeros, and cheaper before.

    Args:
        maps: the shapes that will come.
        generator: where the weights of the 1×1 convolutions are drawn from.

    Example:
        >>> summed = Summed([(2, 3, 4), (5, 7, 4)], torch.Generator().manual_seed(0))
        >>> sorted(summed.state_dict())
        ['projections.0.weight']
        >>> summed([torch.ones(1, 2, 3, 4), torch.ones(1, 5, 7, 4)])[0, 0, 3:].sum().item()
        16.0
    """

    def __init__(self, maps: Sequence[Shape], generator: torch.Generator) -> None:
        super().__init__()
        channels, height, width = largest(maps)
        self.margins = tuple((0, width - shape[2], 0, height - shape[1]) for shape in maps)
        self.projections = nn.ModuleDict(
            {
                str(place): convolution(shape[0], channels, 1, generator)
                for place, shape in enumerate(maps)
                if shape[0] != channels
            }
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """One tensor of the largest shape."""
        total: Tensor | None = None
        for place, (some, margins) in enumerate(zip(maps, self.margins, strict=True)):
            part = self.projections[str(place)](some) if str(place) in self.projections else some
            if any(margins):
                part = functional.pad(part, margins)
            total = part if total is None else total + part
        assert total is not None  # a vertex reads at least the image
        return total


class Convolved(nn.Module):
    """Convolution, batch normalisation and ReLU of maps on top of each other.

    Args:
        maps: the shapes that will come.
        channels: of the output.
        kernel: height and width of the kernel, odd.
        generator: where the weights are drawn from.

    Example:
        >>> vertex = Convolved([(3, 4, 4)], 8, 3, torch.Generator().manual_seed(0))
        >>> vertex([torch.zeros(2, 3, 4, 4)]).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, maps: Sequence[Shape], channels: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stack = Stacked(maps)
        self.convolution = convolution(stacked(maps)[0], channels, kernel, generator)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The output, of the smallest height and width among the maps."""
        return torch.relu(self.norm(self.convolution(self.stack(maps))))


class Pooled(nn.Module):
    """The maxima or means of windows of maps on top of each other.

    Windows are 2 long with stride 2 along a side of more than 4, and 3 long with stride 1 along one of 4 or fewer. What
    lies outside counts for nothing: means are over the pixels that there are.

    Args:
        maps: the shapes that will come.
        is_average: means instead of maxima.

    Example:
        >>> Pooled([(1, 6, 2)], is_average=True)([torch.ones(1, 1, 6, 2)])
        tensor([[[[1., 1.],
                  [1., 1.],
                  [1., 1.]]]])
    """

    def __init__(self, maps: Sequence[Shape], *, is_average: bool) -> None:
        super().__init__()
        self.stack = Stacked(maps)
        self.is_average = is_average
        halved = [side > SMALLEST for side in stacked(maps)[1:]]
        self.window = tuple(2 if is_halved else 3 for is_halved in halved)
        self.stride = tuple(2 if is_halved else 1 for is_halved in halved)
        self.padding = tuple(0 if is_halved else 1 for is_halved in halved)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """As many channels as come in all."""
        stack = self.stack(maps)
        if self.is_average:
            return functional.avg_pool2d(stack, self.window, self.stride, self.padding, count_include_pad=False)
        return functional.max_pool2d(stack, self.window, self.stride, self.padding)

    def extra_repr(self) -> str:
        """For print(model)."""
        return f"{'means' if self.is_average else 'maxima'} of {self.window}, stride {self.stride}"
