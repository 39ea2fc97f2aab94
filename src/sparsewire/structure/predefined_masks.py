"""Masks that are there before training: a connection pattern for each dense layer of a model."""

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import is_meant
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.chain import chain_sizes
from sparsewire.structure.drawn_patterns import Layouts, PatternFunction, drawn_patterns
from sparsewire.structure.junction_allocation import fraction_of, ratio_of, split_of, wished_densities
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.priors.anywhere import random_pattern
from sparsewire.structure.sparse_weights import junctions_of
from sparsewire.structure.splits import one_each

T = TypeVar("T")
Each = Sequence[T] | Mapping[str, T]


def predefined(
    model: nn.Module,
    *,
    fan_outs: Each[int] | None = None,
    densities: Each[float] | None = None,
    density: float | None = None,
    later_denser: bool | float = False,
    nearest: bool = False,
    pattern: str | PatternFunction = "fixed_degree",
    uneven: bool = False,
    only: str | Collection[str] | None = None,
    layouts: Layouts | None = None,
    generator: torch.Generator,
) -> Masks:
    """Masks for the dense layers of a model, drawn without a look at its weights.

    The layers are all nn.Linear, in the order of `named_parameters()`, and must form a chain: each has as many inputs
    as the one before has outputs. Convolutions and all other layers are left alone and have no mask.

    Args:
        model: any module with dense layers; it is not changed (`Masks.apply_` and `SparseOptimizer` do that).
        fan_outs: edges of each left neuron, one number a junction, in order or by name: the weight's, its module's,
            or a pattern of names ("tail.*"). Give one of the three.
        densities: kept fraction of each junction, above 0 and up to 1, in order or by name.
        density: of all junctions together, shared as by `split_of`.
        later_denser: see `split_of`; for `density`.
        nearest: take the nearest regular fan-outs where densities cannot be met exactly.
        pattern: "fixed_degree" (regular, else random), "random" (so many edges anywhere; any density can be met),
            "interleaved" (clash-free), "planned" (scatter as high as it can be), "clustered" (as low), or a function
            (n_in, n_out, fan_out, generator) → bool tensor of shape (n_out, n_in).
        uneven: meet what cannot be regular as evenly as possible: the degrees of a side differ by at most one, and a
            density becomes the nearest whole fan-out.
        only: which layers, by name or by patterns of names; they must be a chain.
        layouts: how the neurons of each layer lie, inputs first, for "planned" and "clustered"; None: in a row.
        generator: where the patterns come from.

    Raises:
        RequestError: the layers are no chain, a fan-out or a density is not possible (the nearest is named), not
            exactly one of the three is given, or a name is missing.
        UnknownNameError: no such layer or pattern.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> masks = predefined(model, fan_outs=(2, 1), generator=torch.Generator().manual_seed(0))
        >>> masks.densities(), masks["2.weight"].sum(1).tolist()
        ({'2.weight': 0.25, '4.weight': 0.5}, [4, 4, 4, 4, 4, 4, 4, 4])

    Reference:
        Dey, Huang, Beerel and Chugg (2018), section 2: patterns are drawn once before training and never change.
    """
    checked_generator(generator)
    weights = _chain(model, only)
    sizes = chain_sizes(weights)
    asked = {"fan_outs": fan_outs, "densities": densities, "density": density}
    if len(given := [name for name, value in asked.items() if value is not None]) != 1:
        raise RequestError(
            f"predefined: found {' and '.join(given) or 'none of them'}, expected exactly one of {', '.join(asked)}"
        )
    if fan_outs is not None:
        numbers = _in_order("fan_outs", fan_outs, weights)
    else:
        each = None if densities is None else _in_order("densities", densities, weights)
        if uneven or pattern == "random":
            wishes = _wishes(sizes, each, density, later_denser)
            if pattern == "random":
                return _masks(weights, _random(sizes, wishes, generator))
            ends = zip(wishes, sizes[1:], strict=True)
            numbers = [max(1, math.floor(wish * n_out + Fraction(1, 2))) for wish, n_out in ends]
        else:
            split = split_of(sizes, densities=each, density=density, later_denser=later_denser, nearest=nearest)
            numbers = split.fan_outs
    return _masks(weights, drawn_patterns(sizes, numbers, pattern, uneven=uneven, layouts=layouts, generator=generator))


