"""All epochs of one network, and of several side by side."""

import time
from collections.abc import Generator, Sequence
from typing import TypeAlias

import torch
from torch import nn

from sparsewire.errors import DivergedError, RequestError
from sparsewire.kernels.whole_steps import Job, Taken, run_steps
from sparsewire.structure.masks import Masks
from sparsewire.training.fused import Choice, choose
from sparsewire.training.history import Epoch, History
from sparsewire.training.judging import evaluate, modes_kept
from sparsewire.training.keeping import Keeping, Position
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.passes import Course as Course
from sparsewire.training.passes import OnEpoch as OnEpoch
from sparsewire.training.passes import go_through

# Native steps that wait to be run, alone or beside those of other networks; at the end the history.
Training: TypeAlias = Generator[Job, Taken, History]


def all_epochs(course: Course, epochs: int) -> Training:
    """Trains a network; `run_together` drives it.

    Args:
        course: what is trained, and how.
        epochs: how many passes.

    Raises:
        DivergedError: a loss, or a weight after an epoch, is not finite.
        RequestError: `fused` is True and the whole-network step does not apply, or there was no batch.
    """
    model = course.model
    keeping = Keeping(
        course.checkpoints, model, course.optimizer, course.order, course.source, course.stateful
    )  # fmt: skip
    history, begin, ended = keeping.restored()
    with modes_kept(model):
        while not ended and begin.epoch <= epochs:
            history = yield from _epoch(course, keeping, history, begin)
            stopped = course.on_epoch is not None and course.on_epoch(begin.epoch, model, history) is True
            begin = Position(begin.epoch + 1)
            ended = stopped or begin.epoch > epochs
            keeping.begin(history)
            if keeping.is_due():
                keeping.save(begin, ended=stopped)
    return history


def _epoch(course: Course, keeping: Keeping, history: History, begin: Position) -> Training:
    """The history with one epoch more."""
    # Anew for every epoch: between two of them learning rates, masks, hooks, … may have changed.
    choice = _chosen(course)
    course.model.train()
    keeping.begin(history)
    start = time.perf_counter()
    steps, mean = yield from go_through(course, choice, begin, keeping)
    seconds = begin.seconds + time.perf_counter() - start
    _check_weights(course.model, begin.epoch)
    judged = None
    if course.validation is not None:
        judged = evaluate(course.model, course.validation, loss=course.loss, batch_size=course.many)
    return history.followed_by(Epoch(begin.epoch, steps, mean, seconds, judged, choice.route), _masks_of(course))


def run_together(trainings: Sequence[Training], threads: int) -> list[History]:
    """Drives trainings in step, epoch by epoch, with their native steps side by side; their histories, in order.

    Args:
        trainings: none of them sharing a tensor that changes with another.
        threads: networks at a time; no result depends on it.
    """
    histories: dict[int, History] = {}
    pending: dict[int, Job] = {}

    def go_on(number: int, answer: Taken | None) -> None:
        try:
            # What a generator is sent first has to be None.
            pending[number] = trainings[number].send(answer)  # type: ignore[arg-type]
        except StopIteration as end:
            histories[number] = end.value
        except DivergedError as error:
            if len(trainings) > 1:
                error.add_note(f"This was model {number} of {len(trainings)}, counted from 0.")
            raise

    for number in range(len(trainings)):
        go_on(number, None)
    while pending:
        some = dict(pending)
        pending.clear()
        asked: BaseException | None = None
        for number, taken in zip(some, run_steps(list(some.values()), threads), strict=True):
            try:
                go_on(number, taken)
            except (Exception, KeyboardInterrupt):
                raise
            except BaseException as end:  # noqa: BLE001 - it was asked to stop: so are the others, which keep theirs
                asked = asked or end
        if asked is not None:
            raise asked
    return [histories[number] for number in range(len(trainings))]


def _chosen(course: Course) -> Choice:
    if course.fused is False:
        return Choice("autograd", "fused=False")
    choice = choose(course.model, course.optimizer, course.loss, course.clip_norm, course.is_whole)
    if course.fused and choice.route == "autograd":
        raise RequestError(f"fused: found True, but {choice.reason}; with fused=None such a model trains by autograd")
    return choice


def _masks_of(course: Course) -> Masks | None:
    return course.optimizer.masks if isinstance(course.optimizer, SparseOptimizer) else None


def _check_weights(model: nn.Module, epoch: int) -> None:
    """The loss tells of a bad weight one step late, hence not of the last step of an epoch."""
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight.detach()).all()):
            raise DivergedError(
                f"training diverged: {name!r} holds numbers that are not finite after epoch {epoch}. "
                "Lower the learning rate, scale the inputs, or clip the gradients (clip_norm=1.0)"
            )
