"""Scores, an allocation and a pattern become masks: the only place where it is decided which weights stay."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import Budget, Layer, Scope, budgets, checked_density, count_of
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Grid, Pattern, Site
from sparsewire.structure.requests import Request, request_of
from sparsewire.structure.scores import Question, Score, answers
from sparsewire.structure.selection import Only as Only


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
    weights: weights, or blocks, neurons, channels, heads. Of equal scores the one with the lower index stays, counted
    through the selected weights in the model's order.

    Args:
        model: a model, of which the weights of Linear, Conv, recurrent and attention layers can be pruned; a sparse
            layer is scored as a matrix with zeros, and loses only what it stores. Or weights by name, such as a state
            dict: then every floating tensor of two or more dimensions whose name ends in "weight" or holds "weight_"
            (embeddings too; leave those out with `only`).
        score: how important a weight is: a name; a function weight → scores (such as `lambda w: (w * w.grad).abs()`); a
            `ModelScore`; or a mapping name → scores. Names: "magnitude", "random", "neuron_l1", "neuron_l2"; with data
            "obd", "gradient", "taylor", "taylor_signed"; for networks before training "snip", "grasp", "fisher", and
            "synflow", which takes no more of the data than the shape of a sample.
        density: the fraction that is kept, from 0 to 1, of all selected weights, also where `masks` dropped some.
        scope: how much of each layer: "blind" (one ranking), "uniform" (the same fraction), "uniform_amount" (the same
            amount removed), "distributed" (one ranking of score / deviation of a layer's live weights),
            "distributed_with_zeros" (of all its weights, dropped ones as 0), "erk" (small layers denser); or a mapping
            from names, as for `only`, to the density of each such layer; then `density` is that of each other one.
        pattern: which shapes are kept or dropped, or the name of a pattern such as "neurons" or "2:4" (see
            `pattern_of`); single weights unless told.
        only: which weights: one or several names of weights, of modules ("encoder"), patterns of names ("enc*") or
            words; or a function (name) → bool or (name, weight) → bool. The others keep all, or what `masks` keeps.
            Words: "i2h", "h2h" of recurrent layers; "gate:reset", "gate:update", "gate:new" of GRUs, "gate:input",
            "gate:forget", "gate:cell", "gate:output" of LSTMs; "attention", "q_proj", "k_proj", "v_proj", "out_proj".
            Joined by colons they mean what all of them mean: "h2h:reset", "encoder:h2h", "decoder:v_proj". Of a stacked
            weight (gates; `in_proj_weight`) only the rows of the parts meant are scored, counted and pruned.
        data: (inputs, labels) tensors or an iterable of such batches, handed to scores that need it.
        loss: (outputs, labels) → mean loss, handed to scores that need it; cross-entropy for those that have a name.
        masks: what exists now; the result only drops from these.
        generator: the source of randomness of scores that draw.

    Returns:
        Masks for every weight that can be pruned, selected or not, and for all others that `masks` has.

    Raises:
        RequestError: a density that is none, or that the pattern or `masks` cannot give; a name that nothing bears;
            scores that are not finite or have another shape than their weight; without `only` a model with edges
            that are no matrix, as a feed-forward network of `wired(…, sparse=True)`.

    Example:
        >>> layer = nn.Linear(4, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -0.9, 0.3, 0.9]]))
        >>> prune(layer, score="magnitude", density=0.5)["weight"]
        tensor([[False,  True, False,  True]])
    """
    density = checked_density(density)
    asked = request_of(model, pattern, only, masks)
    pattern, before, meant, live, grids = asked.pattern, asked.before, asked.meant, asked.live, asked.grids
    plain = model if isinstance(model, nn.Module) else None
    unit_of = partial(_unit_of, asked.weights, meant, pattern)
    scores = answers(score, Question(asked.weights, live, grids, generator, plain, data, loss, unit_of))
    parts = _parts(asked, scores)
    counts: dict[str, int] = {}
    for budget in budgets(scope, list(parts), density):
        counts |= _counts(budget, parts, pattern, grids)
    for first, group in asked.groups.items():
        chosen = pattern.choose(parts[first].layer.scores, counts[first])
        for name in group:
            _drop(before, name, pattern.spread(chosen, meant[name][0]), meant[name][1])
    return Masks(before)


