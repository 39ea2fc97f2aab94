"""Sparse evolutionary training: the weakest connections go, others come by chance."""

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.selection import Only
from sparsewire.training.rules.exchange import Exchange, magnitude
from sparsewire.training.rules.pools import Over
from sparsewire.training.rules.timetable import Timetable


def set_(
    steps: int = 100,
    until: int | None = None,
    fraction: float = 0.3,
    *,
    generator: torch.Generator,
    decay: str = "constant",
    signs: bool = True,
    over: Over = "parts",
    only: Only | None = None,
) -> Exchange:
    """The rule of sparse evolutionary training (SET): the weakest connections go, as many come by chance.

        every `steps` steps, in each weight:  drop the fraction ζ that is nearest to zero;  grow as many anywhere

    It acts after the weights' own step and looks at no gradient, so sparse layers never compute one outside their
    masks. What comes starts from zero with fresh memory. The density of each weight stays.

    Args:
        steps: from one exchange to the next. In the paper it is an epoch: the number of its batches.
        until: the last step at which there may be an exchange; None: none is the last. (The paper does without one
            after its last epoch.)
        fraction: ζ, of the connections that exist.
        generator: draws what comes; its state is saved with the optimizer's.
        decay: of the fraction, on the way to `until`: "constant", "cosine", "linear" or "cubic".
        signs: whether positive and negative weights give up the fraction each, as published, so that neither sign
            dies out; else the smallest magnitudes of both together go.
        over: within which weights the number of connections stays: "parts" (each matrix, each gate of a recurrent
            weight), "layers" (each weight, all its gates together), "cells" (all weights of a recurrent layer), "all".
        only: which weights, as for `prune`; the others stay as they are.

    Raises:
        RequestError: an argument that cannot be.

    Example:
        >>> from sparsewire.structure.masks import Masks
        >>> rule = set_(steps=10, fraction=0.5, generator=torch.Generator().manual_seed(0))
        >>> weights = {"weight": torch.tensor([[1.0, -3.0, 2.0, -0.5, 0.0, 0.0, 0.0, 0.0]])}
        >>> new = rule(10, Masks({"weight": weights["weight"] != 0}), weights, {})
        >>> new.count, new["weight"][0, 1:3]
        (4, tensor([True, True]))

    Reference: Mocanu et al. 2018, algorithm 1 and Methods (ζ = 0.3, at the end of each epoch). There new weights are
    drawn at random; here they start from zero. What has just gone may come again, and then keeps its weight.
    """
    if not isinstance(signs, bool):
        raise RequestError(f"signs: found {signs!r}, expected True or False")
    drop = within_signs if signs else magnitude
    return Exchange("set_", Timetable(steps, until, fraction, decay), drop, "chance", over, only, generator)


def within_signs(weight: Tensor, mask: Tensor) -> Tensor:
    """The place of |w| among the weights of its own sign, from 1 (the largest) down to above 0; zeros get 0.

    Dropping the lowest scores takes the same fraction of the positive and of the negative weights, up to rounding.

    Args:
        weight: a row of numbers.
        mask: which of them exist.

    Example:
        >>> within_signs(torch.tensor([0.1, -5.0, 0.2, -4.0, 0.0]), torch.ones(5, dtype=torch.bool))
        tensor([0.5000, 1.0000, 1.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    scores = weight.new_zeros(weight.shape, dtype=torch.float64)
    for is_one in (weight > 0, weight < 0):
        places = (mask & is_one).nonzero().flatten()
        order = weight[places].abs().argsort(descending=True, stable=True)  # of equal ones the lower index ranks higher
        ranks = torch.arange(len(places), device=weight.device, dtype=torch.float64)
        scores[places[order]] = 1 - ranks / max(1, len(places))
    return scores.masked_fill(weight.isnan(), torch.nan)
