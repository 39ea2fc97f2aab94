"""Residual networks for images of 32 × 32 pixels, after Keras' example, and with three dense layers at their end.

As in `zoo.convolutional`, `features` ends flattened and `head` is the chain of the dense layers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.models.zoo.layers import convolution, linear, norm
from sparsewire.structure.blocks import whole


class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + S(x)), F: convolution 3×3, normalisation, ReLU, convolution 3×3, normalisation.

    S(x) = x, or, where `stride` is 2, a 1×1 convolution without normalisation. With stride 2 the zeros around the image
    are Keras' "same": for an even side one on the right and the bottom only, for an odd side one all around. PyTorch's
    `padding=1` would look at other pixels.

    Args:
        channels: of the input.
        filters: channels of the output; as many as `channels` where `stride` is 1.
        stride: 1, or 2 for half the height and width, rounded up.
        momentum: of the normalisation, see `conv_cifar`.
        generator: see `mlp`.

    Raises:
        RequestError: the momentum is not in (0, 1].

    Example:
        >>> ResidualBlock(16, 32, stride=2)(torch.zeros(1, 16, 32, 32)).shape
        torch.Size([1, 32, 16, 16])

    Reference:
        He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition", Figure 2, with the shortcut of its
        option B; Keras' cifar10_resnet.py, version 1, has no normalisation there.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int = 1,
        *,
        momentum: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.stride = stride
        padding = 1 if stride == 1 else 0  # with stride 2 it depends on the image: see forward
        self.conv_1 = convolution(channels, filters, 3, stride=stride, padding=padding, generator=generator)
        self.norm_1 = norm(filters, momentum)
        self.conv_2 = convolution(filters, filters, 3, padding=1, generator=generator)
        self.norm_2 = norm(filters, momentum)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = convolution(channels, filters, 1, stride=stride, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """The block's output, (batch, filters, ⌈height / stride⌉, ⌈width / stride⌉)."""
        padded = images
        if self.stride == 2:
            padded = nn.functional.pad(images, (images.shape[-1] % 2, 1, images.shape[-2] % 2, 1))
        inner = torch.relu(self.norm_1(self.conv_1(padded)))
        return torch.relu(self.norm_2(self.conv_2(inner)) + self.shortcut(images))


def residual(
    depth: int,
    dense: Sequence[int] = (),
    *,
    dropout: float = 0.0,
    channels: int = 3,
    classes: int = 10,
    filters: int = 16,
    momentum: float = 0.01,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """A residual network of depth 6n + 2: a first convolution, three stages of n blocks, the mean of each map, dense.

    The stages have 1, 2 and 4 times `filters` filters; the second and the third begin with stride 2.

    Args:
        depth: 8, 14, 20, …: the layers with weights on the longest way, one of them dense.
        dense: neurons of further dense layers before the last one, with ReLU between.
        dropout: probability with which each output of these is set to zero in training; 0: never. It is drawn from
            PyTorch's global seed, as dropout always is.
        channels: of an image.
        classes: how many logits.
        filters: of the first convolution and the first stage.
        momentum: of the normalisation, see `conv_cifar`.
        generator: see `mlp`.

    Returns:
        A module on (batch, channels, height, width); its parameters are named features.stem.0.weight,
        features.stage_1.0.conv_1.weight, …; the dense layers are head.0, head.3, head.6 (with dropout 0, too).

    Raises:
        RequestError: the depth is not 6n + 2, a number is not whole or too small, dropout is not in [0, 1), or the
            momentum is not in (0, 1].

    Example:
        >>> model = residual(8, (120, 84), dropout=0.3)
        >>> [tuple(layer.weight.shape) for layer in model.head if isinstance(layer, nn.Linear)]
        [(120, 64), (84, 120), (10, 84)]

    Reference:
        He, Zhang, Ren, Sun (2016), section 4.2, as in Keras' cifar10_resnet.py, version 1: biases in the convolutions
        although a normalisation follows, its ε and momentum, its padding, 1×1 convolutions as shortcuts.
    """
    if whole("depth", depth, least=8) % 6 != 2:
        below = (depth - 2) // 6 * 6 + 2
        raise RequestError(f"depth: found {depth}, expected 6n + 2; the nearest are {below} and {below + 6}")
    if not 0 <= dropout < 1:
        raise RequestError(f"dropout: found {dropout!r}, expected a probability in [0, 1)")
    width = whole("filters", filters, least=1)
    stem = convolution(whole("channels", channels, least=1), width, 3, padding=1, generator=generator)
    parts: dict[str, nn.Module] = {"stem": nn.Sequential(stem, norm(width, momentum), nn.ReLU())}
    for stage, (before, after) in enumerate(pairwise((width, width, 2 * width, 4 * width)), start=1):
        blocks = [ResidualBlock(before, after, 1 if stage == 1 else 2, momentum=momentum, generator=generator)]
        while len(blocks) < depth // 6:
            blocks.append(ResidualBlock(after, after, momentum=momentum, generator=generator))
        parts[f"stage_{stage}"] = nn.Sequential(*blocks)
    parts |= {"mean": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    hidden = [whole(f"dense[{place}]", size, least=1) for place, size in enumerate(dense)]
    head = _head([4 * width, *hidden, whole("classes", classes, least=1)], dropout, generator)
    return nn.Sequential(OrderedDict(features=nn.Sequential(OrderedDict(parts)), head=head))


def resnet_20(channels: int = 3, classes: int = 10, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """ResNet20, version 1: three blocks a stage and one dense layer 64-10; 0.27 million parameters.

    Example:
        >>> sum(each.numel() for each in resnet_20().parameters())  # Keras' 274,442 less 1,376 running statistics
        273066

    Reference:
        The lightning paper, Table 4b; see `residual`.
    """
    return residual(20, channels=channels, classes=classes, generator=generator)


def resnet_14d(
    channels: int = 3, classes: int = 10, *, dropout: float = 0.3, generator: torch.Generator | None = None
) -> nn.Sequential:
    """ResNet14d: two blocks a stage and three dense layers, 64-120-84-10, with dropout after the first two.

    The paper's figure of the dense layers is lost: their widths are LeNet-5's, and the place of the dropout that a
    legend names is our reading. 0 switches it off.

    Example:
        >>> resnet_14d()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    Reference:
        The lightning paper, Table 4b; see `residual`.
    """
    return residual(14, (120, 84), dropout=dropout, channels=channels, classes=classes, generator=generator)


def resnet_8d(
    channels: int = 3, classes: int = 10, *, dropout: float = 0.3, generator: torch.Generator | None = None
) -> nn.Sequential:
    """ResNet8d: one block a stage, and the dense layers of `resnet_14d`.

    Example:
        >>> len(resnet_8d().features.stage_1)
        1

    Reference:
        The lightning paper, Table 4b; see `residual`.
    """
    return residual(8, (120, 84), dropout=dropout, channels=channels, classes=classes, generator=generator)


def _head(sizes: Sequence[int], dropout: float, generator: torch.Generator | None) -> nn.Sequential:
    modules: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        # Also with dropout 0: the names of the parameters do not depend on it.
        modules += [linear(fan_in, fan_out, generator=generator), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*modules[:-2])