def _masks(weights: Mapping[str, Tensor], patterns: Sequence[Tensor]) -> Masks:
    pairs = zip(weights.items(), patterns, strict=True)
    # A weight without values, on the device "meta", may have a mask; the mask must have its values.
    return Masks({name: pattern if weight.is_meta else pattern.to(weight.device) for (name, weight), pattern in pairs})


def _random(sizes: tuple[int, ...], densities: Sequence[Fraction], generator: torch.Generator) -> list[Tensor]:
    pairs = zip(pairwise(sizes), densities, strict=True)
    return [random_pattern(n_in, n_out, float(density), generator=generator) for (n_in, n_out), density in pairs]


def _wishes(
    sizes: tuple[int, ...], densities: Sequence[float] | None, density: float | None, later_denser: bool | float
) -> tuple[Fraction, ...]:
    """The density that each junction should have, whether that is regular or not."""
    if densities is None:
        return wished_densities(sizes, fraction_of("density", density), ratio_of(later_denser))
    each = one_each("densities", densities, sizes)
    return tuple(fraction_of(f"densities[{place}]", one) for place, one in enumerate(each))


def _in_order(argument: str, values: Each[T], weights: Mapping[str, Tensor]) -> Sequence[T]:
    """The values in the order of the layers, where they are given by names: exact ones first, then the first that fits.

    Raises:
        RequestError: a layer has no value.
        UnknownNameError: a name is no layer's.
    """
    if not isinstance(values, Mapping):
        return values
    for key in values:
        if not any(is_meant(name, str(key)) for name in weights):
            raise UnknownNameError("layer of the chain", str(key), weights)
    fitting = {name: [name] * (name in values) + [key for key in values if is_meant(name, key)] for name in weights}
    missing = [name for name, keys in fitting.items() if not keys]
    if missing:
        raise RequestError(
            f"{argument}: found none for {', '.join(missing)}, expected one for each layer of the chain; leave others "
            "out with only="
        )
    return [values[keys[0]] for keys in fitting.values()]


def _chain(model: nn.Module, only: str | Collection[str] | None) -> dict[str, Tensor]:
    """The weights of the dense layers that are meant."""
    weights = maskable(model)
    names = {id(weights[name]): name for name in _chosen(list(weights), only)}
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        meant = [names[id(one)] for one in module.parameters() if id(one) in names]
        if isinstance(module, nn.MultiheadAttention) and meant:
            raise RequestError(f"model: {path!r} is an attention, whose layers are no chain; choose others with only=")
        if not meant or not _is_dense(module):
            continue
        if "weight" in junctions_of(module):
            raise RequestError(f"model: {meant[0]!r} is a sparse layer's, expected dense ones; take densify(model)[0]")
        if meant[0] in found:
            raise RequestError(f"model: {meant[0]!r} is tied, {path!r} has it too; a chain needs one for each layer")
        found[meant[0]] = weights[meant[0]].detach()
    if not found:
        raise RequestError(
            f"model: found no dense layer{' that only= selects' * (only is not None)}, expected nn.Linear"
        )
    for (name, weight), (after, following) in pairwise(found.items()):
        if weight.shape[0] != following.shape[1]:
            raise RequestError(
                f"model: its dense layers are no chain: {name!r} has {weight.shape[0]} outputs, but the next one, "
                f"{after!r}, has {following.shape[1]} inputs; choose those that are a chain with only="
            )
    return found


def _is_dense(module: Any) -> bool:
    if "weight" in junctions_of(module):
        return len(module.shape_of("weight")) == 2
    return isinstance(module, nn.Linear)


def _chosen(names: Sequence[str], only: str | Collection[str] | None) -> list[str]:
    if only is None:
        return list(names)
    wishes = [only] if isinstance(only, str) else only
    if not isinstance(wishes, Collection) or not wishes or not all(isinstance(wish, str) for wish in wishes):
        raise RequestError(f"only: found {only!r}, expected a name, a pattern of names, or several of them")
    for wish in wishes:
        if not any(is_meant(name, wish) for name in names):
            raise UnknownNameError("weight of the model", wish, names)
    return [name for name in names if any(is_meant(name, wish) for wish in wishes)]
