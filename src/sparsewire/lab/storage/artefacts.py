"""Artefacts: arrays that a trial keeps, as safetensors files that nobody finds half written or changed."""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparsewire.errors import RequestError, StoreError
from sparsewire.files import write_aside

if TYPE_CHECKING:
    from torch import Tensor

WORKING = ".working"
_MARKED = re.compile(r"([0-9a-f]{16})-(-?[0-9]{1,19})\.publishing")


class Artefact(NamedTuple):
    """A file of arrays: where it is, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


def write_arrays(path: Path, arrays: "Mapping[str, np.ndarray[Any, Any] | Tensor]") -> Artefact:
    """Writes a safetensors file, flushed to the disk.

    Raises:
        RequestError: an array is sparse, of objects or of texts.
        StoreError: the disk is full or cannot be written.

    Example:
        >>> import tempfile
        >>> artefact = write_arrays(Path(tempfile.mkdtemp()) / "a.safetensors", {"x": np.arange(3)})
        >>> read_arrays(artefact)
        {'x': array([0, 1, 2])}
    """
    from safetensors.numpy import save

    content = save({name: _array(name, array) for name, array in arrays.items()})

    def write(aside: Path) -> None:
        aside.write_bytes(content)

    write_aside(path, write, StoreError)
    return Artefact(path, hashlib.sha256(content).hexdigest())


def _array(name: str, array: "np.ndarray[Any, Any] | Tensor") -> np.ndarray[Any, Any]:
    from torch import Tensor, bfloat16, strided

    if isinstance(array, Tensor):
        if array.layout != strided:
            raise RequestError(f"keep: array {name!r} is a sparse tensor; keep its values and indices")
        array = array.detach().cpu()
        array = (array.float() if array.dtype == bfloat16 else array).numpy()
    plain = np.asarray(array, order="C")  # not ascontiguousarray, which makes a scalar a vector
    if plain.dtype.kind not in "biuf" or plain.dtype.itemsize > 8:
        raise RequestError(f"keep: array {name!r} is of {plain.dtype}; expected truth values, integers or floats")
    return plain.astype(plain.dtype.newbyteorder("<"), copy=False)


def read_arrays(artefact: Artefact) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an artefact, if its bytes are still those that were written.

    Raises:
        StoreError: the file is missing, cannot be read or has changed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = artefact.path.read_bytes()
    except OSError as cause:
        raise StoreError(f"cannot read the artefact {artefact.path}: {cause.strerror or cause}") from cause
    if hashlib.sha256(content).hexdigest() != artefact.sha256:
        raise StoreError(f"the artefact {artefact.path} is not what was kept there: its SHA-256 has changed")
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as cause:
        raise StoreError(f"the artefact {artefact.path} is no safetensors file: {cause}") from cause


def bring_home(artefacts: Path, root: Path, run: str, seed: int) -> set[Path]:
    """Moves a trial's folder of artefacts to where it belongs, in one step; returns the folders to flush.

    Args:
        artefacts: where they are.
        root: the folder of the store's artefacts.
        run: the spec's id.
        seed: which repetition.
    """
    home = root / run / str(seed)
    touched = {home.parent}
    if not home.parent.is_dir():
        touched |= {root} if root.is_dir() else {root, root.parent}
        home.parent.mkdir(parents=True)
    _remove(home)  # only a trial that has no row can have left it
    artefacts.rename(home)
    return touched


def sweep(root: Path, is_kept: Callable[[str, int], bool]) -> None:
    """Removes the artefacts of trials that were killed before they got their row.

    Only what was under way is looked at: that a trial is missing from a damaged store must not cost its artefacts.
    (Stores of version 1 marked in this way what they moved; now the spool holds a trial until it has its row.)

    Args:
        root: the folder of artefacts.
        is_kept: (run id, seed) → whether the store knows the trial.
    """
    for entry in sorted((root / WORKING).glob("*")):
        if entry.is_dir() and not entry.is_symlink() and _is_ours(entry):
            _remove(entry)
        elif (found := _MARKED.fullmatch(entry.name)) and entry.is_file():
            if not is_kept(found[1], int(found[2])) and _is_ours(root / found[1] / found[2]):
                _remove(root / found[1] / found[2])
            entry.unlink()


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds nothing but artefacts and their unfinished files."""
    return not folder.is_symlink() and all(
        entry.is_file() and not entry.is_symlink() and entry.suffix in {".safetensors", ".part"}
        for entry in folder.glob("*")
    )


def _remove(folder: Path) -> None:
    # what cannot be removed is no trial's, and the next start tries again
    shutil.rmtree(folder, ignore_errors=True)
