"""One pass over the training data: batch by batch, or, on the native route, all of its steps in one call."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from sparsewire.errors import DivergedError, RequestError
from sparsewire.kernels.whole_steps import Job, Taken
from sparsewire.training.batches import Batch, Data, Feed, Index
from sparsewire.training.fused import Choice, Loss
from sparsewire.training.history import History
from sparsewire.training.judging import moved
from sparsewire.training.keeping import Keeping, Position, Stateful
from sparsewire.training.native_steps import Form, NativeSteps, Structure
from sparsewire.training.progress import Report
from sparsewire.training.state import Checkpoints
from sparsewire.training.steps import Step, fits, step_of

# From so many samples on it pays to bring the values of sparse layers into the order that is the fastest.
_MANY = 5000
# Between two looks at the checkpoints a native call takes about so long, so that a stop is obeyed soon.
_CALL_SECONDS, _FIRST_STEPS = 0.25, 16

# Native steps that wait to be run, alone or beside those of other networks; they are answered by what became of them.
# At the end: how many steps the pass had, and the mean loss of the samples.
Pass: TypeAlias = Generator[Job, Taken, tuple[int, float]]
OnEpoch: TypeAlias = Callable[[int, nn.Module, History], object]


@dataclass(frozen=True, eq=False)
class Course:
    """What does not change from one pass to the next; the names are those of `fit`.

    Args:
        model: trained in place.
        optimizer: over its parameters.
        source: the data.
        order: shuffles it.
        loss: None: cross-entropy.
        clip_norm: or None.
        report: called after every step, or None.
        watched: whether `report` may look at the model; if not, it may as well be called at the end of a pass.
        fused: whether the whole-network step must be used, must not, or may.
        place: the model's device.
        validation: judged after every epoch, or None.
        many: samples at a time when judging, as no activations are kept for a backward pass.
        on_epoch: called after every epoch, or None.
        checkpoints: where the training is kept, or None.
        stateful: what else has memory, by name, or None.

    Attributes:
        known: what the native route found out about dense weights' masks.
    """

    model: nn.Module
    optimizer: Optimizer
    source: Feed
    order: torch.Generator
    loss: Loss | None = None
    clip_norm: float | None = None
    report: Report | None = None
    watched: bool = False
    fused: bool | None = None
    place: torch.device = field(default_factory=lambda: torch.device("cpu"))
    validation: Data | None = None
    many: int = 1000
    on_epoch: OnEpoch | None = None
    checkpoints: Checkpoints | None = None
    stateful: Mapping[str, Stateful] | None = None
    known: dict[int, Structure] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all steps of a pass could be taken before anybody looks at the model."""
        index = self.source.samples
        return not self.watched and index is not None and index.inputs.dim() > 1 and index.inputs.is_contiguous()


def go_through(course: Course, choice: Choice, begin: Position, keeping: Keeping) -> Pass:
    """Trains on all batches once, or on those that are left.

    Args:
        course: what is trained, and on what.
        choice: the route of the steps.
        begin: the steps of this epoch that were taken before; its number is for the report and the errors.
        keeping: is asked to keep the training between steps.

    Raises:
        DivergedError: the loss of a batch is not finite; the weights are then those before this step.
        RequestError: there was no batch.
    """
    step = step_of(choice, course.model, course.optimizer, course.loss, course.clip_norm, begun=begin.steps > 0)
    index, chain = course.source.samples, choice.chain
    whole = choice.route == "native" and course.is_whole
    if whole and chain is not None and index is not None and fits(index.inputs, index.labels, chain):
        return (yield from _at_once(course, chain, index, step, begin, keeping))
    batches = course.source.passes(course.order, choice.route != "autograd", begin.steps)
    return _one_by_one(course, step, batches, begin, keeping)


