"""What a request to prune is about: the weights that are meant, what of them exists, and their units."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.gates import gate_count, stacked_parts
from sparsewire.structure.masks import Masks, existing, matrices
from sparsewire.structure.pattern_names import pattern_of
from sparsewire.structure.patterns import Grid, Heads, Pattern, Site, Unstructured
from sparsewire.structure.selection import Only, Parts, rows_of, selected
from sparsewire.structure.sparse_weights import refuse_hidden_edges


class Request(NamedTuple):
    """What is to be pruned.

    Attributes:
        pattern: which shapes are kept or dropped.
        weights: name → weight, of those that are selected.
        before: name → mask before, of every weight that can be pruned and of what else the masks are about.
        meant: name → the weight as a pattern sees it, and which of its rows are meant, None for all.
        live: name → which weights exist and are meant.
        grids: name → the shape of its units.
        groups: first name → the names of weights that have their units in common.
    """

    pattern: Pattern
    weights: Mapping[str, Tensor]
    before: dict[str, Tensor]
    meant: Mapping[str, tuple[Site, Tensor | None]]
    live: Mapping[str, Tensor]
    grids: Mapping[str, Grid]
    groups: Mapping[str, Sequence[str]]


def request_of(
    model: nn.Module | Mapping[str, Tensor],
    pattern: Pattern | str | None,
    only: Only | None,
    masks: Mapping[str, Tensor] | None,
) -> Request:
    """What the arguments of `prune` ask for, as soon as they can be understood.

    Raises:
        RequestError: a model, pattern, name or masks that are none, or do not go together.

    Example:
        >>> request_of(nn.Linear(4, 2), "neurons", None, None).grids
        {'weight': (2,)}
    """
    pattern = pattern_of(pattern)
    if only is None and isinstance(model, nn.Module):
        refuse_hidden_edges(model)
    prunable, before = _start(model, masks)
    meant = {name: _meant(name, prunable, parts) for name, parts in selected(prunable, only).items()}
    weights = {name: prunable[name] for name in meant}
    _refuse_misread(model, weights, pattern)
    live = {name: _only_rows(before[name], rows) for name, (_, rows) in meant.items()}
    grids = {name: pattern.grid(site) for name, (site, _) in meant.items()}
    groups = {names[0]: names for names in pattern.groups({name: site for name, (site, _) in meant.items()})}
    return Request(pattern, weights, before, meant, live, grids, groups)


def _start(
    model: nn.Module | Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights that can be pruned, and what exists of each now (and of others that `masks` is about)."""
    everything: Mapping[str, Tensor]
    if isinstance(model, nn.Module):
        prunable = matrices(model)
        everything = {**dict(model.named_parameters()), **prunable}
        before = existing(model)  # of a sparse layer only what it stores
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


def _refuse_misread(model: object, weights: Mapping[str, Tensor], pattern: Pattern) -> None:
    """What the modules know better than a weight's shape."""
    if not isinstance(model, nn.Module) or pattern == Unstructured():
        return
    for path, module in model.named_modules():
        own = [name for name, _ in module.named_parameters(path, recurse=False) if name in weights]
        if own and isinstance(module, nn.modules.conv._ConvTransposeNd):
            # It stores (in, out, …): a pattern would take its inputs for its outputs.
            raise RequestError(
                f"pattern: {pattern} cannot shape the transposed convolution {own[0]!r}; leave it out with only="
            )
        heads = module.num_heads if isinstance(module, nn.MultiheadAttention) else None
        if own and heads and isinstance(pattern, Heads) and pattern.count != heads:
            raise RequestError(
                f"pattern: found {pattern}, but {own[0]!r} is of an attention of {heads} heads; ask for Heads({heads})"
            )


def _meant(name: str, weights: Mapping[str, Tensor], parts: Parts) -> tuple[Site, Tensor | None]:
    """The weight as a pattern sees it, and which of its rows are meant: None for all."""
    weight = weights[name]
    gates, stacked = gate_count(name, weights), len(stacked_parts(name, weights))
    count = stacked if parts is None else len(parts)
    rows = rows_of(weight, parts, stacked)
    height = len(weight) if rows is None else len(rows)
    is_recurrent = gates > 1
    gates = gates if parts is None or not is_recurrent else count
    projections = 1 if is_recurrent else max(1, count)
    kernel = tuple(weight.shape[2:])
    return Site(name, height, math.prod(weight.shape[1:]), gates, projections, kernel), rows


def _only_rows(live: Tensor, rows: Tensor | None) -> Tensor:
    return live if rows is None else torch.zeros_like(live).index_copy(0, rows, live[rows])
