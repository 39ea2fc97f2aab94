"""What training and evaluation answer: numbers to read, print and plot."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks

Route = Literal["autograd", "gradients", "update", "native"]


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on some data.

    Args:
        loss: mean over the samples.
        accuracy: the share of samples, from 0 to 1, whose largest output is that of their label; NaN where labels are
            not classes.
        count: how many samples.

    Example:
        >>> print(Evaluation(0.25, 0.9, 100))
        loss 0.25, accuracy 90.00 % of 100
    """

    loss: float
    accuracy: float
    count: int

    def __str__(self) -> str:
        share = "" if math.isnan(self.accuracy) else f", accuracy {self.accuracy:.2%}".replace("%", " %")
        return f"loss {self.loss:.4g}{share} of {self.count:,}"


class Epoch(NamedTuple):
    """One pass over the training data.

    Args:
        number: 1 for the first.
        steps: how many batches.
        loss: mean over the samples of the training loss, each at its own step, while the weights moved.
        seconds: of training alone, without validation.
        validation: the validation data's numbers after the epoch, or None without such data.
        route: how the steps were taken, see `training.fused`.
    """

    number: int
    steps: int
    loss: float
    seconds: float
    validation: Evaluation | None
    route: Route


@dataclass(frozen=True)
class History:
    """What `fit` did, epoch by epoch; print it for a table.

    Args:
        epochs: one entry per epoch that was finished.
        masks: those after the last epoch, where there are any; a rule may have moved them.

    Example:
        >>> history = History((Epoch(1, 10, 2.5, 0.5, Evaluation(2.0, 0.25, 8), "update"),))
        >>> history.loss, history.validation_accuracy, history.steps_per_second
        ((2.5,), (0.25,), 20.0)
        >>> print(history)
        epoch    steps      loss    seconds  val. loss  val. acc.
            1       10       2.5       0.50          2    25.00 %
    """

    epochs: tuple[Epoch, ...] = ()
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def loss(self) -> tuple[float, ...]:
        """The training loss of each epoch."""
        return tuple(epoch.loss for epoch in self.epochs)

    @property
    def seconds(self) -> tuple[float, ...]:
        """The seconds of training of each epoch."""
        return tuple(epoch.seconds for epoch in self.epochs)

    @property
    def steps(self) -> int:
        """How many steps all epochs had together."""
        return sum(epoch.steps for epoch in self.epochs)

    @property
    def steps_per_second(self) -> float:
        """Over all epochs; NaN if there were none."""
        return self.steps / sum(self.seconds) if sum(self.seconds) else math.nan

    @property
    def validation(self) -> tuple[Evaluation, ...]:
        """The validation data's numbers after each epoch; empty without such data."""
        return tuple(epoch.validation for epoch in self.epochs if epoch.validation is not None)

    @property
    def validation_loss(self) -> tuple[float, ...]:
        """The validation data's loss after each epoch."""
        return tuple(result.loss for result in self.validation)

    @property
    def validation_accuracy(self) -> tuple[float, ...]:
        """The validation data's accuracy after each epoch."""
        return tuple(result.accuracy for result in self.validation)

    @property
    def best(self) -> Epoch:
        """The epoch of the highest validation accuracy, of equals the one of lowest loss; NaN is the worst.

        Raises:
            RequestError: there was no validation data, or no epoch.
        """
        judged = [(epoch, epoch.validation) for epoch in self.epochs if epoch.validation is not None]
        if not judged:
            raise RequestError("best: found no validation in this history; give `validation` to fit")
        return max(judged, key=lambda pair: (_low(pair[1].accuracy), _low(-pair[1].loss)))[0]

    def curves(self) -> dict[str, tuple[float, ...]]:
        """The series to plot over the epochs, by name."""
        series = {
            "loss": self.loss,
            "validation loss": self.validation_loss,
            "validation accuracy": self.validation_accuracy,
        }
        return {name: values for name, values in series.items() if values and not all(map(math.isnan, values))}

    def followed_by(self, epoch: Epoch, masks: Masks | None = None) -> "History":
        """This history and one epoch more, with the masks after it."""
        return History((*self.epochs, epoch), masks)

    def __str__(self) -> str:
        lines = ["epoch    steps      loss    seconds  val. loss  val. acc."]
        for epoch in self.epochs:
            line = f"{epoch.number:5d}{epoch.steps:9,d}{epoch.loss:10.4g}{epoch.seconds:11.2f}"
            if epoch.validation is not None:
                line += f"{epoch.validation.loss:11.4g}{100 * epoch.validation.accuracy:9.2f} %"
            lines.append(line)
        return "\n".join(lines)


def _low(score: float) -> float:
    return -math.inf if math.isnan(score) else score