def _one_by_one(
    course: Course, step: Step, batches: Iterator[Batch], begin: Position, keeping: Keeping
) -> tuple[int, float]:
    losses, sizes, start = list(begin.losses), list(begin.sizes), time.perf_counter()
    for inputs, labels in batches:
        keeping.drawn()
        value = step(moved(inputs, course.place), moved(labels, course.place))
        losses.append(value)
        sizes.append(len(labels))
        if not math.isfinite(value):
            raise DivergedError(_diverged(losses, begin.epoch))
        if course.report is not None:
            course.report(begin.epoch, len(losses), course.source.steps, value)
        if keeping.is_due():
            keeping.save(_position(begin, losses, sizes, start))
    keeping.drawn()  # where no batch was left
    if not sum(sizes):
        raise _empty(begin.epoch)
    return len(losses), _mean(losses, torch.tensor(sizes))


def _at_once(course: Course, form: Form, index: Index, step: Step, begin: Position, keeping: Keeping) -> Pass:
    """The first step goes the way of `step`: it makes the optimizer's memory, and schedulers see that it was used."""
    rows, ends = index.draw(course.order)
    keeping.drawn()
    if len(ends) < 2:
        raise _empty(begin.epoch)
    losses, start = list(begin.losses), time.perf_counter()

    def batch(number: int) -> Batch:
        part = rows[ends[number] : ends[number + 1]]
        return index.inputs.index_select(0, part), index.labels.index_select(0, part)

    if not losses:
        losses.append(step(*batch(0)))
        course.optimizer.zero_grad()  # no later step would renew them
    native = None
    while math.isfinite(losses[-1]) and len(losses) < len(ends) - 1:
        if native is None:
            native = NativeSteps(form, course.optimizer, course.known, len(rows) >= _MANY, course.clip_norm)
            count = _FIRST_STEPS if keeping.is_on else len(ends)
        native.renew()
        called = time.perf_counter()
        taken = yield native.job(index.inputs, index.labels, rows, ends[len(losses) : len(losses) + count + 1])
        native.account(taken.steps)
        losses += taken.losses
        if taken.stranger:  # torch says it best
            cross_entropy(course.model(batch(len(losses))[0]), batch(len(losses))[1])
        if math.isfinite(losses[-1]) and keeping.is_due():
            keeping.save(_position(begin, losses, ends.diff()[: len(losses)].tolist(), start))
        count = _next_count(taken.steps, time.perf_counter() - called)
    if not math.isfinite(losses[-1]):
        raise DivergedError(_diverged(losses, begin.epoch))
    if course.report is not None:
        course.report(begin.epoch, len(losses), course.source.steps, losses[-1])
    return len(losses), _mean(losses, ends.diff())


def _next_count(steps: int, seconds: float) -> int:
    """How many steps the next native call shall take; the results do not depend on it."""
    return max(_FIRST_STEPS, int(steps * _CALL_SECONDS / max(seconds, 1e-6)))


def _position(begin: Position, losses: list[float], sizes: list[int], start: float) -> Position:
    seconds = begin.seconds + time.perf_counter() - start
    return Position(begin.epoch, tuple(losses), tuple(sizes), seconds)


def _mean(losses: list[float], sizes: Tensor) -> float:
    return float(torch.tensor(losses, dtype=torch.float64) @ sizes.to(torch.float64) / sizes.sum())


def _empty(epoch: int) -> RequestError:
    return RequestError(
        f"data: found no batch in epoch {epoch}, expected at least one; an iterator can be gone through only once: "
        "give a list, a DataLoader or tensors"
    )


def _diverged(losses: list[float], epoch: int) -> str:
    step = len(losses)
    before = "it was the epoch's first" if step < 2 else f"the loss before it was {losses[-2]:.6g}"
    advice = (
        "Look for a NaN in the data or the weights"
        if epoch == step == 1
        else "Lower the learning rate, scale the inputs, or clip the gradients (clip_norm=1.0)"
    )
    return (
        f"training diverged: the loss is {losses[-1]} at step {step} of epoch {epoch}; {before}. "
        f"The weights are those from before this step. {advice}"
    )
