"""Tensors in one safetensors file, written and read piece by piece while the SHA-256 of all its bytes is taken."""

import hashlib
import itertools
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import CheckpointError
from sparsewire.files import write_aside

HEADER_CAP = 16 << 20  # bytes
VALUE_CAP = 1_000_000  # commas and brackets of JSON: each can take a hundred bytes of memory when it is read
_PIECE = 8 << 20  # bytes written, read and hashed at once
_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
    "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz, "F8_E8M0": torch.float8_e8m0fnu, "F16": torch.float16,
    "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ABOUT = "__metadata__"


class Damage(Exception):  # noqa: N818
    """What is wrong with a file; the caller adds the file's name."""


class Part(NamedTuple):
    """A file as it was written: its size in bytes and the SHA-256 of all of them."""

    size: int
    sha256: str


class _Place(NamedTuple):
    name: str
    dtype: torch.dtype
    shape: list[int]
    begin: int
    end: int


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Part:
    """Writes a safetensors file, whole and flushed to the disk or not at all, and says what was written.

    Takes no memory but for a copy of a tensor that is not contiguous, or not on the CPU, one at a time. Tensors that
    share memory are written each for itself.

    Raises:
        CheckpointError: the file cannot be written, or safetensors cannot hold such a tensor.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
        >>> part = write_tensors(path, {"w": torch.tensor([1.0, -0.0])})
        >>> part.size == path.stat().st_size, read_tensors(path, part)
        (True, {'w': tensor([1., -0.])})
    """
    digest, size = hashlib.sha256(), 0
    header, order = _header(path, tensors)

    def pieces() -> Iterator[memoryview]:
        for name in order:
            yield from _pieces(tensors[name])

    def write(aside: Path) -> None:
        nonlocal size
        with aside.open("wb") as file:
            for piece in itertools.chain([memoryview(header)], pieces()):
                file.write(piece)
                digest.update(piece)
                size += len(piece)

    write_aside(path, write, CheckpointError)
    return Part(size, digest.hexdigest())


def _header(path: Path, tensors: Mapping[str, Tensor]) -> tuple[bytes, list[str]]:
    """The file's first bytes, in which the names have the order of the mapping, and the order of their numbers."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.dtype not in _NAMES or name == _ABOUT:
            kind = "a tensor without data" if tensor.is_meta else f"{tensor.dtype}, {tensor.layout}"
            raise CheckpointError(
                f"cannot write {path}: {name!r} is {kind}; expected a dense tensor of a type that safetensors knows "
                f"({', '.join(sorted(_NAMES.values()))}) with another name than {_ABOUT!r}"
            )
    # wide types first: then every number lies where its type wants it, which other readers of safetensors need
    order = sorted(tensors, key=lambda name: -tensors[name].element_size())
    ends = list(itertools.accumulate(tensors[name].numel() * tensors[name].element_size() for name in order))
    places = dict(zip(order, itertools.pairwise([0, *ends]), strict=True))
    entries = {
        name: {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": places[name]}
        for name, tensor in tensors.items()
    }
    text = json.dumps({_ABOUT: {"format": "pt"}, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        check_text(text)
        _places(json.loads(text), ends[-1] if ends else 0)  # what could not be read again is not written
    except Damage as cause:
        raise CheckpointError(f"cannot write {path}: {cause}; split the tensors among fewer, larger ones") from cause
    return len(text).to_bytes(8, "little") + text, order


def _pieces(tensor: Tensor) -> Iterator[memoryview]:
    whole = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    raw = _bytes(whole)
    return (raw[start : start + _PIECE] for start in range(0, len(raw), _PIECE))


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    flat = tensor.as_strided((tensor.numel(),), (1,))  # of one number or none, torch keeps whatever strides there were
    raw: Any = flat.view(torch.uint8).numpy()
    return memoryview(raw)


def read_tensors(path: Path, expected: Part) -> dict[str, Tensor]:
    """The tensors of a file, if it is to the last byte what was written; no two share memory.

    Raises:
        Damage: it is not; nothing of it is returned then.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != expected.size:
            raise Damage(f"it has {size:,} bytes, {expected.size:,} were written")
        digest = hashlib.sha256()
        start = _read(file, digest, 8)
        length = int.from_bytes(start, "little")
        if length > min(HEADER_CAP, size - 8):
            raise Damage(f"its header claims {length:,} bytes, expected at most {min(HEADER_CAP, size - 8):,}")
        places = _places(parsed(_read(file, digest, length)), size - 8 - length)
        tensors = {place.name: torch.empty(place.shape, dtype=place.dtype) for place in places}
        for place in sorted(places, key=lambda place: (place.begin, place.end)):
            _fill(file, digest, _bytes(tensors[place.name]))
    if digest.hexdigest() != expected.sha256:
        raise Damage("it was changed after it was written: its SHA-256 is another")
    return tensors


def open_regular(path: Path) -> IO[bytes]:
    """A file open for reading that is one: neither a link, which may lead anywhere, nor a pipe, where opening waits.

    Raises:
        Damage: it is something else.
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Damage("it is no regular file")
    return os.fdopen(handle, "rb")


def parsed(text: bytes) -> dict[str, Any]:
    """The JSON object in a text, which takes bounded memory and time.

    Raises:
        Damage: there is none, or it holds more than VALUE_CAP values.
    """
    check_text(text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise Damage(f"it holds no JSON that could be meant ({cause})") from cause
    if not isinstance(found, dict):
        raise Damage(f"it holds a {type(found).__name__} instead of a JSON object")
    return found


def check_text(text: bytes) -> None:
    """Nothing, where JSON is small enough to be read.

    Raises:
        Damage: it is not.
    """
    values = sum(map(text.count, (b",", b"[", b"{")))
    if values > VALUE_CAP:
        raise Damage(f"its JSON holds about {values:,} values, more than the {VALUE_CAP:,} that are read")


def _places(header: dict[str, Any], total: int) -> list[_Place]:
    """Where each tensor lies, in the order of the header.

    Raises:
        Damage: the tensors do not fill the bytes exactly, without holes and overlaps.
    """
    places = [_place(name, about) for name, about in header.items() if name != _ABOUT]
    reached = 0
    for place in sorted(places, key=lambda place: (place.begin, place.end)):
        if place.begin != reached:
            raise Damage(f"tensor {place.name[:60]!r} begins at byte {place.begin:,} instead of {reached:,}")
        reached = place.end
    if reached != total:
        raise Damage(f"its tensors take {reached:,} bytes, it has {total:,}")
    return places


def _place(name: str, about: Any) -> _Place:
    match about:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if dtype in _DTYPES:
            kind = _DTYPES[dtype]
            if _is_shape(shape) and math.prod(shape) * kind.itemsize == end - begin:
                return _Place(name, kind, shape, begin, end)
    raise Damage(f"tensor {name[:60]!r} is described as {str(about)[:80]}")


def _is_shape(shape: list[Any]) -> bool:
    sides = len(shape) <= 64 and all(type(side) is int and side >= 0 for side in shape)
    return sides and math.prod(max(side, 1) for side in shape) < 2**56  # torch makes strides of empty sides, too


def _read(file: IO[bytes], digest: Any, count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise Damage("it ends too early")
    digest.update(found)
    return found


def _fill(file: IO[bytes], digest: Any, memory: memoryview) -> None:
    for start in range(0, len(memory), _PIECE):
        piece = memory[start : start + _PIECE]
        if file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
            raise Damage("it ends too early")
        digest.update(piece)
