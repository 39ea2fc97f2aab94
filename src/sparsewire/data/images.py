"""Sets of grey images in the four standard IDX files: MNIST, Fashion-MNIST."""

import os
from pathlib import Path

import numpy as np
import torch

from sparsewire.data.idx import read_idx
from sparsewire.data.samples import DataSet, Samples
from sparsewire.data.sources import (
    FASHION_MNIST,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Source,
    locate,
    unpacked_or_packed,
)
from sparsewire.errors import DataError

CLASSES = 10
_LARGEST = 1 << 26  # 64 MiB: the 60,000 images take 47,040,000 bytes


def mnist(root: str | os.PathLike[str] | None = None) -> DataSet:
    """MNIST: 60,000 + 10,000 handwritten digits of 28 × 28 pixels.

    The files are looked for below `root`, or below the folder that SPARSEWIRE_DATA names and then in the user's cache,
    where `fetch("mnist")` puts them: in `mnist/`, or in `MNIST/raw/` as torchvision has them, compressed or not. Files
    of the same format with fewer or more images are taken as well.

    Args:
        root: a folder that holds them, or their folder itself.

    Returns:
        Images float32 (n, 1, 28, 28), value = pixel / 255 in [0, 1]; labels int64, the digit.

    Raises:
        DataError: the files are not there (the message says where it looked and what to do), are not such files, or
            the images and labels do not belong together.

    Example:
        >>> import tempfile
        >>> from sparsewire.data.idx import write_idx
        >>> folder = Path(tempfile.mkdtemp())
        >>> for part, count in (("train", 3), ("t10k", 2)):
        ...     write_idx(folder / f"{part}-images-idx3-ubyte.gz", np.full((count, 28, 28), 255, dtype=np.uint8))
        ...     write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8))
        >>> data = mnist(folder)                # mnist() finds the real ones
        >>> data, data.train.inputs.max(), data.test.labels
        (DataSet('mnist', 3 + 2 samples of (1, 28, 28), 10 classes), tensor(1.), tensor([0, 1]))

    Reference:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    return _set(MNIST, root)


def fashion_mnist(root: str | os.PathLike[str] | None = None) -> DataSet:
    """Fashion-MNIST: 60,000 + 10,000 pictures of clothing, in the shape and format of MNIST.

    Labels: 0 T-shirt or top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    The files are looked for as by `mnist`, in `fashion_mnist/` or `FashionMNIST/raw/`.

    Args:
        root: a folder that holds them, or their folder itself.

    Returns:
        Images float32 (n, 1, 28, 28), value = pixel / 255 in [0, 1]; labels int64.

    Raises:
        DataError: as `mnist`.

    Example:
        >>> import tempfile
        >>> fashion_mnist(tempfile.mkdtemp())
        Traceback (most recent call last):
            ...
        sparsewire.errors.DataError: fashion_mnist is not on this machine: looked for its 4 files ...

    Reference:
        H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747.
    """
    return _set(FASHION_MNIST, root)


def read_images(folder: Path, images: str, labels: str, *, side: int = 28, white: int = 255) -> Samples:
    """The images and labels of two IDX files.

    Args:
        folder: where they are.
        images: the standard name of one file, uint8 (n, side, side), 0 … `white`.
        labels: the standard name of the other, uint8 (n,), 0 … 9.
        side: width and height of an image, in pixels.
        white: the pixel value that becomes 1.

    Raises:
        DataError: a file is not what it should be; the message names it, what was found and what was expected.
    """
    image_file, label_file = (unpacked_or_packed(folder, name) for name in (images, labels))
    pixels = read_idx(image_file, at_most=_LARGEST)
    answers = read_idx(label_file, at_most=_LARGEST)
    _check(image_file, pixels.dtype == np.uint8 and pixels.ndim == 3, _what(pixels), "uint8 images (n, height, width)")
    _check(image_file, pixels.shape[1:] == (side, side), f"shape {pixels.shape}", f"(n, {side}, {side})")
    _check(image_file, len(pixels) > 0, "no images", "at least one")
    _check(image_file, pixels.max(initial=0) <= white, f"a pixel of {pixels.max(initial=0)}", f"0 to {white}")
    _check(label_file, answers.dtype == np.uint8 and answers.ndim == 1, _what(answers), "uint8 labels (n,)")
    _check(label_file, len(answers) == len(pixels), f"{len(answers)} labels", f"{len(pixels)}, one for each image")
    _check(label_file, answers.max(initial=0) < CLASSES, f"a label {answers.max(initial=0)}", f"0 to {CLASSES - 1}")
    inputs = np.divide(pixels[:, None], np.float32(white), dtype=np.float32)
    return Samples(torch.from_numpy(inputs), torch.from_numpy(answers.astype(np.int64)))


def _set(source: Source, root: str | os.PathLike[str] | None) -> DataSet:
    folder = locate(source, root)
    train = read_images(folder, TRAIN_IMAGES, TRAIN_LABELS)
    return DataSet(source.name, train, read_images(folder, TEST_IMAGES, TEST_LABELS), CLASSES)


def _check(file: Path, right: bool, found: str, expected: str) -> None:
    if not right:
        raise DataError(f"{file}: found {found}, expected {expected}")


def _what(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    return f"{array.dtype} of shape {array.shape}"
