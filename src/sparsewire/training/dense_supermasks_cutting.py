"""A network without some of its neurons and channels: smaller layers, the same function as with their outputs at 0."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.evidence.unit_chain import UnitLayer, unit_layers

_PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


def without_units(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    """A new, smaller network of the units that are kept; a unit that goes takes its part of the next layer with it.

    For finite inputs it computes, up to the order of sums, what the model computes with the activations of the other
    units at 0. The numbers that stay are the same to the last bit. `shrink` removes what no path leads through; this
    also knows convolutions, batch normalisation and pooling.

    Args:
        model: a chain as for `unit_layers`; it is not changed.
        kept: name of a layer's module → which of its units stay: their numbers, in any order but each once, at least
            one. Layers that are not named keep all.

    Raises:
        RequestError: the model is no such chain, or a layer would keep no unit, one twice, or one that it has not.
        UnknownNameError: no such layer, or it is the last one.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> without_units(model, {"0": torch.tensor([0, 3, 1])})
        Sequential(
          (0): Conv2d(1, 3, kernel_size=(3, 3), stride=(1, 1))
          (1): ReLU()
          (2): Flatten(start_dim=1, end_dim=-1)
          (3): Linear(in_features=12, out_features=2, bias=True)
        )
    """
    layers = unit_layers(model)
    for name, own in kept.items():
        if name not in layers:
            raise UnknownNameError("layer with units that feed another one", str(name), layers)
        _check(name, own, layers[name].units)
    _check_apart(layers)
    smaller = copy.deepcopy(model)
    layers = unit_layers(smaller)
    for name, own in kept.items():
        _cut(layers[name], own.to(layers[name].module.weight.device))
    return smaller


def _check(name: str, kept: object, units: int) -> None:
    if isinstance(kept, Tensor) and kept.dtype == torch.int64 and kept.dim() == 1 and len(kept):
        is_known = bool(((kept >= 0) & (kept < units)).all())
        if is_known and len(torch.unique(kept)) == len(kept):
            return
    raise RequestError(
        f"kept[{name!r}]: found {kept!r}, expected an int64 tensor with different numbers of units, at least one, each "
        f"from 0 to {units - 1}"
    )


def _check_apart(layers: Mapping[str, UnitLayer]) -> None:
    seen = set()
    for layer in layers.values():
        for name, between in layer.between.items():
            if between in seen and _features(between) != 1:
                kind = type(between).__name__
                raise RequestError(f"model: {name!r} ({kind}) stands behind two layers; give each its own")
            seen.add(between)


def _features(between: nn.Module) -> int:
    return int(getattr(between, "num_features", getattr(between, "num_parameters", 1)))


@torch.no_grad()
def _cut(layer: UnitLayer, kept: Tensor) -> None:
    """Takes rows from the layer, entries from what normalises it, and columns from the following weight."""
    module, following, per_unit = layer.module, layer.following, layer.inputs_per_unit
    units = layer.units  # before the weight gets smaller
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        raise RequestError(f"model: {layer.name!r} has groups={module.groups}, expected 1 to lose single channels")
    for name in ("weight", "bias"):
        _take(module, name, kept)
    # Behind Flatten a channel is several features in a row, and normalisation there has as many.
    columns = (kept[:, None] * per_unit + torch.arange(per_unit, device=kept.device)).flatten()
    for between in layer.between.values():
        have = _features(between)
        if have == 1:
            continue
        for name in _PER_CHANNEL:
            _take(between, name, kept if have == units else columns)
        for size in ("num_features", "num_parameters"):
            if hasattr(between, size):
                setattr(between, size, len(kept if have == units else columns))
    whole: nn.Parameter = following.weight  # type: ignore[assignment]  # torch's stubs say Tensor
    following.weight = _parameter(whole, whole.index_select(1, columns))
    for one, side, count in ((module, "out", len(kept)), (following, "in", len(columns))):
        setattr(one, f"{side}_{'features' if isinstance(one, nn.Linear) else 'channels'}", count)


def _take(module: nn.Module, name: str, kept: Tensor) -> None:
    old = getattr(module, name, None)
    if isinstance(old, nn.Parameter):
        setattr(module, name, _parameter(old, old.index_select(0, kept)))
    elif isinstance(old, Tensor):
        setattr(module, name, old.index_select(0, kept))


def _parameter(old: nn.Parameter, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.contiguous(), requires_grad=old.requires_grad)
