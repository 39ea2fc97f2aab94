import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sparsewire.data.cifar import cifar10, cifar100
from sparsewire.data.samples import DataSet
from sparsewire.data.sources import (
    CIFAR_10_BINARY,
    CIFAR_10_PYTHON,
    CIFAR_100_BINARY,
    CIFAR_100_PYTHON,
    VARIABLE,
)
from sparsewire.errors import DataError, UnknownNameError

EACH = 3  # images in a batch of CIFAR-10 and in the test batch of CIFAR-100
PIXELS = np.random.default_rng(0).integers(0, 256, (6 * EACH, 3072), dtype=np.uint8)
LABELS = np.arange(6 * EACH, dtype=np.uint8) * 7 % 10
FINE, COARSE = LABELS * 11, LABELS * 2


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pickled(content: dict[str, object], protocol: int) -> bytes:
    """With keys in bytes, as what Python 2 wrote has them for Python 3."""
    return pickle.dumps({key.encode(): value for key, value in content.items()}, protocol=protocol)


def write_10(root: Path, form: str, protocol: int = 2) -> None:
    folder, names = CIFAR_10_BINARY if form == "binary" else CIFAR_10_PYTHON
    (root / folder).mkdir(parents=True)
    for name, pixels, labels in zip(names, np.split(PIXELS, 6), np.split(LABELS, 6), strict=True):
        rows = np.concatenate([labels[:, None], pixels], 1)
        held = {"batch_label": b"x", "labels": labels.tolist(), "data": pixels, "filenames": [b"a.png"] * EACH}
        (root / folder / name).write_bytes(rows.tobytes() if form == "binary" else pickled(held, protocol))


def write_100(root: Path, form: str, protocol: int = 2) -> None:
    folder, names = CIFAR_100_BINARY if form == "binary" else CIFAR_100_PYTHON
    (root / folder).mkdir(parents=True)
    for name, part in zip(names, (slice(0, 5 * EACH), slice(5 * EACH, None)), strict=True):
        rows = np.concatenate([COARSE[part, None], FINE[part, None], PIXELS[part]], 1)
        held = {"fine_labels": FINE[part].tolist(), "coarse_labels": COARSE[part].tolist(), "data": PIXELS[part]}
        (root / folder / name).write_bytes(rows.tobytes() if form == "binary" else pickled(held, protocol))


