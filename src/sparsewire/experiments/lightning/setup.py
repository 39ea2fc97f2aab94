"""What the experiments of the lightning paper on MNIST share: the data, the network, the optimizer (section 4.1)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data import DataSet, digits, mnist
from sparsewire.lab.experiment import Outcome, Scale, Trial
from sparsewire.lab.spec import Spec, run_id
from sparsewire.models import initialize
from sparsewire.models.zoo import mlp
from sparsewire.training.history import History
from sparsewire.training.loop import fit

Source = Literal["mnist", "digits"]
Hidden = tuple[Annotated[int, Field(ge=1, le=100_000)], ...]
Lightnings = Annotated[int, Field(ge=1, le=10_000_000)]

# The smoke scale is for tests: embedded digits, a small network, a few epochs.
SOURCE: dict[Scale, Source] = {"smoke": "digits", "desk": "mnist", "full": "mnist"}


def load(source: Source) -> DataSet:
    """The data set with its images flattened, pixels in [0, 1]."""
    return (mnist() if source == "mnist" else digits()).flat()


def network(source: Source, hidden: tuple[int, ...]) -> nn.Sequential:
    """A dense ReLU network between the data set's pixels and its ten classes; LeNet-300-100 for hidden (300, 100)."""
    return mlp((784 if source == "mnist" else 64, *hidden, 10))


def train(
    model: nn.Module, data: DataSet, epochs: int, trial: Trial, prefix: str = "", *, rate: float, **options: object
) -> History:
    """SGD at a constant rate, batches of 100; records "accuracy" and "loss" of the test set after every epoch.

    The paper calls MNIST's test set the validation set. The order of the data depends on the trial's seed alone, so
    that networks of one seed see the same batches.
    """
    history = fit(
        model,
        data.train,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=rate),
        epochs=epochs,
        batch_size=100,
        validation=data.test,
        generator=trial.generator("order"),
        **options,  # type: ignore[arg-type]
    )
    for epoch, result in enumerate(history.validation, start=1):
        trial.record(f"{prefix}accuracy", 100 * result.accuracy, step=epoch)
        trial.record(f"{prefix}loss", result.loss, step=epoch)
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
