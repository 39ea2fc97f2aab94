"""Arrays by name and a text in a file: safetensors with a checksum over both, so that every changed byte is noticed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sparsewire.errors import FileError
from sparsewire.files import check_header, write_aside


def write_sealed(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    label: str,
    text: tuple[str, str],
    most: int,
    error: type[FileError],
) -> None:
    """Writes arrays and a text; a whole file or none.

    Args:
        path: where.
        arrays: by name, contiguous.
        label: what kind of file it is.
        text: the name of its place in the header, and the text.
        most: bytes that the header may take.
        error: raised where the file cannot be written.

    Example:
        >>> import tempfile, numpy
        >>> path = Path(tempfile.mkdtemp()) / "file"
        >>> write_sealed(path, {"a": numpy.ones(2)}, "label-1", ("about", "two"), 1000, FileError)
        >>> metadata, arrays = read_arrays(path, "a file", 1000, FileError)
        >>> metadata["format"], arrays["a"], sealed_text(path, metadata, arrays, "about", FileError)
        ('label-1', array([1., 1.]), 'two')
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    metadata = {"format": label, text[0]: text[1], "sha256": digest(arrays, text[1])}

    def write(aside: Path) -> None:
        try:
            save_file(dict(arrays), aside, metadata)
            check_header(aside, most)  # what could not be read again is not kept
        except SafetensorError as cause:  # safetensors does not let the system's own error through
            raise OSError(str(cause)) from cause

    write_aside(path, write, error)


def read_arrays(
    path: str | os.PathLike[str], what: str, most: int, error: type[FileError]
) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """What the header says, and the arrays, none of it believed yet.

    Args:
        path: of the file.
        what: is to be read, for messages, such as "masks" or "a predictor".
        most: bytes that the header may take.
        error: raised where there is no such file, or it is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    try:
        check_header(Path(path), most)
        with safe_open(path, framework="numpy") as file:
            arrays = {part: file.get_tensor(part) for part in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, arrays
    except FileNotFoundError:
        raise error(f"no {what.removeprefix('a ')} at {name}: there is no such file") from None
    except (OSError, SafetensorError, ValueError, TypeError) as cause:
        raise error(f"cannot read {what} from {name}: {cause}") from cause


def sealed_text(
    path: str | os.PathLike[str],
    metadata: Mapping[str, str],
    arrays: Mapping[str, NDArray[Any]],
    place: str,
    error: type[FileError],
) -> str:
    """The text beside the arrays, whose checksum is theirs and its own; whoever made the file may have made that too.

    Args:
        path: of the file, for the message.
        metadata: of its header.
        arrays: all that it holds.
        place: the name of the text.
        error: raised where the checksum is wrong.
    """
    text = metadata.get(place, "")
    if metadata.get("sha256") != digest(arrays, text):
        raise error(f"{os.fspath(path)} was changed or cut after it was written: its checksum is wrong")
    return text


def digest(arrays: Mapping[str, NDArray[Any]], text: str) -> str:
    """The checksum of arrays and of a text.

    Example:
        >>> import numpy
        >>> digest({"a": numpy.ones(2)}, "two")[:8]
        'fca12526'
    """
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        found.update(name.encode() + b"\0" + arrays[name].tobytes())
    return found.hexdigest()
