"""Training many networks on the same data, side by side."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.training.batches import Data, feed
from sparsewire.training.checks import check_model, check_settings
from sparsewire.training.epochs import Course, all_epochs, run_together
from sparsewire.training.fused import Loss
from sparsewire.training.history import History
from sparsewire.training.judging import place_of
from sparsewire.training.loop import MakeOptimizer, optimizer_of
from sparsewire.training.rule_contract import Move, Rule
from sparsewire.training.state import Checkpoints

_T = TypeVar("_T")


def replicate(
    models: Sequence[nn.Module],
    data: Data,
    *,
    optimizer: MakeOptimizer | Sequence[Optimizer | MakeOptimizer],
    epochs: int,
    batch_size: int = 100,
    loss: Loss | None = None,
    masks: Sequence[Masks | None] | None = None,
    rules: Sequence[Rule | Move | None] | None = None,
    validation: Data | None = None,
    generators: Sequence[torch.Generator | None] | None = None,
    clip_norm: float | None = None,
    fused: bool | None = None,
    checkpoints: Sequence[Checkpoints | None] | None = None,
) -> list[History]:
    """Trains every model as `fit` would by itself, to the same bits, and tells how it went, model by model.

    Networks that take the native whole-network step are trained side by side, one on each of torch's threads, epoch by
    epoch; the others one after another.

    Args:
        models: no two of them sharing a parameter.
        data: as for `fit`; not an iterator, which could be gone through only once.
        optimizer: a function that makes an optimizer of a model's parameters; or for each model one, or a function.
        epochs: as for `fit`.
        batch_size: as for `fit`.
        loss: as for `fit`.
        masks: for each model those that it has, or None.
        rules: for each model how its masks move, or None; a rule that remembers something must not be shared.
        validation: as for `fit`.
        generators: for each model what draws the order of its samples, or None for one with seed 0.
        clip_norm: as for `fit`.
        fused: as for `fit`.
        checkpoints: for each model where its training is kept, or None. After a crash those that are left may be
            trained in other company, or alone.

    Returns:
        The histories; the seconds in them are those of all networks that were trained side by side.

    Raises:
        DivergedError: as for `fit`; a note says which model it was. The others have been trained as far as it, or an
            epoch further.
        RequestError: an argument cannot be, or there is not one of it for each model.

    Example:
        >>> from sparsewire.models.zoo import mlp
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(40, 4, generator=source)
        >>> models = [mlp((4, 8, 4), generator=source) for _ in range(3)]
        >>> histories = replicate(models, (inputs, inputs.argmax(1)), optimizer=torch.optim.Adam, epochs=2)
        >>> [history.steps for history in histories]
        [2, 2, 2]
    """
    count, passes = len(models), whole("epochs", epochs, least=0)
    makers: list[Optimizer | MakeOptimizer] = (
        [optimizer] * count if callable(optimizer) else _each("optimizer", optimizer, count)
    )
    none = [None] * count
    own_masks = _each("masks", none if masks is None else masks, count)
    own_rules = _each("rules", none if rules is None else rules, count)
    orders = _each("generators", none if generators is None else generators, count)
    folders = _each("checkpoints", none if checkpoints is None else checkpoints, count)
    _check_apart(models, generators=orders, checkpoints=folders, optimizer=[o for o in makers if not callable(o)])
    trainings = []
    for model, make, mask, rule, order, folder in zip(
        models, makers, own_masks, own_rules, orders, folders, strict=True
    ):
        check_settings(loss, clip_norm, order)
        course = Course(
            model,
            optimizer_of(make, model, mask, rule),
            feed(data, batch_size),
            torch.Generator().manual_seed(0) if order is None else order,
            loss,
            clip_norm,
            fused=fused,
            place=place_of(model, None),
            validation=validation,
            many=max(batch_size, 1000),
            checkpoints=folder,
        )
        trainings.append(all_epochs(course, passes))
    return run_together(trainings, torch.get_num_threads())


def _each(name: str, given: Sequence[_T], count: int) -> list[_T]:
    if not isinstance(given, list | tuple) or len(given) != count:
        found = f"{len(given)}" if isinstance(given, list | tuple) else type(given).__name__
        raise RequestError(f"{name}: found {found}, expected a list with one for each of the {count} models")
    return list(given)


def _check_apart(models: Sequence[nn.Module], **apart: Sequence[object]) -> None:
    """Two that share weights, or draw in turns from one generator, would not end where each ends by itself."""
    owner: dict[int, int] = {}
    for number, model in enumerate(models):
        check_model(model)
        for parameter in model.parameters():
            if owner.setdefault(id(parameter), number) != number:
                raise RequestError(f"models: found a parameter that models {owner[id(parameter)]} and {number} share")
    for name, given in apart.items():
        present = [id(one) for one in given if one is not None]
        if len(set(present)) < len(present):
            raise RequestError(f"{name}: found one that two models share, expected one for each")
