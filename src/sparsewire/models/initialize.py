"""Starts: what the weights of a model are before training. In place, from an explicit generator; biases become zero.

Every function is about the weights that a mask may be about (`structure.masks.maskable`): those of Linear, Conv,
recurrent and attention layers. The fans come from the weight's shape (out, in, *kernel), as PyTorch reads it:
fan_in = in · |kernel|, fan_out = out · |kernel|; a recurrent layer's stacked gates count as its outputs. Of a sparse
layer the whole weight is drawn, too, and what it stores is kept: it starts as its masked form does.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.chain import chain_sizes, dense_chain
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import maskable
from sparsewire.structure.priors import lightning_paths
from sparsewire.structure.sparse_weights import sparse_weights


def glorot_uniform_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from U(−b, b), b = √(6 / (fan_in + fan_out)), and zero biases.

    Example:
        >>> model = glorot_uniform_(nn.Linear(784, 300), generator=torch.Generator().manual_seed(0))
        >>> round(model.weight.abs().max().item(), 3)  # sqrt(6 / 1084)
        0.074

    Reference:
        Glorot, Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
    """
    return _uniform(model, lambda fan_in, fan_out: 2 / (fan_in + fan_out), generator)


def glorot_normal_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from N(0, σ²), σ² = 2 / (fan_in + fan_out), and zero biases.

    Keras, which several of the papers use, cuts its normal starts at 2σ and rescales them; this does not.

    Reference:
        Glorot, Bengio (2010), eq. 12.
    """
    return _normal(model, lambda fan_in, fan_out: 2 / (fan_in + fan_out), generator)


def he_uniform_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from U(−b, b), b = √(6 / fan_in), and zero biases.

    Reference:
        He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", eq. 10 gives the variance, here as a uniform.
    """
    return _uniform(model, lambda fan_in, _: 2 / fan_in, generator)


def he_normal_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from N(0, σ²), σ² = 2 / fan_in, and zero biases.

    Reference:
        He, Zhang, Ren, Sun (2015), eq. 10.
    """
    return _normal(model, lambda fan_in, _: 2 / fan_in, generator)


def lecun_uniform_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from U(−b, b), b = √(3 / fan_in), and zero biases.

    Reference:
        LeCun, Bottou, Orr, Müller (1998), "Efficient BackProp", eq. 16 gives the variance, here as a uniform.
    """
    return _uniform(model, lambda fan_in, _: 1 / fan_in, generator)


def lecun_normal_(model: nn.Module, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from N(0, σ²), σ² = 1 / fan_in, and zero biases.

    Reference:
        LeCun, Bottou, Orr, Müller (1998), eq. 16.
    """
    return _normal(model, lambda fan_in, _: 1 / fan_in, generator)


def normal_(model: nn.Module, std: float, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from N(0, std²), the same in all layers, and zero biases.

    Raises:
        RequestError: `std` is negative or not finite.
    """
    return _normal(model, lambda *_: _spread("std", std) ** 2, generator)


def truncated_normal_(model: nn.Module, std: float, *, generator: torch.Generator) -> nn.Module:
    """The model with every weight from N(0, std²) drawn again beyond ±2 std, and zero biases.

    What is left after the cut has a standard deviation of 0.88 std, as with TensorFlow's function of this name.

    Raises:
        RequestError: `std` is negative or not finite.

    Example:
        >>> model = truncated_normal_(nn.Linear(100, 100), 0.1, generator=torch.Generator().manual_seed(0))
        >>> round(model.weight.abs().max().item(), 2)
        0.2
    """
    _spread("std", std)
    if std == 0:  # the cut would be empty
        return normal_(model, 0.0, generator=generator)

    def draw(weight: Tensor) -> object:
        return nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std, generator=generator)

    return _draw(model, draw, generator)


def signed_constant_(model: nn.Module, types: Mapping[str, Tensor] | NetGraph, constant: float = 0.1) -> nn.Module:
    """The model with `constant` times the sign of each edge as weights, zeros elsewhere, and zero biases.

    The rebuild of the lightning paper: of a parent only the signs of its strongest edges are kept. Zero weights are
    not masked here; `Masks.from_weights` of the result is the mask that the paper trains the child with.

    Args:
        model: changed in place. Weights that `types` does not name stay, with the biases of their layers.
        types: weight name → tensor of the weight's shape whose signs count; or the parent's graph, whose edges' signs
            go to the model's dense layers.
        constant: the magnitude, finite and more than 0.

    Raises:
        RequestError: a shape differs, or the graph is not a chain of the sizes of the model's dense layers.
        UnknownNameError: the model has no such weight.

    Example:
        >>> model = signed_constant_(nn.Linear(3, 1), {"weight": torch.tensor([[-2.0, 0.0, 5.0]])})
        >>> model.weight.data, model.bias.data
        (tensor([[-0.1000,  0.0000,  0.1000]]), tensor([0.]))

    Reference:
        Pircher, Haspel, Schlücker (the lightning paper), section 2.
    """
    _spread("constant", constant, positive=True)
    signs = _dense_values(model, types) if isinstance(types, NetGraph) else types
    weights, sparse = maskable(model), sparse_weights(model)
    for name, sign in signs.items():
        if name not in weights:
            raise UnknownNameError("weight of the model", name, weights)
        shape = sparse[name].shape if name in sparse else tuple(weights[name].shape)
        if tuple(sign.shape) != shape:
            raise RequestError(f"types[{name!r}]: found shape {tuple(sign.shape)}, expected {shape}, the weight's")
    with torch.no_grad():
        for name, sign in signs.items():
            values = sign.sign() * constant
            weights[name].copy_(sparse[name].values_of(values) if name in sparse else values)
    _zero_biases(model, {id(weights[name]) for name in signs})
    return model


