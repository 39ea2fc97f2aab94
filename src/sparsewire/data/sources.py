"""Where data sets come from, and where their files are on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import platformdirs

from sparsewire.errors import DataError

VARIABLE = "SPARSEWIRE_DATA"
UCI = Path(__file__).parent / "uci_digits"  # embedded; see the notice there

# The four files of a set of images, by their standard names; each may also lie there unpacked, without ".gz".
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


# CIFAR-10 as a folder of files, the test batch last, and as the archive that holds the folder: binary and of Python.
CIFAR_10_BINARY = ("cifar-10-batches-bin", (*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin"))
CIFAR_10_PYTHON = ("cifar-10-batches-py", (*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"))
CIFAR_10_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
CIFAR_100_BINARY = ("cifar-100-binary", ("train.bin", "test.bin"))
CIFAR_100_PYTHON = ("cifar-100-python", ("train", "test"))
CIFAR_100_ARCHIVES = ("cifar-100-binary.tar.gz", "cifar-100-python.tar.gz")


class RemoteFile(NamedTuple):
    """A file as it is published: its name, its exact size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A published data set.

    Args:
        name: what `fetch` and the loader call it; also the folder that it is fetched into.
        title: its full name.
        origin: who made it, and under which licence.
        files: what it consists of.
        mirrors: folders on the web that hold the files, the preferred one first.
        folders: where it may lie below a data folder; the first one is where `fetch` puts it.
        forms: names of files below such a folder, any row of which is the whole data set, the preferred row first.
            Nothing: the names of `files`.
        unpacked: what `fetch` takes out of the one file, an archive: each file's path in it, and its size in bytes.

    Example:
        >>> MNIST.files[3].name, MNIST.files[3].size, MNIST.folders[0]
        ('t10k-labels-idx1-ubyte.gz', 4542, 'mnist')
    """

    name: str
    title: str
    origin: str
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]
    folders: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...] = ()
    unpacked: tuple[tuple[str, int], ...] = ()

    def form_in(self, folder: Path) -> tuple[str, ...] | None:
        """The first form of which every file is in the folder, packed or unpacked; None where there is none."""
        return next((form for form in self._forms if not _missing(form, folder)), None)

    def nearest_form(self, folder: Path) -> tuple[tuple[str, ...], list[str]]:
        """The form of which the folder lacks least, as a share, and what it lacks of it."""
        lacks = [(form, _missing(form, folder)) for form in self._forms]
        return min(lacks, key=lambda pair: len(pair[1]) / len(pair[0]))

    @property
    def _forms(self) -> tuple[tuple[str, ...], ...]:
        return self.forms or (tuple(file.name for file in self.files),)


def _forms(*layouts: tuple[str, tuple[str, ...]], archives: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Every layout with its folder and without it, then the archives."""
    plain = [(tuple(f"{folder}/{name}" for name in names), names) for folder, names in layouts]
    return (*(form for pair in plain for form in pair), *((archive,) for archive in archives))


