"""fit and evaluate: the one loop that trains, and the one that judges."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import LBFGS, Optimizer

from sparsewire.errors import DivergedError, RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.training.batches import Batch, Data, feed
from sparsewire.training.checks import check_model, check_optimizer, check_settings
from sparsewire.training.fused import Choice, Loss, choose
from sparsewire.training.history import Epoch, Evaluation, History
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.progress import Report, reporting
from sparsewire.training.rules import Move, Rule
from sparsewire.training.steps import Step, step_of

IGNORED = -100  # the label that cross-entropy leaves out

MakeOptimizer: TypeAlias = Callable[[list[nn.Parameter]], Optimizer]
OnEpoch: TypeAlias = Callable[[int, nn.Module, History], object]


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
    progress: bool | Report | None = None,
    on_epoch: OnEpoch | None = None,
    fused: bool | None = None,
    device: torch.device | str | None = None,
) -> History:
    """Trains the model in place and tells how it went, epoch by epoch.

    Chains of dense layers on the CPU are trained by a whole-network step without autograd, which gives the same numbers
    up to rounding; `training.fused.choose` says whether, and why not.

    Args:
        model: any module whose output the loss accepts. Trained in train mode; all modes are as before afterwards.
        data: (inputs, labels) tensors such as `Samples`, a Dataset, or an iterable of (inputs, labels) batches such as
            a DataLoader, which keeps its own order and batch size.
        optimizer: a torch optimizer over the model's parameters, or a function that makes one of their list, or a
            `SparseOptimizer`. Learning rates that change between epochs are obeyed.
        epochs: how many times the data is gone through, at least 0.
        batch_size: samples in a step; the last step of an epoch may have fewer.
        loss: (outputs, labels) → scalar tensor, the mean over the batch; None: cross-entropy.
        masks: which weights exist; the optimizer is then wrapped in a `SparseOptimizer`.
        rule: how the masks move, see `training.rules`; needs `masks`.
        validation: data that is evaluated after every epoch, in any of the forms of `data`.
        generator: draws the order of the samples, a new permutation for every epoch; None: one with seed 0, so that the
            samples are shuffled and the run can be repeated. The global seed is not touched.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down.
        progress: True for a bar in the terminal, or a function of (epoch, step, steps of an epoch or None, loss) that
            is called after every step.
        on_epoch: called with (epoch from 1, model, history so far) after every epoch; True as answer ends the training.
        fused: None takes the whole-network step where it applies, False never, True insists on it.
        device: where to train; the model is moved there, the batches follow. None: where the model is.

    Returns:
        The history, with the masks at the end.

    Raises:
        DivergedError: the loss of a batch is not finite; the weights are then those before this step. Or a weight is
            not after an epoch.
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
    check_settings(loss, clip_norm, generator)
    place = _place(model, device)
    used = _optimizer(optimizer, model, masks, rule)
    source = feed(data, batch_size)
    order = torch.Generator().manual_seed(0) if generator is None else generator
    history = History(masks=_masks_of(used))
    with _modes_kept(model), reporting(progress, whole("epochs", epochs, least=0)) as report:
        for number in range(1, epochs + 1):
            # Anew for every epoch: between two of them learning rates, masks, hooks, … may have changed.
            choice = _chosen(fused, model, used, loss, clip_norm)
            step = step_of(choice, model, used, loss, clip_norm)
            model.train()
            start = time.perf_counter()
            batches = source.passes(order, choice.route != "autograd")
            steps, mean = _train(step, batches, place, number, source.steps, report)
            seconds = time.perf_counter() - start
            _check_weights(model, number)
            judged = (
                None if validation is None else evaluate(model, validation, loss=loss, batch_size=_many(batch_size))
            )
            epoch = Epoch(number, steps, mean, seconds, judged, choice.route)
            history = history.followed_by(epoch, _masks_of(used))
            if on_epoch is not None and on_epoch(number, model, history) is True:
                break
    return history


def evaluate(model: nn.Module, data: Data, *, loss: Loss | None = None, batch_size: int = 1000) -> Evaluation:
    """The mean loss and the accuracy of the model on data, in eval mode and without gradients.

    Args:
        model: any module; all modes are as before afterwards.
        data: as for `fit`; it is gone through in order.
        loss: (outputs, labels) → scalar tensor, the mean over the batch; None: cross-entropy.
        batch_size: samples at a time, where the data does not come in batches.

    Raises:
        RequestError: the data is of no known form, or empty.

    Example:
        >>> model = nn.Identity()
        >>> outputs, labels = torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0])
        >>> evaluate(model, (outputs, labels)).accuracy
        0.5
    """
    judge, place = loss or cross_entropy, _place(model, None)
    total, count, right, judged = 0.0, 0, 0, 0
    with _modes_kept(model), torch.no_grad():
        model.eval()
        for batch in feed(data, batch_size).passes(None, False):
            inputs, labels = (_moved(part, place) for part in batch)
            outputs = model(inputs)
            total += float(judge(outputs, labels)) * len(labels)
            count += len(labels)
            if _are_classes(outputs, labels):
                right += int((outputs.argmax(1) == labels).sum())
                judged += int((labels != IGNORED).sum())
    if not count:
        raise RequestError("data: found no batch, expected at least one; an iterator can be gone through only once")
    return Evaluation(total / count, right / judged if judged else math.nan, count)


