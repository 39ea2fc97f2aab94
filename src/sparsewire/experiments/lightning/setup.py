"""What the experiments of the lightning paper on MNIST share: the data, the network, the optimizer (section 4.1)."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data import DataSet, digits, mnist
from sparsewire.lab.experiment import Outcome, Scale, Trial
from sparsewire.lab.spec import Spec, run_id
from sparsewire.models import initialize
from sparsewire.models.zoo import mlp
from sparsewire.training.epochs import OnEpoch
from sparsewire.training.history import History
from sparsewire.training.loop import fit

Source = Literal["mnist", "digits"]
Hidden = tuple[Annotated[int, Field(ge=1, le=100_000)], ...]
Lightnings = Annotated[int, Field(ge=1, le=10_000_000)]

# The smoke scale is for tests: embedded digits, a small network, a few epochs.
SOURCE: dict[Scale, Source] = {"smoke": "digits", "desk": "mnist", "full": "mnist"}


@functools.cache
def load(source: Source) -> DataSet:
    """The data set with its images flattened, pixels in [0, 1]; read once a process, and never changed."""
    return (mnist() if source == "mnist" else digits()).flat()


def network(source: Source, hidden: tuple[int, ...]) -> nn.Sequential:
    """A dense ReLU network between the data set's pixels and its ten classes; LeNet-300-100 for hidden (300, 100)."""
    return mlp((784 if source == "mnist" else 64, *hidden, 10))


def train(
    model: nn.Module,
    data: DataSet,
    epochs: int,
    trial: Trial,
    prefix: str = "",
    *,
    rate: float,
    on_epoch: OnEpoch | None = None,
    **options: Any,
) -> History:
    """SGD at a constant rate, batches of 100; records "accuracy" and "loss" of the test set after every epoch.

    The paper calls MNIST's test set the validation set. The order of the data depends on the trial's seed alone, so
    that networks of one seed see the same batches.

    Args:
        model: trained in place.
        data: training and test set.
        epochs: how many.
        trial: keeps checkpoints under `prefix`.
        prefix: what the names of the numbers begin with; another one for each training of a trial.
        rate: of learning.
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
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=rate),
        epochs=epochs,
        batch_size=100,
        validation=data.test,
        generator=trial.generator("order"),
        on_epoch=record,
        checkpoints=trial.checkpoints("-".join(["training", *re.findall("[A-Za-z0-9]+", prefix)])),
        **options,
    )
    trial.record(f"{prefix}best_accuracy", 100 * max(result.accuracy for result in history.validation))
    return history


def glorot(model: nn.Sequential, trial: Trial) -> nn.Sequential:
    """Glorot-uniform weights, zero biases."""
    initialize.glorot_uniform_(model, generator=trial.generator("weights"))
    return model


def places(hidden: tuple[int, ...]) -> tuple[str, ...]:
    """The dense layers as the paper's tables name them, and all together.

    Example:
        >>> places((300, 100))
        ('hidden 0', 'hidden 1', 'output', 'over all')
    """
    return (*(f"hidden {index}" for index in range(len(hidden))), "output", "over all")


def as_published(spec: Spec, *free: str) -> bool:
    """Whether a spec is the paper's own setup, which its defaults are, in all but the fields named by `free`.

    Only then is there a published number to compare with: a smaller network or a shorter training has none.
    """
    fields = type(spec).model_fields
    return all(getattr(spec, name) == field.default for name, field in fields.items() if name not in free)


def by_spec(outcomes: Sequence[Outcome], name: Callable[[Spec], str] = lambda _: "") -> dict[str, list[Outcome]]:
    """The outcomes of each spec under its name, and where several specs have the same name, also the run's id.

    A store may hold runs of several specs; means are over seeds of one.
    """
    runs: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault(run_id(outcome.spec), []).append(outcome)
    names = [name(group[0].spec) for group in runs.values()]
    labels = [
        label if names.count(label) == 1 else f"{label}, run {run}".removeprefix(", ")
        for run, label in zip(runs, names, strict=True)
    ]
    return dict(zip(labels, runs.values(), strict=True))
