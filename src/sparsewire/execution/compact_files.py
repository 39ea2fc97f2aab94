"""The file of a compact checkpoint: safetensors whose header says how the masks are coded."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.execution.index_coding import CodedMask, decode, encode
from sparsewire.files import check_header, write_aside

FORMAT = "sparsewire-compact-1"
INDEX = "#index"  # after a weight's name: the bytes of its mask
_HEADER_CAP = 4 << 20  # bytes
_VALUE_CAP = 1_000_000  # commas and brackets of JSON: each can take a hundred bytes of memory when it is read
_ENTRY = {"shape": list, "count": int, "coding": str, "marks": int, "width": int}


@dataclass(frozen=True)
class CompactFile:
    """What a compact checkpoint holds, checked as far as it can be without unpacking a mask.

    Args:
        path: of the file, for messages.
        bytes: its size.
        tensors: name → tensor; of a masked weight its live values, in the order of its places.
        shapes: masked weight → its shape.
        codes: masked weight → its mask, coded.
        ties: name → the name under which the same tensor is stored.
    """

    path: str
    bytes: int
    tensors: Mapping[str, Tensor]
    shapes: Mapping[str, tuple[int, ...]]
    codes: Mapping[str, CodedMask]
    ties: Mapping[str, str]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor when it is unpacked."""
        stored = self.ties.get(name, name)
        return self.shapes[stored] if stored in self.shapes else tuple(self.tensors[stored].shape)

    def names(self) -> list[str]:
        """Of all tensors, tied ones too."""
        return [*self.tensors, *self.ties]

    def unpacked(self, name: str) -> tuple[Tensor, Tensor]:
        """A masked weight in its shape, and its mask.

        Raises:
            CheckpointError: its index is none for this shape, or does not fit its values.
        """
        shape, values = self.shapes[name], self.tensors[name]
        try:
            mask = torch.from_numpy(decode(self.codes[name], math.prod(shape)))
        except ValueError as cause:
            raise CheckpointError(f"cannot read {self.path}: weight {name!r}: {cause}") from cause
        if (kept := int(mask.count_nonzero())) != values.numel():
            raise CheckpointError(
                f"cannot read {self.path}: weight {name!r}: its index keeps {kept:,} places, "
                f"but there are {values.numel():,} values"
            )
        weight = torch.zeros(mask.shape, dtype=values.dtype)
        weight[mask] = values
        return weight.view(shape), mask.view(shape)