def pack(root: Path, folder: str, archive: str, target: Path) -> None:
    """Puts a folder into an archive and removes it."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target / archive, "w:gz") as packed:
        packed.add(root / folder, folder)
    for file in (root / folder).iterdir():
        file.unlink()
    (root / folder).rmdir()


def check(data: DataSet, labels: np.ndarray, classes: int) -> None:
    expected = torch.from_numpy(PIXELS).view(-1, 3, 32, 32) / 255
    assert (data.classes, data.input_shape) == (classes, (3, 32, 32))
    assert (data.train.inputs.dtype, data.train.labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(torch.cat([data.train.inputs, data.test.inputs]), expected)
    assert torch.cat([data.train.labels, data.test.labels]).tolist() == labels.tolist()
    assert len(data.test.labels) == EACH


@pytest.mark.parametrize("below", ["", "cifar-10", "cifar10", "CIFAR10"])
@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar_10_is_found_and_read_in_every_form(tmp_path: Path, below: str, form: str, packed: bool) -> None:
    write_10(tmp_path / "root" / below, form)
    if packed:
        folder = (CIFAR_10_BINARY if form == "binary" else CIFAR_10_PYTHON)[0]
        pack(tmp_path / "root" / below, folder, f"cifar-10-{form}.tar.gz", tmp_path / "root" / below)
    check(cifar10(tmp_path / "root"), LABELS, 10)


@pytest.mark.parametrize("below", ["", "cifar-100"])
@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar_100_is_found_and_read_in_every_form(tmp_path: Path, below: str, form: str, packed: bool) -> None:
    write_100(tmp_path / "root" / below, form)
    if packed:
        folder = f"cifar-100-{form}"
        pack(tmp_path / "root" / below, folder, f"{folder}.tar.gz", tmp_path / "root" / below)
    check(cifar100(tmp_path / "root"), FINE, 100)
    check(cifar100(tmp_path / "root", labels="coarse"), COARSE, 20)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_protocol_gives_the_same(tmp_path: Path, protocol: int) -> None:
    write_10(tmp_path, "python", protocol)
    check(cifar10(tmp_path), LABELS, 10)
    check(cifar10(tmp_path / CIFAR_10_PYTHON[0]), LABELS, 10)


def test_the_variable_comes_before_the_cache_and_binary_files_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_10(tmp_path / "cache/sparsewire/data/cifar-10", "python")
    check(cifar10(), LABELS, 10)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    check(cifar10(), LABELS, 10)
    write_10(tmp_path / "named", "python")
    (tmp_path / "named" / CIFAR_10_PYTHON[0] / "test_batch").write_bytes(b"no batch")
    with pytest.raises(DataError, match=r"named.*test_batch: found the pickle operation"):
        cifar10()
    write_10(tmp_path / "named/cifar-10", "binary")
    check(cifar10(), LABELS, 10)


def test_a_missing_set_says_where_it_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"looked for its 6 files \(cifar-10-batches-bin/data_batch_1\.bin, …\).*fetch cifar10"
    ):
        cifar10(tmp_path)
    write_10(tmp_path / "cifar10", "binary")
    (tmp_path / "cifar10" / CIFAR_10_BINARY[0] / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"cifar10 lacks cifar-10-batches-bin/test_batch\.bin"):
        cifar10(tmp_path)
    with pytest.raises(UnknownNameError, match="no kind of labels of CIFAR-100 is named 'fin'; did you mean 'fine'"):
        cifar100(tmp_path, labels="fin")  # type: ignore[arg-type]


def cut(by: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:-by]


def held(**changes: object) -> Callable[[bytes], bytes]:
    """The pickled batch with some entries changed, or without those that are None."""

    def change(content: bytes) -> bytes:
        batch = pickle.loads(content) | {key.encode(): value for key, value in changes.items()}  # noqa: S301
        return pickle.dumps({key: value for key, value in batch.items() if value is not None}, protocol=4)

    return change


BAD = {
    "cut in an image": (cut(1), r"found 9,218 bytes, expected a multiple of 3,073"),
    "cut between two": (cut(3073), r"found 2 images, expected 3 as in .*data_batch_1\.bin"),
    "longer": (lambda content: content + content, "found 6 images, expected 3"),
    "empty": (lambda content: b"", "found 0 bytes, expected 1 to"),
    "a large label": (lambda content: b"\x0a" + content[1:], "found a label 10, expected 0 to 9"),
}
BAD_PYTHON = {
    "cut": (cut(40), "this is no pickle of such data, or it is cut off or corrupt"),
    "empty": (lambda content: b"", "found 0 bytes"),
    "no pixels": (
        held(data=None),
        "found the entries 'batch_label', 'labels', 'filenames', expected 'data' among them",
    ),
    "no labels": (
        held(labels=None),
        "found the entries 'batch_label', 'data', 'filenames', expected 'labels' among them",
    ),
    "other pixels": (
        held(data=PIXELS[:3, :3071].copy()),
        r"found shape \(3, 3071\) as 'data', expected .* \(n, 3072\)",
    ),
    "flat pixels": (held(data=PIXELS[0]), r"found shape \(3072,\) as 'data'"),
    "a list of pixels": (held(data=[1, 2]), "found a list as 'data'"),
    "no images": (held(data=PIXELS[:0], labels=[]), r"found shape \(0, 3072\)"),
    "float pixels": (held(data=PIXELS[:3] / 255), "found an array of type 'f8', expected u1"),
    "few labels": (held(labels=[1, 2]), "found 2 labels, expected 3, one for each image"),
    "a large label": (held(labels=[1, 2, 10]), "found a label below 0 or above 9"),
    "a huge label": (held(labels=[1, 2, 1 << 200]), "found a label below 0 or above 9"),
    "a negative label": (held(labels=[1, 2, -1]), "found a label below 0 or above 9"),
    "a true label": (held(labels=[1, 2, True]), "found no list of whole numbers as 'labels'"),
    "labels as a text": (held(labels="123"), "found no list of whole numbers as 'labels'"),
    "fewer images": (held(data=PIXELS[:2], labels=[1, 2]), "found 2 images, expected 3 as in"),
    "code": (held(labels=print), "found the name 'builtins print', expected none but numpy's"),
}


@pytest.mark.parametrize("name", BAD)
def test_binary_files_that_are_wrong_are_named(tmp_path: Path, name: str) -> None:
    spoil, says = BAD[name]
    write_10(tmp_path, "binary")
    file = tmp_path / CIFAR_10_BINARY[0] / "data_batch_4.bin"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(DataError, match=rf"data_batch_4\.bin: {says}"):
        cifar10(tmp_path)


@pytest.mark.parametrize("name", BAD_PYTHON)
def test_python_files_that_are_wrong_are_named(tmp_path: Path, name: str) -> None:
    spoil, says = BAD_PYTHON[name]
    write_10(tmp_path, "python")
    file = tmp_path / CIFAR_10_PYTHON[0] / "data_batch_2"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(DataError, match=rf"data_batch_2: {says}"):
        cifar10(tmp_path)


@pytest.mark.parametrize("name", ["train.bin", "test.bin"])
def test_a_file_of_cifar_100_that_is_cut_between_two_images_is_noticed(tmp_path: Path, name: str) -> None:
    write_100(tmp_path, "binary")
    file = tmp_path / CIFAR_100_BINARY[0] / name
    file.write_bytes(file.read_bytes()[:-3074])
    with pytest.raises(DataError, match=r"found 1\d training and \d test images, expected five times as many to train"):
        cifar100(tmp_path)
    file.write_bytes(b"\x00\x64" + bytes(3072))
    with pytest.raises(DataError, match="found a label 100, expected 0 to 99"):
        cifar100(tmp_path)


def test_a_test_batch_of_cifar_10_that_is_cut_between_two_images_is_noticed(tmp_path: Path) -> None:
    write_10(tmp_path, "binary")
    file = tmp_path / CIFAR_10_BINARY[0] / "test_batch.bin"
    file.write_bytes(file.read_bytes()[:-3073])
    with pytest.raises(DataError, match=r"found 15 training and 2 test images, expected five times"):
        cifar10(tmp_path)


def test_an_archive_that_is_wrong_is_named(tmp_path: Path) -> None:
    write_10(tmp_path, "binary")
    pack(tmp_path, CIFAR_10_BINARY[0], "cifar-10-binary.tar.gz", tmp_path)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    whole = archive.read_bytes()
    for content in (whole[:-9], whole[:100], b"", b"<html>", whole[:-8] + bytes(8)):
        archive.write_bytes(content)
        with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: "):
            cifar10(tmp_path)


def test_a_file_that_cannot_be_read_or_is_too_large_is_named(tmp_path: Path) -> None:
    write_10(tmp_path, "binary")
    file = tmp_path / CIFAR_10_BINARY[0] / "data_batch_1.bin"
    with file.open("r+b") as held_open:
        held_open.truncate((1 << 28) + 1)  # takes no room on the disk
    with pytest.raises(DataError, match=r"data_batch_1\.bin: found 268,435,457 bytes, expected 1 to 268,435,456"):
        cifar10(tmp_path)


@pytest.fixture(scope="module")
def real_cifar_10() -> DataSet:
    named = os.environ.get(VARIABLE)
    folders = [Path(named, below) for below in ("", "cifar-10", "cifar10")] if named else []
    here = [folder for folder in folders if (folder / CIFAR_10_BINARY[0] / "test_batch.bin").is_file()]
    if not here:
        pytest.skip(f"the real CIFAR-10 is not here: {VARIABLE} names no folder with {CIFAR_10_BINARY[0]}/")
    return cifar10(here[0])


def test_the_real_cifar_10_has_its_known_numbers(real_cifar_10: DataSet) -> None:
    train, test = real_cifar_10.train, real_cifar_10.test
    assert (train.inputs.shape, test.inputs.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert train.labels.bincount().tolist() == [5000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    means = train.inputs.mean((0, 2, 3)).tolist()
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-3)  # of red, green and blue
