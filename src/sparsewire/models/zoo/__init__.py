"""The papers' networks, as plain modules that give logits: dense, convolutional, residual.

Every function takes `generator`: with one, the weights are drawn from it and the global seed is not touched; without,
PyTorch's own constructors draw from the global seed, as they always do. Both draw the same numbers for the same seed.
The dense ones take (batch, features); the others take (batch, channels, height, width) and consist of `features`,
which ends flattened, and `head`, the dense layers.
"""

from sparsewire.models.zoo.convolutional import conv_cifar, conv_mnist, lenet_5
from sparsewire.models.zoo.dense import (
    autoencoder_128_64,
    classifier_128_100,
    lenet_300_100,
    mlp,
    morse_1024,
    perceptron,
    single_hidden_100,
    wide_lenet,
)
from sparsewire.models.zoo.residual import ResidualBlock, residual, resnet_8d, resnet_14d, resnet_20

__all__ = [
    "ResidualBlock",
    "autoencoder_128_64",
    "classifier_128_100",
    "conv_cifar",
    "conv_mnist",
    "lenet_5",
    "lenet_300_100",
    "mlp",
    "morse_1024",
    "perceptron",
    "residual",
    "resnet_8d",
    "resnet_14d",
    "resnet_20",
    "single_hidden_100",
    "wide_lenet",
]
