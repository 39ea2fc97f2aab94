"""Scores, an allocation and a pattern become masks: the only place where it is decided which weights stay."""

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import Budget, Layer, Scope, budgets, checked_density, count_of, is_meant
from sparsewire.structure.masks import Masks, matrices
from sparsewire.structure.pattern_names import pattern_of
from sparsewire.structure.patterns import Grid, Pattern, Site, Unstructured
from sparsewire.structure.scores import Question, Score, answers

Only = str | Collection[str] | Callable[[str], bool] | Callable[[str, Tensor], bool]


@torch.no_grad()
def prune(
    model: nn.Module | Mapping[str, Tensor],
    *,
    score: Score,
    density: float,
    scope: Scope = "blind",
    pattern: Pattern | str | None = None,
    only: Only | None = None,
    data: Any = None,
    loss: Any = None,
    masks: Mapping[str, Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Masks:
    """The masks that keep the best fraction of the weights; the model is left as it is.

    Kept are exactly density · total, rounded half up, where total counts the units of the pattern in all selected
    weights: weights, or blocks, or neurons. Of equal scores the one with the lower index stays, counted through the
    selected weights in the model's order.

    Args:
        model: a model, of which the weights of Linear, Conv, recurrent and attention layers can be pruned; a sparse
            layer is scored as a matrix with zeros, and loses only what it stores. Or weights by name, such as a state
            dict: then every floating tensor of two or more dimensions whose name ends in "weight" or holds "weight_"
            (embeddings too; leave those out with `only`).
        score: how important a weight is: a name ("magnitude", "random", "neuron_l1", "neuron_l2"), a function
            weight → scores (such as `lambda w: (w * w.grad).abs()`), a `ModelScore`, or a mapping name → scores.
        density: the fraction that is kept, from 0 to 1, of all selected weights, also where `masks` dropped some.
        scope: how much of each layer: "blind" (one ranking), "uniform" (the same fraction), "uniform_amount" (the same
            amount removed), "distributed" (one ranking of score / deviation), "erk" (small layers denser); or a mapping
            from names, as for `only`, to the density of each such layer; then `density` is that of each other one.
        pattern: which shapes are kept or dropped, or the name of a pattern such as "neurons" or "2:4" (see
            `pattern_of`); single weights unless told.
        only: which weights: one or several names of weights, of modules ("encoder") or patterns of names ("enc*"),
            "i2h" or "h2h" (of recurrent layers); or a function (name) → bool or (name, weight) → bool. The others keep
            all, or what `masks` keeps.
        data: handed to scores that need it.
        loss: handed to scores that need it.
        masks: what exists now; the result only drops from these.
        generator: the source of randomness of scores that draw.

    Returns:
        Masks for every weight that can be pruned, selected or not, and for all others that `masks` has.

    Raises:
        RequestError: a density that is none, or that the pattern or `masks` cannot give; a name that nothing bears;
            scores that are not finite or have another shape than their weight.

    Example:
        >>> layer = nn.Linear(4, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -0.9, 0.3, 0.9]]))
        >>> prune(layer, score="magnitude", density=0.5)["weight"]
        tensor([[False,  True, False,  True]])
    """
    pattern = pattern_of(pattern)
    density = checked_density(density)
    prunable, before = _start(model, masks)
    weights = _selected(prunable, only)
    _refuse_transposed(model, weights, pattern)
    sites = {name: _site(name, prunable) for name in weights}
    grids = {name: pattern.grid(site) for name, site in sites.items()}
    live = {name: before[name] for name in weights}
    plain = model if isinstance(model, nn.Module) else None
    scores = answers(score, Question(weights, live, grids, generator, plain, data, loss))
    parts = {name: _part(weights[name], live[name], scores[name], site, pattern) for name, site in sites.items()}
    counts: dict[str, int] = {}
    for budget in budgets(scope, list(weights), density):
        counts |= _counts(budget, parts, pattern, grids)
    for name, weight in weights.items():
        chosen = pattern.choose(parts[name].layer.scores, counts[name])
        kept = pattern.spread(chosen, sites[name]).reshape(weight.shape).to(weight.device)
        before[name] = before[name] & kept
    return Masks(before)


class _Part(NamedTuple):
    layer: Layer
    live_units: int


def _start(
    model: nn.Module | Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights that can be pruned, and what exists of each now (and of others that `masks` is about)."""
    everything: Mapping[str, Tensor]
    if isinstance(model, nn.Module):
        prunable = matrices(model)
        everything = {**dict(model.named_parameters()), **prunable}
        before = dict(Masks.from_model(model))  # of a sparse layer only what it stores
    elif isinstance(model, Mapping):
        everything = {name: tensor for name, tensor in model.items() if isinstance(tensor, Tensor)}
        prunable = _weights_by_name(everything)
        before = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in prunable.items()}
    else:
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module or a mapping name → tensor")
    if not prunable:
        raise RequestError("model: found no weights that can be pruned (of Linear, Conv, recurrent, attention layers)")
    for name, mask in ({} if masks is None else Masks(masks)).items():
        if name not in everything:
            raise UnknownNameError("parameter of the model", name, everything)
        if everything[name].shape != mask.shape:
            raise RequestError(
                f"masks: {name!r} has shape {tuple(mask.shape)}, expected {tuple(everything[name].shape)}, the weight's"
            )
        mask = mask.to(everything[name].device)
        before[name] = before[name] & mask if name in before else mask
    return prunable, before


def _weights_by_name(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found, seen = {}, set()
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr() or name, tensor.shape, tensor.stride())
        is_weight = name.endswith("weight") or "weight_" in name
        if is_weight and tensor.ndim >= 2 and tensor.is_floating_point() and place not in seen:
            seen.add(place)  # a tied weight has several names and is one tensor
            found[name] = tensor
    return found


def _selected(weights: Mapping[str, Tensor], only: Only | None) -> dict[str, Tensor]:
    if only is None:
        return dict(weights)
    if callable(only):
        names = {name for name, weight in weights.items() if _says_yes(only, name, weight)}
        if not names:
            raise RequestError(f"only: the function selects none of {', '.join(weights)}")
    else:
        wishes = [only] if isinstance(only, str) else only
        if not isinstance(wishes, Collection) or not all(isinstance(wish, str) for wish in wishes):
            raise RequestError(f"only: found {only!r}, expected a pattern of names, a list of such, or a function")
        names = set()
        for wish in wishes:
            fitting = {name for name in weights if is_meant(name, wish)}
            if not fitting:
                raise UnknownNameError("weight to prune", wish, weights)
            names |= fitting
        if not names:
            raise RequestError("only: found no patterns; leave it out to prune every weight")
    return {name: weight for name, weight in weights.items() if name in names}


def _says_yes(function: Callable[..., Any], name: str, weight: Tensor) -> bool:
    try:
        inspect.signature(function).bind(name)
    except TypeError:  # the name alone is not enough for it
        return bool(function(name, weight))
    except ValueError:  # a function in C that hides its signature, such as a method of str
        pass
    return bool(function(name))


def _refuse_transposed(model: object, weights: Mapping[str, Tensor], pattern: Pattern) -> None:
    """A transposed convolution stores (in, out, …): a pattern would take its inputs for its outputs."""
    if not isinstance(model, nn.Module) or pattern == Unstructured():
        return
    for path, module in model.named_modules():
        name = f"{path}.weight".lstrip(".")
        if isinstance(module, nn.modules.conv._ConvTransposeNd) and name in weights:
            raise RequestError(
                f"pattern: {pattern} cannot shape the transposed convolution {name!r}; leave it out with only="
            )


def _site(name: str, weights: Mapping[str, Tensor]) -> Site:
    rows, *inputs = weights[name].shape
    gates = 1
    if recurrent := re.fullmatch(r"(.*)weight_(?:ih|hh)(.*)", name):
        # weight_hh is (gates · neurons, neurons), unless weight_hr (projected, neurons) comes between.
        to_itself = weights.get("weight_hr".join(recurrent.groups()), weights.get("weight_hh".join(recurrent.groups())))
        if to_itself is not None and to_itself.shape[1] and rows % to_itself.shape[1] == 0:
            gates = max(1, rows // to_itself.shape[1])
    return Site(name, rows, math.prod(inputs), gates)


def _part(weight: Tensor, live: Tensor, scores: Tensor, site: Site, pattern: Pattern) -> _Part:
    matrix, grid = (site.rows, site.inputs), pattern.grid(site)
    alive = live.reshape(matrix).to(scores.device)
    live_units = pattern.pool(alive, site) > 0
    scores = scores.double() if not scores.is_floating_point() else scores.float() if scores.itemsize < 4 else scores
    if scores.shape == weight.shape:
        scores = pattern.pool(torch.where(alive, scores.reshape(matrix), 0), site)
    elif scores.shape != grid:
        shapes = " or ".join(dict.fromkeys([str(tuple(weight.shape)), str(grid)]))
        raise RequestError(f"score: found shape {tuple(scores.shape)} for {site.name!r}, expected {shapes}")
    if not torch.where(live_units, scores, 0).isfinite().all():
        raise RequestError(
            f"score: found NaN or infinity for {site.name!r}, expected finite numbers; "
            "look at its weights, or at what the score was computed from"
        )
    units = torch.where(live_units, scores, -math.inf)
    return _Part(Layer(weight, live, units, pattern.room(live_units)), int(live_units.count_nonzero()))


def _counts(budget: Budget, parts: Mapping[str, _Part], pattern: Pattern, grids: Mapping[str, Grid]) -> dict[str, int]:
    layers = {name: parts[name].layer for name in budget.names}
    grids = {name: grids[name] for name in layers}
    rooms = {name: layer.room for name, layer in layers.items()}
    size = sum(math.prod(grid) for grid in grids.values())
    total = count_of(budget.density, size)
    left = sum(parts[name].live_units for name in layers)
    if total > left:
        raise RequestError(
            f"density: found {budget.density}, which is {total:,} of {size:,}, but the masks hold only {left:,} "
            f"(density {left / size:.4g}) and can only shrink; ask for less, or start from other masks"
        )
    total = pattern.settle(total, grids, rooms)
    return pattern.fit(budget.allocate(layers, total), grids, rooms)
