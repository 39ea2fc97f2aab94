"""Which layers of a chain have units that can be switched off, and what lies before, between and behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from sparsewire.errors import RequestError, UnknownNameError

# Modules of these files of torch treat every unit for itself, in evaluation, but for those that follow.
_PER_UNIT = {f"torch.nn.modules.{file}" for file in ("activation", "batchnorm", "dropout", "pooling")}
_MIXING = (
    nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d, nn.GLU, nn.MultiheadAttention, nn.SyncBatchNorm,
    nn.FractionalMaxPool2d, nn.FractionalMaxPool3d, nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d,
)  # fmt: skip

Weighted = nn.Linear | nn.Conv2d


@dataclass(frozen=True, eq=False)
class UnitLayer:
    """A layer whose units (neurons, or channels) feed one other layer, and the rest of the network around the two.

    Args:
        name: of the layer's module, as in `named_modules`.
        module: it.
        before: all modules that run before the following weights, the layer among them, in order.
        between: name → module, for those between the layer and the following weights.
        following_name: of the module with the following weights.
        following: it; its inputs are the layer's units, each one or, behind a flattened convolution, several times.
        after: all modules that run after the following weights.
    """

    name: str
    module: Weighted
    before: tuple[nn.Module, ...]
    between: dict[str, nn.Module]
    following_name: str
    following: Weighted
    after: tuple[nn.Module, ...]

    @property
    def units(self) -> int:
        """How many neurons or channels the layer has."""
        return len(self.module.weight)

    @property
    def inputs_per_unit(self) -> int:
        """How many columns of the following weight (channels of a convolution) belong to one unit; they are adjacent.

        Example:
            >>> unit_layer(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(36, 2)), "0").inputs_per_unit
            9
        """
        return self.following.weight.shape[1] // self.units


def unit_layers(model: nn.Module) -> dict[str, UnitLayer]:
    """Every layer of a chain but its last one, by the name of its module, in the order in which they run.

    Args:
        model: an nn.Sequential (also nested) of nn.Linear and nn.Conv2d, and between them activations, dropout,
            pooling, batch normalisation, Flatten and Identity, which treat every unit for itself.

    Raises:
        RequestError: the model is no such chain; the message names the module.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 2))
        >>> {name: layer.units for name, layer in unit_layers(model).items()}
        {'0': 4, '3': 8}
    """
    found = _chained(model)
    for layer in found.values():
        _check(layer)
    return found


def unit_layer(model: nn.Module, layer: str) -> UnitLayer:
    """The layer of this name, or of a weight of this name.

    Only what lies between it and the weights that follow has to fit a chain of units; what is before and after has to
    be modules that run one after the other.

    Raises:
        RequestError: the model is no such chain.
        UnknownNameError: no layer is named so, or it is the last one.

    Example:
        >>> unit_layer(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "0.weight").following_name
        '2'
    """
    layers = _chained(model)
    name = layer.removesuffix(".weight") if isinstance(layer, str) else layer
    if name not in layers:
        raise UnknownNameError("layer with units that feed another one", str(layer), layers)
    _check(layers[name])
    return layers[name]


def _chained(model: object) -> dict[str, UnitLayer]:
    """Each layer with the one that follows it, whatever lies between them."""
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected an nn.Sequential")
    leaves = list(_leaves(model, ""))
    modules = tuple(module for _, module in leaves)
    places = [place for place, module in enumerate(modules) if type(module) in (nn.Linear, nn.Conv2d)]
    if len(places) < 2:
        raise RequestError(
            f"model: found {len(places)} layers (Linear, Conv2d) in a chain, expected at least two: the units of the "
            "last one are the network's outputs"
        )
    found: dict[str, UnitLayer] = {}
    for here, there in pairwise(places):
        first, following = modules[here], modules[there]
        assert isinstance(first, nn.Linear | nn.Conv2d)
        assert isinstance(following, nn.Linear | nn.Conv2d)
        name, between = leaves[here][0], dict(leaves[here + 1 : there])
        layer = UnitLayer(name, first, modules[:there], between, leaves[there][0], following, modules[there + 1 :])
        found[name] = layer
    if len({id(modules[place].weight) for place in places}) < len(places):
        raise RequestError("model: two of its layers share one weight; give each layer its own")
    return found


def _leaves(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module).forward is not nn.Sequential.forward:
        yield name, module
        return
    if has_hooks(module):
        raise _refusal(name, module, "it has hooks, which a chain of its parts would leave out; remove them first")
    # Not named_children, which leaves out a module that is used for the second time.
    for key, child in module._modules.items():
        if child is not None:
            yield from _leaves(child, f"{name}.{key}".strip("."))


def _check(layer: UnitLayer) -> None:
    """Refuses what mixes units, and what a product with a part of the weight would leave out."""
    is_flattened = False
    for name, module in layer.between.items():
        is_flat = type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
        is_known = type(module).__module__ in _PER_UNIT and not isinstance(module, _MIXING)
        is_flattened = is_flattened or is_flat
        if not (is_flat or is_known or type(module) is nn.Identity):
            raise _refusal(name, module, "expected activations, dropout, pooling, batch normalisation or Flatten there")
    following = layer.following
    for name, module in ((layer.name, layer.module), (layer.following_name, following)):
        names = {key for key, _ in module.named_parameters(recurse=False)}
        if not {"weight"} <= names <= {"weight", "bias"} or has_hooks(module):
            raise _refusal(name, module, "its weight is computed from another or it has hooks; remove them first")
    is_picture, stays_one = isinstance(layer.module, nn.Conv2d), isinstance(following, nn.Conv2d)
    if is_picture is not stays_one and not (is_picture and is_flattened):
        why = "expected Flatten between a convolution and a dense layer, and no dense layer before a convolution"
        raise _refusal(layer.following_name, following, why)
    if isinstance(following, nn.Conv2d) and following.groups != 1:
        raise _refusal(layer.following_name, following, f"found groups={following.groups}, expected 1")
    inputs = following.weight.shape[1]
    if inputs % layer.units or (isinstance(following, nn.Conv2d) and inputs != layer.units):
        why = f"found {inputs} inputs after {layer.units} units of {layer.name!r}, expected as many or, flattened, {{}}"
        raise _refusal(layer.following_name, following, why.format("a multiple"))


def has_hooks(module: nn.Module) -> bool:
    """Whether calling it does more than its forward."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _refusal(name: str, module: nn.Module, why: str) -> RequestError:
    return RequestError(f"model: {name!r} ({type(module).__name__}) does not fit a chain of units: {why}")
