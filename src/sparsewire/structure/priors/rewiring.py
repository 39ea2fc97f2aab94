"""Rewiring: a pattern with the same degrees, but some or all of its edges elsewhere."""

import math
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.row_trades import traded_again
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.priors.trades import checked_labels, rounds_to_mix, seeds


def rewired(pattern: Tensor, fraction: float = 1.0, *, generator: torch.Generator) -> Tensor:
    """The pattern after a fraction of its edges was dealt anew; each neuron keeps its number of edges.

    round(fraction · edges) edges, drawn at random, are taken out and put back at random, so that all degrees are as
    before and no place holds two edges; the others stay where they are. With fraction 1 all patterns with these degrees
    are equally probable as far as tests can tell; with 0 nothing changes. An edge that is dealt anew may come to lie
    where it, or another, lay before: the fraction that is found elsewhere is smaller, by about the density.

    Args:
        pattern: bool, shape (out, in), `True` = an edge; any degrees.
        fraction: how many of the edges are dealt anew, from 0 to 1.
        generator: where the draws come from; one draw is taken of it.

    Returns:
        A new pattern of the same shape, on the same device.

    Raises:
        RequestError: the pattern is no bool tensor of two dimensions, or the fraction is out of its range.

    Example:
        >>> pattern = torch.eye(6).repeat(1, 2) > 0
        >>> other = rewired(pattern, 0.5, generator=torch.Generator().manual_seed(0))
        >>> other.sum(0).unique(), other.sum(1).unique(), int((pattern & other).sum()) >= 6
        (tensor([1]), tensor([2]), True)

    Reference: the trades of Strona et al. 2014 and Carstens, Berger and Strona 2018 (`priors/trades.py`); that some
    edges are held is ours.
    """
    fraction = _checked_fraction(fraction)
    choice, trade = seeds(checked_generator(generator), 2)
    edges = _checked_pattern(pattern).cpu().numpy()
    held = None
    if fraction < 1:
        number = int(np.count_nonzero(edges))
        stays = np.ones(number, np.bool_)
        stays[: math.floor(fraction * number + 0.5)] = False
        np.random.Generator(np.random.SFC64(choice)).shuffle(stays)
        held = np.zeros_like(edges, order="C")
        held[edges] = stays
    return torch.from_numpy(traded_again(edges, held, rounds_to_mix(edges.shape[0]), trade)).to(pattern.device)


def _checked_fraction(fraction: object) -> float:
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 <= float(fraction) <= 1:
        raise RequestError(
            f"fraction: found {fraction!r}, expected a number from 0 to 1, the part of the edges that is dealt anew"
        )
    return float(fraction)


def _checked_pattern(pattern: object) -> Tensor:
    if not isinstance(pattern, Tensor):
        raise RequestError(f"pattern: found {type(pattern).__name__}, expected a bool tensor of shape (out, in)")
    if pattern.dtype != torch.bool or pattern.ndim != 2:
        raise RequestError(
            f"pattern: found {pattern.dtype} of shape {tuple(pattern.shape)}, expected a bool tensor of shape "
            "(out, in); a weight's is weight != 0"
        )
    for side, neurons in zip(("rows", "columns"), pattern.shape, strict=True):
        checked_labels(f"pattern, its {side}", neurons)
    return pattern