def live_units(
    model: nn.Module | Mapping[str, Tensor],
    *,
    pattern: Pattern | str | None = None,
    only: Only | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> dict[str, tuple[int, int]]:
    """Of each layer that `prune` would rank by these arguments: its live units, and all its units.

    Example:
        >>> masks = {"weight": torch.tensor([[True, False], [False, False], [True, True]])}
        >>> live_units(nn.Linear(2, 3), masks=masks), live_units(nn.Linear(2, 3), masks=masks, pattern="neurons")
        ({'weight': (3, 6)}, {'weight': (2, 3)})
    """
    asked = request_of(model, pattern, only, masks)
    parts = _parts(asked, {name: torch.zeros_like(weight) for name, weight in asked.weights.items()})
    return {name: (part.live_units, math.prod(asked.grids[name])) for name, part in parts.items()}


def _parts(asked: Request, scores: Mapping[str, Tensor]) -> dict[str, "_Part"]:
    pattern, meant = asked.pattern, asked.meant
    each = {name: _part(asked.weights[name], asked.live[name], scores[name], *meant[name], pattern) for name in meant}
    return {first: _joined([each[name] for name in group], pattern) for first, group in asked.groups.items()}


class _Part(NamedTuple):
    layer: Layer
    live_units: int


def _unit_of(
    weights: Mapping[str, Tensor], meant: Mapping[str, tuple[Site, Tensor | None]], pattern: Pattern, name: str
) -> Tensor:
    """The number of each weight's unit, -1 in the rows that are not meant."""
    weight, (site, rows) = weights[name], meant[name]
    grid = pattern.grid(site)
    units = torch.arange(math.prod(grid), device=weight.device).view(grid)
    numbers = pattern.spread(units, site).reshape(-1, *weight.shape[1:])
    return numbers if rows is None else torch.full(weight.shape, -1, device=weight.device).index_copy(0, rows, numbers)


def _drop(masks: dict[str, Tensor], name: str, kept: Tensor, rows: Tensor | None) -> None:
    """Makes the masks' entry a new one, without what is not kept of the rows that are meant."""
    mask = masks[name]
    kept = kept.to(mask.device)
    if rows is None:
        masks[name] = mask & kept.reshape(mask.shape)
    else:
        masks[name] = mask.index_copy(0, rows, mask[rows] & kept.reshape(-1, *mask.shape[1:]))


def _part(weight: Tensor, live: Tensor, scores: Tensor, site: Site, rows: Tensor | None, pattern: Pattern) -> _Part:
    matrix, grid = (site.rows, site.inputs), pattern.grid(site)
    is_per_weight = scores.shape == weight.shape
    if rows is not None:
        scores = scores[rows.to(scores.device)] if is_per_weight else scores
        weight, live = weight[rows], live[rows]
    alive = live.reshape(matrix).to(scores.device)
    live_units = pattern.pool(alive, site) > 0
    scores = scores.double() if not scores.is_floating_point() else scores.float() if scores.itemsize < 4 else scores
    if is_per_weight:
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


def _joined(parts: Sequence[_Part], pattern: Pattern) -> _Part:
    """One layer out of weights that have their units in common: alive where any is, with the sum of the scores."""
    if len(parts) == 1:
        return parts[0]
    layers = [part.layer for part in parts]
    device = layers[0].scores.device
    scores = torch.stack([layer.scores.to(device, torch.float64) for layer in layers])
    dead = scores == -math.inf
    live_units = ~dead.all(0)
    units = scores.masked_fill(dead, 0).sum(0).masked_fill(~live_units, -math.inf)
    weight = torch.cat([layer.weight.flatten().to(device) for layer in layers])[None]
    live = torch.cat([layer.live.flatten().to(device) for layer in layers])[None]
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
