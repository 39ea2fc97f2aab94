"""Zhou's supermasks: each weight has a coin, and its bias is what is learned."""

import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.selection import Only
from sparsewire.training.batches import Data
from sparsewire.training.soft.contract import SoftMask, drawn_uniformly, straight_through
from sparsewire.training.soft.learning import ScoreTraining, Supermask, learn_masks
from sparsewire.training.soft.network import whole_weights
from sparsewire.training.soft.untrained_weights import Init, untrained


@dataclass(frozen=True)
class Coins(SoftMask):
    """Each weight is kept with a probability p = σ(s), of which the score s is learned.

        sampled:  w̃ = c w ⊙ m,  m ~ Bernoulli(p) anew at every step,  c = n / Σ m,  ds = dL/dw̃ ⊙ c w ⊙ p (1 − p)
        expected: w̃ = c w ⊙ p,  c = n / Σ p

    n is the number of weights of the layer; c, which keeps its scale while the mask thins out, is a constant for the
    gradient, and 1 without rescaling. A mask that keeps nothing has c = n.

    Args:
        sampled: whether a step computes with a mask that is drawn; else with the expectation of all.
        draw: whether the final mask is drawn, as in a step; else it keeps what has p > 1/2.
        rescale: whether there is c, in the final network too.
        start: the score that all weights start from; 0: p = 1/2.

    Raises:
        RequestError: an argument cannot be.

    Example:
        >>> Coins().decide("weight", torch.tensor([-1.0, 0.0, 1.0]), torch.Generator())
        tensor([False, False,  True])
    """

    sampled: bool = True
    draw: bool = False
    rescale: bool = True
    start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("sampled", "draw", "rescale"):
            if not isinstance(getattr(self, name), bool):
                raise RequestError(f"{name}: found {getattr(self, name)!r}, expected True or False")
        is_number = isinstance(self.start, int | float) and not isinstance(self.start, bool)
        if not is_number or not math.isfinite(self.start):
            raise RequestError(f"start: found {self.start!r}, expected a finite score, e.g. 0.0 for a probability of ½")

    def begin(self, name: str, weight: Tensor, generator: torch.Generator) -> Tensor:
        """`start` everywhere."""
        return torch.full_like(weight, self.start, dtype=torch.promote_types(weight.dtype, torch.float32))

    def soften(self, name: str, weight: Tensor, scores: Tensor, generator: torch.Generator) -> Tensor:
        """The weights under a drawn mask, straight through, or those that are expected."""
        chances = scores.sigmoid()
        if not self.sampled:
            shares = chances.to(weight.dtype)
            return self._rescaled(weight, shares.detach().sum()) * shares
        mask = drawn_uniformly(weight, generator) < chances.detach()
        return straight_through(chances, self._rescaled(weight, mask.sum()), mask)

    def decide(self, name: str, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Where p > 1/2, or drawn."""
        return drawn_uniformly(scores, generator) < scores.sigmoid() if self.draw else scores > 0

    def factor(self, mask: Tensor) -> float:
        """All / kept, or 1."""
        return mask.numel() / max(int(mask.count_nonzero()), 1) if self.rescale else 1.0

    def _rescaled(self, weight: Tensor, kept: Tensor) -> Tensor:
        return weight * (weight.numel() / kept.clamp(min=1)).to(weight.dtype) if self.rescale else weight


def zhou(
    model: nn.Module,
    data: Data,
    *,
    generator: torch.Generator,
    sampled: bool = True,
    draw: bool = False,
    rescale: bool = True,
    start: float = 0.0,
    init: Init = "given",
    only: Only | None = None,
    **training: Unpack[ScoreTraining],
) -> Supermask:
    """A good subnetwork of a network that is never trained, found by learning how probable each weight is.

    How many weights are kept is not asked for but learned (`Coins`). At the end `masks.apply_(model)` is the network
    that was judged; with `rescale` the model's weights have been multiplied, layer by layer, by all / kept.

    Args:
        model: any module; nothing in it is trained. See `learn_masks`.
        data: as for `fit`.
        generator: draws the masks and the order of the samples.
        sampled: whether each step draws its masks; else it takes the expected weights.
        draw: whether the final masks are drawn; else they keep what has a probability of more than 1/2. At the first
            scores of 0 that is nothing.
        rescale: whether kept weights are multiplied by all / kept of their layer.
        start: the score that all weights start from.
        init: what the weights are: "given", as they are; "signed_constant", their signs times √(2 / fan_in).
        only: which weights are masked, as for `prune`, each as a whole; the others stay whole.
        training: as for `learn_masks`: `optimizer` and `epochs`, and if wanted `batch_size`, `loss`, `validation`,
            `rate`, `clip_norm`, `augment`, `progress`, `on_epoch`, `device`, `checkpoints`. Gradients of the scores
            are small: the paper's SGD has a rate of 20 and more, where Adam's 0.1 does.

    Raises:
        DivergedError: a loss or a score is not finite; the weights are then as they were.
        CheckpointError: what lies in `checkpoints` is damaged, or is of another training.
        RequestError: an argument cannot be.

    Example:
        >>> from sparsewire.models.zoo import mlp
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(200, 4, generator=source)
        >>> data, model = (inputs, inputs.argmax(1)), mlp((4, 64, 4), generator=source)
        >>> found = zhou(model, data, generator=source, init="signed_constant", epochs=20, batch_size=20,
        ...              optimizer=lambda scores: torch.optim.Adam(scores, lr=0.1), validation=data)
        >>> 0.2 < found.masks.density < 0.8, found.judged.accuracy > 0.8
        (True, True)

    Reference: Zhou, Lan, Liu and Yosinski 2019, section 5. They judge the mean of several drawn masks; here one mask is
        the result, so that it can be kept.
    """
    new = untrained(whole_weights(model, only), init)
    method = Coins(sampled, draw, rescale, start)
    return learn_masks(model, data, method, generator=generator, only=only, weights=new, **training)
