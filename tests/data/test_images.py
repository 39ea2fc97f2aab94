import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sparsewire.data.idx import write_idx
from sparsewire.data.images import fashion_mnist, mnist
from sparsewire.data.samples import DataSet
from sparsewire.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, VARIABLE
from sparsewire.errors import DataError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([9, 0, 4], dtype=np.uint8)
LOADERS = {"mnist": mnist, "fashion_mnist": fashion_mnist}
FOLDERS = [("mnist", "mnist"), ("mnist", "MNIST/raw"), ("mnist", ""), ("fashion_mnist", "fashion-mnist")]
FOLDERS += [("fashion_mnist", "fashion_mnist"), ("fashion_mnist", "FashionMNIST/raw"), ("fashion_mnist", "")]


def write_set(folder: Path, *, packed: bool = True, first: int = 0) -> None:
    """A training part of three images and a test part of two; `first` is the first training label."""
    labels = LABELS.copy()
    labels[0] = first or labels[0]
    for name, array in (
        (TRAIN_IMAGES, IMAGES),
        (TRAIN_LABELS, labels),
        (TEST_IMAGES, IMAGES[1:]),
        (TEST_LABELS, LABELS[1:]),
    ):
        write_idx(folder / (name if packed else name.removesuffix(".gz")), array)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here sees data sets of the machine; the real files are asked for by name."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("name", "below"), FOLDERS)
def test_files_are_found_below_a_root_in_every_usual_place(tmp_path: Path, name: str, below: str, packed: bool) -> None:
    write_set(tmp_path / "root" / below, packed=packed)
    data = LOADERS[name](tmp_path / "root")
    assert (data.name, data.classes, data.input_shape) == (name, 10, (1, 28, 28))
    assert (data.train.inputs.dtype, data.train.labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(data.train.inputs, torch.from_numpy(IMAGES)[:, None] / 255)
    assert torch.equal(data.test.inputs, data.train.inputs[1:])
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([9, 0, 4], [0, 4])


def test_the_variable_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "cache/sparsewire/data/mnist", first=1)
    assert mnist().train.labels[0] == 1
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    assert mnist().train.labels[0] == 1
    write_set(tmp_path / "named/mnist", first=2)
    assert mnist().train.labels[0] == 2
    write_set(tmp_path / "root", first=3)
    assert mnist(tmp_path / "root").train.labels[0] == 3


def test_files_right_in_the_named_folder_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="fashion_mnist is not on this machine"):
        fashion_mnist()


def test_a_missing_set_says_where_it_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"looked for its 4 files .*not set.*cache.*sparsewire data fetch mnist"):
        mnist()
    write_set(tmp_path / "mnist")
    (tmp_path / "mnist" / TEST_LABELS).unlink()
    with pytest.raises(DataError, match=f"mnist lacks {TEST_LABELS}"):
        mnist(tmp_path)


def spoil(name: str, array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: write_idx(folder / name, array)


@pytest.mark.parametrize(
    ("spoiler", "says"),
    [
        (spoil(TRAIN_IMAGES, IMAGES[:, :27]), r"train-images.*found shape \(3, 27, 28\), expected \(n, 28, 28\)"),
        (spoil(TRAIN_IMAGES, IMAGES.astype(np.int16)), r"train-images.*found int16 of shape"),
        (spoil(TRAIN_IMAGES, LABELS), r"train-images.*found uint8 of shape \(3,\), expected uint8 images"),
        (spoil(TRAIN_IMAGES, IMAGES[:0]), "train-images.*found no images, expected at least one"),
        (spoil(TRAIN_LABELS, LABELS[:2]), "train-labels.*found 2 labels, expected 3, one for each image"),
        (spoil(TRAIN_LABELS, LABELS + np.uint8(1)), "train-labels.*found a label 10, expected 0 to 9"),
        (spoil(TRAIN_LABELS, IMAGES), r"train-labels.*found uint8 of shape \(3, 28, 28\), expected uint8 labels"),
        (spoil(TEST_LABELS, LABELS), "t10k-labels.*found 3 labels, expected 2"),
        (lambda folder: (folder / TEST_IMAGES).write_bytes(b"<html>"), "t10k-images.*this is no IDX file"),
        (lambda folder: (folder / TEST_IMAGES).write_bytes(gzip.compress(b"", mtime=0)), "t10k-images.*found 0 bytes"),
    ],
)
def test_files_that_are_wrong_are_named(tmp_path: Path, spoiler: Callable[[Path], object], says: str) -> None:
    write_set(tmp_path)
    spoiler(tmp_path)
    with pytest.raises(DataError, match=says):
        mnist(tmp_path)


@pytest.fixture(scope="module")
def real_mnist() -> DataSet:
    named = os.environ.get(VARIABLE)
    if not named or not (Path(named) / "mnist" / TRAIN_IMAGES).is_file():
        pytest.skip(f"the real MNIST is not here: {VARIABLE} names no folder with mnist/{TRAIN_IMAGES}")
    return mnist(named)


def test_the_real_mnist_has_its_known_numbers(real_mnist: DataSet) -> None:
    train, test = real_mnist.train, real_mnist.test
    assert (train.inputs.shape, test.inputs.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The normalisation that everybody uses: mean 0.1307, standard deviation 0.3081.
    assert train.inputs.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert train.inputs.std().item() == pytest.approx(0.3081, abs=5e-5)


def test_the_real_mnist_is_the_published_one(real_mnist: DataSet) -> None:
    # SHA-256 of the unpacked files as others publish them; a file packed anew has the same.
    published = {
        "train": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", real_mnist.train, 60_000),
        "test": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", real_mnist.test, 10_000),
    }
    for digest, samples, count in published.values():
        pixels = (samples.inputs * 255).round().to(torch.uint8).numpy()
        header = bytes.fromhex("00000803") + count.to_bytes(4, "big") + bytes.fromhex("0000001c 0000001c")
        assert hashlib.sha256(header + pixels.tobytes()).hexdigest() == digest
