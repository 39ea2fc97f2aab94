"""Scores that ask data how the loss depends on each weight.

The loss L is the mean over all the data that `prune` was given (`evidence.mean_loss`), and the weights are evaluated as
they are: apply masks to the model before it is scored again. With g = dL/dw and h = d²L/dw², without a weight it is

    L(w → 0) ≈ L − g w + ½ h w²

Scores of single weights are summed over the live weights of a neuron, block or head like any others.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.evidence.curvature import SAMPLES, hessian_diagonal
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.evidence.mean_loss import BATCH_SIZE
from sparsewire.structure.score_contract import ModelScore, Question


@dataclass(frozen=True)
class OptimalBrainDamage(ModelScore):
    """½ h w²: by how much the loss grows without a weight, at a minimum of the loss and to the second order.

    Signed: where h is negative, which it never is by the Gauss–Newton form, the weight ranks below all harmless ones.

    Args:
        method: as for `hessian_diagonal`; so are the others. An estimate draws from the generator of `prune`.
        samples: random vectors for each batch, where h is estimated.
        batch_size: samples in a batch.

    Raises:
        RequestError: no data, no model, or all that `hessian_diagonal` refuses.

    Example:
        >>> import torch
        >>> from sparsewire.structure.select import prune
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 5.0], [-1.0, 5.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 0])     # the second input is dead
        >>> prune(layer, score=OptimalBrainDamage(), density=0.5, data=data)["weight"]
        tensor([[ True, False],
                [ True, False]])

    Reference: LeCun, Denker and Solla 1990, equation 5, with the diagonal itself in place of their approximation.
    """

    needs_data: ClassVar[bool] = True

    method: str = "auto"
    samples: int = SAMPLES
    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """½ h w² of each weight."""
        model, data = asked(question)
        curvature = hessian_diagonal(
            model,
            question.loss,
            data,
            only=list(question.weights),
            method=self.method,
            samples=self.samples,
            batch_size=self.batch_size,
            generator=question.generator,
        )
        return {name: wide(curvature[name]) * wide(w).square() / 2 for name, w in question.weights.items()}


@dataclass(frozen=True)
class Gradient(ModelScore):
    """|g|: how much the loss depends on a weight, whatever its size.

    Args:
        batch_size: samples in a batch.

    Raises:
        RequestError: no data, no model, or all that `mean_gradients` refuses.

    Example:
        >>> import torch
        >>> question = Question({"weight": torch.ones(1, 1)}, {}, {}, model=nn.Linear(1, 1))
        >>> Gradient()(question)
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: data: found none, but the score looks at the loss; pass data=(inputs, labels)
    """

    needs_data: ClassVar[bool] = True

    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """|g| of each weight."""
        return {name: gradient.abs() for name, gradient in _gradients(question, self.batch_size).items()}


@dataclass(frozen=True)
class Taylor(ModelScore):
    """|g w|: by how much the loss changes without a weight, to the first order.

    Args:
        signed: −g w in its place: what lowers the loss by going goes first, and of a neuron the changes add up.
        batch_size: samples in a batch.

    Raises:
        RequestError: no data, no model, or all that `mean_gradients` refuses.

    Example:
        >>> import torch
        >>> from sparsewire.structure.select import prune
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 1.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.tensor([[3.0], [0.0]])   # nothing to gain at 3
        >>> prune(layer, score=Taylor(), density=0.5, data=data, loss=nn.MSELoss())["weight"]
        tensor([[False,  True]])

    Reference: Molchanov et al. 2017, section 2.2, for feature maps; the sum over a neuron's weights is of |g w| here,
        while signed it is their first-order change.
    """

    needs_data: ClassVar[bool] = True

    signed: bool = False
    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """|g w|, or −g w, of each weight."""
        gradients = _gradients(question, self.batch_size)
        changes = {name: -gradients[name] * wide(weight) for name, weight in question.weights.items()}
        return changes if self.signed else {name: change.abs() for name, change in changes.items()}


def _gradients(question: Question, batch_size: int) -> dict[str, Tensor]:
    model, data = asked(question)
    found = mean_gradients(model, question.loss, data, only=list(question.weights), batch_size=batch_size)
    return {name: wide(gradient) for name, gradient in found.items()}


def asked(question: Question) -> tuple[nn.Module, Any]:
    """The model and the data of a question.

    Raises:
        RequestError: it lacks one of them.
    """
    if question.model is None:
        raise RequestError("model: found weights by name, but the score looks at the loss; give the model itself")
    if question.data is None:
        raise RequestError("data: found none, but the score looks at the loss; pass data=(inputs, labels)")
    return question.model, question.data


def wide(tensor: Tensor) -> Tensor:
    """At least float32: products of small numbers would vanish in half precision."""
    return tensor.float() if tensor.itemsize < 4 else tensor
