"""How much of each layer stays: from one density for all layers to a count for each, exact in total.

What is counted are the *units* of a pattern: weights, or blocks, or whole neurons. An allocation has one signature:

    (layers, total) → layer's name → count        total ≤ the live units of all layers; a count ≤ its layer's live units

The names that `prune(scope=…)` takes are those of `SCOPES`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.top_k import keep_top
from sparsewire.structure.naming import JUNCTIONS as JUNCTIONS
from sparsewire.structure.naming import is_meant as is_meant


class Layer(NamedTuple):
    """What an allocation may look at.

    Attributes:
        weight: the weights, shape (out, in, *kernel).
        live: which of them still exist, a bool tensor of the same shape.
        scores: one number per unit of the pattern; higher = keep; -inf where the unit does not exist any more.
        room: how many units can be kept at most.
    """

    weight: Tensor
    live: Tensor
    scores: Tensor
    room: int


Allocation = Callable[[Mapping[str, Layer], int], dict[str, int]]
Scope = str | Mapping[str, float]


class Budget(NamedTuple):
    """Layers that share one density, and how they share it."""

    names: Sequence[str]
    density: float
    allocate: Allocation


def count_of(density: float, total: int) -> int:
    """How many of `total` are kept: density · total, rounded half up (2.5 → 3).

    Example:
        >>> count_of(0.25, 10), count_of(0.1, 266_200)
        (3, 26620)
    """
    return math.floor(density * total + 0.5)


def checked_density(density: object, argument: str = "density") -> float:
    """The density as a float.

    Raises:
        RequestError: it is not a number from 0 to 1.

    Example:
        >>> checked_density(1), checked_density(torch.tensor(0.5))
        (1.0, 0.5)
    """
    number = density.item() if isinstance(density, Tensor | np.ndarray) and density.ndim == 0 else density
    if isinstance(number, bool) or not isinstance(number, Real) or number < 0 or not number <= 1:
        raise RequestError(f"{argument}: found {density!r}, expected a number from 0 to 1, the fraction that is kept")
    return float(number)


def blind(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """One ranking over all layers, whatever layer a unit is in; ties to the lower index over the layers in order.

    Reference: See, Luong and Manning 2016, section 3.2, "class-blind"; here the count is exact, whatever the ties.
    """
    return _ranked({name: layer.scores for name, layer in layers.items()}, total)


def distributed(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """One ranking over all layers, after dividing the scores of each by the deviation σ of its live signed weights.

        rank by S / σ,   σ² = mean((w − mean w)²) over the live weights

    A layer whose live weights are all equal (one weight is left, say) has σ = 0 and is ranked above all others.

    Reference: See, Luong and Manning 2016, section 3.2, "class-distribution": a threshold λσ for each layer with one λ,
    which selects the same weights. Stier, Darji and Granitzer 2021 speak of the deviation of the magnitudes and compute
    that of the signed weights with the pruned ones as zeros (`distributed_with_zeros`); here these are left out.
    """
    live = {name: layer.weight[layer.live].double() for name, layer in layers.items()}
    return _ranked_by_deviation(layers, live, 0, total)


def distributed_with_zeros(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """One ranking over all layers, after dividing scores by the deviation of all weights of a layer, pruned ones as 0.

        rank by S / σ,   σ² = Σ (w ⊙ m − mean(w ⊙ m))² / (n − 1) over all n weights of the layer

    So σ shrinks as a layer is pruned, and what is left of it ranks ever higher; `distributed` leaves the zeros out.

    Reference: the program of Stier, Darji and Granitzer 2021, which has no equation for it in the paper.
    """
    masked = {name: torch.where(layer.live, layer.weight, 0).flatten().double() for name, layer in layers.items()}
    return _ranked_by_deviation(layers, masked, 1, total)


def uniform(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """The same fraction of each layer; what a layer cannot give any more, the others give in equal fractions.

    Reference: See, Luong and Manning 2016, section 3.2, "class-uniform".
    """
    return share(total, [layer.scores.numel() for layer in layers.values()], layers)


def uniform_amount(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """The same amount is removed from each layer; a layer that has less loses all, the others lose more.

    Reference: Stier, Darji and Granitzer 2021, section 2, who word class-uniform like this (their code is `uniform`).
    """
    removed = share(sum(layer.room for layer in layers.values()) - total, [1] * len(layers), layers)
    return {name: layer.room - removed[name] for name, layer in layers.items()}


def erk(layers: Mapping[str, Layer], total: int) -> dict[str, int]:
    """Small layers stay denser (Erdős–Rényi-kernel): with d the dimensions of a layer's weight, (out, in, *kernel),

        density of a layer = min(1, ε · Σ d / Π d)

    where ε makes the total exact. A layer that reaches 1 is kept whole, and ε grows for the remaining ones.

    Reference: Mocanu et al. 2018 (no kernel: ε (out + in) / (out · in)); Evci et al. 2020, section 3, for kernels.
    """
    rates = []
    for layer in layers.values():
        dimensions = layer.weight.shape
        units = layer.scores.numel()
        rates.append(Fraction(units * sum(dimensions), math.prod(dimensions)) if units else Fraction(0))
    return share(total, rates, layers)


SCOPES: dict[str, Allocation] = {
    "blind": blind,
    "uniform": uniform,
    "uniform_amount": uniform_amount,
    "distributed": distributed,
    "distributed_with_zeros": distributed_with_zeros,
    "erk": erk,
}


def budgets(scope: Scope, names: Sequence[str], density: float) -> list[Budget]:
    """Which layers share a density.

    Args:
        scope: a name in `SCOPES`, for all layers together; or the density of each layer by its name, its module's
            ("encoder"), a pattern of names ("encoder.*"), "i2h" or "h2h"; exact names come first, then the first that
            fits. A layer that is not mentioned has `density` for itself.
        names: the layers.
        density: from 0 to 1.

    Raises:
        RequestError: an unknown scope, a pattern that fits no layer, a density that is none.

    Example:
        >>> [(list(names), density) for names, density, _ in budgets({"a.*": 0.1}, ["a.weight", "b.weight"], 0.5)]
        [(['a.weight'], 0.1), (['b.weight'], 0.5)]
    """
    if isinstance(scope, str):
        if scope not in SCOPES:
            raise UnknownNameError("scope", scope, SCOPES)
        return [Budget(names, density, SCOPES[scope])]
    if not isinstance(scope, Mapping):
        raise RequestError(f"scope: found {scope!r}, expected one of {', '.join(SCOPES)}, or a mapping name → density")
    for key, value in scope.items():
        checked_density(value, f"scope[{key!r}]")
        if not any(is_meant(name, key) for name in names):
            raise UnknownNameError("selected layer", str(key), names)
    return [Budget([name], _density_of(name, scope, density), blind) for name in names]


def share(total: int, rates: Sequence[Any], layers: Mapping[str, Layer]) -> dict[str, int]:
    """Shares `total` in proportion to `rates`, no layer above its room, and exactly.

    Shares are min(room, f · rate) with one f for all, rounded by largest remainder, ties to the earlier layer.
    """
    shares = {name: Fraction(0) for name in layers}
    rest, open_ = Fraction(total), dict(zip(layers, map(Fraction, rates), strict=True))
    while rest and any(open_.values()):
        factor = rest / sum(open_.values())
        full = [name for name, rate in open_.items() if factor * rate >= layers[name].room]
        for name in full or open_:
            shares[name] = Fraction(layers[name].room) if full else factor * open_[name]
        if not full:
            break
        rest -= sum(layers[name].room for name in full)
        open_ = {name: rate for name, rate in open_.items() if name not in full}
    counts = {name: math.floor(part) for name, part in shares.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name])  # stable: ties stay in order
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def sums_of_multiples(steps: Sequence[int], most: Sequence[int]) -> list[int]:
    """Which totals layers can have that keep whole multiples of a step, as the bits of whole numbers.

    Args:
        steps: of each layer, what its count is a multiple of.
        most: of each layer, how many times its step at most.

    Returns:
        One more number than layers: in the i-th, bit t is set if the first i layers can have the total t.

    Example:
        >>> [f"{bits:b}" for bits in sums_of_multiples([2, 3], [2, 1])]
        ['1', '10101', '10111101']
    """
    totals = [1]
    for step, times in zip(steps, most, strict=True):
        bits, taken = totals[-1], 1
        while times:  # 1, 2, 4, … and the rest: every number up to `times` is a sum of some of these
            taken = min(taken, times)
            bits |= bits << taken * step
            times -= taken
            taken *= 2
        totals.append(bits)
    return totals


def nearest_set_bits(bits: int, place: int) -> list[int]:
    """The nearest set bits below and above a place, as far as there are any.

    Example:
        >>> nearest_set_bits(0b100010, 3)
        [1, 5]
    """
    below, above = bits & ((1 << place) - 1), bits >> place
    found = [below.bit_length() - 1] if below else []
    return found + ([place + (above & -above).bit_length() - 1] if above else [])


def _ranked_by_deviation(
    layers: Mapping[str, Layer], weights: Mapping[str, Tensor], correction: int, total: int
) -> dict[str, int]:
    """One ranking of the scores of each layer over the deviation of the weights given for it."""
    scores, limits = {}, torch.finfo(torch.float64)
    for name, layer in layers.items():
        several = weights[name].numel() > correction
        deviation = float(weights[name].std(correction=correction)) if several else 1.0 - correction
        ranked = layer.scores.double() / max(deviation, limits.tiny)
        dead = layer.scores == -math.inf
        scores[name] = ranked.clamp(limits.min, limits.max).masked_fill(dead, -math.inf)
    return _ranked(scores, total)


def _ranked(scores: Mapping[str, Tensor], total: int) -> dict[str, int]:
    devices = {part.device for part in scores.values()}
    device = devices.pop() if len(devices) == 1 else torch.device("cpu")
    parts = [part.flatten().to(device) for part in scores.values()]
    kept = torch.split(keep_top(torch.cat(parts), total), [len(part) for part in parts])
    return {name: int(part.count_nonzero()) for name, part in zip(scores, kept, strict=True)}


def _density_of(name: str, scope: Mapping[str, float], otherwise: float) -> float:
    if name in scope:
        return checked_density(scope[name])
    return next((checked_density(scope[key]) for key in scope if is_meant(name, key)), otherwise)
