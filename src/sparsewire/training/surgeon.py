"""Layer-wise Optimal Brain Surgeon: the weights that a layer's outputs miss least go, the others make up for them."""

import math
from collections.abc import Mapping
from numbers import Real

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import Scope, checked_density
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.structure.selection import Only, selected
from sparsewire.structure.sparse_weights import sparse_weights
from sparsewire.training.batches import Data
from sparsewire.training.layer_inputs import input_moments
from sparsewire.training.surgery import damped, refitted, removal_costs


@torch.no_grad()
def surgeon_(
    model: nn.Module,
    data: Data,
    *,
    density: float,
    scope: Scope = "uniform",
    masks: Mapping[str, Tensor] | None = None,
    only: Only | None = None,
    damping: float = 0.01,
    at_once: int | None = None,
    block: int = 1024,
    batch_size: int = 250,
) -> Masks:
    """Prunes and updates the weights of linear layers and 2D convolutions in place; returns the masks.

    Each row w of a layer's weight is pruned for itself, to keep the layer's outputs on the data. With H the second
    moments of the layer's inputs (of the model as it is now), the weight with the least

        ½ w_j² / [H⁻¹]_jj      goes, and the others become      w − w_j / [H⁻¹]_jj · H⁻¹[:, j]

    and so on, one by one. The scope ranks these costs over the rows of a layer, or over layers. In the end the kept
    weights of each row are those that change the layer's outputs least, Σ (w x − w₀ x)², of all with these zeros.
    Biases, and all that `only` does not mean, stay as they are.

    Args:
        model: any module; its `nn.Linear` and `nn.Conv2d` layers can be pruned this way. A weight that several layers
            share is pruned once, for the inputs of all.
        data: as for `fit`, (inputs, labels) or batches of such; some hundred samples are enough, more than a layer has
            inputs are better. Labels are not looked at.
        density: the fraction that is kept of all selected weights, from 0 to 1.
        scope: how much of each layer, see `prune`; "blind" ranks the costs over all layers.
        masks: what exists now; the result only drops from these, and what they dropped becomes zero.
        only: which weights, see `prune`; those that can be pruned this way, unless told.
        damping: of H, as a fraction of the mean of its diagonal; at least 0. It makes H invertible.
        at_once: how many weights of a row go before the costs are looked at again. 1 is the method as published; None
            is 1 up to 256 inputs, and beyond that so many that there are 64 looks at most.
        block: costs are traced for at most so many inputs together, as if others stayed as they are; the final weights
            are exact for any number. Memory and time of a row grow with its square and its cube.
        batch_size: samples at a time, where the data does not come in batches.

    Returns:
        Masks for every weight of the model that can be pruned, selected or not.

    Raises:
        RequestError: a wrong argument, a layer that never sees the data, inputs that are not finite or (with too
            little damping) depend on each other linearly; then nothing was changed.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 2.0]]))
        >>> inputs = torch.tensor([[1.0, 1.0], [2.0, 2.0], [1.0, 1.1]])  # two inputs that are nearly one
        >>> surgeon_(layer, (inputs, torch.zeros(3)), density=0.5, damping=1e-6)["weight"].tolist()
        [[False, True]]
        >>> layer.weight.data.round(decimals=2)
        tensor([[0.0000, 2.9800]])

    Reference: Hassibi and Stork 1993 (Optimal Brain Surgeon); Dong, Chen and Pan 2017, sections 3.1 to 3.3 (layer by
    layer). They rank all weights of a layer by the first costs and update all rows' weights by one H⁻¹; here each
    removal changes the H⁻¹ of its row, as in Frantar and Alistarh 2022, section 4.
    """
    _check(model, damping, at_once, block)
    layers = _layers(model)
    names = list(selected({name: modules[0].weight for name, modules in layers.items()}, only))
    before = Masks({}) if masks is None else Masks(masks)
    prune(  # refuses what cannot be, before the work
        model, score="magnitude", density=checked_density(density), scope=scope, masks=masks, only=names
    )
    moments = input_moments(model, data, {name: layers[name] for name in names}, batch_size=batch_size)
    moments = {name: damped(square, float(damping), name) for name, square in moments.items()}
    weights = {name: _rows(layers[name][0].weight, moments[name]) for name in names}
    live = {name: _live(before, name, weights[name]) for name in names}
    weights = {name: torch.where(live[name], weight, 0) for name, weight in weights.items()}
    scores = {name: _costs(name, weights[name], moments[name], live[name], at_once, block) for name in names}
    shaped = {name: score.reshape(layers[name][0].weight.shape) for name, score in scores.items()}
    chosen = prune(model, score=shaped, density=density, scope=scope, masks=masks, only=names)
    fitted = {}
    for name in names:
        kept = chosen[name].reshape(weights[name].shape)
        fitted[name] = torch.stack([refitted(*parts) for parts in zip(weights[name], moments[name], kept, strict=True)])
    for name, weight in fitted.items():
        layers[name][0].weight.copy_(weight.reshape(layers[name][0].weight.shape))
    chosen.apply_(model)
    return chosen


def _check(model: object, damping: object, at_once: object, block: object) -> None:
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module")
    if isinstance(damping, bool) or not isinstance(damping, Real) or not 0 <= float(damping) < math.inf:
        raise RequestError(f"damping: found {damping!r}, expected a finite number of at least 0, such as 0.01")
    whole("block", block, least=1)
    if at_once is not None:
        whole("at_once", at_once, least=1)


def _layers(model: nn.Module) -> dict[str, list[nn.Linear | nn.Conv2d]]:
    """The first name of each weight that can be pruned → the layers that have it."""
    by_weight: dict[int, list[nn.Linear | nn.Conv2d]] = {}
    inside = {id(module.out_proj) for module in model.modules() if isinstance(module, nn.MultiheadAttention)}
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and id(module) not in inside:  # that one is never called
            by_weight.setdefault(id(module.weight), []).append(module)
    found = {name: by_weight[id(weight)] for name, weight in model.named_parameters() if id(weight) in by_weight}
    if not found:
        for name in sparse_weights(model):
            raise RequestError(f"model: found the sparse layer of {name!r}, expected dense ones; densify the model")
        raise RequestError("model: found no linear layer and no 2D convolution, expected at least one")
    return found


def _rows(weight: Tensor, moments: Tensor) -> Tensor:
    """Float64, shape (groups, rows, inputs)."""
    groups, inputs, _ = moments.shape
    return weight.detach().double().reshape(groups, len(weight) // groups, inputs)


def _live(masks: Masks, name: str, weight: Tensor) -> Tensor:
    exists = masks[name].to(weight.device) if name in masks else torch.ones_like(weight, dtype=torch.bool)
    return exists.reshape(weight.shape)


def _costs(name: str, weights: Tensor, moments: Tensor, live: Tensor, at_once: int | None, block: int) -> Tensor:
    inputs = min(weights.shape[2], block)
    looks = at_once or (1 if inputs <= 256 else math.ceil(inputs / 64))
    costs = torch.stack([removal_costs(*parts, looks, block) for parts in zip(weights, moments, live, strict=True)])
    if not costs.isfinite().all():
        raise RequestError(f"damping: found too little for {name!r}, whose costs are no numbers; try 0.01")
    return costs
