"""What the studies of pruning before and early in training share: images, one training and what it records."""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data.embedded import digits
from sparsewire.data.images import fashion_mnist, mnist
from sparsewire.data.samples import DataSet
from sparsewire.data.sources import FASHION_MNIST, MNIST, locate
from sparsewire.errors import DataError
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.findings import Note
from sparsewire.lab.spec import Spec
from sparsewire.training.batches import Data
from sparsewire.training.history import History
from sparsewire.training.loop import fit

Source = Literal["mnist", "fashion_mnist", "digits"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Hidden = Annotated[tuple[Count, ...], Field(min_length=1)]
WORDS: Final = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "digits": "digits"}

_SETS: Final[dict[Source, Callable[[], DataSet]]] = {"mnist": mnist, "fashion_mnist": fashion_mnist, "digits": digits}
_FILES: Final = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST}


class TrainingSpec(Spec):
    """One network and how it is trained; the paper names Adam and nothing else (section 4).

    Args:
        data: which images, pixels in [0, 1].
        hidden: neurons of each hidden layer.
        epochs: passes over the training images.
        batch: samples in a step.
        rate: Adam's.
    """

    data: Source = "mnist"
    hidden: Hidden
    epochs: Count = 10
    batch: Count = 128
    rate: float = Field(default=1e-3, gt=0)


@functools.lru_cache(maxsize=2)
def load(source: Source) -> DataSet:
    """The images of a set as rows of pixels; read once a process and never changed.

    Raises:
        DataError: its files are not at hand; the message says where they were looked for, and how they come there.

    Example:
        >>> load("digits")
        DataSet('digits', 1,437 + 360 samples of (64,), 10 classes)
    """
    return _SETS[source]().flat()


def missing(source: Source) -> str:
    """Why the images of a set cannot be read here, or nothing if their files are at hand.

    Example:
        >>> missing("digits")
        ''
    """
    try:
        if source in _FILES:
            locate(_FILES[source])
    except DataError as error:
        return str(error)
    return ""


def left_out(outcomes: Sequence[Outcome], sets: Sequence[Source]) -> list[Note]:
    """A paragraph for each set of images that belongs to the study and was not run for want of its files.

    Trials on digits are for tests, and miss nothing.

    Args:
        outcomes: what was run.
        sets: what belongs to the study.
    """
    found = {outcome.spec.data for outcome in outcomes}  # type: ignore[attr-defined]
    reasons = {source: missing(source) for source in sets if source not in found and not found.isdisjoint(sets)}
    return [Note(f"Not run: {reason}.") for reason in reasons.values() if reason]


def steps_of(spec: TrainingSpec) -> int:
    """How many steps an epoch has.

    Example:
        >>> steps_of(TrainingSpec(experiment="x", data="digits", hidden=(8,), batch=100))
        15
    """
    return math.ceil(len(load(spec.data).train.labels) / spec.batch)


def half(removed: float) -> float:
    """What each of two independent masks removes, so that their product removes `removed`: 1 − √(1 − removed).

    Example:
        >>> round(half(0.75), 12)
        0.5
    """
    return 1 - math.sqrt(1 - removed)


def trained(
    model: nn.Module,
    spec: TrainingSpec,
    trial: Trial,
    *,
    name: str = "",
    train: Data | None = None,
    test: Data | None = None,
    **options: Any,
) -> History:
    """Trains with Adam; records "accuracy" (percent, where labels are classes) and "loss" of the test images by epoch.

    The order of the images depends on the trial's seed alone, so that all networks of a seed see the same batches.

    Args:
        model: trained in place.
        spec: how.
        trial: records, and keeps checkpoints under `name`.
        name: what the names of the numbers begin with; another one for each training of a trial.
        train: what to train with in place of the images and their labels.
        test: likewise.
        options: for `fit`, such as masks and rule.
    """
    data = load(spec.data)
    return fit(
        model,
        data.train if train is None else train,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=spec.rate),
        epochs=spec.epochs,
        batch_size=spec.batch,
        validation=data.test if test is None else test,
        generator=trial.generator("order"),
        on_epoch=recorder(spec, trial, name),
        checkpoints=trial.checkpoints("-".join(["training", *re.findall("[A-Za-z0-9]+", name)])),
        **options,
    )


def recorder(spec: TrainingSpec, trial: Trial, name: str = "") -> Callable[[int, nn.Module, History], None]:
    """What notes the test images' accuracy (percent, where labels are classes) and loss after each epoch."""

    def record(epoch: int, _: nn.Module, history: History) -> None:
        result = history.validation[-1]
        if not math.isnan(result.accuracy):
            trial.record(f"{name} accuracy".strip(), 100 * result.accuracy, step=epoch)
        trial.record(f"{name} loss".strip(), result.loss, step=epoch)
        trial.report(epoch / spec.epochs, f"{name} epoch {epoch}".strip())

    return record


def accuracy(outcome: Outcome) -> float:
    """The test accuracy after the last epoch, in percent: no epoch is chosen by what it scored."""
    return outcome.metrics["accuracy"]


def loss(outcome: Outcome) -> float:
    """The test loss after the last epoch."""
    return outcome.metrics["loss"]
