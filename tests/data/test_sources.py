import subprocess
import sys
from pathlib import Path

import pytest

from sparsewire.data.sources import (
    CIFAR_10,
    CIFAR_100,
    MNIST,
    SOURCES,
    UCI,
    VARIABLE,
    available,
    cache_folder,
    locate,
    places,
)
from sparsewire.errors import DataError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def touch_all(folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in MNIST.files:
        (folder / file.name).touch()


def test_available_says_what_is_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row.name: row for row in available()}
    assert list(rows) == ["digits", *SOURCES]
    assert (rows["digits"].embedded, rows["digits"].folder) == (True, UCI)
    assert (rows["mnist"].embedded, rows["mnist"].folder) == (False, None)
    touch_all(tmp_path / "mnist")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    nowhere = dict.fromkeys(SOURCES)
    assert {row.name: row.folder for row in available()} == {"digits": UCI, **nowhere, "mnist": tmp_path / "mnist"}
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10/cifar-10-python.tar.gz").touch()
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test"):
        (tmp_path / "cifar-100-python" / name).touch()
    found = {row.name: row.folder for row in available()}
    assert (found["cifar10"], found["cifar100"]) == (tmp_path / "cifar10", tmp_path / "cifar-100-python")
    assert all(row.title and row.origin for row in available())


def test_the_notice_of_the_embedded_digits_names_authors_and_licence() -> None:
    notice = (UCI / "NOTICE.md").read_text()
    assert all(word in notice for word in ("Alpaydin", "Kaynak", "1998", "CC BY 4.0", "10.24432/C50P49"))


def test_places_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(MNIST, tmp_path) == [tmp_path / "mnist", tmp_path / "MNIST/raw", tmp_path / "MNIST", tmp_path]
    assert places(MNIST)[0] == cache_folder() / "mnist"
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert places(MNIST)[:3] == places(MNIST, tmp_path)[:3]
    assert tmp_path not in places(MNIST)
    assert places(MNIST)[3] == cache_folder() / "mnist"


def test_a_folder_counts_only_when_it_has_every_file(tmp_path: Path) -> None:
    touch_all(tmp_path / "MNIST/raw")
    assert locate(MNIST, tmp_path) == tmp_path / "MNIST/raw"
    (tmp_path / "MNIST/raw" / MNIST.files[1].name).unlink()
    with pytest.raises(DataError, match=f"raw lacks {MNIST.files[1].name}; run `sparsewire data fetch mnist`"):
        locate(MNIST, tmp_path)
    (tmp_path / "MNIST/raw" / MNIST.files[1].name.removesuffix(".gz")).touch()
    assert locate(MNIST, tmp_path) == tmp_path / "MNIST/raw"


def test_listing_and_fetching_do_without_torch() -> None:
    # The command line's help and `sparsewire data` must be quick.
    code = "import sys, sparsewire.data as d; d.available(); d.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_preferred_form_comes_first_and_nothing_is_taken_for_another(tmp_path: Path) -> None:
    assert CIFAR_10.form_in(tmp_path) is None
    assert CIFAR_10.nearest_form(tmp_path) == (CIFAR_10.forms[0], list(CIFAR_10.forms[0]))
    for form in CIFAR_10.forms[::-1]:
        for name in form:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert CIFAR_10.form_in(tmp_path) == form
    assert CIFAR_100.form_in(tmp_path) is None
    (tmp_path / "cifar-10-batches-bin/data_batch_3.bin").unlink()
    (tmp_path / "data_batch_3.bin").unlink()
    assert CIFAR_10.nearest_form(tmp_path)[1] == []
    assert CIFAR_10.form_in(tmp_path) == CIFAR_10.forms[2]  # a batch of Python is none of the binary form
