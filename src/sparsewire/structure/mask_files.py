"""Masks in a file: safetensors, one bit a weight, with a checksum."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import CheckpointError
from sparsewire.files import check_header, write_aside

FORMAT = "sparsewire-masks-1"
_HEADER_CAP = 4 << 20  # bytes
_VALUE_CAP = 1_000_000  # commas and brackets in the shapes: each can take a hundred bytes of memory when it is read


def write_masks(masks: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Writes bool tensors by name; a whole file or none.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    packed = {name: np.packbits(mask.cpu().numpy().reshape(-1)) for name, mask in masks.items()}
    shapes = json.dumps({name: list(mask.shape) for name, mask in masks.items()})
    metadata = {"format": FORMAT, "shapes": shapes, "sha256": digest(packed, shapes)}

    def write(aside: Path) -> None:
        try:
            save_file(packed, aside, metadata)
            check_header(aside, _HEADER_CAP)  # what could not be read again is not kept
        except SafetensorError as cause:  # safetensors does not let the system's own error through
            raise OSError(str(cause)) from cause

    write_aside(path, write, CheckpointError)


def read_masks(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads what `write_masks` wrote; every changed byte is noticed.

    Raises:
        CheckpointError: there is no such file, or it is not such a file, or it was changed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_header(Path(path), _HEADER_CAP)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"no masks at {os.fspath(path)}: there is no such file") from None
    except (OSError, SafetensorError, ValueError, TypeError) as cause:
        raise CheckpointError(f"cannot read masks from {os.fspath(path)}: {cause}") from cause
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{os.fspath(path)} holds no masks: its format is {metadata.get('format', 'not stated')!r}, "
            f"expected {FORMAT!r}; save masks with Masks.save"
        )
    shapes = metadata.get("shapes", "")
    if metadata.get("sha256") != digest(packed, shapes):
        raise CheckpointError(f"{os.fspath(path)} was changed or cut after it was written: its checksum is wrong")
    try:
        return {name: _unpack(packed[name], shape) for name, shape in _checked(shapes, packed).items()}
    except (ValueError, RuntimeError) as cause:
        raise CheckpointError(f"{os.fspath(path)} holds no masks: {cause}") from cause


def digest(packed: Mapping[str, Any], shapes: str) -> str:
    """The checksum of packed masks and of the text of their shapes."""
    found = hashlib.sha256(shapes.encode())
    for name in sorted(packed):
        found.update(name.encode() + b"\0" + packed[name].tobytes())
    return found.hexdigest()


def _checked(text: str, packed: Mapping[str, Any]) -> dict[str, list[int]]:
    """The shapes, each of as many bits as are there: a file made by hand may have a checksum that is right."""
    if sum(map(text.count, ",[{")) > _VALUE_CAP:
        raise ValueError(f"it tells of more than {_VALUE_CAP:,} sizes")
    shapes = json.loads(text)
    if not isinstance(shapes, dict) or shapes.keys() != packed.keys():
        raise ValueError("its shapes are not those of its tensors")
    for name, shape in shapes.items():
        is_shape = isinstance(shape, list) and all(type(side) is int and 0 <= side < 2**63 for side in shape)
        if not is_shape or packed[name].dtype != np.uint8 or packed[name].shape != (-(-math.prod(shape) // 8),):
            raise ValueError(f"the shape of {name!r} is not that of its bits")
    return shapes


def _unpack(packed: Any, shape: list[int]) -> Tensor:
    count = math.prod(shape)
    return torch.from_numpy(np.unpackbits(packed, count=count).astype(bool)).view(shape)
