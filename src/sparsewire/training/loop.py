"""fit: the one loop that trains."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer

from sparsewire.errors import RequestError
from sparsewire.execution.kept_masks import masks_left
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.training.batches import Augment, Data, augmented, feed
from sparsewire.training.checks import check_model, check_optimizer, check_settings
from sparsewire.training.epochs import Course, OnEpoch, all_epochs, run_together
from sparsewire.training.fused import Loss
from sparsewire.training.history import History
from sparsewire.training.judging import evaluate as evaluate
from sparsewire.training.judging import place_of
from sparsewire.training.keeping import Stateful
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.progress import Report, reporting
from sparsewire.training.rule_contract import Move, Rule
from sparsewire.training.state import Checkpoints

MakeOptimizer: TypeAlias = Callable[[list[nn.Parameter]], Optimizer]


def fit(
    model: nn.Module,
    data: Data,
    *,
    optimizer: Optimizer | MakeOptimizer,
    epochs: int,
    batch_size: int = 100,
    loss: Loss | None = None,
    masks: Masks | None = None,
    rule: Rule | Move | None = None,
    validation: Data | None = None,
    generator: torch.Generator | None = None,
    clip_norm: float | None = None,
    augment: Augment | None = None,
    progress: bool | Report | None = None,
    on_epoch: OnEpoch | None = None,
    fused: bool | None = None,
    device: torch.device | str | None = None,
    checkpoints: Checkpoints | None = None,
    stateful: Mapping[str, Stateful] | None = None,
) -> History:
    """Trains the model in place and tells how it went, epoch by epoch.

    Chains of linear layers and `SequenceClassifier`s on the CPU are trained by a whole-network step without autograd,
    which gives the same numbers up to rounding; where weights are few, sparse layers or masks, a native one that
    computes with live weights only. `training.fused.choose` says whether, and why not.

    Args:
        model: any module whose output the loss accepts. Trained in train mode; all modes are as before afterwards.
        data: (inputs, labels) tensors such as `Samples`, a Dataset, or an iterable of (inputs, labels) batches such as
            a DataLoader, which keeps its own order and batch size.
        optimizer: a torch optimizer over the model's parameters, or a function that makes one of their list, or a
            `SparseOptimizer`. Learning rates that change between epochs are obeyed.
        epochs: how many times the data is gone through, at least 0.
        batch_size: samples in a step; the last step of an epoch may have fewer.
        loss: (outputs, labels) → scalar tensor, the mean over the batch; None: cross-entropy.
        masks: which weights exist; the optimizer is then wrapped in a `SparseOptimizer`. None: all, but for those that
            `sparsify` left out in layers that it left dense.
        rule: how the masks move, see `training.rules`; needs `masks`.
        validation: data that is evaluated after every epoch, in any of the forms of `data`.
        generator: draws the order of the samples, a new permutation for every epoch; None: one with seed 0, so that the
            samples are shuffled and the run can be repeated. The global seed is not touched.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down.
        augment: changes the inputs of each batch before a step, such as `data.shift_and_flip()`: a function of them and
            of a generator to draw from, which follows from `generator` and differs for every batch.
        progress: True for a bar in the terminal, or a function of (epoch, step, steps of an epoch or None, loss) that
            is called after every step.
        on_epoch: called with (epoch from 1, model, history so far) after every epoch; True as answer ends the training.
        fused: None takes the whole-network step where it applies, False never, True insists on it.
        device: where to train; the model is moved there, the batches follow. None: where the model is.
        checkpoints: where the training is kept now and then, in the middle of an epoch too, and taken up again, such as
            a `CheckpointFolder`. The same call with what lies there ends with the same weights, masks, memory of the
            optimizer and history (but for seconds), bit for bit, as if nothing had happened. `on_epoch` is not called
            again for epochs that were finished before. Needs data whose order the generator alone decides.
        stateful: what else has memory that must be kept, by name, such as a scheduler that `on_epoch` steps: anything
            with `state_dict` and `load_state_dict`.

    Returns:
        The history, with the masks at the end.

    Raises:
        DivergedError: the loss of a batch is not finite; the weights are then those before this step. Or a weight is
            not after an epoch.
        CheckpointError: what lies in `checkpoints` is damaged, or is of another training.
        RequestError: an argument cannot be, or `fused` is True and the whole-network step does not apply.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> inputs = torch.rand(200, 4, generator=generator)
        >>> data = inputs, inputs.argmax(1)
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
        >>> history = fit(model, data, optimizer=torch.optim.Adam, epochs=20, batch_size=10, generator=generator)
        >>> history.steps, history.loss[-1] < history.loss[0]
        (400, True)
    """
    check_model(model)
    check_settings(loss, clip_norm, generator, augment)
    place = place_of(model, device)
    used = optimizer_of(optimizer, model, masks, rule)
    source, passes = feed(data, batch_size), whole("epochs", epochs, least=0)
    source = source if augment is None else augmented(source, augment)
    order = torch.Generator().manual_seed(0) if generator is None else generator
    with reporting(progress, passes) as report:
        course = Course(
            model, used, source, order, loss, clip_norm, report, callable(progress), fused, place, validation,
            max(batch_size, 1000), on_epoch, checkpoints, stateful,
        )  # fmt: skip
        return run_together([all_epochs(course, passes)], threads=1)[0]


def optimizer_of(
    optimizer: Optimizer | MakeOptimizer, model: nn.Module, masks: Masks | None, rule: Rule | Move | None
) -> Optimizer:
    """The optimizer that trains: the given one, or the one made, in a SparseOptimizer if there are masks to keep.

    Raises:
        RequestError: the arguments do not fit each other or the model.
    """
    if rule is not None and masks is None:
        raise RequestError("rule: found one without masks; to start with all weights say masks=Masks.from_model(model)")
    used = optimizer(list(model.parameters())) if callable(optimizer) else optimizer
    check_optimizer(used, model)
    if isinstance(used.inner if isinstance(used, SparseOptimizer) else used, LBFGS):
        raise RequestError(
            "optimizer: found LBFGS, which takes several looks at a batch; call its step in your own loop"
        )
    if masks is None and not isinstance(used, SparseOptimizer):
        masks = masks_left(model)  # else a sparsified model would lose those of the layers that run faster dense
    if not masks:
        return used
    if isinstance(used, SparseOptimizer):
        raise RequestError("masks: found some beside a SparseOptimizer, which has its own; give only one of the two")
    return SparseOptimizer(used, model, masks, rule)