def _train(
    step: Step, batches: Iterator[Batch], place: torch.device, epoch: int, steps: int | None, report: Report | None
) -> tuple[int, float]:
    """Goes through one epoch; how many steps that took, and the mean loss of the samples."""
    total, count, done, last = 0.0, 0, 0, math.nan
    for inputs, labels in batches:
        value = step(_moved(inputs, place), _moved(labels, place))
        done += 1
        if not math.isfinite(value):
            raise DivergedError(_diverged(value, epoch, done, last))
        rows = len(labels)
        total, count, last = total + value * rows, count + rows, value
        if report is not None:
            report(epoch, done, steps, value)
    if not count:
        raise RequestError(
            f"data: found no batch in epoch {epoch}, expected at least one; an iterator can be gone through only once: "
            "give a list, a DataLoader or tensors"
        )
    return done, total / count


def _diverged(value: float, epoch: int, step: int, last: float) -> str:
    before = "it was the epoch's first" if math.isnan(last) else f"the loss before it was {last:.6g}"
    advice = (
        "Look for a NaN in the data or the weights"
        if epoch == step == 1
        else "Lower the learning rate, scale the inputs, or clip the gradients (clip_norm=1.0)"
    )
    return (
        f"training diverged: the loss is {value} at step {step} of epoch {epoch}; {before}. "
        f"The weights are those from before this step. {advice}"
    )


def _check_weights(model: nn.Module, epoch: int) -> None:
    """The loss tells of a bad weight one step late, hence not of the last step of an epoch."""
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight.detach()).all()):
            raise DivergedError(
                f"training diverged: {name!r} holds numbers that are not finite after epoch {epoch}. "
                "Lower the learning rate, scale the inputs, or clip the gradients (clip_norm=1.0)"
            )


def _chosen(
    fused: bool | None, model: nn.Module, optimizer: Optimizer, loss: Loss | None, clip_norm: float | None
) -> Choice:
    if fused is False:
        return Choice("autograd", "fused=False")
    choice = choose(model, optimizer, loss, clip_norm)
    if fused and choice.route == "autograd":
        raise RequestError(f"fused: found True, but {choice.reason}; with fused=None such a model trains by autograd")
    return choice


def _optimizer(
    optimizer: Optimizer | MakeOptimizer, model: nn.Module, masks: Masks | None, rule: Rule | Move | None
) -> Optimizer:
    if rule is not None and masks is None:
        raise RequestError("rule: found one without masks; to start with all weights say masks=Masks.from_model(model)")
    used = optimizer(list(model.parameters())) if callable(optimizer) else optimizer
    check_optimizer(used, model)
    if isinstance(used.inner if isinstance(used, SparseOptimizer) else used, LBFGS):
        raise RequestError(
            "optimizer: found LBFGS, which takes several looks at a batch; call its step in your own loop"
        )
    if masks is None:
        return used
    if isinstance(used, SparseOptimizer):
        raise RequestError("masks: found some beside a SparseOptimizer, which has its own; give only one of the two")
    return SparseOptimizer(used, model, masks, rule)


def _are_classes(outputs: Any, labels: Any) -> bool:
    """Whether there is one score per class, in dimension 1, for every label."""
    return (
        isinstance(outputs, Tensor)
        and isinstance(labels, Tensor)
        and outputs.dim() >= 2
        and outputs.shape[1] > 1
        and not labels.is_floating_point()
        and labels.shape == (outputs.shape[0], *outputs.shape[2:])
    )


def _masks_of(optimizer: Optimizer) -> Masks | None:
    return optimizer.masks if isinstance(optimizer, SparseOptimizer) else None


def _place(model: nn.Module, device: torch.device | str | None) -> torch.device:
    if device is not None:
        try:
            model.to(device)
        except (RuntimeError, TypeError) as cause:
            raise RequestError(f"device: found {device!r}, expected one that this machine has: {cause}") from cause
    first = next(model.parameters(), None)
    return torch.device(device or "cpu") if first is None else first.device


def _moved(part: Any, place: torch.device) -> Any:
    return part.to(place) if hasattr(part, "to") else part


def _many(batch_size: int) -> int:
    """Evaluation keeps no activations for a backward pass, so it can take more at a time than training."""
    return max(batch_size, 1000)


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
