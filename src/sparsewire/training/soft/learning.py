"""Soft masks are learned by the one loop that trains, `fit`, and end as ordinary masks."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Required, TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.masks import Masks
from sparsewire.structure.selection import Only
from sparsewire.training.batches import Augment, Data
from sparsewire.training.checks import check_optimizer
from sparsewire.training.fused import Loss
from sparsewire.training.history import Evaluation, History
from sparsewire.training.judging import evaluate, place_of
from sparsewire.training.loop import MakeOptimizer, fit
from sparsewire.training.passes import OnEpoch
from sparsewire.training.progress import Report
from sparsewire.training.retraining import Rate, Retraining
from sparsewire.training.soft.contract import SoftMask, described
from sparsewire.training.soft.network import SoftNetwork
from sparsewire.training.state import Checkpoints


class ScoreTraining(TypedDict, total=False):
    """How scores are trained, all but the first two may be left out; `learn_masks` explains them."""

    optimizer: Required[MakeOptimizer]
    epochs: Required[int]
    batch_size: int
    loss: Loss | None
    validation: Data | None
    rate: Rate | None
    clip_norm: float | None
    augment: Augment | None
    progress: bool | Report | None
    on_epoch: OnEpoch | None
    device: torch.device | str | None
    checkpoints: Checkpoints | None


@dataclass(frozen=True, eq=False)
class Supermask:
    """Masks that were learned while the weights stayed.

    Args:
        masks: for every weight that a mask may be about; those that were not asked for keep all.
        scores: weight name → the scores at the end.
        history: of the training of the scores, with the masks at the end.
        judged: the model with the masks applied on the validation data, or None without such data.

    Example:
        >>> print(Supermask(Masks({"weight": torch.tensor([[True, False]])}), {}, History(), Evaluation(0.5, 0.9, 100)))
        Masks(1 weights, 1 of 2 kept, density 0.5): loss 0.5, accuracy 90.00 % of 100
    """

    masks: Masks
    scores: Mapping[str, Tensor]
    history: History
    judged: Evaluation | None

    def __str__(self) -> str:
        return f"{self.masks!r}" + ("" if self.judged is None else f": {self.judged}")


def learn_masks(
    model: nn.Module,
    data: Data,
    method: SoftMask,
    *,
    generator: torch.Generator,
    optimizer: MakeOptimizer,
    epochs: int,
    only: Only | None = None,
    weights: Mapping[str, Tensor] | None = None,
    batch_size: int = 100,
    loss: Loss | None = None,
    validation: Data | None = None,
    rate: Rate | None = None,
    clip_norm: float | None = None,
    augment: Augment | None = None,
    progress: bool | Report | None = None,
    on_epoch: OnEpoch | None = None,
    device: torch.device | str | None = None,
    checkpoints: Checkpoints | None = None,
) -> Supermask:
    """The masks that a method learned for a model whose weights, biases and normalisations are not trained.

    The scores are trained by `fit`, on a `SoftNetwork` around the model. At the end `masks.apply_(model)` makes the
    model the network that was judged. Until then the model is as it was, but for its buffers (running statistics of
    normalisation follow the training), the weights that `weights` gives, and what the method multiplies them by.

    Args:
        model: any module.
        data: as for `fit`.
        method: what the masks are: `TopScores`, `Coins` or one of your own.
        generator: draws the first scores, what the method draws, and the order of the samples.
        optimizer: makes a torch optimizer of a list of parameters, which are the scores.
        epochs: how many times the data is gone through, at least 0.
        only: which weights are masked, as for `prune`, each as a whole; the others stay whole.
        weights: name → the values that masked weights get, at the end in the model too; None: they stay as they are.
        batch_size: as for `fit`.
        loss: as for `fit`.
        validation: data that is judged after every epoch, and at the end.
        rate: the learning rate of each epoch, a function of its number from 0; None: the optimizer's own.
        clip_norm: as for `fit`.
        augment: as for `fit`.
        progress: as for `fit`.
        on_epoch: called with (epoch from 1, the `SoftNetwork`, history so far); True as answer ends the training.
        device: as for `fit`.
        checkpoints: as for `fit`: the same call goes on in the middle of an epoch, to the same bits (but for seconds).

    Raises:
        DivergedError: as for `fit`; the model's weights are then as they were.
        CheckpointError: what lies in `checkpoints` is damaged, or is of another training.
        RequestError: an argument cannot be.

    Example:
        >>> from sparsewire.training.soft.coins import Coins
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(200, 4, generator=source)
        >>> model = nn.Sequential(nn.Linear(4, 4, bias=False))
        >>> _ = nn.init.ones_(model[0].weight)
        >>> found = learn_masks(
        ...     model, (inputs, inputs.argmax(1)), Coins(sampled=False), generator=source, epochs=10,
        ...     optimizer=lambda scores: torch.optim.Adam(scores, lr=0.1),
        ... )
        >>> found.masks["0.weight"].int()
        tensor([[1, 0, 0, 0],
                [0, 1, 0, 0],
                [0, 0, 1, 0],
                [0, 0, 0, 1]], dtype=torch.int32)
    """
    if not isinstance(method, SoftMask):
        raise RequestError(f"method: found {method!r}, expected a soft mask, e.g. soft.Coins()")
    make, order, rates = _checked_maker(optimizer), checked_generator(generator), Retraining(rate=rate)
    if on_epoch is not None and not callable(on_epoch):
        raise RequestError(f"on_epoch: found {on_epoch!r}, expected a function of (epoch, network, history)")
    _checked(model)
    place_of(model, device)
    network = SoftNetwork(model, method, weights=weights, only=only, generator=order)
    maker = make(list(network.scores.parameters()))
    check_optimizer(maker, network)
    if epochs:
        rates.set_rate_(maker, 0)
    history = fit(
        network, data, optimizer=maker, epochs=epochs, batch_size=batch_size, loss=loss, validation=validation,
        generator=order, clip_norm=clip_norm, augment=augment, progress=progress,
        on_epoch=_after_epoch(rates, maker, on_epoch), fused=False, checkpoints=checkpoints,
        stateful={"soft masks": _Same(f"{method} of {described(network.scores_by_name())}")},
    )  # fmt: skip
    masks = network.masks()
    _settle_(model, network, method, masks)
    judged = None
    if validation is not None:
        pruned = masks.apply_(copy.deepcopy(model))
        judged = evaluate(pruned, validation, loss=loss, batch_size=max(batch_size, 1000))
    return Supermask(masks, network.scores_by_name(), History(history.epochs, masks), judged)


@torch.no_grad()
def _settle_(model: nn.Module, network: SoftNetwork, method: SoftMask, masks: Masks) -> None:
    """Gives the model the weights of the network that the masks belong to."""
    own = dict(model.named_parameters())
    for name, values in network.weights_by_name().items():
        own[name].copy_(values * method.factor(masks[name]))


def _after_epoch(
    rates: Retraining, optimizer: Optimizer, on_epoch: OnEpoch | None
) -> Callable[[int, nn.Module, History], object]:
    def after(epoch: int, network: nn.Module, history: History) -> object:
        rates.set_rate_(optimizer, epoch)
        return None if on_epoch is None else on_epoch(epoch, network, history)

    return after


class _Same:
    """What a training that was kept must have in common with the one that goes on from there."""

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def state_dict(self) -> dict[str, Any]:
        return {"setting": self._setting}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["setting"] != self._setting:
            raise ValueError(f"found {state_dict['setting']}, expected {self._setting}")


def _checked(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module, e.g. zoo.mlp((64, 30, 10))")


def _checked_maker(optimizer: Any) -> MakeOptimizer:
    if isinstance(optimizer, Optimizer) or not callable(optimizer):
        raise RequestError(
            f"optimizer: found {type(optimizer).__name__}, expected a function that makes one of a list of scores; "
            "e.g. lambda scores: torch.optim.SGD(scores, lr=0.1, momentum=0.9)"
        )
    maker: MakeOptimizer = optimizer
    return maker
