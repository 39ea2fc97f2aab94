"""iterate: prune, retrain, and again; with rewinding, rules that end it, and the unpruned control beside it."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from sparsewire.errors import RequestError
from sparsewire.execution.kept_masks import masks_left
from sparsewire.structure.allocation import Scope
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Pattern
from sparsewire.structure.score_buckets import buckets
from sparsewire.structure.scores import Score
from sparsewire.structure.select import Only
from sparsewire.training.batches import Augment, Data, feed
from sparsewire.training.checks import check_model, check_settings
from sparsewire.training.densities import Densities, checked_densities
from sparsewire.training.fused import Loss
from sparsewire.training.iterations import Iterations
from sparsewire.training.loop import MakeOptimizer
from sparsewire.training.phases import Setting
from sparsewire.training.pruning_loop import Loop, OnStep, Pruning
from sparsewire.training.retraining import Retraining
from sparsewire.training.rewinding import Rewind, target_of
from sparsewire.training.state import Checkpoints
from sparsewire.training.stop_rules import StopRule, checked_stop_rules

_TWO_EPOCHS = Retraining()


def iterate(
    model: nn.Module,
    data: Data,
    *,
    densities: Densities,
    optimizer: MakeOptimizer,
    retrain: Retraining = _TWO_EPOCHS,
    score: Score = "magnitude",
    scope: Scope = "blind",
    pattern: Pattern | str | None = None,
    only: Only | None = None,
    evidence: Any = None,
    masks: Masks | None = None,
    rewind: Rewind = None,
    first: int = 0,
    control: bool = True,
    steps: int | None = None,
    stop: StopRule | Iterable[StopRule] | None = None,
    validation: Data | None = None,
    batch_size: int = 100,
    loss: Loss | None = None,
    generator: torch.Generator | None = None,
    clip_norm: float | None = None,
    augment: Augment | None = None,
    sparse: bool | Literal["sparse"] = False,
    fused: bool | None = None,
    on_step: OnStep | None = None,
    checkpoints: Checkpoints | None = None,
) -> Iterations:
    """Prunes and retrains the model in place, step by step, and tells how it went, with an unpruned control.

    A step prunes to the next density; judges; rewinds, if it is to; retrains; and gives the control the same: as many
    epochs, the same batches in the same order, the same learning rates, the same rewinding. The control is a copy from
    before the first pruning, so what pruning costs, or gains, is the difference to it and not to where both began.

    Args:
        model: any module, most often a trained one.
        data: to retrain with, as for `fit`.
        densities: what `prune` is asked for at each step: numbers that do not grow, a schedule of
            `structure.schedules` (to its end), `schedules.buckets`, a function of the step from 0, or of the step and
            the `Iterations` so far, None ending the loop; or one number for a single step.
        optimizer: makes a torch optimizer of a list of parameters; the control gets one of its own.
        retrain: for how long, with which rates and memory.
        score: as for `prune`.
        scope: as for `prune`.
        pattern: as for `prune`; not with buckets.
        only: as for `prune`.
        evidence: data that the score looks at; None: `data`. Of a Dataset it gets the batches.
        masks: what exists at the start, of the control too; None: all, but for what `sparsify` left out.
        rewind: where what is left goes after each pruning. None: it trains on. "start": to the weights that the model
            has now; a number: to those after so many epochs of the first training; "step 500": after so many of its
            steps; or weights by name, see `rewinding.kept_weights`. "rate": the weights stay, and the learning rate
            begins anew. The count of epochs for `retrain.rate` goes back to that moment ("rate" and weights by name: to
            0), and the optimizer is made afresh.
        first: how many epochs the model is trained before the first pruning.
        control: whether there is a control; it doubles the training time.
        steps: how many steps at most.
        stop: rules that end the loop after a step: of `training.stop_rules`, or functions of the `Iterations` so far.
        validation: what the accuracies are of; None: `data`.
        batch_size: as for `fit`.
        loss: as for `fit`; handed to the score too.
        generator: draws the order of the samples and what the score draws; None: one with seed 0.
        clip_norm: as for `fit`.
        augment: as for `fit`.
        sparse: True: retrains with sparse layers where a plan, measured at every step, says that they are faster;
            "sparse": wherever there can be one. The model itself stays dense.
        fused: as for `fit`.
        on_step: called with (model, the Iterations so far) after every step; after a kill not again for those before
            it, but for the last of them where nothing was kept since.
        checkpoints: as for `fit`: the same call goes on in the middle of an epoch, to the same bits (but for seconds).

    Returns:
        A frozen table of the steps; `best` chooses from it.

    Raises:
        DivergedError: as for `fit`.
        CheckpointError: what lies in `checkpoints` is damaged, or is of something else.
        RequestError: an argument cannot be, or the loop would never end.

    Example:
        >>> from sparsewire.models.zoo import mlp
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(200, 4, generator=source)
        >>> done = iterate(
        ...     mlp((4, 32, 4), generator=source), (inputs, inputs.argmax(1)), densities=[0.5, 0.25, 0.1],
        ...     optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01), first=10, batch_size=10,
        ... )
        >>> [(one.left, one.epochs) for one in done], done.accuracies[0] > 0.8 < done.control_accuracies[0]
        ([(128, 2), (64, 2), (26, 2)], True)

    Reference: Han et al. 2015 (prune and retrain); Frankle and Carbin 2019, section 2 (rewinding to the start);
    Frankle, Dziugaite, Roy and Carbin 2020 (to an early step); Renda, Frankle and Carbin 2020 (the learning rate
    alone); Stier, Darji and Granitzer 2021, section 4.1, who compare to the network before, without a control.
    """
    check_model(model)
    check_settings(loss, clip_norm, generator, augment)
    begin, most = whole("first", first, least=0), None if steps is None else whole("steps", steps, least=1)
    if isinstance(optimizer, torch.optim.Optimizer) or not callable(optimizer):
        raise RequestError(
            f"optimizer: found {type(optimizer).__name__}, expected a function that makes one of a list of parameters, "
            "as the control needs its own; e.g. lambda parameters: torch.optim.SGD(parameters, lr=0.01)"
        )
    _check_choices(retrain, rewind, control, sparse, on_step, densities, pattern)
    rules = checked_stop_rules(stop)
    pruning = Pruning(
        checked_densities(densities, has_end=most is not None or bool(rules)),
        score, scope, pattern, only, _evidence(data if evidence is None else evidence, batch_size), most, rules, sparse,
    )  # fmt: skip
    setting = Setting(data, optimizer, retrain, batch_size, loss, validation, clip_norm, augment, fused)
    target = target_of(rewind, begin, feed(data, batch_size).steps)
    order = torch.Generator().manual_seed(0) if generator is None else generator
    kept = (masks_left(model) or None) if masks is None else Masks(masks)
    return Loop(model, setting, pruning, target, kept, order, control, checkpoints, on_step).run(begin)


def _evidence(data: Any, batch_size: int) -> Any:
    """What scores can go through: of a Dataset the batches; everything else as it is."""
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset):
        return data
    return DataLoader(data, batch_size=batch_size, generator=torch.Generator())  # else it draws from the global seed


def _check_choices(
    retrain: Any, rewind: Any, control: Any, sparse: Any, on_step: Any, densities: Any, pattern: Any
) -> None:
    if not isinstance(retrain, Retraining):
        raise RequestError(f"retrain: found {retrain!r}, expected Retraining(epochs=2)")
    if isinstance(rewind, str) and rewind == "rate" and retrain.rate is None:
        raise RequestError(
            "rewind: found 'rate', but retrain has no rule of learning rates that could begin anew; give it one: "
            "Retraining(rate=lambda epoch: 0.1 * 0.9**epoch)"
        )
    if not isinstance(control, bool):
        raise RequestError(f"control: found {control!r}, expected True or False")
    if not (isinstance(sparse, bool) or sparse == "sparse"):
        raise RequestError(f"sparse: found {sparse!r}, expected True, False or 'sparse'")
    if sparse and rewind is None and not retrain.fresh:
        raise RequestError(
            "sparse: sparse layers are made anew after every pruning, and no optimizer can be kept for them; "
            "say retrain=Retraining(fresh=True)"
        )
    if not (on_step is None or callable(on_step)):
        raise RequestError(f"on_step: found {on_step!r}, expected a function of (model, Iterations)")
    if isinstance(densities, buckets) and pattern is not None:
        raise RequestError(f"pattern: found {pattern!r}, but a bucket is filled with single weights; leave it out")
