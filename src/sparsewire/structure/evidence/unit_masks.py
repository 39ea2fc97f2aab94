"""Random masks of a layer's units: which of them an ensemble uses."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator, whole

Draw = Literal["count", "pairs", "bernoulli"]


def unit_masks(
    units: int, ensembles: int, *, generator: torch.Generator, share: float = 0.5, draw: Draw = "count"
) -> Tensor:
    """One mask of the units for each ensemble, as rows; `True` = used.

    Args:
        units: of the layer, at least 2.
        ensembles: how many masks.
        generator: where they are drawn from.
        share: of the units that are used, between 0 and 1.
        draw: "count": exactly `share` of the units, rounded (halves down), at least 1 and at most all but one;
            "pairs": the same, and every second mask is the complement of the one before; "bernoulli": each unit with
            probability `share`, independently.

    Returns:
        bool (ensembles, units), on the generator's device.

    Raises:
        RequestError: a number that is none, or out of its range.
        UnknownNameError: an unknown way to draw.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> unit_masks(6, 100, generator=generator).sum(1).unique()
        tensor([3])
        >>> unit_masks(4, 2, draw="pairs", generator=generator).sum(0)
        tensor([1, 1, 1, 1])
    """
    units, ensembles = whole("units", units, least=2), whole("ensembles", ensembles, least=1)
    checked_generator(generator)
    if draw not in get_args(Draw):
        raise UnknownNameError("way to draw masks", str(draw), get_args(Draw))
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share < 1:
        raise RequestError(f"share: found {share!r}, expected a number between 0 and 1, the part of units that is on")
    number = (ensembles + 1) // 2 if draw == "pairs" else ensembles
    chances = torch.rand(number, units, generator=generator, device=generator.device)
    if draw == "bernoulli":
        return chances < share
    count = min(max(math.ceil(share * units - 0.5), 1), units - 1)
    drawn = torch.zeros(number, units, dtype=torch.bool, device=generator.device)
    drawn.scatter_(1, chances.argsort(dim=1, stable=True)[:, :count], True)
    return torch.stack([drawn, ~drawn], dim=1).flatten(0, 1)[:ensembles] if draw == "pairs" else drawn
