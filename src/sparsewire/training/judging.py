"""How good a model is on some data, and what training and judging share: where a model is, and its modes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError
from sparsewire.training.batches import Data, feed
from sparsewire.training.fused import Loss
from sparsewire.training.history import Evaluation

IGNORED = -100  # the label that cross-entropy leaves out


def evaluate(model: nn.Module, data: Data, *, loss: Loss | None = None, batch_size: int = 1000) -> Evaluation:
    """The mean loss and the accuracy of the model on data, in eval mode and without gradients.

    Args:
        model: any module; all modes are as before afterwards.
        data: as for `fit`; it is gone through in order.
        loss: (outputs, labels) → scalar tensor, the mean over the batch; None: cross-entropy.
        batch_size: samples at a time, where the data does not come in batches.

    Raises:
        RequestError: the data is of no known form, or empty.

    Example:
        >>> model = nn.Identity()
        >>> outputs, labels = torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0])
        >>> evaluate(model, (outputs, labels)).accuracy
        0.5
    """
    judge, place = loss or cross_entropy, place_of(model, None)
    total, count, right, judged = 0.0, 0, 0, 0
    with modes_kept(model), torch.no_grad():
        model.eval()
        for batch in feed(data, batch_size).passes(None, False):
            inputs, labels = (moved(part, place) for part in batch)
            outputs = model(inputs)
            total += float(judge(outputs, labels)) * len(labels)
            count += len(labels)
            if _are_classes(outputs, labels):
                right += int((outputs.argmax(1) == labels).sum())
                judged += int((labels != IGNORED).sum())
    if not count:
        raise RequestError("data: found no batch, expected at least one; an iterator can be gone through only once")
    return Evaluation(total / count, right / judged if judged else math.nan, count)


def _are_classes(outputs: Any, labels: Any) -> bool:
    """Whether there is one score per class, in dimension 1, for every label."""
    return (
        isinstance(outputs, Tensor)
        and isinstance(labels, Tensor)
        and outputs.dim() >= 2
        and outputs.shape[1] > 1
        and not labels.is_floating_point()
        and labels.shape == (outputs.shape[0], *outputs.shape[2:])
    )


def place_of(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Where the model is, after it was moved to the device, if one is given.

    Raises:
        RequestError: there is no such device.
    """
    if device is not None:
        try:
            model.to(device)
        except (RuntimeError, TypeError, AssertionError) as cause:  # torch without CUDA asserts that it has it
            raise RequestError(f"device: found {device!r}, expected one that this machine has: {cause}") from cause
    first = next(model.parameters(), None)
    return torch.device(device or "cpu") if first is None else first.device


def moved(part: Any, place: torch.device) -> Any:
    """A part of a batch on a device, if it is something that can be moved."""
    return part.to(place) if hasattr(part, "to") else part


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Gives every module the mode back that it had: train or eval."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
