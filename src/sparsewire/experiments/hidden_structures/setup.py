"""What the experiments on feed-forward networks share: images, networks, the base training, the methods (section 4.1).

Where the paper's text is short, its reference code decides: the split, the falling rate, what a step removes.
"""

import functools
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sparsewire.data.embedded import digits
from sparsewire.data.images import mnist
from sparsewire.data.samples import Samples
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import Spec
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.epochs import OnEpoch
from sparsewire.training.history import History
from sparsewire.training.loop import fit
from sparsewire.training.surgeon import surgeon_

Source = Literal["mnist", "digits"]
Method = Literal["random", "blind", "uniform", "distributed", "distributed_with_zeros", "obd", "surgeon"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Hidden = Annotated[tuple[Count, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Shares = Annotated[tuple[Share, ...], Field(min_length=1)]
Methods = Annotated[tuple[Method, ...], Field(min_length=1)]
Kind = Literal["train", "validation", "test"]

# Method → score and scope for `prune`: the paper's "classes" are layers.
METHODS: Final[dict[str, tuple[str, str]]] = {
    "random": ("random", "blind"),
    "blind": ("magnitude", "blind"),
    "uniform": ("magnitude", "uniform"),
    "distributed": ("magnitude", "distributed"),
    "distributed_with_zeros": ("magnitude", "distributed_with_zeros"),
    "obd": ("obd", "blind"),
}
PAPER: Final[tuple[Method, ...]] = ("random", "blind", "uniform", "distributed", "obd")
WORDS: Final = {"obd": "OBD", "surgeon": "L-OBS", "distributed_with_zeros": "distributed, zeros counted"}

_PARTS_OF_VALIDATION = 6  # 10,000 of the 60,000 images
_MEAN_AND_DEVIATION: Final = {"mnist": (0.1307, 0.3081), "digits": (0.3058, 0.3762)}
_FLOOR: Final = 1e-4  # the last learning rate
_FALL: Final = 0.1
_MOMENTUM: Final = 0.5  # after the first fall


class Images(NamedTuple):
    """Images as rows of pixels with mean 0 and deviation 1, in the three parts that training, choosing and judging see.

    Args:
        train: 50,000 of MNIST.
        validation: 10,000, which decide when the rate falls, when a retraining ends, and of which OBD's curvature is.
        test: 10,000; every accuracy that is reported is theirs.
    """

    train: Samples
    validation: Samples
    test: Samples


class TrainedSpec(Spec):
    """A network between the pixels and ten classes, and how its base is trained.

    Args:
        data: which images.
        hidden: neurons of each hidden layer.
        batch: samples in a step.
        rate: of learning, at the beginning and in every retraining.
        epochs: of the base training, at most.
    """

    data: Source = "mnist"
    hidden: Hidden = (100,)
    batch: Count = 64
    rate: float = Field(default=0.01, gt=0)
    epochs: Count = 200


class PruningSpec(TrainedSpec):
    """… which is then pruned.

    Args:
        retraining: epochs after each pruning, at most.
        least: a network of so many weights, or of fewer, is not pruned any further.
    """

    retraining: Count = 2
    least: Count = 500


class MethodsSpec(PruningSpec):
    """… by each of several methods, each time from the same base.

    Args:
        methods: names in `METHODS`, or "surgeon".
    """

    methods: Methods = PAPER


# At smoke scale everything is small and short; its numbers mean nothing.
SMOKE: Final[dict[str, Any]] = {"data": "digits", "hidden": (20,), "batch": 32, "epochs": 3, "least": 200}


@functools.cache
def load(source: Source) -> Images:
    """The images of a set; MNIST in the very split of the reference code, read once a process and never changed."""
    data = (mnist() if source == "mnist" else digits()).flat()
    mean, deviation = _MEAN_AND_DEVIATION[source]
    train, test = (Samples((part.inputs - mean) / deviation, part.labels) for part in (data.train, data.test))
    # NumPy's old generator, which will give the same numbers for ever.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(train.labels)))
    validation, rest = Samples(train.inputs[order], train.labels[order]).split(len(order) // _PARTS_OF_VALIDATION)
    return Images(rest, validation, test)


def network(spec: TrainedSpec, trial: Trial) -> nn.Sequential:
    """The dense ReLU network of a seed, as PyTorch's layers start: weights and biases from U(−1/√fan_in, 1/√fan_in)."""
    pixels = load(spec.data).train.inputs.shape[1]
    return mlp((pixels, *spec.hidden, 10), generator=trial.generator("weights"))


def train_base(
    model: nn.Module,
    spec: TrainedSpec,
    trial: Trial,
    *,
    name: str = "base",
    masks: Masks | None = None,
    momentum: float = _MOMENTUM,
    decay: float = 0.0,
) -> History:
    """Trains until three epochs in all did not raise the validation accuracy: the paper's 0.01 and 0.0001 in one run.

    An epoch that is no better than the one before lowers the rate to a tenth, 0.01 → 0.001 → 0.0001, with momentum
    from the first time on; at 0.0001 it ends the training. That is early: the last weights count, and a network that
    is trained on at 0.01 gets better, whether it is pruned or not.

    Args:
        model: trained in place.
        spec: how.
        trial: gives the order of the samples, and is told the accuracies under `name`.
        name: what the names of the numbers begin with.
        masks: which weights exist.
        momentum: after the first fall of the rate.
        decay: of weights and biases.
    """
    data = load(spec.data)
    optimizer = torch.optim.SGD(model.parameters(), lr=spec.rate, weight_decay=decay)

    def on_epoch(epoch: int, _: nn.Module, history: History) -> bool:
        trial.record(f"{name} validation", 100 * history.validation_accuracy[-1], step=epoch)
        trial.report(0.0, f"{name}, epoch {epoch}")
        return not _is_better(history, 0.0) and not _lowered(optimizer, momentum)

    return fit(
        model, data.train, optimizer=optimizer, epochs=spec.epochs, batch_size=spec.batch, masks=masks,
        validation=data.validation, generator=trial.generator("order"), on_epoch=on_epoch,
    )  # fmt: skip


def retrain(
    model: nn.Module,
    spec: TrainedSpec,
    *,
    epochs: int,
    generator: torch.Generator,
    masks: Masks | None = None,
    start: float | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Trains on at the first rate without momentum; live weights alone, natively, where the masks leave few.

    Args:
        model: trained in place.
        spec: how.
        epochs: how many, at most.
        generator: draws the order of the samples; one for all retrainings of a network, so that every network of a
            seed sees the same batches in the same epoch of its second life.
        masks: which weights exist.
        start: the validation accuracy before, from 0 to 1, if an epoch that does not raise it shall be the last.
        on_epoch: as for `fit`, called first.
    """
    data = load(spec.data)

    def judge(epoch: int, model: nn.Module, history: History) -> bool:
        asked = on_epoch is not None and on_epoch(epoch, model, history) is True
        return asked or (start is not None and not _is_better(history, start))

    return fit(
        model, data.train, optimizer=torch.optim.SGD(model.parameters(), lr=spec.rate), epochs=epochs,
        batch_size=spec.batch, masks=masks, validation=data.validation, generator=generator, on_epoch=judge,
    )  # fmt: skip


def pruned(
    model: nn.Module, method: str, kept: int, masks: Masks, spec: TrainedSpec, generator: torch.Generator
) -> Masks:
    """The masks that keep exactly so many weights, of those that are left; biases are neither pruned nor counted.

    Args:
        model: left as it is, but by "surgeon", which also changes the weights that it keeps.
        method: a name in `METHODS`, or "surgeon", layer-wise Optimal Brain Surgeon.
        kept: how many weights.
        masks: what is left now.
        spec: says which images.
        generator: of random scores.
    """
    if method == "surgeon":
        return surgeon_(model, load(spec.data).validation, density=kept / masks.total, masks=masks)
    score, scope = METHODS[method]
    return prune(
        model, score=score, scope=scope, density=kept / masks.total, masks=masks, generator=generator,
        data=load(spec.data).validation if score == "obd" else None,
    )  # fmt: skip


def _is_better(history: History, start: float) -> bool:
    """Whether the last epoch raised the validation accuracy.

    The reference code asks for 10⁻⁵ or 10⁻³ percentage points; one image of 10,000 is 10⁻² of them.
    """
    before, after = (start, *history.validation_accuracy)[-2:]
    return after > before


def _lowered(optimizer: torch.optim.Optimizer, momentum: float) -> bool:
    """Lowers the rate, unless it is at its floor."""
    is_low = optimizer.param_groups[0]["lr"] <= _FLOOR * (1 + 1e-6)
    for group in () if is_low else optimizer.param_groups:
        group["lr"] *= _FALL
        group["momentum"] = momentum
    return not is_low
