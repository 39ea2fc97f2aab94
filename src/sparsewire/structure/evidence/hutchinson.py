"""The diagonal of a Hessian, estimated from products with random vectors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.structure.evidence.mean_loss import Loss, mean_loss, wide_type


def estimated_diagonal(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[tuple[Any, Tensor]],
    weights: Mapping[str, nn.Parameter],
    samples: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """An unbiased estimate of d²L/dw² of each weight, for any model and loss that can be differentiated twice.

        E[v ⊙ H v] = diag H,   v of independent signs ±1 with equal chances

    H v is the gradient of (gradient · v). Every batch has `samples` vectors of its own, so that more batches make the
    estimate better too; the variance of an entry is Σ_{j≠i} H_ij² / samples for one batch. It may be negative.

    Memory: the graph of one batch's gradient, about three times its activations, and three numbers a weight.

    Reference: Hutchinson 1990; Bekas, Kokiopoulou and Saad 2007 for the diagonal, with signs as Yao et al. 2021.
    """
    parameters = list(weights.values())
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    count = 0
    for inputs, labels in batches:
        value = mean_loss(model, loss, inputs, labels)
        gradients = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
        curved = [gradient for gradient in gradients if gradient.requires_grad]  # the others are constant: no curvature
        count += labels.numel()
        for left in reversed(range(samples)):
            signs = [_signs(weight, generator) for weight in parameters]
            dots = [sign for sign, gradient in zip(signs, gradients, strict=True) if gradient.requires_grad]
            if not curved:
                break
            products = torch.autograd.grad(curved, parameters, dots, retain_graph=left > 0, materialize_grads=True)
            for name, sign, product in zip(weights, signs, products, strict=True):
                sums[name].add_(sign * product, alpha=labels.numel() / samples)
    return {name: (total / count).to(wide_type(weights[name])) for name, total in sums.items()}


def _signs(weight: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(0, 2, weight.shape, generator=generator, device=generator.device)
    return (2 * drawn - 1).to(weight)
