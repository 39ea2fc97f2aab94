"""How the gradient itself moves with the weights: the product of the Hessian with the gradient of the mean loss."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.evidence.mean_loss import (
    BATCH_SIZE,
    Data,
    Loss,
    at_rest,
    batches_of,
    checked_loss,
    chosen_weights,
    mean_loss,
)
from sparsewire.structure.selection import Only
from sparsewire.structure.sparse_weights import sparse_weights


def hessian_gradient_products(
    model: nn.Module,
    loss: Loss | None,
    data: Data,
    *,
    only: Only | None = None,
    live: Mapping[str, Tensor] | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Tensor]:
    """H g of each weight, with g the gradient and H the Hessian of the mean loss over all the data.

        H g = Σ_batches n_b · ∇(∇L_b · g) / Σ_batches n_b,   ∇(‖g‖²) = 2 H g

    g is that of all the data before the first product is taken, so that the data is read twice: many batches say what
    one would. The model is left as it is; it is evaluated in eval mode. Memory: the graph of one batch's gradient,
    about three times its activations, and three numbers a weight.

    Args:
        model: any module without sparse layers.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        data: (inputs, labels) tensors, or an iterable of such batches; an iterator, which can be read once, is kept.
        only: which weights, as for `prune`, each as a whole; g and H are about these alone; all unless told.
        live: name → bool tensor of the weight's shape; elsewhere g counts as zero. Weights without one are all live.
        batch_size: samples in a batch, where tensors are given.

    Raises:
        RequestError: data, loss or names that are none; a sparse layer.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 0.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)     # L = (w₁² + 4 w₂²) / 2
        >>> hessian_gradient_products(layer, nn.MSELoss(), data)["weight"]        # g = (1, 0), H = diag(1, 4)
        tensor([[1., 0.]])
    """
    loss, weights = checked_loss(loss), chosen_weights(model, only)
    for name in sparse_weights(model):
        raise RequestError(
            f"model: found the sparse layer of {name!r}, whose kernels have no second derivative; densify the model"
        )
    data = list(data) if isinstance(data, Iterator) else data
    vectors = mean_gradients(model, loss, data, only=list(weights), batch_size=batch_size)
    ends, count = list(weights.values()), 0
    with at_rest(model, ends):
        for name in vectors.keys() & (live or {}).keys():
            vectors[name] = torch.where((live or {})[name].to(vectors[name].device), vectors[name], 0)
        sums = {name: torch.zeros_like(vector) for name, vector in vectors.items()}
        for inputs, labels in batches_of(data, batch_size, ends[0].device):
            value = mean_loss(model, loss, inputs, labels)
            gradients = torch.autograd.grad(value, ends, create_graph=True, materialize_grads=True)
            curved = [g for g in gradients if g.requires_grad]  # the others are constant: no curvature
            along = [v.to(g.dtype) for v, g in zip(vectors.values(), gradients, strict=True) if g.requires_grad]
            count += labels.numel()
            if not curved:
                continue
            products = torch.autograd.grad(curved, ends, along, materialize_grads=True)
            for name, product in zip(weights, products, strict=True):
                sums[name].add_(product, alpha=labels.numel())
    return {name: total / count for name, total in sums.items()}
