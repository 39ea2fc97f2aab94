"""The papers' dense networks: chains of layers on inputs of shape (batch, features)."""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo.layers import linear
from sparsewire.structure.blocks import whole

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def mlp(
    sizes: Sequence[int], activation: str = "relu", *, bias: bool = True, generator: torch.Generator | None = None
) -> nn.Sequential:
    """A chain of dense layers with an activation between each two: Linear, act, Linear, act, …, Linear.

    Weights and biases are PyTorch's default, U(−1/√fan_in, 1/√fan_in); see `models.initialize` for others.

    Args:
        sizes: neurons per layer, inputs first, outputs last; at least two numbers, each at least 1.
        activation: "relu", "tanh", "sigmoid" or "identity".
        bias: whether the layers have biases.
        generator: where the weights are drawn from; None: the global seed, as PyTorch's constructors do.

    Returns:
        A module whose weights are named "0.weight", "2.weight", ….

    Raises:
        RequestError: a size is not a positive whole number, or there are fewer than two.
        UnknownNameError: there is no such activation.

    Example:
        >>> model = mlp((4, 3, 2), "tanh", generator=torch.Generator().manual_seed(0))
        >>> [name for name, _ in model.named_parameters()], model(torch.zeros(5, 4)).shape
        (['0.weight', '0.bias', '2.weight', '2.bias'], torch.Size([5, 2]))
    """
    if activation not in _ACTIVATIONS:
        raise UnknownNameError("activation", activation, _ACTIVATIONS)
    if len(sizes) < 2:
        raise RequestError(f"sizes: found {tuple(sizes)}, expected at least two: the inputs and the outputs")
    neurons = [whole(f"sizes[{layer}]", size, least=1) for layer, size in enumerate(sizes)]
    modules: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(neurons):
        modules += [linear(fan_in, fan_out, bias=bias, generator=generator), _ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1])


def lenet_300_100(inputs: int = 784, classes: int = 10, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """LeNet-300-100, the ReLU network of three of the papers: 784-300-100-10 with 266,200 weights.

    Args:
        inputs: features of one input; 784 for MNIST.
        classes: how many logits.
        generator: see `mlp`.

    Example:
        >>> sum(weight.numel() for name, weight in lenet_300_100().named_parameters() if name.endswith("weight"))
        266200

    Reference:
        LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document recognition", section
        III.C.4; its units were scaled tanh and its loss a squared error, here ReLU and logits as in the papers.
    """
    return mlp((inputs, 300, 100, classes), generator=generator)


def wide_lenet(inputs: int = 784, classes: int = 10, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """Wide-LeNet of the dense supermasks: 784-3010-1010-10, ReLU, about ten times as wide as LeNet-300-100.

    Example:
        >>> [layer.out_features for layer in wide_lenet() if isinstance(layer, nn.Linear)]
        [3010, 1010, 10]

    Reference:
        Dense supermasks by linear filter ensembles: the network of its second experiment.
    """
    return mlp((inputs, 3010, 1010, classes), generator=generator)


def single_hidden_100(
    inputs: int = 784, classes: int = 10, *, generator: torch.Generator | None = None
) -> nn.Sequential:
    """The small ReLU network of the pruning experiments on hidden structures: 784-100-10 with 79,400 weights.

    Example:
        >>> sum(weight.numel() for name, weight in single_hidden_100().named_parameters() if name.endswith("weight"))
        79400

    Reference:
        Properties of the hidden structures of sparse networks: feed-forward pruning.
    """
    return mlp((inputs, 100, classes), generator=generator)


def morse_1024(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """The ReLU network for Morse code: 64-1024-64 with 131,072 weights.

    Its junctions divide as fan-outs of 16a and b, with a and b from 1 to 64: overall density (a + b) / 128.

    Example:
        >>> morse_1024()(torch.zeros(1, 64)).shape
        torch.Size([1, 64])

    Reference:
        Characterizing sparse connectivity patterns, Table 1, "Morse".
    """
    return mlp((64, 1024, 64), generator=generator)


def autoencoder_128_64(inputs: int = 784, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """The sigmoid autoencoder of the K-starts paper: 784-128-64 and mirrored back, …-128-784; outputs in (0, 1).

    Unlike the others it ends in its activation, so that its outputs compare with pixels. The paper does not state the
    decoder; the mirror is our reading.

    Example:
        >>> autoencoder_128_64()(torch.zeros(2, 784)).shape
        torch.Size([2, 784])

    Reference:
        K-starts and dissipating gradients, Figure 2.
    """
    chain = mlp((inputs, 128, 64, 128, inputs), "sigmoid", generator=generator)
    return nn.Sequential(*chain, nn.Sigmoid())


def classifier_128_100(
    inputs: int = 784, classes: int = 10, *, generator: torch.Generator | None = None
) -> nn.Sequential:
    """The sigmoid classifier of the K-starts paper: 784-128-100-10.

    Example:
        >>> [layer.out_features for layer in classifier_128_100() if isinstance(layer, nn.Linear)]
        [128, 100, 10]

    Reference:
        K-starts and dissipating gradients, Figure 2.
    """
    return mlp((inputs, 128, 100, classes), "sigmoid", generator=generator)


def perceptron(inputs: int = 784, classes: int = 10, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """The single dense layer 784-10 on which the K-starts paper compares the numbers of starts.

    Example:
        >>> perceptron()
        Sequential(
          (0): Linear(in_features=784, out_features=10, bias=True)
        )

    Reference:
        K-starts and dissipating gradients, Table 1 and Figure 3.
    """
    return mlp((inputs, classes), generator=generator)