def write_compact(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor], ties: Mapping[str, str]
) -> None:
    """Writes tensors, those with a mask by their live values in row-major order; a whole file or none.

    Raises:
        RequestError: a name ends with "#index".
        CheckpointError: the file cannot be written, or safetensors cannot hold such a tensor.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if ending := [name for name in tensors if name.endswith(INDEX)]:
        raise RequestError(f"tensor {ending[0]!r}: names that end with {INDEX!r} stand for masks here; rename it")
    stored, entries = {}, {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        stored[name] = tensor.clone(memory_format=torch.contiguous_format)
        if name in masks:
            flat = masks[name].cpu().reshape(-1)
            coded = encode(flat.numpy())
            stored[name], stored[name + INDEX] = tensor.reshape(-1)[flat], torch.from_numpy(coded.data)
            entry = (list(tensor.shape), stored[name].numel(), coded.coding, coded.marks, coded.width)
            entries[name] = dict(zip(_ENTRY, entry, strict=True))
    told = json.dumps({"masked": entries, "ties": dict(ties)}, sort_keys=True)
    # One entry: safetensors writes several in a random order, and equal models shall give equal files.
    metadata = {FORMAT: json.dumps({"weights": told, "sha256": _digest(stored, told)}, sort_keys=True)}

    def write(aside: Path) -> None:
        try:
            save_file(stored, aside, metadata)
            check_header(aside, _HEADER_CAP)  # what could not be read again is not kept
        except (SafetensorError, ValueError, KeyError) as cause:  # it does not let the system's own error through
            raise OSError(str(cause)) from cause

    write_aside(path, write, CheckpointError)


def read_compact(path: str | os.PathLike[str]) -> CompactFile:
    """Reads what `write_compact` wrote, without unpacking it; every changed byte is noticed.

    Raises:
        CheckpointError: there is no such file, or it is not such a file, or it was changed, or its parts do not fit.
    """
    shown = os.fspath(path)
    size, metadata, tensors = _read(Path(path))
    if FORMAT not in metadata:
        raise CheckpointError(
            f"cannot read {shown}: its metadata do not call it {FORMAT!r}, so save_compact did not write it; "
            "read other safetensors files with safetensors itself"
        )
    told = _authentic(metadata[FORMAT], tensors)
    if told is None:
        raise CheckpointError(f"cannot read {shown}: it was changed or cut after it was written: its checksum is wrong")
    try:
        masked, ties = _checked(told, tensors)
    except (ValueError, RecursionError) as cause:  # its author may have made a right checksum
        raise CheckpointError(f"cannot read {shown}: {cause}") from cause
    codes = {
        name: CodedMask(entry["coding"], entry["marks"], entry["width"], tensors[name + INDEX].numpy())
        for name, entry in masked.items()
    }
    shapes = {name: tuple(entry["shape"]) for name, entry in masked.items()}
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(INDEX)}
    return CompactFile(shown, size, kept, shapes, codes, ties)


def _read(path: Path) -> tuple[int, dict[str, str], dict[str, Tensor]]:
    from safetensors import safe_open

    try:
        if not path.is_file():
            raise FileNotFoundError(2, "there is no such file")
        check_header(path, _HEADER_CAP)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return path.stat().st_size, file.metadata() or {}, tensors
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause
    except Exception as cause:  # what safetensors and torch raise for odd bytes has many types
        raise CheckpointError(
            f"cannot read {path}: it is truncated, corrupt or no safetensors file ({cause})"
        ) from cause


def _digest(tensors: Mapping[str, Tensor], told: str) -> str:
    digest = hashlib.sha256(told.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        about = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(about.encode() + b"\0")
        raw: Any = tensor.reshape(-1).view(torch.uint8).numpy()
        digest.update(raw)
    return digest.hexdigest()


def _authentic(about: str, tensors: Mapping[str, Tensor]) -> str | None:
    """The header's text if its checksum is right."""
    try:
        if sum(map(about.count, ",[{")) > _VALUE_CAP:
            return None
        read = json.loads(about)
        told = read["weights"]
        return told if isinstance(told, str) and read["sha256"] == _digest(tensors, told) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _checked(told: str, tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    header = json.loads(told) if sum(map(told.count, ",[{")) <= _VALUE_CAP else None
    if not isinstance(header, dict) or header.keys() != {"masked", "ties"}:
        raise ValueError("its header is none")
    masked, ties = header["masked"], header["ties"]
    if not isinstance(masked, dict) or not isinstance(ties, dict):
        raise ValueError("its header is none")
    if {name for name in tensors if name.endswith(INDEX)} != {name + INDEX for name in masked}:
        raise ValueError("its masks are not those that its header tells of")
    for name, entry in masked.items():
        _check_entry(name, entry, tensors)
    for name, other in ties.items():
        if name in tensors or not isinstance(other, str) or other not in tensors or other.endswith(INDEX):
            raise ValueError(f"{name!r} cannot be the same as {other!r}")
    return masked, ties


def _check_entry(name: str, entry: Any, tensors: Mapping[str, Tensor]) -> None:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY.keys():
        raise ValueError(f"its header does not tell how {name!r} is coded")
    if any(type(entry[key]) is not kind for key, kind in _ENTRY.items()):
        raise ValueError(f"its header does not tell how {name!r} is coded")
    shape = entry["shape"]
    if len(shape) > 64 or not all(type(side) is int and 0 <= side < 2**62 for side in shape):
        raise ValueError(f"the shape of {name!r} is none")
    if math.prod(shape) >= 2**62:
        raise ValueError(f"the shape of {name!r} is none")
    values = tensors.get(name)
    if values is None or values.shape != (entry["count"],) or tensors[name + INDEX].dtype != torch.uint8:
        raise ValueError(f"the values or the index of {name!r} are not those that its header tells of")
