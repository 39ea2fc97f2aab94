"""What the experiments of the lightning paper on CIFAR-10 share: data, schedule, optimizer, training (section 4.2)."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.data.augmentation import centred, shift_and_flip
from sparsewire.data.cifar import cifar10
from sparsewire.data.embedded import digits
from sparsewire.data.samples import DataSet, Samples
from sparsewire.experiments.lightning.recorded import train_recorded
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import Spec
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.training.history import History

Source = Literal["cifar10", "digits"]
Rate = Callable[[int, int], float]

# The smoke scale is for tests: embedded digits, enlarged to the size of CIFAR-10's images.
SMOKE: dict[str, Any] = {"data": "digits", "images": 200, "test_images": 100, "epochs": 1}
# Last epoch → learning rate (Table 3); the paper's last phase has no end but the training's.
PHASES = ((80, 1e-3), (120, 1e-4), (160, 1e-5), (180, 1e-6), (200, 0.5e-6))
PUBLISHED_EPOCHS = PHASES[-1][0]
BATCH = 32
PENALTY = 1e-4
SHIFT = 0.1


class CifarSpec(Spec):
    """What every spec of these experiments has; the defaults are the paper's.

    `images` and `test_images` are how many of the data set's first are used, `device` where the training runs: it
    decides the last bits, and the time, of a result.
    """

    data: Source = "cifar10"
    images: int = Field(default=50_000, ge=1)
    test_images: int = Field(default=10_000, ge=1)
    epochs: int = Field(default=PUBLISHED_EPOCHS, ge=1)
    device: Literal["cpu", "cuda"] = "cpu"

    def load(self) -> DataSet:
        """The images that this spec asks for, with the training images' mean taken off, pixel by pixel."""
        return _load(self.data, self.images, self.test_images)


# The last one only: with all images it takes 740 MB.
@functools.lru_cache(maxsize=1)
def _load(source: Source, images: int, test_images: int) -> DataSet:
    data = cifar10() if source == "cifar10" else enlarged(digits())
    # "Range 1 and mean 0" says the paper; that the mean is one of each pixel is so in the Keras script that it cites.
    return centred(DataSet(data.name, data.train.take(images), data.test.take(test_images), data.classes))


def enlarged(data: DataSet) -> DataSet:
    """Grey images of 8 × 8 pixels as three equal channels of 32 × 32, each pixel a square of 16."""

    def grow(part: Samples) -> Samples:
        inputs = part.inputs.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        return Samples(inputs.repeat(1, 3, 1, 1), part.labels)

    return DataSet(data.name, grow(data.train), grow(data.test), data.classes)


def scheduled(epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, counted from 1, by Table 3; shorter trainings go through its phases in proportion.

    An epoch has the rate of its beginning, so that a training of one epoch has that of the table's first. The Keras
    script counts epochs from 0 but compares as if from 1, so its first phase lasts 81; here it lasts the table's 80.

    Example:
        >>> [scheduled(epoch, 200) for epoch in (80, 81, 200)], [scheduled(epoch, 5) for epoch in range(1, 6)]
        ([0.001, 0.0001, 5e-07], [0.001, 0.001, 0.0001, 1e-05, 1e-06])
    """
    full = max(epochs, PUBLISHED_EPOCHS)
    begun = (epoch - 1) * full // epochs
    return next((rate for last, rate in PHASES if begun < last), PHASES[-1][1])


def constant(epoch: int, epochs: int) -> float:
    """The learning rate of rebuilt children, 1e-3 (captions of Tables 5 to 8)."""
    return PHASES[0][1]


def adam(model: nn.Module, penalized: tuple[type[nn.Module], ...]) -> torch.optim.Adam:
    """Adam as Keras has it, with the penalty λ · Σ w² on the weights of some kinds of layers, λ = 1e-4; not on biases.

    The penalty's gradient is 2λw. What torch's Adam calls `weight_decay` is added to the gradient before the moments
    are taken, so that 2λ there is the penalty exactly (AdamW's is not), and nothing has to be added to the loss. What
    is left of Keras' Adam is where ε stands: it divides by √v + ε before, not after, the correction of v's bias, which
    for ε = 1e-7 changes nothing that could be seen.

    Args:
        model: parameters that need no gradient are left out.
        penalized: kinds of layers, such as `nn.Conv2d`.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kernels = {id(module.weight) for module in model.modules() if isinstance(module, penalized)}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if id(parameter) in kernels], "weight_decay": 2 * PENALTY},
        {"params": [parameter for parameter in trained if id(parameter) not in kernels]},
    ]
    # Not fused, which would take a tenth off LeNet-5's time on a CPU: that code disregards strides, and its memory has
    # other ones after a checkpoint than kernels with the channels last. The test that stops a trial and goes on saw it.
    return torch.optim.Adam(groups, eps=1e-7)


def train(
    model: nn.Module,
    spec: CifarSpec,
    trial: Trial,
    prefix: str = "",
    *,
    penalized: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear),
    rate: Rate = scheduled,
    masks: Masks | None = None,
    told: Callable[[int], None] | None = None,
) -> History:
    """Adam, batches of 32, shifted and mirrored images; records as `train_recorded` does, and shows the dense tail.

    Args:
        model: trained in place.
        spec: which data, for how long, where.
        trial: keeps checkpoints under `prefix`.
        prefix: what the names of the numbers begin with.
        penalized: see `adam`; all kernels of LeNet-5, those of the convolutions of a ResNet.
        rate: (epoch, epochs) → learning rate.
        masks: which dense weights exist; None: all.
        told: is told each epoch when it has ended.
    """
    # Convolutions of a few channels are a tenth (LeNet-5) to a third (ResNet14d) faster with the channels last.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = adam(model, penalized)

    def begin(epoch: int) -> None:
        present = rate(epoch, spec.epochs)
        for group in optimizer.param_groups:
            group["lr"] = present

    def after(epoch: int, *_: object) -> None:
        begin(epoch + 1)  # before the checkpoint that ends the epoch, so that it holds the next one's rate
        trial.show(NetGraph.from_model(model, masks))
        if told is not None:
            told(epoch)

    begin(1)
    return train_recorded(
        model,
        spec.load(),
        trial,
        prefix,
        on_epoch=after,
        optimizer=optimizer,
        epochs=spec.epochs,
        batch_size=BATCH,
        augment=shift_and_flip(SHIFT),
        masks=masks,
        device=spec.device,
    )
