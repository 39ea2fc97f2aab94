"""Pools: the weights among which connections are exchanged, as one row of numbers each."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from sparsewire.errors import UnknownNameError
from sparsewire.structure.allocation import Layer, share
from sparsewire.structure.gates import stacked_parts
from sparsewire.structure.masks import Masks
from sparsewire.structure.selection import Only, selected

Over: TypeAlias = Literal["parts", "layers", "cells", "all"]

_JUNCTION = re.compile(r"weight_(ih|hh|hr)(?=[^.]*$)")
_NEGLIGIBLE = Fraction(1, 2**1300)  # less than the smallest float, and yet more than nothing


class Part(NamedTuple):
    """Rows of a weight; all of it, if `rows` is None."""

    name: str
    rows: tuple[int, int] | None

    def of(self, tensor: Tensor) -> Tensor:
        """These rows of a tensor of the weight's shape."""
        return tensor if self.rows is None else tensor[self.rows[0] : self.rows[1]]


Pools: TypeAlias = Mapping[str, Sequence[Part]]


def checked_over(over: object) -> Over:
    """The word itself.

    Raises:
        UnknownNameError: it is none of "parts", "layers", "cells", "all".
    """
    if over not in get_args(Over):
        raise UnknownNameError("pool (over)", str(over), get_args(Over))
    return over  # type: ignore[return-value]


def pools_of(weights: Mapping[str, Tensor], only: Only | None = None, over: Over = "parts") -> dict[str, list[Part]]:
    """Which weights are one pool: connections that go leave room for others in the same pool.

    Args:
        weights: name → weight.
        only: which of them, as for `prune`; a part of a stacked weight too, as "gate:new".
        over: "parts": each matrix by itself, also each gate of a recurrent weight and each projection of an attention;
            "layers": each weight, its gates together; "cells": all gates of a recurrent layer and direction, input to
            hidden and hidden to hidden together; "all": the whole network.

    Raises:
        RequestError: `only` means nothing.

    Example:
        >>> weights = dict(torch.nn.GRU(3, 2).named_parameters())
        >>> for over in ("parts", "layers", "cells"):
        ...     print(list(pools_of(weights, ["i2h", "h2h"], over)))
        ['weight_ih_l0:0', 'weight_ih_l0:1', 'weight_ih_l0:2', 'weight_hh_l0:0', 'weight_hh_l0:1', 'weight_hh_l0:2']
        ['weight_ih_l0', 'weight_hh_l0']
        ['weight_l0']
    """
    pools: dict[str, list[Part]] = {}
    for name, places in selected(weights, only).items():
        weight = weights[name]
        stacked = len(stacked_parts(name, weights)) if weight.dim() > 1 else 0
        if not stacked:
            pools.setdefault(_pool(name, None, over), []).append(Part(name, None))
            continue
        rows = len(weight) // stacked
        for place in range(stacked) if places is None else places:
            part = Part(name, (place * rows, (place + 1) * rows))
            pools.setdefault(_pool(name, place, over), []).append(part)
    return pools


def gathered(pools: Pools, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each pool holds of tensors of the weights' shapes: one row of numbers, on one device.

    Example:
        >>> pools = pools_of({"a": torch.zeros(2, 1), "b": torch.zeros(1, 2)}, over="all")
        >>> gathered(pools, {"a": torch.tensor([[1], [2]]), "b": torch.tensor([[3, 4]])})
        {'all': tensor([1, 2, 3, 4])}
    """
    found = {}
    for pool, parts in pools.items():
        rows = [part.of(tensors[part.name]).detach().reshape(-1) for part in parts]
        found[pool] = rows[0] if len(rows) == 1 else torch.cat([row.to(rows[0].device) for row in rows])
    return found


def returned(pools: Pools, rows: Mapping[str, Tensor], masks: Masks) -> Masks:
    """The masks with what the pools hold now; the opposite of `gathered`."""
    new = {name: masks[name].clone() for name in {part.name: None for parts in pools.values() for part in parts}}
    for pool, parts in pools.items():
        pieces = torch.split(rows[pool], [part.of(new[part.name]).numel() for part in parts])
        for part, piece in zip(parts, pieces, strict=True):
            place = part.of(new[part.name])
            place.copy_(piece.view(place.shape))
    return Masks({name: new.get(name, mask) for name, mask in masks.items()})


def shared(total: int, rates: Mapping[str, float], kept: Mapping[str, Tensor]) -> dict[str, int]:
    """How many connections come to each pool: in proportion to rates, none beyond its room, and `total` exactly.

    What a full pool cannot take goes to the others in the same proportion; pools of rate zero take what is left then.

    Args:
        total: at most as many as there is room.
        rates: pool → a finite number of at least 0.
        kept: pool → what exists of it, a row of booleans; its room is what does not.

    Example:
        >>> shared(5, {"a": 3.0, "b": 1.0}, {"a": torch.tensor([True, False, False]), "b": torch.zeros(9).bool()})
        {'a': 2, 'b': 3}
    """
    rooms = {pool: int((~mask).count_nonzero()) for pool, mask in kept.items()}
    exact = [Fraction(rates[pool]) or rooms[pool] * _NEGLIGIBLE for pool in kept]
    return share(total, exact, {pool: Layer(mask, mask, mask, rooms[pool]) for pool, mask in kept.items()})


def _pool(name: str, place: int | None, over: Over) -> str:
    if over == "all":
        return "all"
    if over == "cells":
        return _JUNCTION.sub("weight", name)
    return name if place is None or over == "layers" else f"{name}:{place}"
