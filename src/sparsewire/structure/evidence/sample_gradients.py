"""The gradients of single samples: the mean of their squares."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from sparsewire.errors import RequestError
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

_LARGEST = 1 << 22  # numbers in the gradients of the samples that are looked at together: 16 MiB in float32

Sums = dict[str, Tensor]


def mean_squared_gradients(
    model: nn.Module,
    loss: Loss | None,
    data: Data,
    *,
    only: Only | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Tensor]:
    """The mean over the samples of g_n², g_n the gradient of sample n alone: the diagonal of the empirical Fisher.

        F_w = 1/N Σ_n (∂ loss(model(x_n), y_n) / ∂w)²

    The model is left as it is; it is evaluated in eval mode, where batch normalisation keeps the samples apart. Samples
    go through together as far as 16 MiB of gradients allow (`torch.func.vmap`); one by one through recurrent networks,
    sparse layers, and whatever else cannot be mapped.

    Args:
        model: any module that takes samples in the first dimension.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        data: (inputs, labels) tensors with a row for each sample, or an iterable of such batches.
        only: which weights, as for `prune`, each as a whole; all unless told.
        batch_size: samples in a batch, where tensors are given.

    Returns:
        Name → F in the weight's shape, in float32 or better; zero where a sparse layer stores no weight.

    Raises:
        RequestError: data, loss or names that are none; inputs that are no tensor of one row for each label.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = layer.weight.data.fill_(1.0)
        >>> data = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]])     # g = 2 x (w x − y): 2 and −4
        >>> mean_squared_gradients(layer, nn.MSELoss(), data)["weight"]
        tensor([[10.]])
    """
    loss, weights, sparse = checked_loss(loss), chosen_weights(model, only), sparse_weights(model)
    is_mapped = not sparse and not any(isinstance(module, nn.RNNBase) for module in model.modules())
    count = 0
    with at_rest(model, weights.values()):
        sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
        for inputs, labels in batches_of(data, batch_size, next(iter(weights.values())).device):
            _check_rows(inputs, labels)
            if not count:
                mean_loss(model, loss, inputs[:1], labels[:1])  # says what is wrong with it, if anything is
            found = _together(model, loss, inputs, labels, weights) if is_mapped else None
            if found is None:  # nor will the next batches be mapped
                found, is_mapped = _one_by_one(model, loss, inputs, labels, weights), False
            for name, total in sums.items():
                total += found[name]
            count += len(inputs)
    means = {name: (t / count).to(torch.promote_types(weights[name].dtype, torch.float32)) for name, t in sums.items()}
    return {name: sparse[name].dense(mean) if name in sparse else mean for name, mean in means.items()}


def _check_rows(inputs: Any, labels: Tensor) -> None:
    if not isinstance(inputs, Tensor) or not inputs.dim() or not labels.dim() or len(inputs) != len(labels):
        found = f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise RequestError(
            f"data: found inputs of {found} for labels of shape {tuple(labels.shape)}, expected one tensor with a row "
            "for each label, since the samples are looked at one by one"
        )


def _together(
    model: nn.Module, loss: Loss, inputs: Tensor, labels: Tensor, weights: Mapping[str, nn.Parameter]
) -> Sums | None:
    """Σ g_n² over a batch; None where `torch.func` cannot map the model or the loss."""
    plain = {name: weight.detach() for name, weight in weights.items()}

    def of_one(values: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        return loss(functional_call(model, values, (one[None],)), label[None]).reshape(())

    each = vmap(grad(of_one), in_dims=(None, 0, 0))
    at_once = max(1, _LARGEST // max(1, sum(weight.numel() for weight in plain.values())))
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in plain.items()}
    for some, their in zip(torch.split(inputs, at_once), torch.split(labels, at_once), strict=True):
        try:
            gradients = each(plain, some, their)
        except RuntimeError:  # branches on values, .item(), operators without a rule for batches
            return None
        for name, gradient in gradients.items():
            sums[name] += _wide(gradient).square().sum(0)
    return sums


def _one_by_one(
    model: nn.Module, loss: Loss, inputs: Tensor, labels: Tensor, weights: Mapping[str, nn.Parameter]
) -> Sums:
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    for one, label in zip(torch.split(inputs, 1), torch.split(labels, 1), strict=True):
        value = mean_loss(model, loss, one, label)
        found = torch.autograd.grad(value, list(weights.values()), materialize_grads=True, allow_unused=True)
        for total, gradient in zip(sums.values(), found, strict=True):
            total += _wide(gradient).square()
    return sums


def _wide(tensor: Tensor) -> Tensor:
    """At least float32: squares of small numbers would vanish in half precision."""
    return tensor.float() if tensor.itemsize < 4 else tensor
