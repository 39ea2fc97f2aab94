"""The networks of the paper on pre-defined sparsity by the names of its tables, and what one of them costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from sparsewire.analysis.cost import cost_table
from sparsewire.experiments.predefined.published import (
    CIFAR10_2,
    CIFAR10_3,
    CIFAR100_2,
    CIFAR100_3,
    MNIST,
    MNIST_CONV,
    MORSE,
    Net,
)
from sparsewire.models.zoo import conv_cifar, conv_mnist, mlp
from sparsewire.structure.masks import Masks

_SIDE = {"cifar": (1, 3, 32, 32), "mnist": (1, 1, 28, 28)}

# Name → (how it is built, the shape of a batch of one).
NETWORKS: Final[dict[Net, tuple[Callable[[torch.Generator], nn.Module], tuple[int, ...]]]] = {
    MORSE: (lambda generator: mlp((64, 1024, 64), generator=generator), (1, 64)),
    MNIST: (lambda generator: mlp((784, 224, 10), generator=generator), (1, 784)),
    MNIST_CONV: (lambda generator: conv_mnist(generator=generator), _SIDE["mnist"]),
    CIFAR10_2: (lambda generator: conv_cifar((512,), 16, generator=generator), _SIDE["cifar"]),
    CIFAR10_3: (lambda generator: conv_cifar((512, 256), 16, generator=generator), _SIDE["cifar"]),
    CIFAR100_2: (lambda generator: conv_cifar((512,), 128, generator=generator), _SIDE["cifar"]),
    CIFAR100_3: (lambda generator: conv_cifar((512, 256), 128, generator=generator), _SIDE["cifar"]),
}

# What the paper counts as a layer: its 17 are 6 convolutions, 6 normalisations, 3 poolings and 2 connected layers.
_COUNTED = nn.Conv2d | nn.BatchNorm2d | nn.MaxPool2d | nn.Linear


@dataclass(frozen=True)
class Cost:
    """What a network costs, counted as the paper's Table 2 counts.

    Args:
        connected: how many connected layers.
        layers: all layers, normalisation and pooling included, activations not.
        conv_params: weights and biases of the convolutions.
        conv_ops: for one image, a multiply-add of each weight and an addition of each bias as often as it is used.
        full: weights of the connected layers, biases left out; also their operations.
        sparse: those of them that the masks keep.
    """

    connected: int
    layers: int
    conv_params: int
    conv_ops: int
    full: int
    sparse: int

    @property
    def param_reduction(self) -> float:
        """Weights that are not there / all parameters, in percent."""
        return 100 * (self.full - self.sparse) / (self.full + self.conv_params)

    @property
    def op_reduction(self) -> float:
        """Operations that are saved / all operations, in percent."""
        return 100 * (self.full - self.sparse) / (self.full + self.conv_ops)


def cost_of(model: nn.Module, masks: Masks, example: Tensor) -> Cost:
    """What a network of the paper costs under these masks of its connected layers.

    Example:
        >>> model = mlp((4, 3, 2))
        >>> cost_of(model, Masks({"0.weight": torch.eye(3, 4).bool()}), torch.zeros(1, 4))
        Cost(connected=2, layers=2, conv_params=0, conv_ops=0, full=18, sparse=9)
    """
    model.eval()  # else normalisation refuses, or learns from, a single image
    table = cost_table(model, masks, example=example)
    convolutions = [layer for layer in table.layers if layer.kind == "Conv2d"]
    linears = [layer for layer in table.layers if layer.kind == "Linear"]
    return Cost(
        connected=len(linears),
        layers=sum(isinstance(module, _COUNTED) for module in model.modules()),
        conv_params=sum(layer.parameters for layer in convolutions),
        # A weight is used at every place of the map, and so is a bias.
        conv_ops=sum((layer.multiply_adds or 0) // layer.weights * layer.parameters for layer in convolutions),
        full=sum(layer.weights for layer in linears),
        sparse=sum(layer.live for layer in linears),
    )


def example_of(net: Net) -> Tensor:
    """A batch of one empty input."""
    return torch.zeros(NETWORKS[net][1])
