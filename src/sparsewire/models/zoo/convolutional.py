"""The papers' plain convolutional networks: `features`, and behind them the connected layers, `head`.

`features` ends flattened, channels first: neuron (c · height + y) · width + x is pixel (y, x) of map c. So
`model.head` alone is a chain of dense layers (`zoo.mlp`), to which everything about chains applies, and
`model.features(images)` are its inputs.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.models.zoo.dense import mlp
from sparsewire.models.zoo.layers import convolution, norm
from sparsewire.structure.blocks import whole


def lenet_5(
    channels: int = 3, classes: int = 10, *, side: int = 32, generator: torch.Generator | None = None
) -> nn.Sequential:
    """LeNet-5 with ReLU and max pooling: two convolutions of 6 and 16 filters 5×5, then 400-120-84-10.

    The kernels stay inside the image ("valid"): a side of 32 pixels becomes 28, 14, 10, 5.

    Args:
        channels: of an image.
        classes: how many logits.
        side: height and width of an image in pixels, at least 16.
        generator: see `mlp`.

    Returns:
        A module on (batch, channels, side, side); its parameters are named features.0.weight, features.3.weight,
        head.0.weight, head.2.weight, head.4.weight, and the same with bias.

    Raises:
        RequestError: a number is not whole or too small.

    Example:
        >>> model = lenet_5()
        >>> model.features(torch.zeros(1, 3, 32, 32)).shape, sum(each.numel() for each in model.parameters())
        (torch.Size([1, 400]), 62006)

    Reference:
        LeCun, Bottou, Bengio, Haffner (1998), section II.B, whose units were tanh, whose pooling had weights and whose
        second convolution left connections out; here as in the lightning paper, Table 4a.
    """
    whole("channels", channels, least=1)
    width = ((whole("side", side, least=16) - 4) // 2 - 4) // 2
    features = nn.Sequential(
        convolution(channels, 6, 5, generator=generator), nn.ReLU(), nn.MaxPool2d(2),
        convolution(6, 16, 5, generator=generator), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )  # fmt: skip
    return _network(features, mlp((16 * width**2, 120, 84, classes), generator=generator))


def conv_cifar(
    hidden: Sequence[int] = (512,),
    outputs: int = 16,
    *,
    channels: int = 3,
    filters: Sequence[int] = (64, 64, 128, 128, 256, 256),
    side: int = 32,
    momentum: float = 0.01,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The CIFAR network of the paper on pre-defined sparsity: six convolutions 3×3, then 4096-512-16.

    Each convolution keeps the image's size (one zero on each side) and is followed by batch normalisation and ReLU;
    after each pair the maxima of 2×2 pixels are taken. CIFAR-10: hidden (512,) or (512, 256), outputs 16; CIFAR-100:
    the same with outputs 128. The outputs beyond the classes are never a label: they make the numbers divide.

    Args:
        hidden: neurons of the connected layers between features and outputs; () for a single junction.
        outputs: how many logits.
        channels: of an image.
        filters: of the convolutions, pair by pair.
        side: height and width of an image in pixels; at least 2 to the number of pairs.
        momentum: share of a batch's mean and variance in the running ones, which are what counts in evaluation. 0.01
            is Keras' 0.99, and needs some hundreds of steps; for few take PyTorch's 0.1.
        generator: see `mlp`.

    Returns:
        A module on (batch, channels, side, side); the connected layers are `head.0`, `head.2`, ….

    Raises:
        RequestError: a number is not whole or too small, the filters are no pairs, or the momentum is not in (0, 1].

    Example:
        >>> model = conv_cifar()
        >>> [layer.in_features for layer in model.head if isinstance(layer, nn.Linear)]
        [4096, 512]
        >>> f"{sum(each.numel() for each in model.features.parameters()):,}"
        '1,147,200'

    Reference:
        Dey, Huang, Beerel, Chugg (2018), "Characterizing sparse connectivity patterns in neural networks", section
        2.2.1. It does not print the padding, nor the normalisation's epsilon and momentum: the 4096 neurons fix the
        first, Keras' 1e-3 and 0.99 are our reading of the others.
    """
    if not filters or len(filters) % 2:
        raise RequestError(f"filters: found {len(filters)} convolutions, expected pairs: 2, 4, 6, …")
    widths = [whole("channels", channels, least=1)]
    widths += [whole(f"filters[{place}]", width, least=1) for place, width in enumerate(filters)]
    shrunk = whole("side", side, least=2 ** (len(filters) // 2)) // 2 ** (len(filters) // 2)
    features: list[nn.Module] = []
    for place, (fan_in, fan_out) in enumerate(pairwise(widths)):
        features += [convolution(fan_in, fan_out, 3, padding=1, generator=generator), norm(fan_out, momentum)]
        features += [nn.ReLU(), nn.MaxPool2d(2)] if place % 2 else [nn.ReLU()]
    sizes = (widths[-1] * shrunk**2, *hidden, outputs)
    return _network(nn.Sequential(*features, nn.Flatten()), mlp(sizes, generator=generator))


def conv_mnist(
    hidden: Sequence[int] = (784,),
    outputs: int = 10,
    *,
    channels: int = 1,
    side: int = 28,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The MNIST network of the paper on pre-defined sparsity: convolutions of 32 and 64 filters 5×5, then 3136-784-10.

    Each convolution keeps the image's size (two zeros on each side) and is followed by ReLU and the maxima of 2×2
    pixels.

    Args:
        hidden: neurons of the connected layers between features and outputs; () for a single junction.
        outputs: how many logits.
        channels: of an image.
        side: height and width of an image in pixels, at least 4.
        generator: see `mlp`.

    Raises:
        RequestError: a number is not whole or too small.

    Example:
        >>> model = conv_mnist()
        >>> model.features(torch.zeros(1, 1, 28, 28)).shape, [name for name, _ in model.head.named_parameters()][::2]
        (torch.Size([1, 3136]), ['0.weight', '2.weight'])

    Reference:
        Dey, Huang, Beerel, Chugg (2018), section 2.2.2 and Table 2 ("MNIST conv": 0.05 million weights, six layers).
    """
    whole("channels", channels, least=1)
    width = whole("side", side, least=4) // 2 // 2
    features = nn.Sequential(
        convolution(channels, 32, 5, padding=2, generator=generator), nn.ReLU(), nn.MaxPool2d(2),
        convolution(32, 64, 5, padding=2, generator=generator), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )  # fmt: skip
    return _network(features, mlp((64 * width**2, *hidden, outputs), generator=generator))


def _network(features: nn.Sequential, head: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(OrderedDict(features=features, head=head))
