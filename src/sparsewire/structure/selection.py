"""Which weights `only` means, and of stacked ones which rows."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.gates import stacked_parts
from sparsewire.structure.naming import PROJECTIONS, is_meant

Only = str | Collection[str] | Callable[[str], bool] | Callable[[str, Tensor], bool]
# The parts that a weight is stacked of (gates, projections) by their places in it; None: all of it.
Parts = tuple[int, ...] | None


def selected(weights: Mapping[str, Tensor], only: Only | None) -> dict[str, Parts]:
    """The weights that are meant, in their order, and of each which parts; None for the whole weight.

    Args:
        weights: those that can be pruned.
        only: see `prune`.

    Raises:
        RequestError: it is no such thing, or means nothing.

    Example:
        >>> selected(dict(torch.nn.GRU(3, 2).named_parameters()), ["i2h", "gate:new"])
        {'weight_ih_l0': None, 'weight_hh_l0': (2,)}
    """
    if only is None:
        return dict.fromkeys(weights)
    if callable(only):
        names = [name for name, weight in weights.items() if _says_yes(only, name, weight)]
        if not names:
            raise RequestError(f"only: the function selects none of {', '.join(weights)}")
        return dict.fromkeys(names)
    wishes = [only] if isinstance(only, str) else only
    if not isinstance(wishes, Collection) or not all(isinstance(wish, str) for wish in wishes):
        raise RequestError(f"only: found {only!r}, expected a pattern of names, a list of such, or a function")
    if not wishes:
        raise RequestError("only: found no patterns; leave it out to prune every weight")
    stacks = {name: stacked_parts(name, weights) for name in weights}
    chosen: dict[str, set[int]] = {name: set() for name in weights}
    for wish in wishes:
        fitting = {name: _places(name, wish, parts) for name, parts in stacks.items()}
        if not any(fitting.values()):
            words = [f"gate:{part}" for parts in stacks.values() for part in parts if part not in PROJECTIONS]
            raise UnknownNameError("weight to prune", wish, [*weights, *dict.fromkeys(words)])
        for name, places in fitting.items():
            chosen[name] |= places
    return {
        name: None if len(places) == max(1, len(stacks[name])) else tuple(sorted(places))
        for name, places in chosen.items()
        if places
    }


def rows_of(weight: Tensor, parts: Parts, stacked: int) -> Tensor | None:
    """The rows of the parts of a weight that is stacked of so many; None for all rows.

    Example:
        >>> rows_of(torch.zeros(6, 5), (0, 2), stacked=3)
        tensor([0, 1, 4, 5])
    """
    if parts is None:
        return None
    places = torch.arange(len(weight), device=weight.device).view(stacked, -1)
    return places[list(parts)].flatten()


def _places(name: str, wish: str, parts: tuple[str, ...]) -> set[int]:
    """Which parts of a weight a wish means; {0} stands for a weight without parts."""
    everything = set(range(max(1, len(parts))))
    if is_meant(name, wish):
        return everything
    words, places = wish.split(":"), everything
    for word in words:
        if word in parts and (word in PROJECTIONS or len(words) > 1):  # a gate alone may be a module's name: "output"
            places = places & {parts.index(word)}
        elif not is_meant(name, word) and not (word == "gate" and parts and parts[0] not in PROJECTIONS):
            return set()
    return places


def _says_yes(function: Callable[..., Any], name: str, weight: Tensor) -> bool:
    try:
        inspect.signature(function).bind(name)
    except TypeError:  # the name alone is not enough for it
        return bool(function(name, weight))
    except ValueError:  # a function in C that hides its signature, such as a method of str
        pass
    return bool(function(name))
