"""Masks in a file: safetensors, one bit a weight, with a checksum."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import CheckpointError
from sparsewire.structure.sealed_arrays import read_arrays, sealed_text, write_sealed

FORMAT = "sparsewire-masks-1"
_HEADER_CAP = 4 << 20  # bytes
_VALUE_CAP = 1_000_000  # commas and brackets in the shapes: each can take a hundred bytes of memory when it is read


def write_masks(masks: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Writes bool tensors by name; a whole file or none.

    Raises:
        CheckpointError: the file cannot be written.
    """
    packed = {name: np.packbits(mask.cpu().numpy().reshape(-1)) for name, mask in masks.items()}
    shapes = json.dumps({name: list(mask.shape) for name, mask in masks.items()})
    write_sealed(path, packed, FORMAT, ("shapes", shapes), _HEADER_CAP, CheckpointError)


def read_masks(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads what `write_masks` wrote; every changed byte is noticed.

    Raises:
        CheckpointError: there is no such file, or it is not such a file, or it was changed.
    """
    metadata, packed = read_arrays(path, "masks", _HEADER_CAP, CheckpointError)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{os.fspath(path)} holds no masks: its format is {metadata.get('format', 'not stated')!r}, "
            f"expected {FORMAT!r}; save masks with Masks.save"
        )
    shapes = sealed_text(path, metadata, packed, "shapes", CheckpointError)
    try:
        return {name: _unpack(packed[name], shape) for name, shape in _checked(shapes, packed).items()}
    except (ValueError, RuntimeError) as cause:
        raise CheckpointError(f"{os.fspath(path)} holds no masks: {cause}") from cause


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
