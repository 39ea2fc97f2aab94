"""What is done to images before a network sees them: the mean image is taken away, and copies are shifted and flipped.

    train = centred(data).train                                      # once
    fit(model, train, …, augment=shift_and_flip(0.1))                # anew for every batch

In that order, as Keras' example for CIFAR-10 has it.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from sparsewire.data.samples import DataSet, Samples
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


def shift_and_flip(fraction: float = 0.1, flip: bool = True) -> Augmentation:
    """A function that shifts every image of a batch by its own few pixels, and flips every second one left to right.

    An image of height h moves down by round(u · fraction · h) pixels, u uniform in [−1, 1], and to the right likewise;
    what is uncovered repeats the pixels of the nearest edge. With `flip`, each is mirrored with probability 1/2. Every
    image has draws of its own.

    Args:
        fraction: the largest shift, as a share of the image's height or width, from 0 to 1.
        flip: whether images are mirrored.

    Returns:
        (images (batch, channels, height, width), generator) → images of the same shape, dtype and device; a new tensor.
        The same state of the generator gives the same images, whichever device they are on.

    Raises:
        RequestError: the fraction is not from 0 to 1; or, from the function, the images do not have four dimensions.

    Example:
        >>> images = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> augment = shift_and_flip(0.25, flip=False)
        >>> augment(images, torch.Generator().manual_seed(1))[0, 0]
        tensor([[ 0.,  1.,  2.,  3.],
                [ 0.,  1.,  2.,  3.],
                [ 4.,  5.,  6.,  7.],
                [ 8.,  9., 10., 11.]])

    Reference:
        Keras' ImageDataGenerator with width_shift_range = height_shift_range = fraction, horizontal_flip and its
        default fill. It shifts by real numbers and interpolates, which also blurs; whole pixels do not, and are five
        times as fast.
    """
    if not isinstance(fraction, int | float) or isinstance(fraction, bool) or not 0 <= fraction <= 1:
        raise RequestError(f"fraction: found {fraction!r}, expected a number from 0 to 1, such as 0.1")
    return partial(_shifted_and_flipped, fraction=float(fraction), flip=bool(flip))


def per_pixel_mean(samples: Samples) -> Tensor:
    """The mean input, of the shape of one: of images, the mean image.

    Take it from the training samples and subtract it from all: training, validation and test.

    Raises:
        RequestError: there are no samples, or their inputs are no floats.

    Example:
        >>> samples = Samples(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1]))
        >>> mean = per_pixel_mean(samples)
        >>> mean, samples.inputs - mean
        (tensor([0.5000, 1.0000]), tensor([[-0.5000,  0.0000],
            [ 0.5000,  0.0000]]))
    """
    inputs = samples.inputs
    if not len(inputs) or not inputs.is_floating_point():
        raise RequestError(f"samples: found {len(inputs)} of {inputs.dtype}, expected at least one, of floats")
    return inputs.mean(0)


def centred(data: DataSet) -> DataSet:
    """The same data set with the mean training input subtracted from all inputs, those of the test as well.

    Values in [0, 1] become values of "range 1, mean 0", as the lightning paper says of its CIFAR-10. The inputs are
    copied: 0.7 GB for CIFAR-10.

    Raises:
        RequestError: as `per_pixel_mean`.

    Example:
        >>> train = Samples(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1]))
        >>> test = Samples(torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
        >>> centred(DataSet("two", train, test, classes=2)).test.inputs
        tensor([[ 0.0000, -0.5000]])
    """
    mean = per_pixel_mean(data.train)
    train, test = (Samples(part.inputs - mean, part.labels) for part in (data.train, data.test))
    return DataSet(data.name, train, test, data.classes)


def _shifted_and_flipped(images: Tensor, generator: torch.Generator, *, fraction: float, flip: bool) -> Tensor:
    if images.ndim != 4:
        raise RequestError(
            f"images: found shape {tuple(images.shape)}, expected (batch, channels, height, width); "
            "flat inputs do not say what a row is"
        )
    count, channels, height, width = images.shape
    device = checked_generator(generator).device
    # Drawn even where nothing is flipped: then the shifts do not depend on `flip`.
    drawn = torch.rand(3, count, 1, generator=generator, device=device).to(images.device)
    rows = _sources(height, drawn[0], fraction)
    columns = _sources(width, drawn[1], fraction)
    if flip:
        columns = torch.where(drawn[2] < 0.5, columns.flip(1), columns)
    # One gather along the pixels of a map: three times as fast as rows and columns one after the other.
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, height * width)
    flat = images.reshape(count, channels, height * width)
    return flat.gather(2, pixels.expand(count, channels, height * width)).view(images.shape)


def _sources(side: int, drawn: Tensor, fraction: float) -> Tensor:
    """For each image and each place on an axis, the place from which its pixel comes: int64 (batch, side)."""
    most = math.floor(fraction * side + 0.5)
    shifts = ((2 * drawn - 1) * (fraction * side)).round().long().clamp_(-most, most)
    return (torch.arange(side, device=drawn.device) - shifts).clamp_(0, side - 1)
