"""The gradient of the mean loss over data."""

import torch
from torch import Tensor, nn

from sparsewire.structure.evidence.mean_loss import (
    BATCH_SIZE,
    Data,
    Loss,
    at_rest,
    batches_of,
    checked_loss,
    chosen_weights,
    mean_loss,
    wide_type,
)
from sparsewire.structure.selection import Only
from sparsewire.structure.sparse_weights import sparse_weights


def mean_gradients(
    model: nn.Module,
    loss: Loss | None,
    data: Data,
    *,
    only: Only | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Tensor]:
    """dL/dw of each weight that can be pruned, L the mean loss over all the data (see `evidence.mean_loss`).

    The model is left as it is: its mode, its buffers, every `.grad`. Memory: the activations of one batch, and two
    numbers a weight.

    Args:
        model: any module; it is evaluated in eval mode.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        data: (inputs, labels) tensors, or an iterable of such batches.
        only: which weights, as for `prune`, each as a whole; all unless told.
        batch_size: samples in a batch, where tensors are given.

    Returns:
        Name → gradient in the weight's shape, in float32 or better; zero where a sparse layer stores no weight.

    Raises:
        RequestError: data, loss or names that are none.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 0.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [3.0, 1.0]]), torch.zeros(2, 1)
        >>> mean_gradients(layer, nn.MSELoss(), data)["weight"]     # 2 · mean(error · input) = (1·1 + 3·3, 3·1)
        tensor([[10.,  3.]])
    """
    loss, weights, sparse = checked_loss(loss), chosen_weights(model, only), sparse_weights(model)
    count = 0
    batches = batches_of(data, batch_size, next(iter(weights.values())).device)
    with at_rest(model, weights.values()):
        # Sums in half precision would lose what comes late.
        sums = {name: torch.zeros_like(weight, dtype=wide_type(weight)) for name, weight in weights.items()}
        for inputs, labels in batches:
            value = mean_loss(model, loss, inputs, labels)
            found = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
            for name, gradient in zip(weights, found, strict=True):
                if gradient is not None:  # no path from this weight to the loss
                    sums[name].add_(gradient, alpha=labels.numel())
            count += labels.numel()
        means = {name: total / count for name, total in sums.items()}
    return {name: sparse[name].dense(mean) if name in sparse else mean for name, mean in means.items()}
