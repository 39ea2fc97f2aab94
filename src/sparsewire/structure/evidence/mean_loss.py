"""The mean loss of a model over data, batch by batch, and the model at rest while it is looked at.

All evidence is about one function of the weights,

    L(w) = Σ_batches n_b · loss(model(inputs_b), labels_b) / Σ_batches n_b,   n_b = the labels in the batch

the loss over the whole data and never that of the last batch alone. `loss` has to be a mean over the labels of a batch.
The model is evaluated in eval mode (no dropout, the stored statistics of batch normalisation), with its weights as they
are: those outside a mask count as what stands there, which is zero once the masks were applied.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import maskable
from sparsewire.structure.selection import Only, selected

Loss: TypeAlias = Callable[[Any, Any], Tensor]
Data: TypeAlias = tuple[Tensor, Tensor] | Iterable[tuple[Any, Tensor]]

BATCH_SIZE = 500


def batches_of(data: Data, batch_size: int, device: torch.device | str | None = None) -> Iterator[tuple[Any, Tensor]]:
    """The data as batches of (inputs, labels), in its own order; those without labels are left out.

    Args:
        data: (inputs, labels) tensors with as many of the ones as of the others; or an iterable of such pairs, each a
            batch, which keeps its own sizes.
        batch_size: samples in a batch of tensors, at least 1.
        device: where the batches shall be; where they are, unless told.

    Raises:
        RequestError: the data is none of these; at its end, if nothing was in it.

    Example:
        >>> [labels.tolist() for _, labels in batches_of((torch.ones(3, 1), torch.arange(3)), 2)]
        [[0, 1], [2]]
    """
    size = whole("batch_size", batch_size, least=1)
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        inputs: Any
        labels: Any
        inputs, labels = data
        if not inputs.dim() or not labels.dim() or len(inputs) != len(labels):
            raise RequestError(
                f"data: found inputs of shape {tuple(inputs.shape)} and labels of shape {tuple(labels.shape)}, "
                "expected as many of the ones as of the others"
            )
        return _counted(zip(inputs.split(size), labels.split(size), strict=True), device)
    if not isinstance(data, Iterable) or isinstance(data, Tensor | str | Mapping):
        raise RequestError(
            f"data: found {'nothing' if data is None else type(data).__name__}, expected (inputs, labels) tensors, "
            "or an iterable of (inputs, labels) batches such as a DataLoader; of a DataSet give its .train"
        )
    return _counted(data, device)


def _counted(batches: Iterable[Any], device: torch.device | str | None) -> Iterator[tuple[Any, Tensor]]:
    found = False
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2 or not isinstance(batch[1], Tensor):
            what = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
            raise RequestError(f"data: found a batch of {what}, expected (inputs, labels) with a tensor of labels")
        if batch[1].numel():
            found = True
            inputs = batch[0].to(device) if isinstance(batch[0], Tensor) else batch[0]
            yield inputs, batch[1].to(device)
    if not found:
        raise RequestError("data: found no samples, expected at least one")


def checked_loss(loss: Loss | None) -> Loss:
    """The loss; cross-entropy where none is given.

    Raises:
        RequestError: it is no function, or one that does not take the mean of a batch.

    Example:
        >>> checked_loss(None) is cross_entropy
        True
    """
    if loss is None:
        return cross_entropy
    if not callable(loss) or isinstance(loss, type):
        raise RequestError(f"loss: found {loss!r}, expected a function (outputs, labels) → mean loss, or None")
    if getattr(loss, "reduction", "mean") not in ("mean", "batchmean"):
        raise RequestError(f"loss: found {loss} with reduction={loss.reduction!r}, expected 'mean'")  # type: ignore[attr-defined]
    return loss


def mean_loss(model: nn.Module, loss: Loss, inputs: Any, labels: Tensor) -> Tensor:
    """The loss of one batch as a scalar with its graph.

    Raises:
        RequestError: the loss gives something else.
    """
    value = loss(model(inputs), labels)
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise RequestError(f"loss: found {found} for a batch, expected one number, the mean over the batch")
    if not value.requires_grad:
        raise RequestError("loss: found a number without gradient, expected one that depends on the model's weights")
    return value


def wide_type(tensor: Tensor) -> torch.dtype:
    """The type in which numbers about a tensor are given: its own, but float32 for half precision.

    Example:
        >>> wide_type(torch.zeros(1, dtype=torch.float16)), wide_type(torch.zeros(1, dtype=torch.float64))
        (torch.float32, torch.float64)
    """
    return torch.promote_types(tensor.dtype, torch.float32)


def chosen_weights(model: nn.Module, only: Only | None) -> dict[str, nn.Parameter]:
    """The weights that a mask may be about, all or those that are meant, by name in the model's order.

    Raises:
        RequestError: no such weight, or no weights at all.

    Example:
        >>> list(chosen_weights(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), "1"))
        ['1.weight']
    """
    weights = maskable(model)
    if not weights:
        raise RequestError("model: found no weights that can be pruned (of Linear, Conv, recurrent, attention layers)")
    return {name: weights[name] for name in selected(weights, only)}


@contextmanager
def at_rest(model: nn.Module, weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """The model in eval mode, its weights with gradients, kernels that can be differentiated twice; then all as before.

    Modes, `requires_grad` and buffers are set back; nothing here touches `.grad`.
    """
    modes = {module: module.training for module in model.modules()}
    flags = [(weight, weight.requires_grad) for weight in weights]
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        model.eval()
        for weight, _ in flags:
            weight.requires_grad_(True)
        # The fused kernels of cuDNN's recurrent layers and of attention have no second derivative.
        slowly = torch.backends.cudnn.flags(enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), slowly, sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight, flag in flags:
            weight.requires_grad_(flag)
        with torch.no_grad():
            for buffer, before in kept:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
