"""CIFAR-10 and CIFAR-100: small photographs, from either of the two standard forms of their files."""

import os
from typing import Literal

from sparsewire.data.cifar_files import Labels, read_form
from sparsewire.data.samples import DataSet
from sparsewire.data.sources import CIFAR_10, CIFAR_100, Source, locate
from sparsewire.errors import UnknownNameError

_LABELS_10 = Labels(byte=0, bytes=1, key="labels", classes=10)
_LABELS_100 = {
    "fine": Labels(byte=1, bytes=2, key="fine_labels", classes=100),
    "coarse": Labels(byte=0, bytes=2, key="coarse_labels", classes=20),
}


def cifar10(root: str | os.PathLike[str] | None = None) -> DataSet:
    """CIFAR-10: 50,000 + 10,000 colour photographs of 32 × 32 pixels.

    Labels: 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    The files are looked for below `root`, or below the folder that SPARSEWIRE_DATA names and then in the user's cache,
    where `fetch("cifar10")` puts them: in `cifar-10/`, `cifar10/`, `CIFAR10/` or right there, as the folder
    `cifar-10-batches-bin` (binary) or `cifar-10-batches-py` (of Python, as torchvision has it), or as one of the
    archives `cifar-10-binary.tar.gz` and `cifar-10-python.tar.gz`, which is read without unpacking it to the disk.
    All give the same tensors. The files of Python are pickles: they are read as data, and nothing in them is run.
    Files of the same form with fewer images are taken as well, where all have equally many.

    Args:
        root: a folder that holds them, or their folder itself.

    Returns:
        Images float32 (n, 3, 32, 32), value = pixel / 255 in [0, 1], channels red, green, blue; labels int64. They
        take 737 MB; while they are read one file's bytes more, and of an archive the bytes of all (184 MB).

    Raises:
        DataError: the files are not there (the message says where it looked and what to do), or are not such files.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp()) / "cifar-10-batches-bin"
        >>> folder.mkdir()
        >>> for name in (*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin"):
        ...     _ = (folder / name).write_bytes(bytes([7]) + bytes([255]) * 3072)  # one white horse each
        >>> data = cifar10(folder.parent)       # cifar10() finds the real ones
        >>> data, data.train.inputs.min(), data.test.labels
        (DataSet('cifar10', 5 + 1 samples of (3, 32, 32), 10 classes), tensor(1.), tensor([7]))

    Reference:
        A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    return _set(CIFAR_10, root, _LABELS_10)


def cifar100(root: str | os.PathLike[str] | None = None, labels: Literal["fine", "coarse"] = "fine") -> DataSet:
    """CIFAR-100: 50,000 + 10,000 colour photographs of 32 × 32 pixels, of 100 classes in 20 groups.

    The files are looked for as by `cifar10`: in `cifar-100/`, `cifar100/`, `CIFAR100/` or right there, as the folder
    `cifar-100-binary` or `cifar-100-python`, or as `cifar-100-binary.tar.gz` or `cifar-100-python.tar.gz`.

    Args:
        root: a folder that holds them, or their folder itself.
        labels: "fine", the class of 100; or "coarse", the group of 20.

    Returns:
        As `cifar10`.

    Raises:
        UnknownNameError: there are no such labels.
        DataError: as `cifar10`.

    Example:
        >>> import tempfile
        >>> cifar100(tempfile.mkdtemp())
        Traceback (most recent call last):
            ...
        sparsewire.errors.DataError: cifar100 is not on this machine: looked for its 2 files ...

    Reference:
        A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    if labels not in _LABELS_100:
        raise UnknownNameError("kind of labels of CIFAR-100", str(labels), _LABELS_100)
    return _set(CIFAR_100, root, _LABELS_100[labels])


def _set(source: Source, root: str | os.PathLike[str] | None, labels: Labels) -> DataSet:
    folder = locate(source, root)
    form, _ = source.nearest_form(folder)
    train, test = read_form(folder, form, labels)
    return DataSet(source.name, train, test, labels.classes)
