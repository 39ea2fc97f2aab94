"""What the experiments of the lightning paper on MNIST share: the data, the network, the optimizer (section 4.1)."""

import functools
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data import DataSet, digits, mnist
from sparsewire.experiments.comparable import as_published as as_published
from sparsewire.experiments.comparable import by_spec as by_spec
from sparsewire.experiments.lightning.recorded import train_recorded
from sparsewire.lab.experiment import Scale, Trial
from sparsewire.models import initialize
from sparsewire.models.zoo import mlp
from sparsewire.training.epochs import OnEpoch
from sparsewire.training.history import History

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

    The paper calls MNIST's test set the validation set. See `train_recorded`.

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
    return train_recorded(
        model,
        data,
        trial,
        prefix,
        on_epoch=on_epoch,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=rate),
        epochs=epochs,
        batch_size=100,
        **options,
    )


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
