"""The weights of sparse layers, as an optimizer sees them: matrices for a rule, and values that move with a mask."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.sparse_weights import SparseWeight
from sparsewire.training.memory import carry_
from sparsewire.training.rule_contract import Move, Rule, acts_at, grows, is_dense


def await_step_(weights: Mapping[str, SparseWeight], rule: Rule | Move, step: int) -> None:
    """Tells the layers, before the forward pass of a step, whether its rule needs dense gradients; forgets older ones.

    Raises:
        RequestError: the rule is `dense`: it wants connections to live on that a sparse layer does not have.
    """
    if not weights:
        return
    if is_dense(rule):
        raise RequestError(
            f"rule: found {rule!r}, which is dense: weights outside the masks live on, but the layer of "
            f"{next(iter(weights))!r} is sparse and stores none; train the masked form (sw.densify), or take another "
            "rule"
        )
    wanted = grows(rule) and acts_at(rule, step)
    for weight in weights.values():
        weight.module.wants_dense_gradients = wanted
    forget_gradients_(weights.values())


def forget_gradients_(weights: Collection[SparseWeight]) -> None:
    """Clears the dense gradients of the layers, as `zero_grad` clears those of parameters."""
    for weight in weights:
        weight.module.clear_dense_gradients()


def gradient_of(name: str, weight: SparseWeight, rule: Rule | Move) -> Tensor:
    """The gradient of a sparse weight in the dense shape, for a rule that acts now.

    Where weights exist it is that of the values as it is now. Elsewhere it is what the layer noted during `backward`,
    with the factor that clipping by norm or unscaling has given to the gradient of the values since; zeros, if the rule
    does not grow.

    Raises:
        RequestError: the rule grows, and the layer noted nothing.
    """
    gradient = weight.values.grad
    dense: Tensor | None = weight.module.dense_gradients.get(weight.own)
    if not grows(rule):
        dense = None
    elif dense is None and gradient is not None:
        raise RequestError(
            f"gradient of {name!r}: found none outside the mask of the sparse layer, which rule {rule!r} needs at this "
            "step; call this optimizer's zero_grad before the forward pass, and let the rule's acts_at(step) be True"
        )
    if dense is None:
        if gradient is None:
            return weight.values.new_zeros(()).expand(weight.shape)
        return weight.dense(gradient)
    if gradient is None:
        return dense
    noted = weight.values_of(dense)
    positions = weight.junction.positions().to(dense.device)
    scaled = dense * _factor(gradient, noted)
    return scaled.reshape(-1).index_put((positions,), gradient).view(weight.shape)


@torch.no_grad()
def move_(optimizer: Optimizer, weight: SparseWeight, mask: Tensor, gradient: Tensor | None = None) -> None:
    """Goes over to a mask; values, the optimizer's memory of them and their gradient go along.

    What comes starts from zero, with the memory that the optimizer starts with.

    Args:
        optimizer: one that owns the values, or not.
        weight: the sparse weight.
        mask: bool, in the weight's shape.
        gradient: in the weight's shape, of which the new values get theirs; None: they take along the one that they
            have, and what comes has gradient zero.
    """
    values = weight.values
    if values.grad is None:
        gradient = None
    elif gradient is None:
        gradient = weight.dense(values.grad)
    size = values.shape
    origin = weight.module.restructure_(weight.own, mask)
    carry_(optimizer, values, size, origin)
    values.grad = None if gradient is None else weight.values_of(gradient)


def _factor(gradient: Tensor, noted: Tensor) -> float:
    """The c of gradient = c · noted; 1 if there is no such number (the gradient was clipped value by value, …)."""
    if not noted.numel():
        return 1.0
    top = noted.abs().argmax()
    factor, size = float(gradient[top] / noted[top]), float(gradient[top].abs())
    # Two kernels round differently, which is no factor.
    if abs(factor - 1) < 1e-3 or not torch.allclose(gradient, factor * noted, rtol=1e-2, atol=1e-2 * size):
        return 1.0
    return factor
