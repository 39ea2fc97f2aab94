"""Scores for networks that have not been trained: SNIP, GraSP, SynFlow and Fisher.

Higher is kept, as everywhere. With g = dL/dw and H the Hessian of the mean loss L over all the data that `prune` was
given, or R = 1ᵀ Π |W| 1:

    snip      |g w| / Σ |g w|          what the loss feels of the connection
    grasp     w · (H g)                what of the gradient's norm goes with it
    synflow   |w| · dR/d|w|            what flows through it; no data
    fisher    ½ w² · mean of g_n²      by how much the loss grows, curvature from the gradients of single samples

Weights are evaluated as they are: apply masks before a network is scored again, or let `prune_in_rounds` do so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.data_scores import asked, wide
from sparsewire.structure.evidence.batch_statistics import statistics_of_batches
from sparsewire.structure.evidence.gradient_flow import hessian_gradient_products
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.evidence.mean_loss import BATCH_SIZE, batches_of, checked_loss
from sparsewire.structure.evidence.sample_gradients import mean_squared_gradients
from sparsewire.structure.flow import synaptic_flow
from sparsewire.structure.score_contract import ModelScore, Question


@dataclass(frozen=True)
class Snip(ModelScore):
    """|g w| / Σ |g w|, the sum over all live weights that are pruned: the sensitivity of the loss to each connection.

        with c = 1 for every connection,   |∂ L(c ⊙ w) / ∂c| = |g w|

    Args:
        statistics: of batch normalisation, as for `statistics_of_batches`: "auto" takes those of each batch in networks
            that were never trained, "stored" or "batch".
        batch_size: samples in a batch; without batch statistics it makes no difference.

    Raises:
        RequestError: no data, no model, or all that `mean_gradients` and `statistics_of_batches` refuse.

    Example:
        >>> from torch import nn
        >>> from sparsewire.structure.select import prune
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 1.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.tensor([[3.0], [0.0]])   # the first fits already
        >>> prune(layer, score=Snip(), density=0.5, data=data, loss=nn.MSELoss())["weight"]
        tensor([[False,  True]])

    Reference: Lee, Ajanthan and Torr 2019, section 4.1. They look at one batch of training data; here at all that
        is given. The ranking is that of `Taylor`, whose numbers are not normalised.
    """

    needs_data: ClassVar[bool] = True

    statistics: str = "auto"
    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """The normalised sensitivity of each weight; all zero where the loss feels none."""
        model, data = asked(question)
        with statistics_of_batches(model, self.statistics):
            found = mean_gradients(model, question.loss, data, only=list(question.weights), batch_size=self.batch_size)
        sizes = {name: (wide(found[name]) * wide(weight.detach())).abs() for name, weight in question.weights.items()}
        total = sum(float(_live(question, name, size).double().sum()) for name, size in sizes.items())
        return {name: size / total for name, size in sizes.items()} if total > 0 else sizes


@dataclass(frozen=True)
class Grasp(ModelScore):
    """w · (H g): by how much half the squared norm of the gradient shrinks without a weight, to the first order.

        ‖g(w + δ)‖² − ‖g(w)‖² ≈ 2 δᵀ H g,   δ = −w where a weight goes

    Signed: a weight without which the gradient would be larger has a negative score and goes first. g and H are about
    the live weights that are pruned.

    Args:
        temperature: what the outputs are divided by before the loss, above 0; large ones make a classifier unsure of
            all classes alike.
        statistics: of batch normalisation, as for `Snip`.
        batch_size: samples in a batch; without batch statistics it makes no difference.

    Raises:
        RequestError: no data, no model, no temperature, or all that `hessian_gradient_products` and
            `statistics_of_batches` refuse.

    Example:
        >>> from torch import nn
        >>> from sparsewire.structure.select import prune
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 1.0]]))
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.tensor([[3.0], [0.0]])   # only the second has one
        >>> prune(layer, score=Grasp(), density=0.5, data=data, loss=nn.MSELoss())["weight"]
        tensor([[False,  True]])

    Reference: Wang, Zhang and Grosse 2020, section 4. Their S(−w) = −w · (H g) is the negative of this
        number, as they remove the largest. Their program has temperature=200 and a batch of ten samples for each class.
    """

    needs_data: ClassVar[bool] = True

    temperature: float = 1.0
    statistics: str = "auto"
    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """The product w · (H g) of each weight."""
        model, data = asked(question)
        temperature, loss = _above_zero("temperature", self.temperature), checked_loss(question.loss)
        with statistics_of_batches(model, self.statistics):
            found = hessian_gradient_products(
                model,
                loss if temperature == 1 else lambda outputs, labels: loss(outputs / temperature, labels),
                data,
                only=list(question.weights),
                live=question.live,
                batch_size=self.batch_size,
            )
        return {name: wide(found[name]) * wide(weight.detach()) for name, weight in question.weights.items()}


@dataclass(frozen=True)
class SynapticFlow(ModelScore):
    """|w| · dR/d|w|, R = 1ᵀ Π |W| 1: what flows through a weight from a network's inputs to its outputs.

    Never negative, and conserved: what flows into a neuron flows out of it, so each layer of a chain has the same sum.
    Small layers have large scores then, and pruned in rounds no layer goes as a whole while others have weights to
    give: `prune_in_rounds(model, score="synflow", …)`. In one shot at high compression it can.

    No data is looked at, but the shape of its first sample where none is given here. See `synaptic_flow` for what batch
    normalisation, recurrent and attention layers become.

    Args:
        shape: of one sample, such as (1, 28, 28).
        biases: as for `synaptic_flow`.
        words: as for `synaptic_flow`; where the data's inputs are real numbers and the shape is theirs, False.

    Raises:
        RequestError: neither shape nor data, no model, or all that `synaptic_flow` refuses.

    Example:
        >>> from torch import nn
        >>> from sparsewire.structure.select import prune
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> _ = model[0].weight.data.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        >>> _ = model[2].weight.data.copy_(torch.tensor([[-10.0, 1.0]]))
        >>> prune(model, score=SynapticFlow((2,)), density=0.5)["0.weight"]      # not the 3, which leads to little
        tensor([[ True,  True],
                [False, False]])

    Reference: Tanaka et al. 2020, section 6 and algorithm 1 (`prune_in_rounds` with 100 rounds); section 4 for the law.
    """

    needs_data: ClassVar[bool] = True

    shape: Sequence[int] | None = None
    biases: bool = False
    words: bool | None = None

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """What flows through each weight."""
        if question.model is None:
            raise RequestError(
                "model: found weights by name, but the score looks at the network; give the model itself"
            )
        shape, words = self.shape, self.words
        if shape is None:
            inputs = self._inputs_of(question.data)
            # Embeddings may be of places, not words.
            shape, words = inputs.shape[1:], False if words is None and inputs.is_floating_point() else words
        return synaptic_flow(question.model, shape, names=list(question.weights), biases=self.biases, words=words)

    def _inputs_of(self, data: Any) -> Tensor:
        if data is None:
            raise RequestError(
                "data: found none, but the score needs the shape of a sample; pass data=(inputs, labels), or "
                "score=SynapticFlow(shape=(1, 28, 28))"
            )
        inputs = next(batches_of(data, 1))[0]
        if not isinstance(inputs, Tensor) or not inputs.dim():
            raise RequestError(
                f"data: found inputs of {type(inputs).__name__}, expected a tensor of samples; pass the shape of one, "
                "score=SynapticFlow(shape=(1, 28, 28))"
            )
        return inputs


@dataclass(frozen=True)
class Fisher(ModelScore):
    """½ w² · mean of g_n², g_n the gradient of the loss of sample n alone: by how much the loss grows without a weight.

    This is `OptimalBrainDamage` with the empirical Fisher information in place of the curvature, which it is near where
    the model explains the data. Batch normalisation uses what it has stored, since batches would mix the samples.

    Args:
        batch_size: samples in a batch; it makes no difference but for memory.

    Raises:
        RequestError: no data, no model, or all that `mean_squared_gradients` refuses.

    Example:
        >>> from torch import nn
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = layer.weight.data.fill_(1.0)
        >>> data = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]])             # g is 2, and −4
        >>> question = Question({"weight": layer.weight}, {}, {}, model=layer, data=data, loss=nn.MSELoss())
        >>> Fisher()(question)["weight"].tolist()
        [[5.0]]

    Reference: Theis et al. 2018, section 2, for single weights; they add up a feature map's gradients before
        they square, while the score of a neuron here is the sum over its weights.
    """

    needs_data: ClassVar[bool] = True

    batch_size: int = BATCH_SIZE

    def __call__(self, question: Question) -> dict[str, Tensor]:
        """½ w² F of each weight."""
        model, data = asked(question)
        names = list(question.weights)
        found = mean_squared_gradients(model, question.loss, data, only=names, batch_size=self.batch_size)
        return {name: found[name] * wide(weight.detach()).square() / 2 for name, weight in question.weights.items()}


def _live(question: Question, name: str, score: Tensor) -> Tensor:
    live = question.live.get(name)
    return score if live is None else torch.where(live.to(score.device), score, 0)


def _above_zero(name: str, number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
        raise RequestError(f"{name}: found {number!r}, expected a number above 0, such as 1 or 200")
    return float(number)