def lightning_(
    model: nn.Module, paths: int, strength: float, *, noise: float = 0.0, generator: torch.Generator
) -> NetGraph:
    """Makes `paths` random complete paths the only non-zero weights of the dense layers; gives the graph of the paths.

    Each path takes one neuron of every layer, inputs and outputs included, uniformly at random. An edge on at least one
    path becomes +strength or −strength, each with probability 1/2 and independently of the others; however many paths
    share it, it is set once. Weights off the paths are zeros that training may change: nothing is masked. Biases of
    the dense layers become zero; convolutions and all other layers stay as they are.

    With few paths some hidden neurons are on none. These have no weights in or out and, with ReLU, never get a
    gradient; that is part of the method.

    Args:
        model: changed in place; its dense layers must form a chain. With a single one every edge is a whole path.
        paths: how many paths are drawn, at least 1; they may coincide.
        strength: the magnitude of a weight on a path, finite and more than 0.
        noise: relative standard deviation of the magnitudes, |strength · (1 + noise · N(0, 1))|; the paper has none.
        generator: where paths, signs and noise are drawn from.

    Returns:
        The graph of the paths, with ones as values.

    Raises:
        RequestError: a number is out of its range, or the dense layers do not form a chain.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> graph = lightning_(model, paths=2, strength=0.5, generator=torch.Generator().manual_seed(0))
        >>> graph.sizes, sorted({abs(weight) for weight in model[0].weight.flatten().tolist()})
        ((6, 4, 2), [0.0, 0.5])

    Reference:
        Pircher, Haspel, Schlücker (the lightning paper), section 3. It does not say whether signs are per edge or per
        path, nor what the biases are; per edge and zero are our reading.
    """
    _spread("strength", strength, positive=True)
    _spread("noise", noise)
    chain, parameters = dense_chain(model), dict(model.named_parameters())
    for name in chain:
        if name not in parameters:
            raise RequestError(
                f"model: {name!r} is computed from other parameters, as by weight norm or torch.nn.utils.prune, and "
                "cannot be set; remove that from its layer first"
            )
    graph = lightning_paths(chain_sizes(chain), paths, generator=generator)
    device = generator.device
    for name, ones in _dense_values(model, graph).items():
        edges = ones.nonzero(as_tuple=True)
        count = len(edges[0])
        signs = torch.randint(0, 2, (count,), generator=generator, device=device).double() * 2 - 1
        if noise:
            scale = 1 + noise * torch.randn(count, generator=generator, device=device, dtype=torch.float64)
            signs *= scale.abs()
        ones[edges] = (strength * signs).to("cpu", ones.dtype)
        chain[name].copy_(ones)
    _zero_biases(model, {id(weight) for name, weight in maskable(model).items() if name in chain})
    return graph


def _uniform(model: nn.Module, variance: Callable[[int, int], float], generator: torch.Generator) -> nn.Module:
    def draw(weight: Tensor) -> object:
        bound = math.sqrt(3 * variance(*_fans(weight)))
        return weight.uniform_(-bound, bound, generator=generator)

    return _draw(model, draw, generator)


def _normal(model: nn.Module, variance: Callable[[int, int], float], generator: torch.Generator) -> nn.Module:
    def draw(weight: Tensor) -> object:
        return weight.normal_(0, math.sqrt(variance(*_fans(weight))), generator=generator)

    return _draw(model, draw, generator)


def _draw(model: nn.Module, draw: Callable[[Tensor], object], generator: torch.Generator) -> nn.Module:
    weights, sparse, device = maskable(model), sparse_weights(model), checked_generator(generator).device
    with torch.no_grad():
        for name, weight in weights.items():
            # Where the generator is: then one seed means one start, whichever device the model is on.
            shape = sparse[name].shape if name in sparse else weight.shape
            drawn = torch.empty(shape, dtype=weight.dtype, device=device)
            draw(drawn)
            drawn = drawn.to(weight.device)
            weight.copy_(sparse[name].values_of(drawn) if name in sparse else drawn)
    _zero_biases(model, {id(weight) for weight in weights.values()})
    return model


def _fans(weight: Tensor) -> tuple[int, int]:
    kernel = math.prod(weight.shape[2:])
    return max(weight.shape[1] * kernel, 1), max(weight.shape[0] * kernel, 1)


def _zero_biases(model: nn.Module, weights: set[int]) -> None:
    """Of every layer that owns one of the weights; normalisation layers own none and keep theirs."""
    with torch.no_grad():
        for module in model.modules():
            own = dict(module.named_parameters(recurse=False))
            if any(id(parameter) in weights for parameter in own.values()):
                for name, parameter in own.items():
                    if "bias" in name:
                        parameter.zero_()


def _dense_values(model: nn.Module, graph: NetGraph) -> dict[str, Tensor]:
    """The graph's values as dense CPU tensors under the names of the model's dense weights."""
    masks = graph.to_masks(model)  # refuses a graph that does not fit
    values = {name: torch.zeros(mask.shape, dtype=torch.float64) for name, mask in masks.items()}
    for layer, value in enumerate(values.values()):
        if (block := graph.blocks.get((layer, layer + 1))) is not None:
            value.copy_(torch.from_numpy(block.toarray()))
    return values


def _spread(argument: str, value: float, positive: bool = False) -> float:
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        least = "more than 0" if positive else "at least 0"
        raise RequestError(f"{argument}: found {value!r}, expected a finite number, {least}")
    return value
