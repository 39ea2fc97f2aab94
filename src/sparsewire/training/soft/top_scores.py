"""Edge-popup: of each layer the weights with the highest learned scores are kept, a fixed number of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, Unpack, get_args

import torch
from torch import Tensor, nn

from sparsewire.errors import DivergedError, RequestError
from sparsewire.kernels.top_k import keep_top
from sparsewire.structure.allocation import Layer, Scope, budgets, checked_density, count_of
from sparsewire.structure.selection import Only
from sparsewire.training.batches import Data
from sparsewire.training.soft.contract import SoftMask, drawn_uniformly, straight_through
from sparsewire.training.soft.learning import ScoreTraining, Supermask, learn_masks
from sparsewire.training.soft.network import whole_weights
from sparsewire.training.soft.untrained_weights import Init, fan_in, untrained

By: TypeAlias = Literal["magnitude", "value"]
_SCOPES = ("uniform", "uniform_amount", "erk")  # those that ask nothing about scores, so that the counts stay


@dataclass(frozen=True)
class TopScores(SoftMask):
    """m = 1 where a score is among the highest `count` of its layer, with the gradient straight through.

        forward: w̃ = w ⊙ [|s| among the top k]        backward: ds = dL/dw̃ ⊙ w ⊙ sign(s), also where m = 0

    Of equal scores the one with the lower index is kept, so the count is exact at every step.

    Args:
        counts: weight name → how many of it are kept.
        by: "magnitude" ranks |s|, "value" ranks s, and its gradient has no sign(s).

    Raises:
        RequestError: `by` is neither.

    Example:
        >>> TopScores({"weight": 1}).decide("weight", torch.tensor([0.2, -0.9]), torch.Generator())
        tensor([False,  True])
    """

    counts: Mapping[str, int]
    by: By = "magnitude"

    def __post_init__(self) -> None:
        if not isinstance(self.by, str) or self.by not in get_args(By):
            raise RequestError(f"by: found {self.by!r}, expected 'magnitude' or 'value' of the scores")

    def begin(self, name: str, weight: Tensor, generator: torch.Generator) -> Tensor:
        """From U(−b, b), b = 1 / √fan_in."""
        return (2 * drawn_uniformly(weight, generator) - 1) / math.sqrt(fan_in(weight))

    def soften(self, name: str, weight: Tensor, scores: Tensor, generator: torch.Generator) -> Tensor:
        """The weights of the highest scores, straight through."""
        ranked = self._ranked(scores)
        return straight_through(ranked, weight, self._highest(name, ranked))

    def decide(self, name: str, scores: Tensor, generator: torch.Generator) -> Tensor:
        """The highest."""
        return self._highest(name, self._ranked(scores))

    def _ranked(self, scores: Tensor) -> Tensor:
        return scores.abs() if self.by == "magnitude" else scores

    def _highest(self, name: str, ranked: Tensor) -> Tensor:
        try:
            return keep_top(ranked, self.counts[name])
        except RequestError as cause:
            if not bool(ranked.isnan().any()):
                raise
            raise DivergedError(
                f"training diverged: a score of {name!r} is no number any more. Lower the learning rate, or clip the "
                "gradients (clip_norm=1.0)"
            ) from cause


def edge_popup(
    model: nn.Module,
    data: Data,
    *,
    density: float,
    generator: torch.Generator,
    scope: Scope = "uniform",
    by: By = "magnitude",
    init: Init = "given",
    scaled: bool = False,
    only: Only | None = None,
    **training: Unpack[ScoreTraining],
) -> Supermask:
    """A good subnetwork of a network that is never trained, found by learning which weights to keep.

    Each layer keeps the weights of the highest scores, always as many as its density says; the scores go down the
    gradient as if the masks were the scores (`TopScores`). At the end `masks.apply_(model)` is the network that was
    judged.

    Args:
        model: any module; nothing in it is trained, biases and normalisations neither (the paper's networks have no
            biases, and normalise without learned factors). See `learn_masks`.
        data: as for `fit`.
        density: the fraction of the weights that is kept.
        generator: draws the first scores and the order of the samples.
        scope: how much of each layer: "uniform" (the same fraction), "uniform_amount", "erk", as for `prune`; or a
            mapping from names to the density of each such layer, `density` being that of each other one.
        by: what is ranked: "magnitude" of the scores, as in their program, or their "value", as in the paper.
        init: what the weights are: "given", as they are; "signed_constant", their signs times √(2 / fan_in). With the
            latter or `scaled` the model has the new weights at the end.
        scaled: whether the weights are multiplied by 1 / √(density of the layer).
        only: which weights are masked, as for `prune`, each as a whole; the others stay whole.
        training: as for `learn_masks`: `optimizer` and `epochs`, and if wanted `batch_size`, `loss`, `validation`,
            `rate`, `clip_norm`, `augment`, `progress`, `on_epoch`, `device`, `checkpoints`.

    Raises:
        DivergedError: a loss or a score is not finite; the weights are then as they were.
        CheckpointError: what lies in `checkpoints` is damaged, or is of another training.
        RequestError: an argument cannot be.

    Example:
        >>> from sparsewire.models.zoo import mlp
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(200, 4, generator=source)
        >>> data, model = (inputs, inputs.argmax(1)), mlp((4, 64, 4), generator=source)
        >>> found = edge_popup(
        ...     model, data, density=0.5, generator=source, init="signed_constant", epochs=20, batch_size=20,
        ...     optimizer=lambda scores: torch.optim.Adam(scores, lr=0.01), validation=data,
        ... )
        >>> found.masks.densities(), found.judged.accuracy > 0.8
        ({'0.weight': 0.5, '2.weight': 0.5}, True)

    Reference: Ramanujan, Wortsman, Kembhavi, Farhadi and Rastegari 2020, section 3. They round the count of each layer
        down and share no remainder between layers; their experiments anneal a rate of 0.1 by a cosine, with momentum
        0.9, over 100 epochs.
    """
    if not isinstance(scaled, bool):
        raise RequestError(f"scaled: found {scaled!r}, expected True or False")
    weights = whole_weights(model, only)
    counts = kept_counts(weights, density, scope)
    densities = {name: counts[name] / max(weight.numel(), 1) for name, weight in weights.items()}
    new = untrained(weights, init, densities if scaled else None)
    method = TopScores(counts, by)
    return learn_masks(model, data, method, generator=generator, only=only, weights=new, **training)


def kept_counts(weights: Mapping[str, Tensor], density: float, scope: Scope = "uniform") -> dict[str, int]:
    """How many weights of each layer are kept, whatever their scores: exact in total, as `prune` would.

    Args:
        weights: name → weight.
        density: the kept fraction.
        scope: see `edge_popup`.

    Raises:
        RequestError: a density that is none, or a scope that depends on scores.

    Example:
        >>> kept_counts({"a": torch.zeros(4, 5), "b": torch.zeros(2, 5)}, 0.5, {"a": 0.1})
        {'a': 2, 'b': 5}
    """
    fraction = checked_density(density)
    if isinstance(scope, str) and scope not in _SCOPES:
        raise RequestError(f"scope: found {scope!r}, expected one of {', '.join(_SCOPES)}, or a mapping name → density")
    counts: dict[str, int] = {}
    for budget in budgets(scope, list(weights), fraction):
        layers = {name: _layer(weights[name].detach()) for name in budget.names}
        counts |= budget.allocate(layers, count_of(budget.density, sum(layer.room for layer in layers.values())))
    return counts


def _layer(weight: Tensor) -> Layer:
    return Layer(weight, torch.ones_like(weight, dtype=torch.bool), torch.zeros_like(weight), weight.numel())
