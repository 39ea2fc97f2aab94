"""The diagonal of the Hessian of the mean loss: exact where that is cheap, estimated elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.evidence.gauss_newton import gauss_newton_diagonal, why_no_columns
from sparsewire.structure.evidence.hutchinson import estimated_diagonal
from sparsewire.structure.evidence.mean_loss import (
    BATCH_SIZE,
    Data,
    Loss,
    at_rest,
    batches_of,
    checked_loss,
    chosen_weights,
)
from sparsewire.structure.evidence.piecewise import why_unproven
from sparsewire.structure.selection import Only
from sparsewire.structure.sparse_weights import sparse_weights

METHODS = ("auto", "gauss_newton", "hutchinson")
SAMPLES = 32


@dataclass(frozen=True, repr=False, eq=False)
class HessianDiagonal(Mapping[str, Tensor]):
    """Name of a weight → d²L/dw² in its shape.

    Attributes:
        values_by_name: the tensors.
        method: "gauss_newton" or "hutchinson".
        reason: why it is not exact; None where it is.
    """

    values_by_name: Mapping[str, Tensor]
    method: str
    reason: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether this is the diagonal itself, up to rounding; an estimate or an approximation else."""
        return self.reason is None

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.values_by_name:
            raise UnknownNameError("weight", str(name), self.values_by_name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __repr__(self) -> str:
        kind = "exact" if self.is_exact else "estimated" if self.method == "hutchinson" else "approximated"
        reason = f": {self.reason}" if self.reason else ""
        return f"HessianDiagonal({len(self)} weights, {kind} by {self.method}{reason})"


def hessian_diagonal(
    model: nn.Module,
    loss: Loss | None,
    data: Data,
    *,
    only: Only | None = None,
    method: str = "auto",
    samples: int = SAMPLES,
    batch_size: int = BATCH_SIZE,
    generator: torch.Generator | None = None,
) -> HessianDiagonal:
    """d²L/dw² of each weight that can be pruned, L the mean loss over all the data (see `evidence.mean_loss`).

    Of networks whose outputs are piecewise linear in each single weight, with cross-entropy or the mean squared error,
    the Gauss–Newton form is the diagonal itself, for as many backward passes as there are outputs. Whether a network is
    one is proven from its modules (`evidence.piecewise`): Linear, Conv, batch normalisation, pooling, ReLU and others
    of straight pieces, in any topology that `torch.fx` can trace. For every other network, loss or layer (tanh,
    recurrent, attention) the diagonal is estimated by products with random signs, and says so.

    The model is left as it is: its mode, its buffers, every `.grad`; it is evaluated in eval mode. Memory is bounded by
    the batch: see `gauss_newton_diagonal` and `estimated_diagonal`.

    Args:
        model: any module without sparse layers.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        data: (inputs, labels) tensors, or an iterable of such batches.
        only: which weights, as for `prune`, each as a whole; all unless told.
        method: "auto"; "gauss_newton", which is an approximation (never negative) where nothing is proven; or
            "hutchinson".
        samples: random vectors for each batch, where it is estimated.
        batch_size: samples in a batch, where tensors are given.
        generator: the source of the random vectors, needed where it is estimated.

    Returns:
        Name → h in the weight's shape, in float32 or better; h is small, and half precision would make zeros of it.

    Raises:
        RequestError: data, loss, names, method or numbers that are none; no generator where it is estimated; a sparse
            layer; a weight that the method does not know.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.zero_()                     # so p = (½, ½), and h = p (1 − p) · mean x²
        >>> data = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1])
        >>> found = hessian_diagonal(model, None, data)
        >>> found, found["weight"]
        (HessianDiagonal(1 weights, exact by gauss_newton), tensor([[1.2500, 0.5000],
                [1.2500, 0.5000]]))

    Reference: LeCun, Denker and Solla 1990, who approximate it layer by layer, which is another number for two or more
        hidden layers; Schraudolph 2002 for the Gauss–Newton form; Hutchinson 1990 for the estimate.
    """
    if method not in METHODS:
        raise UnknownNameError("method", str(method), METHODS)
    whole("samples", samples, least=1)
    loss, weights = checked_loss(loss), _dense_weights(model, only)
    batches = batches_of(data, batch_size, next(iter(weights.values())).device)
    with at_rest(model, weights.values()):
        first = next(batches)
        reason = _why_not_exact(model, loss, weights, first) if method != "hutchinson" else "it was asked for"
        batches = chain([first], batches)
        if method == "gauss_newton" or reason is None:
            if unknown := why_no_columns(loss):
                raise RequestError(f"method: 'gauss_newton' is impossible, since {unknown}; use method='hutchinson'")
            values = gauss_newton_diagonal(model, loss, batches, weights)
            return HessianDiagonal(MappingProxyType(values), "gauss_newton", reason)
        values = _estimated(model, loss, batches, weights, samples, generator, reason)
    return HessianDiagonal(MappingProxyType(values), "hutchinson", reason)


def _dense_weights(model: nn.Module, only: Only | None) -> dict[str, nn.Parameter]:
    weights = chosen_weights(model, only)
    for name in sparse_weights(model):
        raise RequestError(
            f"model: found the sparse layer of {name!r}, whose kernels have no second derivative; densify the model"
        )
    return weights


def _why_not_exact(
    model: nn.Module, loss: Loss, weights: Mapping[str, nn.Parameter], batch: tuple[Any, Tensor]
) -> str | None:
    if unusual := why_no_columns(loss):
        return unusual
    return why_unproven(model, weights, batch[0])


def _estimated(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[tuple[Any, Tensor]],
    weights: Mapping[str, nn.Parameter],
    samples: int,
    generator: torch.Generator | None,
    reason: str,
) -> dict[str, Tensor]:
    if generator is None:
        raise RequestError(
            f"generator: found None, but the curvature is estimated, since {reason}; pass "
            "torch.Generator().manual_seed(0)"
        )
    return estimated_diagonal(model, loss, batches, weights, samples, checked_generator(generator))
