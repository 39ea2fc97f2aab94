"""What weights are that will never be trained: those that the model has, or of one size with their signs."""

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError

Init: TypeAlias = Literal["given", "signed_constant"]


def untrained(
    weights: Mapping[str, Tensor], init: Init, densities: Mapping[str, float] | None = None
) -> dict[str, Tensor] | None:
    """New values for weights that only a mask will change, or None where they stay as they are.

        "given": w        "signed_constant": ± √(2 / fan_in), with the sign of w (+ where w is zero)
        with densities d, each times 1 / √d, so that what is kept has the variance of the whole

    fan_in is in · |kernel| by the weight's shape (out, in, *kernel). A layer that keeps nothing is not scaled.

    Args:
        weights: name → weight.
        init: "given" or "signed_constant".
        densities: name → the kept fraction, or None for no scaling.

    Raises:
        RequestError: there is no such init.

    Example:
        >>> weights = {"weight": torch.tensor([[0.3, -0.1], [-0.7, 0.2]])}
        >>> untrained(weights, "signed_constant", {"weight": 0.25})      # √(2 / 2) · √4
        {'weight': tensor([[ 2., -2.],
                [-2.,  2.]])}

    Reference: Ramanujan et al. 2020, section 4.2 (signed Kaiming constant, scaled Kaiming normal). Zhou et al. 2019,
        section 4, take the deviation of each layer's first weights in place of √(2 / fan_in).
    """
    if not isinstance(init, str) or init not in get_args(Init):
        if isinstance(init, str):
            raise UnknownNameError("init", init, get_args(Init))
        raise RequestError(f"init: found {init!r}, expected one of {', '.join(get_args(Init))}")
    if init == "given" and densities is None:
        return None
    new = {name: _signed(weight) if init == "signed_constant" else weight.detach() for name, weight in weights.items()}
    return new if densities is None else {name: _scaled(weight, densities[name]) for name, weight in new.items()}


def fan_in(weight: Tensor) -> int:
    """Inputs · |kernel| of a weight of shape (out, in, *kernel), at least 1.

    Example:
        >>> fan_in(torch.zeros(8, 3, 5, 5))
        75
    """
    return max(math.prod(weight.shape[1:]), 1)


def _signed(weight: Tensor) -> Tensor:
    constant = math.sqrt(2 / fan_in(weight))
    return torch.full_like(weight.detach(), constant).masked_fill_(weight.detach() < 0, -constant)


def _scaled(weight: Tensor, density: float) -> Tensor:
    return weight / math.sqrt(density) if density else weight
