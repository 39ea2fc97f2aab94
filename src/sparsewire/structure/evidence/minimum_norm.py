"""Least squares over masks: what each unit adds to the score of the ensembles that use it."""

import torch
from torch import Tensor

_ROWS = 1024  # of masks at a time, as numbers
_PIVOT = 1e-6  # smallest over largest, squared; below, a direction may be none at all
_ZERO = 1e-10  # of the largest eigenvalue


def minimum_norm(masks: Tensor, scores: Tensor, *, centred: bool = True) -> Tensor:
    """θ that minimises ‖s − Z θ‖, the shortest one if there are several; in float64.

    The model s = Z θ has no intercept. Where the number of ones differs from mask to mask, θ has to explain the mean of
    s by it, and that drowns what tells the units apart; `centred` subtracts their means from s and from the columns of
    Z first. Where all masks have as many ones, both give the same order: the centred θ is the other one minus its mean.

    With more masks than units it is solved by the normal equations and Cholesky; with fewer, or with masks that hardly
    tell units apart, by the eigenvalues of the smaller one of Zᵀ Z and Z Zᵀ. Products of masks are exact in float32.

    Args:
        masks: bool (ensembles, units), Z.
        scores: (ensembles,), s.
        centred: see above.

    Returns:
        float64 (units,).

    Example:
        >>> masks = torch.tensor([[True, True, False], [False, True, True], [True, False, True], [True, True, False]])
        >>> minimum_norm(masks, torch.tensor([3.0, 5.0, 4.0, 3.0]), centred=False).round(decimals=6)  # θ = (1, 2, 3)
        tensor([1., 2., 3.], dtype=torch.float64)
        >>> minimum_norm(masks, torch.tensor([3.0, 5.0, 4.0, 3.0])).round(decimals=6) + 0.0           # … − 2
        tensor([-1.,  0.,  1.], dtype=torch.float64)
    """
    scores = scores.double()
    means = masks.double().mean(0) if centred else torch.zeros_like(masks[0], dtype=torch.float64)
    scores = scores - scores.mean() if centred else scores
    ensembles, units = masks.shape
    if ensembles > units:
        square = _products(masks, dim=0) - ensembles * torch.outer(means, means)
        right = _weighted(masks, scores) - means * scores.sum()
        factor, failed = torch.linalg.cholesky_ex(_filled(square, masks, centred))
        pivots = factor.diagonal().abs()
        if not int(failed) and float(pivots.min() / pivots.max()) ** 2 > _PIVOT:
            return torch.cholesky_solve(right[:, None], factor)[:, 0]
        return _inverted(square, right)
    rows = masks.double() @ means
    square = _products(masks, dim=1) - rows[:, None] - rows + means @ means
    found = _inverted(square, scores)
    return _weighted(masks, found) - means * found.sum()


def _filled(square: Tensor, masks: Tensor, centred: bool) -> Tensor:
    """Zᵀ Z with its null direction filled up.

    Where all masks have as many ones, centred rows sum to 0: (1, …, 1) gives nothing. The right side is orthogonal to
    that direction, so that, filled up, it gets the coefficient 0, which is the shortest solution.
    """
    counts = masks.sum(1)
    return square + square.diagonal().mean() / len(square) if centred and bool((counts == counts[0]).all()) else square


def _inverted(square: Tensor, right: Tensor) -> Tensor:
    """The shortest x with square · x = right, where square has no negative eigenvalues."""
    sizes, directions = torch.linalg.eigh(square)
    there = sizes > _ZERO * sizes[-1]
    found: Tensor = directions[:, there] @ ((directions[:, there].T @ right) / sizes[there])
    return found


def _products(masks: Tensor, dim: int) -> Tensor:
    """Zᵀ Z (dim 0) or Z Zᵀ (dim 1), whole numbers, of which float32 holds all up to 2²⁴."""
    total = torch.zeros(masks.shape[1 - dim], masks.shape[1 - dim], dtype=torch.float64, device=masks.device)
    for part in torch.split(masks, _ROWS, dim=dim):
        used = part.float()
        total += used.T @ used if dim == 0 else used @ used.T
    return total


def _weighted(masks: Tensor, values: Tensor) -> Tensor:
    """Zᵀ v."""
    parts = zip(torch.split(masks, _ROWS), torch.split(values, _ROWS), strict=True)
    return torch.stack([part.double().T @ own for part, own in parts]).sum(0)
