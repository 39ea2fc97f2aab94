"""What the experiments on pre-defined sparsity train with: images, read once a process, and Morse code."""

import functools
from typing import Literal

from torch.nn.functional import pad

from sparsewire.data.cifar import cifar10, cifar100
from sparsewire.data.embedded import digits
from sparsewire.data.images import mnist
from sparsewire.data.morse_code import morse_set
from sparsewire.data.samples import DataSet, Samples
from sparsewire.errors import RequestError
from sparsewire.lab.experiment import Trial

Source = Literal["cifar10", "cifar100", "mnist", "digits"]

_SETS = {"cifar10": cifar10, "cifar100": cifar100, "mnist": mnist, "digits": digits}


@functools.lru_cache(maxsize=2)
def images(source: Source, train: int = 0, test: int = 0, side: int = 0) -> DataSet:
    """A set of images with pixels in [0, 1], not augmented.

    Args:
        source: which.
        train: so many of its first training images; 0: all.
        test: so many of its first test images; 0: all.
        side: images with zeros around them until they are so high and wide; 0: as they are.

    Raises:
        DataError: its files are not at hand.
        RequestError: there are fewer images, or they are larger.

    Example:
        >>> images("digits", train=100, side=12)
        DataSet('digits', 100 + 360 samples of (1, 12, 12), 10 classes)
    """
    data = _SETS[source]()
    return DataSet(data.name, _cut(data.train, train, side), _cut(data.test, test, side), data.classes)


def morse_frames(train: int, test: int, trial: Trial) -> DataSet:
    """Grey Morse code without noise, so many frames of each of 64 classes; drawn by the trial's seed alone."""
    return morse_set(train, test, generator=trial.generator("data"))


def _cut(samples: Samples, count: int, side: int) -> Samples:
    chosen = samples.take(count) if count else samples
    height = chosen.inputs.shape[-1]
    if side and side < height:
        raise RequestError(f"side: found {side}, expected at least {height}, the images' own")
    if side > height:
        before = (side - height) // 2
        after = side - height - before
        return Samples(pad(chosen.inputs, (before, after, before, after)), chosen.labels)
    # A copy, lest a few images keep the whole set in memory.
    return Samples(chosen.inputs.clone(), chosen.labels.clone()) if count else chosen