MNIST = Source(
    name="mnist",
    title="MNIST handwritten digits",
    origin="Y. LeCun, C. Cortes, C. Burges (1998), CC BY-SA 3.0",
    files=(
        RemoteFile(TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        RemoteFile(TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        RemoteFile(TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        RemoteFile(TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    folders=("mnist", "MNIST/raw", "MNIST"),
)

FASHION_MNIST = Source(
    name="fashion_mnist",
    title="Fashion-MNIST articles of clothing",
    origin="H. Xiao, K. Rasul, R. Vollgraf (2017), MIT",
    files=(
        RemoteFile(TRAIN_IMAGES, 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        RemoteFile(TRAIN_LABELS, 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        RemoteFile(TEST_IMAGES, 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        RemoteFile(TEST_LABELS, 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
)

CIFAR_10 = Source(
    name="cifar10",
    title="CIFAR-10 photographs",
    origin="A. Krizhevsky, V. Nair, G. Hinton (2009), no licence stated",
    files=(
        RemoteFile(
            CIFAR_10_ARCHIVES[0], 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    folders=("cifar-10", "cifar10", "CIFAR10", CIFAR_10_BINARY[0], CIFAR_10_PYTHON[0]),
    forms=_forms(CIFAR_10_BINARY, CIFAR_10_PYTHON, archives=CIFAR_10_ARCHIVES),
    unpacked=tuple((f"{CIFAR_10_BINARY[0]}/{name}", 10_000 * 3073) for name in CIFAR_10_BINARY[1]),
)

CIFAR_100 = Source(
    name="cifar100",
    title="CIFAR-100 photographs",
    origin="A. Krizhevsky, V. Nair, G. Hinton (2009), no licence stated",
    files=(
        RemoteFile(
            CIFAR_100_ARCHIVES[0], 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    folders=("cifar-100", "cifar100", "CIFAR100", CIFAR_100_BINARY[0], CIFAR_100_PYTHON[0]),
    forms=_forms(CIFAR_100_BINARY, CIFAR_100_PYTHON, archives=CIFAR_100_ARCHIVES),
    unpacked=(("cifar-100-binary/train.bin", 50_000 * 3074), ("cifar-100-binary/test.bin", 10_000 * 3074)),
)

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST, CIFAR_10, CIFAR_100)}


class Availability(NamedTuple):
    """One line of `available()`: `folder` is None where the data set's files are not on this machine."""

    name: str
    title: str
    origin: str
    embedded: bool
    folder: Path | None


def available() -> tuple[Availability, ...]:
    """Every data set of files, with where it comes from and where it lies on this machine.

    Example:
        >>> [row.name for row in available()]
        ['digits', 'mnist', 'fashion_mnist', 'cifar10', 'cifar100']
    """
    digits = Availability("digits", "UCI handwritten digits", "E. Alpaydin, C. Kaynak (1998), CC BY 4.0", True, UCI)
    fetched = (
        Availability(source.name, source.title, source.origin, False, _first_whole(source, places(source)))
        for source in SOURCES.values()
    )
    return (digits, *fetched)


def cache_folder() -> Path:
    """The user's folder for fetched data sets; it need not exist."""
    return platformdirs.user_cache_path("sparsewire") / "data"


def places(source: Source, root: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders in which a data set is looked for, in order.

    Args:
        source: which data set.
        root: only there: in the data set's own folders below it, then in `root` itself. Without it: below the folder
            that the environment variable SPARSEWIRE_DATA names, then in the user's cache.
    """
    if root is not None:
        return [*(Path(root) / folder for folder in source.folders), Path(root)]
    # Not the named folder itself: four files there would be taken for MNIST and for Fashion-MNIST alike.
    roots = [Path(named)] if (named := os.environ.get(VARIABLE)) else []
    return [top / folder for top in (*roots, cache_folder()) for folder in source.folders]


def locate(source: Source, root: str | os.PathLike[str] | None = None) -> Path:
    """The first of `places(source, root)` that holds every file of the data set, packed or unpacked.

    Raises:
        DataError: none does; the message says what was missing where, and what to do.
    """
    folders = places(source, root)
    whole = _first_whole(source, folders)
    if whole is not None:
        return whole
    begun = [
        f"; {folder} lacks {', '.join(missing)}"
        for folder in folders
        for form, missing in [source.nearest_form(folder)]
        if len(missing) < len(form)
    ]
    usual = f"${VARIABLE} ({os.environ.get(VARIABLE, 'not set')}), {cache_folder()}"
    looked = usual if root is None else f"{root}, and in it"
    wanted, _ = source.nearest_form(Path(os.devnull))  # of no folder at all: the preferred form
    raise DataError(
        f"{source.name} is not on this machine: looked for its {len(wanted)} files ({wanted[0]}, …) "
        f"in {', '.join(source.folders)} below {looked}" + "".join(begun) + "; run `sparsewire data "
        f"fetch {source.name}`, or let {VARIABLE} name a folder that has them in {source.folders[0]}/"
    )


def unpacked_or_packed(folder: Path, name: str) -> Path:
    """The file of this standard name in the folder: as it is, or else without its ".gz"."""
    packed = folder / name
    return packed if packed.is_file() or not name.endswith(".gz") else packed.with_suffix("")


def _first_whole(source: Source, folders: list[Path]) -> Path | None:
    return next((folder for folder in folders if source.form_in(folder)), None)


def _missing(form: tuple[str, ...], folder: Path) -> list[str]:
    return [name for name in form if not unpacked_or_packed(folder, name).is_file()]
