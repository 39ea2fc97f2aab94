"""The files of CIFAR-10 and CIFAR-100, in their binary and their Python form, as images and labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.data.archives import members
from sparsewire.data.pickled_batch import read_pickled_batch
from sparsewire.data.samples import Samples
from sparsewire.data.sources import CIFAR_10_BINARY, CIFAR_10_PYTHON, CIFAR_100_BINARY, CIFAR_100_PYTHON
from sparsewire.errors import DataError

SIDE = 32
PIXELS = 3 * SIDE * SIDE
_LARGEST = 1 << 28  # 256 MiB: the largest file of the originals has 156 MB
_AT_ONCE = 128  # images; what is converted at once, 2 MB, stays in the cache

Bytes = NDArray[np.uint8]
# In an archive the files lie in a folder of this name.
_IN_ARCHIVE = {
    "cifar-10-binary.tar.gz": CIFAR_10_BINARY,
    "cifar-10-python.tar.gz": CIFAR_10_PYTHON,
    "cifar-100-binary.tar.gz": CIFAR_100_BINARY,
    "cifar-100-python.tar.gz": CIFAR_100_PYTHON,
}


class Labels(NamedTuple):
    """Where the labels are: in which of how many bytes before the pixels, or under which key; and how many classes."""

    byte: int
    bytes: int
    key: str
    classes: int


class Batch(NamedTuple):
    """One file: uint8 pixels (n, 3072), red, green and blue planes row by row, and uint8 labels (n,)."""

    pixels: Bytes
    labels: Bytes


def read_form(folder: Path, form: tuple[str, ...], labels: Labels) -> tuple[Samples, Samples]:
    """The training and the test samples of a form that lies in a folder.

    Args:
        folder: where it is.
        form: names of the files below it, that of the test samples last; or the name of one archive.
        labels: which labels.

    Raises:
        DataError: a file is not what it should be; the message names it.
    """
    files, read = _reader(folder, form)
    train = _joined(files[:-1], read, labels)
    test = _joined(files[-1:], read, labels)
    # The binary form does not say how many images it has; that a file was cut between two shows only here.
    have, expected = len(train.labels), 5 * len(test.labels)
    if have != expected:
        raise DataError(
            f"{files[0]} and {files[-1]}: found {have:,} training and {len(test.labels):,} test images, "
            "expected five times as many to train as to test"
        )
    return train, test


def _reader(folder: Path, form: tuple[str, ...]) -> tuple[list[str], Callable[[str], bytes]]:
    """What the files are called in an error, and what gives the content of each."""
    if form[0] not in _IN_ARCHIVE:
        return [str(folder / name) for name in form], _content
    archive = folder / form[0]
    inside, names = _IN_ARCHIVE[form[0]]
    held: dict[str, bytes] = {}
    for name, stream, size in members(archive, [f"{inside}/{name}" for name in names]):
        _check_size(f"{archive}: {name}", size)
        held[f"{archive}: {name}"] = stream.read(size)
    # Each is given away as it is read, so that not all of them lie beside the images.
    return [f"{archive}: {inside}/{name}" for name in names], held.pop


def _content(name: str) -> bytes:
    try:
        _check_size(name, Path(name).stat().st_size)
        with Path(name).open("rb") as file:
            return file.read(_LARGEST)
    except OSError as cause:
        raise DataError(f"{name}: cannot be read: {cause.strerror or cause}") from cause


def _check_size(name: str, size: int) -> None:
    if not 0 < size <= _LARGEST:
        raise DataError(f"{name}: found {size:,} bytes, expected 1 to {_LARGEST:,}")


def _joined(files: list[str], read: Callable[[str], bytes], labels: Labels) -> Samples:
    """The samples of files that have equally many each, converted as they are read."""
    images, answers, each = np.empty((0, PIXELS), np.float32), np.empty(0, np.int64), 0
    for at, file in enumerate(files):
        content = read(file)
        batch = binary_batch(content, file, labels) if file.endswith(".bin") else python_batch(content, file, labels)
        if at == 0:
            each = len(batch.labels)
            # By numpy, which asks for large pages: 150,000 small ones take longer to get than to fill.
            images = np.empty((len(files) * each, PIXELS), np.float32)
            answers = np.empty(len(images), np.int64)
        if len(batch.labels) != each:
            raise DataError(f"{file}: found {len(batch.labels):,} images, expected {each:,} as in {files[0]}")
        _convert(batch.pixels, images[at * each : (at + 1) * each])
        answers[at * each : (at + 1) * each] = batch.labels
    return Samples(torch.from_numpy(images.reshape(-1, 3, SIDE, SIDE)), torch.from_numpy(answers))


def _convert(pixels: Bytes, images: NDArray[np.float32]) -> None:
    """Writes pixel / 255 into the images, a few at a time."""
    for start in range(0, len(pixels), _AT_ONCE):
        some = images[start : start + _AT_ONCE]
        np.copyto(some, pixels[start : start + _AT_ONCE])
        # Divided, not multiplied by 1/255: the float32 nearest to pixel / 255, as in `mnist`.
        np.divide(some, np.float32(255), out=some)


def binary_batch(content: bytes, file: str, labels: Labels) -> Batch:
    """A binary file: for each image its label bytes, then its 3072 pixels.

    Raises:
        DataError: it is not of whole images, or a label is too large.
    """
    record = labels.bytes + PIXELS
    if not content or len(content) % record:
        raise DataError(
            f"{file}: found {len(content):,} bytes, expected a multiple of {record:,}, the bytes of an image"
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return _checked(Batch(rows[:, labels.bytes :], rows[:, labels.byte]), file, labels)


def python_batch(content: bytes, file: str, labels: Labels) -> Batch:
    """A pickled file: a dictionary with the pixels under "data" and a list of labels.

    Raises:
        DataError: it is no such file; nothing in it is run.
    """
    held = read_pickled_batch(content, file)
    for key in ("data", labels.key):
        if key not in held:
            raise DataError(f"{file}: found the entries {_shown(held)}, expected {key!r} among them")
    pixels, answers = held["data"], held[labels.key]
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
        found = f"shape {pixels.shape}" if isinstance(pixels, np.ndarray) else f"a {type(pixels).__name__}"
        raise DataError(f"{file}: found {found} as 'data', expected pixels of shape (n, {PIXELS})")
    if type(answers) is not list or set(map(type, answers)) - {int}:
        raise DataError(f"{file}: found no list of whole numbers as {labels.key!r}, expected one label an image")
    if len(answers) != len(pixels):
        raise DataError(f"{file}: found {len(answers):,} labels, expected {len(pixels):,}, one for each image")
    if not 0 <= min(answers) <= max(answers) < labels.classes:
        raise DataError(f"{file}: found a label below 0 or above {labels.classes - 1}")
    return Batch(pixels, np.array(answers, dtype=np.uint8))


def _checked(batch: Batch, file: str, labels: Labels) -> Batch:
    if batch.labels.max() >= labels.classes:
        raise DataError(f"{file}: found a label {batch.labels.max()}, expected 0 to {labels.classes - 1}")
    return batch


def _shown(held: dict[str, Any]) -> str:
    return ", ".join(repr(key[:40]) for key in list(held)[:8]) or "of nothing"
