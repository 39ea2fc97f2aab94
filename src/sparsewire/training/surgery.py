"""What it costs to remove each weight of a linear layer, and how the remaining ones make up for it.

Of a layer's row w with the inputs' second moments H, removals and updates are to keep its outputs on the inputs:

    cost of new weights v:   ½ (v − w)ᵀ H (v − w)

Pure functions on matrices in float64; `surgeon_` knows about models.
"""

import math

import torch
from torch import Tensor

from sparsewire.errors import RequestError

# How many numbers the rows that are worked on together may take in memory, in float64: a quarter of a gigabyte.
ROOM = 2**25


def removal_costs(weights: Tensor, moments: Tensor, live: Tensor, at_once: int, block: int) -> Tensor:
    """At which cost each weight is removed, when the least costly of each row goes first and the others are updated.

        remove j with the least ½ w_j² / [H⁻¹]_jj;   w ← w − w_j / [H⁻¹]_jj · H⁻¹[:, j];   H⁻¹ without j

    The costs of a row never fall along its removals: one that does is raised to its predecessor's, since it comes only
    after it. So the weights above any threshold are those that are left after some removals.

    Args:
        weights: shape (rows, inputs), zero where not live.
        moments: H, shape (inputs, inputs), positive definite.
        live: which weights exist, bool.
        at_once: how many of a row are removed between two looks at the costs; 1 is exact.
        block: at most so many consecutive inputs are dealt with together; further ones as if H had no entries between.

    Returns:
        Shape (rows, inputs); of weights that do not exist 0.

    Example:
        >>> w, h = torch.tensor([[1.0, 3.0]]).double(), torch.eye(2).double()
        >>> removal_costs(w, h, torch.ones(1, 2, dtype=torch.bool), at_once=1, block=8)
        tensor([[0.5000, 4.5000]], dtype=torch.float64)
    """
    costs = torch.zeros_like(weights)
    for start in range(0, weights.shape[1], block):
        here = slice(start, start + block)
        square = moments[here, here]
        shared = torch.cholesky_inverse(torch.linalg.cholesky(square))
        chunk = max(1, ROOM // max(1, square.numel()))
        for rows in torch.split(torch.arange(len(weights), device=weights.device), chunk):
            some = live[rows, here]
            inverse = shared.expand(len(rows), -1, -1) if bool(some.all()) else _inverse_of_live(square, some)
            costs[rows, here] = _trace(weights[rows, here], inverse, some, at_once)
    return costs


def refitted(weights: Tensor, moments: Tensor, kept: Tensor) -> Tensor:
    """The rows of least cost among those that are zero outside of `kept`.

        v_S = H_SS⁻¹ (H w)_S with S what is kept of the row;   v = 0 elsewhere

    A row that keeps everything which is not zero stays as it is.

    Args:
        weights: shape (rows, inputs).
        moments: H, shape (inputs, inputs), positive definite.
        kept: bool, shape (rows, inputs).

    Example:
        >>> w, h = torch.tensor([[1.0, 1.0]]).double(), torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
        >>> refitted(w, h, torch.tensor([[True, False]]))
        tensor([[1.5000, 0.0000]], dtype=torch.float64)
    """
    fitted = torch.where(kept, weights, 0)
    changed = (fitted != weights).any(1).nonzero().flatten()
    changed = changed[kept[changed].sum(1).argsort(stable=True)]  # rows of about one size together
    wanted = weights @ moments
    while len(changed):
        most = int(kept[changed[-1]].sum())
        rows, changed = _last(changed, max(1, ROOM // max(1, most * most)))
        if not most:
            continue
        # Rows with fewer are filled up with equations of their own, x = 0.
        is_real, places = kept[rows].to(torch.int8).sort(dim=1, descending=True, stable=True)
        is_real, places = is_real[:, :most].bool(), places[:, :most]
        squares = moments[places[:, :, None], places[:, None, :]]
        squares = _decoupled(squares, is_real)
        right = torch.where(is_real, wanted[rows].gather(1, places), 0)
        found = torch.cholesky_solve(right[:, :, None], torch.linalg.cholesky(squares))[:, :, 0]
        fitted[rows] = fitted[rows].scatter(1, places, torch.where(is_real, found, 0))
    return fitted


def damped(moments: Tensor, damping: float, name: str) -> Tensor:
    """H + damping · mean(diagonal of H) · I, in which every weight has a cost.

    Args:
        moments: shape (groups, inputs, inputs).
        damping: at least 0.
        name: of the weight, for the error.

    Raises:
        RequestError: it is not finite, or not positive definite even so.
    """
    if not moments.isfinite().all():
        raise RequestError(f"data: found NaN or infinity in the inputs of {name!r}, expected finite numbers")
    scale = moments.diagonal(dim1=1, dim2=2).mean(1)
    scale = torch.where(scale > 0, scale, 1)  # inputs that are all zero
    square = moments + damping * scale[:, None, None] * torch.eye(moments.shape[1], dtype=moments.dtype).to(moments)
    if bool((torch.linalg.cholesky_ex(square).info != 0).any()):
        raise RequestError(
            f"damping: found {damping}, but the inputs of {name!r} depend on each other linearly; expected a larger "
            "one, such as 0.01, or more data"
        )
    return square


def _last(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    return rows[-count:], rows[:-count]


def _decoupled(squares: Tensor, is_real: Tensor) -> Tensor:
    """The matrices with the rows and columns of all that is not real as in the unit matrix."""
    both = is_real[:, :, None] & is_real[:, None, :]
    return torch.where(both, squares, 0) + torch.diag_embed((~is_real).to(squares.dtype))


def _inverse_of_live(square: Tensor, live: Tensor) -> Tensor:
    squares = _decoupled(square.expand(len(live), -1, -1), live)
    return torch.cholesky_inverse(torch.linalg.cholesky(squares))


def _trace(weights: Tensor, inverse: Tensor, live: Tensor, at_once: int) -> Tensor:
    """The costs of removal, all rows in step; the inverse after removals is held as `inverse` − factorsᵀ factors."""
    rows, inputs = weights.shape
    left, there = weights.clone(), torch.ones_like(live)
    spread = inverse.diagonal(dim1=1, dim2=2).clone()
    factors = weights.new_empty(rows, inputs, inputs)  # one row for each removal
    costs, highest = torch.zeros_like(weights), weights.new_full((rows, 1), -math.inf)
    most = torch.finfo(weights.dtype).max
    for done in range(0, inputs, at_once):
        count = min(at_once, inputs - done)
        costs_now = torch.where(live, 0.5 * left**2 / spread, most)  # what never existed goes last, and costs nothing
        picked = costs_now.masked_fill_(~there, math.inf).topk(count, largest=False).indices
        wide = picked[:, :, None].expand(-1, -1, inputs)
        known = factors[:, :done]
        columns = inverse.gather(1, wide) - known.gather(2, picked[:, None].expand(-1, done, -1)).mT @ known
        lower = torch.linalg.cholesky_ex(columns.gather(2, picked[:, None].expand(-1, count, -1))).L
        new = torch.linalg.solve_triangular(lower, columns, upper=False)
        steps = torch.linalg.solve_triangular(lower, left.gather(1, picked)[:, :, None], upper=False)
        factors[:, done : done + count] = new
        left -= (steps.mT @ new)[:, 0]
        spread -= (new**2).sum(1)
        there.scatter_(1, picked, False)
        rising = torch.cat([highest, 0.5 * steps[:, :, 0] ** 2], 1).cummax(1).values[:, 1:]
        highest = rising[:, -1:]
        costs.scatter_(1, picked, _apart(rising, done))
    return costs.masked_fill(~live, 0)


def _apart(rising: Tensor, done: int) -> Tensor:
    """The same costs, larger by a rounding error for each removal before: of equal ones the first goes first."""
    order = torch.arange(done + 1, done + 1 + rising.shape[1], dtype=rising.dtype, device=rising.device)
    return rising * (1 + order * 2 * torch.finfo(rising.dtype).eps) + order * torch.finfo(rising.dtype).tiny
