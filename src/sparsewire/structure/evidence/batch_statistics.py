"""Batch normalisation by the statistics of each batch, for networks whose stored ones mean nothing yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparsewire.errors import RequestError, UnknownNameError

STATISTICS = ("auto", "stored", "batch")


@contextmanager
def statistics_of_batches(model: nn.Module, statistics: str = "auto") -> Iterator[None]:
    """While it lasts, batch normalisation takes the mean and variance of each batch, in eval mode too.

    The stored statistics are laid aside and put back, the same tensors; dropout and all else keep their mode. Gradients
    flow through the statistics, as they do in training, and the loss of a batch depends on which samples are in it.

    Args:
        model: any module.
        statistics: "batch": of every such layer; "stored": of none; "auto": of those that have never seen a batch in
            training (`num_batches_tracked` is 0), whose stored mean 0 and variance 1 were measured on nothing.

    Raises:
        RequestError: no such choice; a batch with a single value for a channel, which has no variance.

    Example:
        >>> import torch
        >>> norm, inputs = nn.BatchNorm1d(1).eval(), torch.tensor([[10.0], [30.0]])
        >>> with statistics_of_batches(norm):
        ...     norm(inputs).round().tolist()
        [[-1.0], [1.0]]
        >>> norm(inputs).round().tolist(), norm.num_batches_tracked.item()
        ([[10.0], [30.0]], 0)
    """
    if statistics not in STATISTICS:
        raise UnknownNameError("batch statistics", str(statistics), STATISTICS)
    aside = [(module, _stored(module)) for module in model.modules() if _is_meant(module, statistics)]
    try:
        for module, _ in aside:
            module._buffers.update(
                running_mean=None, running_var=None
            )  # without them it measures the batch, whatever its mode
        yield
    except ValueError as cause:
        if not isinstance(cause, RequestError) and "more than 1 value per channel" in str(cause):
            raise RequestError(
                "data: found a batch with a single value for a channel, whose variance batch normalisation needs; give "
                "batches of two samples or more (tensors are cut by batch_size), or choose statistics='stored'"
            ) from cause
        raise
    finally:
        for module, buffers in aside:
            module._buffers.update(buffers)


def _is_meant(module: nn.Module, statistics: str) -> bool:
    if not isinstance(module, _BatchNorm) or statistics == "stored" or module.running_mean is None:
        return False
    seen = module.num_batches_tracked
    return statistics == "batch" or (seen is not None and int(seen) == 0)


def _stored(module: nn.Module) -> dict[str, Tensor | None]:
    return {name: module._buffers[name] for name in ("running_mean", "running_var")}
