"""The layers that the networks are made of; from a generator come the numbers that PyTorch's constructors draw."""

import math

import torch
from torch import nn

from sparsewire.errors import RequestError


def linear(fan_in: int, fan_out: int, *, bias: bool = True, generator: torch.Generator | None = None) -> nn.Linear:
    """A dense layer, its weights and biases from U(−1/√fan_in, 1/√fan_in).

    Args:
        fan_in: inputs, at least 1.
        fan_out: outputs, at least 1.
        bias: whether it has biases.
        generator: where the numbers are drawn from; None: the global seed, as PyTorch's constructors do.

    Example:
        >>> linear(4, 3, generator=torch.Generator().manual_seed(0))
        Linear(in_features=4, out_features=3, bias=True)
    """
    if generator is None:
        return nn.Linear(fan_in, fan_out, bias=bias)
    # by way of "meta", because a constructor on the CPU would draw from the global seed
    layer = nn.Linear(fan_in, fan_out, bias=bias, device="meta").to_empty(device="cpu")
    _draw_(layer, generator)
    return layer


def convolution(
    channels: int,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    generator: torch.Generator | None = None,
) -> nn.Conv2d:
    """A 2-D convolution with biases, all from U(−1/√fan_in, 1/√fan_in), fan_in = channels · kernel².

    Args:
        channels: of the input, at least 1.
        filters: channels of the output, at least 1.
        kernel: its height and width.
        stride: step of the kernel in both directions.
        padding: zeros on each of the four sides.
        generator: as for `linear`.

    Example:
        >>> convolution(3, 6, 5)(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 6, 28, 28])
    """
    if generator is None:
        return nn.Conv2d(channels, filters, kernel, stride, padding)
    layer = nn.Conv2d(channels, filters, kernel, stride, padding, device="meta").to_empty(device="cpu")
    _draw_(layer, generator)
    return layer


def norm(filters: int, momentum: float) -> nn.BatchNorm2d:
    """Batch normalisation of `filters` maps as Keras has it: ε = 1e-3 where PyTorch has 1e-5.

    Raises:
        RequestError: the momentum is not in (0, 1].
    """
    if not 0 < momentum <= 1:
        raise RequestError(f"momentum: found {momentum!r}, expected a number in (0, 1], such as 0.01")
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum)


def _draw_(layer: nn.Linear | nn.Conv2d, generator: torch.Generator) -> None:
    # Parameter by parameter as reset_parameters does it, so that one seed means one network, whichever way it is drawn.
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
