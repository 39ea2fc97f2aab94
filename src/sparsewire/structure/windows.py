"""Windows: how the neurons of a layer are grouped to ask what reaches them, and from where.

Of a junction, the left layer is cut into as many windows as its right neurons have connections, and the right layer
into as many as its left neurons have: ideally there is one connection from each window to each neuron opposite.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole

ORDERS = ("channels_first", "channels_last")


class WindowCount(NamedTuple):
    """How many windows a layer has, and how many connections from each to a neuron opposite are ideal."""

    windows: int
    ideal: float


def window_count(fan: float, neurons: int) -> WindowCount:
    """The number of windows of a layer whose opposite neurons have `fan` connections (or paths) to it.

        windows = max(1, ⌊min(fan, neurons)⌋)        ideal = max(1, fan / neurons)

    With a whole fan of at most `neurons` there are `fan` windows, and one connection from each is ideal. Above that,
    the size of a window, neurons / fan, is rounded up to 1, and fan / neurons connections from each are ideal.

    Args:
        fan: connections per opposite neuron; where they differ, the mean. May be infinite: more paths than a float can
            count.
        neurons: those of the layer, at least 1.

    Raises:
        RequestError: `fan` is no number of at least 0, or `neurons` no whole number of at least 1.

    Example:
        >>> window_count(2, 8), window_count(1024, 64), window_count(2.5, 8)
        (WindowCount(windows=2, ideal=1.0), WindowCount(windows=64, ideal=16.0), WindowCount(windows=2, ideal=1.0))

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3 and appendix 5.2, where all neurons of a layer have the same fan.
        A mean that is not whole is ours: it is rounded down, because with more windows than connections less than one
        connection from each would be ideal, "which is not achievable". So where the degrees of a layer differ by one
        at most, each neuron can reach each window.
    """
    neurons = whole("neurons", neurons, least=1)
    if isinstance(fan, bool) or not isinstance(fan, Real) or not fan >= 0:
        raise RequestError(f"fan: found {fan!r}, expected the connections of a neuron opposite, at least 0")
    # A fan that was computed from a density may lie just below the whole number that it is: 0.29 · 100 < 29.
    return WindowCount(max(1, math.floor(min(fan, neurons) + 1e-9)), max(1.0, _as_float(fan) / neurons))


def _as_float(number: Real) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number, such as a product of fans
        return math.inf


@dataclass(frozen=True, eq=False)
class Layout:
    """How the neurons of a layer lie: in a row, in an image, or in a stack of feature maps.

    Args:
        shape: (neurons,), (height, width) or (channels, height, width).
        order: how a stack is flattened: "channels_first", as torch does (neuron = (channel · height + row) · width +
            column), or "channels_last" (neuron = (row · width + column) · channels + channel).
        real: which neurons exist; the others are padding and are left out. None: all. A number: so many, those of
            lowest index. A bool tensor of shape (neurons,), or of `shape`.

    Attributes:
        real: the same as a bool tensor of shape (neurons,) in the order of the neurons, or None.

    Raises:
        RequestError: the shape has no size of 1 to 3 whole numbers of at least 1, the order is unknown, or `real` is
            neither, does not fit the shape, or leaves nothing.

    Example:
        >>> Layout((4, 4)).windows(4).view(4, 4)
        tensor([[0, 0, 1, 1],
                [0, 0, 1, 1],
                [2, 2, 3, 3],
                [2, 2, 3, 3]])
        >>> Layout((10,), real=8).windows(3)
        tensor([ 0,  0,  0,  0,  1,  1,  1,  2, -1, -1])

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3 and Figure 5.
    """

    shape: tuple[int, ...]
    order: str = "channels_first"
    real: Tensor | int | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.shape) if isinstance(self.shape, tuple | list | torch.Size) else ()
        if not 1 <= len(shape) <= 3:
            raise RequestError(
                f"shape: found {self.shape!r}, expected (neurons,), (height, width) or (channels, height, width)"
            )
        object.__setattr__(self, "shape", tuple(whole(f"shape[{axis}]", n, least=1) for axis, n in enumerate(shape)))
        if self.order not in ORDERS:
            raise UnknownNameError("order of neurons", str(self.order), ORDERS)
        object.__setattr__(self, "real", self._checked_real())

    @property
    def neurons(self) -> int:
        """How many neurons there are, padding included.

        Example:
            >>> Layout((256, 4, 4)).neurons
            4096
        """
        return math.prod(self.shape)

    def windows(self, count: int) -> Tensor:
        """The window of each neuron.

        A row is cut into contiguous groups: neuron i is in window ⌊i · count / neurons⌋. An image is cut into equal
        tiles, as square as they can be, a stack of feature maps into equal cuboids: of the grids of equal tiles whose
        number divides `count` and leaves equal groups of features, that with the squarest tiles, then the smallest;
        the features take the rest. Where there is no such grid, the neurons are put in a row that winds through the
        map in bands as wide as a square window, feature after feature, and this is cut as a row is. So windows
        differ by one neuron at most, whatever the count. Padding is part of the frame that is cut; it may leave
        windows without a neuron.

        Args:
            count: how many windows, from 1 to `neurons`.

        Returns:
            int64 of shape (neurons,): 0 to count - 1, or -1 for padding.

        Raises:
            RequestError: `count` is no whole number from 1 to `neurons`.

        Example:
            >>> Layout((2, 2, 2)).windows(2), Layout((2, 2, 2), "channels_last").windows(2)
            (tensor([0, 0, 0, 0, 1, 1, 1, 1]), tensor([0, 1, 0, 1, 0, 1, 0, 1]))
        """
        if whole("count", count, least=1) > self.neurons:
            raise RequestError(f"count: found {count} windows for {self.neurons} neurons, expected at most as many")
        if len(self.shape) == 1:
            found = _groups(self.neurons, count)
        else:
            stack = (1, 1, *self.shape)[-3:]
            grid = _grid(stack, count)
            found = self._flat(_cuboids(stack, grid) if grid else _winding(stack, count))
        return found if self.real is None else torch.where(torch.as_tensor(self.real), found, -1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        if (self.shape, self.order, self.real is None) != (other.shape, other.order, other.real is None):
            return False
        return self.real is None or torch.equal(torch.as_tensor(self.real), torch.as_tensor(other.real))

    __hash__ = None  # type: ignore[assignment]  # equal by content, and tensors have no hash by content

    def _flat(self, stack: Tensor) -> Tensor:
        return (stack.permute(1, 2, 0) if self.order == "channels_last" else stack).reshape(-1)

    def _checked_real(self) -> Tensor | None:
        real: Any = self.real
        if real is None:
            return None
        if not isinstance(real, Tensor):
            number = whole("real", real, least=1)
            if number > self.neurons:
                raise RequestError(
                    f"real: found {number}, expected at most {self.neurons}, the neurons of {self.shape}"
                )
            return torch.arange(self.neurons) < number
        if real.dtype != torch.bool or tuple(real.shape) not in (self.shape, (self.neurons,)):
            raise RequestError(
                f"real: found {real.dtype} of shape {tuple(real.shape)}, expected torch.bool of shape {self.shape} or "
                f"({self.neurons},)"
            )
        if not real.any():
            raise RequestError(f"real: found no neuron among {self.neurons}, expected at least one that is no padding")
        flat = self._flat(real) if real.ndim == 3 else real.reshape(-1)
        return flat.detach().cpu().clone()


def layout_of(argument: str, layout: object, neurons: int) -> Layout:
    """The layout of a layer: the one that is given, or for None a row.

    Args:
        argument: what the message begins with.
        layout: a `Layout` of so many neurons, or None.
        neurons: those of the layer.

    Raises:
        RequestError: it is neither, or has another number of neurons.

    Example:
        >>> layout_of("left", None, 4).shape
        (4,)
    """
    if layout is None:
        return Layout((neurons,))
    if not isinstance(layout, Layout) or layout.neurons != neurons:
        found = f"one of shape {layout.shape}" if isinstance(layout, Layout) else repr(layout)
        raise RequestError(f"{argument}: found {found}, expected a Layout of {neurons} neurons, or None for a row")
    return layout


def _groups(neurons: int, count: int) -> Tensor:
    return torch.arange(neurons) * count // neurons


def _grid(stack: tuple[int, ...], count: int) -> tuple[int, int, int] | None:
    """How many cuboids along features, rows and columns, or None where equal ones cannot be."""
    features, height, width = stack
    best = None
    for rows in _divisors(height):
        for columns in _divisors(width):
            groups, left = divmod(count, rows * columns)
            if left or features % max(groups, 1) or not groups:
                continue
            high, wide = height // rows, width // columns
            rank = (max(high, wide) / min(high, wide), high * wide, high)
            if best is None or rank < best[0]:
                best = rank, (groups, rows, columns)
    return best[1] if best else None


def _divisors(number: int) -> Iterator[int]:
    return (divisor for divisor in range(1, number + 1) if number % divisor == 0)


def _cuboids(stack: tuple[int, ...], grid: tuple[int, int, int]) -> Tensor:
    feature, row, column = (_groups(size, parts) for size, parts in zip(stack, grid, strict=True))
    return (feature[:, None, None] * grid[1] + row[:, None]) * grid[2] + column


def _winding(stack: tuple[int, ...], count: int) -> Tensor:
    """Near-equal pieces of the way that goes to and fro through bands of rows, feature after feature."""
    features, height, width = stack
    side = math.sqrt(features * height * width / count)
    band = _groups(height, min(height, max(1, round(height / side))))[:, None].expand(height, width)
    row, column = torch.arange(height)[:, None].expand(height, width), torch.arange(width).expand(height, width)
    across = torch.where(band % 2 == 0, column, width - 1 - column)
    way = ((band * width + across) * height + row).reshape(-1).argsort()  # position on the way → place in the map
    place = torch.empty_like(way)
    place[way] = torch.arange(height * width)
    return _groups(features * height * width, count).view(features, -1)[:, place].view(features, height, width)
