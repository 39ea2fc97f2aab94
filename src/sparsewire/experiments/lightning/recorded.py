"""A training whose course is recorded: accuracy and loss of the test set after every epoch, and the best of them."""

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from sparsewire.data import DataSet
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.training.epochs import OnEpoch
from sparsewire.training.history import History
from sparsewire.training.loop import fit


def train_recorded(
    model: nn.Module,
    data: DataSet,
    trial: Trial,
    prefix: str = "",
    *,
    on_epoch: OnEpoch | None = None,
    **options: Any,
) -> History:
    """Trains; records "accuracy" (percent) and "loss" after every epoch, and "best_accuracy" at the end.

    The order of the data depends on the trial's seed alone, so that networks of one seed see the same batches.

    Args:
        model: trained in place.
        data: training and test set.
        trial: keeps checkpoints under `prefix`.
        prefix: what the names of the numbers begin with; another one for each training of a trial.
        on_epoch: as for `fit`, called after the numbers were recorded.
        options: for `fit`.
    """

    def record(epoch: int, model: nn.Module, history: History) -> object:
        result = history.validation[-1]
        trial.record(f"{prefix}accuracy", 100 * result.accuracy, step=epoch)
        trial.record(f"{prefix}loss", result.loss, step=epoch)
        return on_epoch(epoch, model, history) if on_epoch is not None else None

    history = fit(
        model,
        data.train,
        validation=data.test,
        generator=trial.generator("order"),
        on_epoch=record,
        checkpoints=trial.checkpoints("-".join(["training", *re.findall("[A-Za-z0-9]+", prefix)])),
        **options,
    )
    trial.record(f"{prefix}best_accuracy", 100 * max(result.accuracy for result in history.validation))
    return history


def numbers(outcomes: Sequence[Outcome], metric: str) -> tuple[float, ...]:
    """The metric of every outcome that has it, one a seed."""
    return tuple(outcome.metrics[metric] for outcome in outcomes if metric in outcome.metrics)


def curve(outcome: Outcome, name: str) -> tuple[list[int], list[float]]:
    """The epochs and the values that were recorded under `name`, as `charts.series` takes them."""
    points = outcome.series.get(name, ())
    return [step for step, _ in points], [value for _, value in points]
