"""Prune, retrain, prune again, …, until little is left; and beside it the same network, trained on without pruning."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from torch import nn

from sparsewire.data.samples import Samples
from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.setup import (
    PruningSpec,
    load,
    network,
    pruned,
    retrain,
    train_base,
)
from sparsewire.lab.experiment import Trial
from sparsewire.structure.allocation import count_of
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.training.history import History
from sparsewire.training.judging import evaluate

CONTROL: Final = "control"
RETRAINING: Final = "retraining"  # the stream of the order of samples, of pruned networks and of the control
MEASURES: Final = ("removed", "weights", "before", "after", "validation", "epochs", "gain")


@dataclass(frozen=True)
class Descent:
    """One way to prune a network, step by step.

    Args:
        name: what the names of its numbers begin with.
        method: a name in `METHODS`.
        kept: how many weights the next step keeps of so many.
        epochs: of each retraining, at most.
        is_variable: whether a retraining also ends with an epoch that does not raise the validation accuracy.
        is_single: whether there is one step only.
    """

    name: str
    method: str
    kept: Callable[[int], int]
    epochs: int
    is_variable: bool = False
    is_single: bool = False


class Step(NamedTuple):
    """A network after a step.

    Args:
        masks: what is left.
        before: test accuracy right after the pruning, in percent.
        history: of the retraining.
        seconds: of pruning and retraining.
    """

    masks: Masks
    before: float
    history: History
    seconds: float


def share_removed(removed: float) -> Callable[[int], int]:
    """The rule that removes this fraction of what is left.

    Example:
        >>> share_removed(0.25)(79_400)
        59550
    """
    return lambda left: count_of(1 - removed, left)


def number_removed(size: int) -> Callable[[int], int]:
    """The rule that removes so many, or all that are left.

    Example:
        >>> number_removed(10_000)(79_400), number_removed(10_000)(9_400)
        (69400, 0)
    """
    return lambda left: max(0, left - size)


def run_descents(spec: PruningSpec, trial: Trial, descents: Sequence[Descent]) -> None:
    """Trains a base, prunes a copy of it in every way, and trains another copy on that keeps all of its weights.

    The control has as many epochs as the longest descent; the epochs of all have the same batches. Accuracies are in
    percent, of the test images unless "validation" is said. Recorded are, step by step, the `MEASURES` of each descent,
    from its base (step 0) on; epoch by epoch "control" and "control validation"; "base", "base validation" after each
    epoch of its training, "base epochs", and the seconds of each descent.

    Args:
        spec: the network, and how it is trained.
        trial: draws and records.
        descents: their names differ.

    Raises:
        RequestError: two of them have one name.
    """
    names = [descent.name for descent in descents]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"methods and steps: found {twice[0]!r} twice, expected each once")
    base = network(spec, trial)
    history = train_base(base, spec, trial)
    trial.record("base", percent(base, load(spec.data).test))
    trial.record("base epochs", len(history))
    most = 1
    for done, descent in enumerate(descents):
        trial.report((done + 1) / (len(descents) + 2), descent.name)
        most = max(most, _record_descent(base, descent, spec, trial))
    _record_control(base, most, spec, trial)


def steps(model: nn.Module, descent: Descent, spec: PruningSpec, trial: Trial) -> Iterator[Step]:
    """Prunes and retrains the model in place, and stops when it is small, or one of its layers is empty.

    A network without any weight is not made.
    """
    masks, chance = Masks.from_model(model), trial.generator(f"chance of {descent.name}")
    order, data = trial.generator(RETRAINING), load(spec.data)
    while masks.count > spec.least and (kept := descent.kept(masks.count)):
        start = time.perf_counter()
        masks = pruned(model, descent.method, kept, masks, spec, chance)
        masks.apply_(model)
        before = percent(model, data.test)
        known = evaluate(model, data.validation).accuracy if descent.is_variable else None
        history = retrain(model, spec, epochs=descent.epochs, generator=order, masks=masks, start=known)
        yield Step(masks, before, history, time.perf_counter() - start)
        if descent.is_single or not all(mask.any() for mask in masks.values()):
            return


def percent(model: nn.Module, samples: Samples) -> float:
    """The accuracy in percent."""
    return 100 * evaluate(model, samples).accuracy


def _record_descent(base: nn.Module, descent: Descent, spec: PruningSpec, trial: Trial) -> int:
    """How many epochs all retrainings had together."""
    model, masks, data = copy.deepcopy(base), Masks.from_model(base), load(spec.data)
    epochs, seconds = 0, 0.0
    start = percent(base, data.test)
    _record(trial, descent.name, 0, (0.0, masks.total, start, start, percent(base, data.validation), 0, 0.0))
    for number, step in enumerate(steps(model, descent, spec, trial), start=1):
        masks, after = step.masks, percent(model, data.test)
        epochs += len(step.history)
        seconds += step.seconds
        judged, removed = 100 * step.history.validation_accuracy[-1], 100 * (1 - masks.density)
        row = (removed, masks.count, step.before, after, judged, epochs, after - step.before)
        _record(trial, descent.name, number, row)
    trial.record(f"{descent.name} seconds", seconds)
    trial.show(NetGraph.from_model(model, masks))
    return epochs


def _record(trial: Trial, name: str, step: int, row: Sequence[float]) -> None:
    for measure, value in zip(MEASURES, row, strict=True):
        trial.record(f"{name} {measure}", value, step=step)


def _record_control(base: nn.Module, epochs: int, spec: PruningSpec, trial: Trial) -> None:
    """The same network, the same batches, all weights."""
    model, data = copy.deepcopy(base), load(spec.data)
    trial.record(CONTROL, percent(base, data.test), step=0)
    trial.record(f"{CONTROL} validation", percent(base, data.validation), step=0)

    def on_epoch(epoch: int, model: nn.Module, history: History) -> None:
        trial.record(CONTROL, percent(model, data.test), step=epoch)
        trial.record(f"{CONTROL} validation", 100 * history.validation_accuracy[-1], step=epoch)
        trial.report(0.9 + 0.1 * epoch / epochs, f"{CONTROL}, epoch {epoch}")

    retrain(model, spec, epochs=epochs, generator=trial.generator(RETRAINING), on_epoch=on_epoch)
