"""Linear filter ensembles: what each unit of a layer does for the loss, from networks that use only some of them."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.evidence.ensemble_losses import BUDGET, ensemble_losses
from sparsewire.structure.evidence.mean_loss import Data, Loss
from sparsewire.structure.evidence.minimum_norm import minimum_norm
from sparsewire.structure.evidence.unit_chain import unit_layer
from sparsewire.structure.evidence.unit_masks import Draw, unit_masks

Form = Literal["negative", "exponential"]
FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "negative": torch.neg,
    # The largest score is 1 whatever the loss: a factor changes no order.
    "exponential": lambda losses: torch.exp(losses.min() - losses),
}


def linear_filter_ensembles(
    model: nn.Module,
    layer: str,
    data: Data,
    ensembles: int = 1000,
    *,
    generator: torch.Generator,
    loss: Loss | None = None,
    share: float = 0.5,
    draw: Draw = "count",
    form: Form | Callable[[Tensor], Tensor] = "negative",
    centred: bool = True,
    budget: int = BUDGET,
) -> Tensor:
    """One score for each unit of a layer: what it adds to the score of the networks that use it; higher = keep.

    Ensembles are random masks z of the layer's units. The loss l of the network under each of them is found
    (`ensemble_losses`), turned into a score s, and

        θ = argmin ‖s − Z θ‖₂,   the shortest one if there are several

    is what the units are worth. Four things decide how well. The numbers are accuracies of LeNet-300-100 on MNIST at
    35 % of its weights, measured with two seeds by `dense_supermask`; the defaults have 45 and 41 %:

    - **Centring.** The model s = Z θ has no intercept. Masks with a fixed number of ones need none; with
      draw="bernoulli" and `centred=False`, θ explains the mean loss by the number of units (16 and 23 %).
    - **Ensembles.** At least three for each unit; with fewer, θ follows chance (42 and 32 % with 300 for 300 units).
    - **Samples.** A thousand; with 200 the units are chosen that suit those (34 and 22 %). Never those of the test.
    - **Share.** More than half of the units on is nearer to the network that is left after removing few, and no
      better at 35 % (45 and 38 % at 0.9).

    Args:
        model: a chain as for `unit_layers`, on any device: dense layers and convolutions, of which channels are the
            units; evaluated in eval mode, left as it is.
        layer: the name of one of its layers but the last, or of the layer's weight.
        data: (inputs, labels) tensors, or an iterable of such batches.
        ensembles: how many masks.
        generator: draws the masks.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        share: of units that are on, between 0 and 1.
        draw: "count", "pairs" or "bernoulli", see `unit_masks`; pairs cost half.
        form: "negative": s = −l; "exponential": s = exp(−l); or a function of all losses that gives all scores.
        centred: subtracts means from s and Z first; False is the equation as the paper has it.
        budget: bytes that activations may take at a time, see `ensemble_losses`.

    Returns:
        float64 (units,), on the model's device.

    Raises:
        RequestError: a model, data, a loss or a number that is none, or losses or scores that are not finite.
        UnknownNameError: no such layer, form or way to draw.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
        >>> _ = model[0].weight.data.fill_(1.0), model[2].weight.data.zero_()
        >>> _ = model[2].weight.data[0].copy_(torch.tensor([3.0, 1.0, 0.0, -1.0]))
        >>> data = torch.ones(8, 1), torch.zeros(8, dtype=torch.int64)      # class 0 wants its weights large
        >>> scores = linear_filter_ensembles(model, "0", data, 50, generator=torch.Generator().manual_seed(0))
        >>> scores.argsort(descending=True)
        tensor([0, 1, 2, 3])

    Reference: Sándor, Pável and Csató 2020 (arXiv:2001.08142), as used by Sándor 2020, "Finding dense supermasks in
        randomly initialized neural networks", section 2. They name neither the number and kind of masks nor the score
        nor the data; the defaults reach what they report.
    """
    chain = unit_layer(model, layer)
    rank = FORMS.get(form) if isinstance(form, str) else form
    if rank is None or not callable(rank):
        raise UnknownNameError("form of scores", str(form), FORMS)
    masks = unit_masks(chain.units, ensembles, generator=generator, share=share, draw=draw)
    losses = ensemble_losses(model, layer, masks, data, loss=loss, budget=budget)
    scores = rank(losses)
    if not isinstance(scores, Tensor) or scores.shape != losses.shape or not bool(scores.isfinite().all()):
        raise RequestError(f"form: found {form!r}, expected a finite score for each of the {len(losses)} losses")
    return minimum_norm(masks.to(losses.device), scores, centred=centred)
