"""Rewinding: after a pruning the weights that are left, or the learning rate alone, go back to an earlier moment."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole
from sparsewire.structure.sparse_weights import sparse_weights

# None; "rate"; "start"; an epoch of the first training; "step 500" of it; or weights by name.
Rewind: TypeAlias = str | int | Mapping[str, Tensor] | None


class Kept(NamedTuple):
    """Weights of an earlier moment, and which epoch came next.

    Args:
        weights: parameters and buffers by name, those of sparse layers as matrices.
        epoch: the number of the epoch in which that was, from 0: learning rates go on from it.
    """

    weights: Mapping[str, Tensor]
    epoch: int


class Target(NamedTuple):
    """Where a loop rewinds to.

    Args:
        unit: "epoch" or "step" of the first training; "rate": no weights, the learning rate alone.
        number: how many of them are done at that moment.
    """

    unit: Literal["epoch", "step", "rate"]
    number: int = 0


def target_of(rewind: Rewind, first: int, steps: int | None) -> Target | Kept | None:
    """What a request to rewind means.

    Args:
        rewind: as for `iterate`.
        first: how many epochs the first training has.
        steps: how many steps an epoch has, if that is known.

    Raises:
        RequestError: it means nothing, or a moment that the first training has not.

    Example:
        >>> target_of("start", 10, None), target_of("step 500", 10, 100)
        (Target(unit='epoch', number=0), Target(unit='step', number=500))
    """
    if rewind is None or rewind == "rate":
        return None if rewind is None else Target("rate")
    if isinstance(rewind, Mapping):
        return Kept(_checked_weights(rewind), 0)
    if rewind == "start":
        return Target("epoch", 0)
    if isinstance(rewind, str) and (step := re.fullmatch(r"step ([0-9]+)", rewind)):
        number = int(step[1])
        if steps is None:
            raise RequestError(f"rewind: found {rewind!r}, but data of which nobody knows how many steps an epoch has")
        if number > first * steps:
            raise RequestError(
                f"rewind: found {rewind!r}, but the first training has {first} epochs of {steps} steps; "
                f"give it first={-(-number // steps)} or more"
            )
        return Target("step", number)
    if isinstance(rewind, str):
        raise RequestError(
            f"rewind: found {rewind!r}, expected 'start', a number of epochs, 'step 500', 'rate', or weights by name"
        )
    epoch = whole("rewind", rewind, least=0)
    if epoch > first:
        raise RequestError(
            f"rewind: found epoch {epoch}, but the first training has {first}; give it first={epoch} or more, "
            "or the weights themselves: rewind=kept_weights(model)"
        )
    return Target("epoch", epoch)


@torch.no_grad()
def kept_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers by name, to which `rewind_` can take the model back.

    Weights of sparse layers are kept as matrices with zeros, so that their masks may move meanwhile.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> sorted(kept_weights(model))
        ['bias', 'weight']
    """
    sparse = sparse_weights(model)
    kept = {name: (sparse[name].dense() if name in sparse else one).clone() for name, one in model.named_parameters()}
    return kept | {name: one.clone() for name, one in _buffers(model).items()}


@torch.no_grad()
def rewind_(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    """Takes the weights and buffers back to those that were kept, in place; returns the model.

    A sparse layer keeps its structure and gets the numbers that were kept at these places. Masks of dense layers are
    for `Masks.apply_`, or for the `SparseOptimizer` that trains next.

    Args:
        model: that they were kept of, or one like it.
        kept: from `kept_weights`, or a state dict; what is not named stays as it is.

    Raises:
        RequestError: a name that the model lacks, or another shape; then nothing was changed.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> kept = kept_weights(model)
        >>> _ = model.weight.data.zero_()
        >>> torch.equal(rewind_(model, kept).weight, kept["weight"])
        True

    Reference: Frankle, Dziugaite, Roy and Carbin 2020, section 2 (rewinding to an early step).
    """
    sparse = sparse_weights(model)
    places: dict[str, Tensor] = {**dict(model.named_parameters(remove_duplicate=False)), **_buffers(model)}
    numbers: dict[str, Tensor] = {}
    for name, tensor in kept.items():
        if name not in places:
            raise UnknownNameError("parameter or buffer of the model", name, places)
        shape = sparse[name].shape if name in sparse else tuple(places[name].shape)
        if tuple(tensor.shape) != shape:
            raise RequestError(f"rewind: {name!r} has shape {tuple(tensor.shape)}, expected {shape}, that of the model")
        numbers[name] = tensor.to(places[name].device)
    for name, tensor in numbers.items():
        places[name].copy_(sparse[name].values_of(tensor) if name in sparse else tensor)
    return model


class Keeper:
    """Keeps a model's weights at one moment of its training.

    Args:
        model: that is trained.
        target: the moment.

    Example:
        >>> keeper = Keeper(nn.Linear(2, 1), Target("step", 3))
        >>> keeper.after_step(1, 2, 2, 0.5)
        >>> keeper.kept is None
        True
        >>> keeper.after_step(2, 1, 2, 0.5)
        >>> keeper.kept.epoch
        1
    """

    def __init__(self, model: nn.Module, target: Target) -> None:
        self._model, self._target, self._steps = model, target, 0
        self.kept = Kept(kept_weights(model), 0) if target.number == 0 else None

    @property
    def counts_steps(self) -> bool:
        """Whether it has to see every step, which keeps a training from doing whole epochs at once."""
        return self._target.unit == "step" and self.kept is None

    def after_step(self, epoch: int, step: int, steps: int | None, loss: float) -> None:
        """As `fit` reports its progress."""
        number = step if steps is None else (epoch - 1) * steps + step
        if self.counts_steps and number == self._target.number:
            self.kept = Kept(kept_weights(self._model), epoch if step == steps else epoch - 1)

    def after_epoch(self, epoch: int) -> None:
        """Once so many epochs are done."""
        if self._target == Target("epoch", epoch) and self.kept is None:
            self.kept = Kept(kept_weights(self._model), epoch)


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    """Those that carry numbers of the training; a sparse layer's own say its structure, which is not rewound."""
    own = {f"{home}.{name}".lstrip(".") for home, module in model.named_modules() for name in _structure(module)}
    return {name: buffer for name, buffer in model.named_buffers() if name not in own}


def _structure(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_buffers(recurse=False)] if hasattr(module, "junctions") else []


def _checked_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor):
            raise RequestError(f"rewind: found {type(tensor).__name__} for {name!r}, expected a tensor")
    if not weights:
        raise RequestError("rewind: found no weights; give those that kept_weights(model) gives")
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
