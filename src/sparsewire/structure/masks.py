"""Masks: which weights of a model exist."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.errors import CheckpointError, RequestError, UnknownNameError
from sparsewire.files import write_aside

FORMAT = "sparsewire-masks-1"


class Masks(Mapping[str, Tensor]):
    """A frozen mapping from a parameter's name to a bool tensor of its shape; `True` = the weight is kept.

    Names are those of `model.named_parameters()`; a weight that is tied under several names appears once. The tensors
    are copied when the value is made; treat those that you read as read-only.

    Args:
        masks: parameter name → bool tensor.

    Raises:
        RequestError: a tensor is not of dtype bool.

    Example:
        >>> masks = Masks({"0.weight": torch.tensor([[True, False], [True, True]])})
        >>> masks.density, masks.count, masks["0.weight"].shape
        (0.75, 3, torch.Size([2, 2]))
    """

    __slots__ = ("_tensors",)

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        if not isinstance(masks, Mapping):
            raise RequestError(f"masks: found {type(masks).__name__}, expected a mapping name → torch.bool tensor")
        for name, mask in masks.items():
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                found = f"dtype {mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
                raise RequestError(f"mask of {name!r}: found {found}, expected a torch.bool tensor; try `mask != 0`")
        self._tensors = {name: mask.detach().clone() for name, mask in masks.items()}

    @classmethod
    def from_model(cls, model: nn.Module) -> "Masks":
        """All kept: every weight matrix or kernel of Linear, Conv, recurrent and attention layers, no bias.

        Example:
            >>> Masks.from_model(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))).densities()
            {'0.weight': 1.0, '2.weight': 1.0}
        """
        return cls({name: torch.ones_like(weight, dtype=torch.bool) for name, weight in maskable(model).items()})

    @classmethod
    def from_weights(cls, model: nn.Module) -> "Masks":
        """Kept where the model's weight is not zero, over the same parameters as `from_model`.

        Example:
            >>> layer = nn.Linear(2, 1)
            >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
            >>> Masks.from_weights(layer)["weight"]
            tensor([[False,  True]])
        """
        return cls({name: weight.detach() != 0 for name, weight in maskable(model).items()})

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise UnknownNameError("mask", str(name), self._tensors)
        return self._tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Masks({len(self)} weights, {self.count:,} of {self.total:,} kept, density {self.density:.4g})"

    @property
    def count(self) -> int:
        """How many weights are kept."""
        return sum(int(mask.count_nonzero()) for mask in self._tensors.values())

    @property
    def total(self) -> int:
        """How many weights there are, kept or not."""
        return sum(mask.numel() for mask in self._tensors.values())

    @property
    def density(self) -> float:
        """Kept weights / all weights, over all masks together; 1 if there are none at all."""
        return self.count / self.total if self.total else 1.0

    def densities(self) -> dict[str, float]:
        """The density of each weight by itself."""
        return {name: int(mask.count_nonzero()) / mask.numel() if mask.numel() else 1.0 for name, mask in self.items()}

    def to(self, device: torch.device | str) -> "Masks":
        """The same masks on another device."""
        return Masks({name: mask.to(device) for name, mask in self.items()})

    def __and__(self, other: Mapping[str, Tensor]) -> "Masks":
        return self._combine(other, torch.logical_and)

    def __or__(self, other: Mapping[str, Tensor]) -> "Masks":
        return self._combine(other, torch.logical_or)

    def __xor__(self, other: Mapping[str, Tensor]) -> "Masks":
        return self._combine(other, torch.logical_xor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Masks):
            return NotImplemented
        return self.keys() == other.keys() and all(
            torch.equal(mask, other[name].to(mask.device)) for name, mask in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content, and tensors have no hash by content

    def overlap(self, other: Mapping[str, Tensor]) -> float:
        """How alike two masks are: |A ∩ B| / |A ∪ B|, from 0 (disjoint) to 1 (equal); 1 if both keep nothing.

        Raises:
            RequestError: the two do not have the same names and shapes.

        Example:
            >>> a = Masks({"w": torch.tensor([True, True, False])})
            >>> a.overlap(Masks({"w": torch.tensor([False, True, True])}))
            0.3333333333333333
        """
        union = (self | other).count
        return (self & other).count / union if union else 1.0

    def apply_(self, model: nn.Module) -> nn.Module:
        """Sets every weight outside its mask to exactly zero, in place; returns the model.

        Raises:
            RequestError: the model lacks a parameter, or has it in another shape; then nothing was changed.

        Example:
            >>> layer = nn.Linear(2, 1)
            >>> _ = Masks({"weight": torch.tensor([[True, False]])}).apply_(layer)
            >>> layer.weight[0, 1].item()
            0.0
        """
        weights = self.weights_of(model)
        with torch.no_grad():
            for name, weight in weights.items():
                # Not a product: it would keep a NaN and turn a negative weight into -0.0.
                weight.masked_fill_(~self[name].to(weight.device), 0)
        return model

    def weights_of(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The model's parameters that these masks are about, in the masks' order.

        Raises:
            RequestError: the model lacks one of them, or has it in another shape.
        """
        if not isinstance(model, nn.Module):
            raise RequestError(f"model: found {type(model).__name__}, expected a torch module")
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, mask in self.items():
            if name not in parameters:
                raise UnknownNameError("parameter of the model", name, parameters)
            if parameters[name].shape != mask.shape:
                raise RequestError(
                    f"mask of {name!r}: found shape {tuple(mask.shape)}, expected {tuple(parameters[name].shape)}, "
                    "the shape of the weight; make the mask for this model"
                )
        return {name: parameters[name] for name in self}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the masks as safetensors, one bit a weight, with a checksum; a whole file or none.

        Raises:
            CheckpointError: the file cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        packed = {name: np.packbits(mask.cpu().numpy().reshape(-1)) for name, mask in self.items()}
        shapes = json.dumps({name: list(mask.shape) for name, mask in self.items()})
        metadata = {"format": FORMAT, "shapes": shapes, "sha256": _digest(packed, shapes)}

        def write(aside: Path) -> None:
            try:
                save_file(packed, aside, metadata)
            except SafetensorError as cause:  # safetensors does not let the system's own error through
                raise OSError(str(cause)) from cause

        write_aside(path, write, CheckpointError)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Masks":
        """Reads what `save` wrote; every changed byte is noticed.

        Raises:
            CheckpointError: there is no such file, or it is not such a file, or it was changed.
        """
        from safetensors import SafetensorError, safe_open

        try:
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
        if metadata.get("sha256") != _digest(packed, shapes):
            raise CheckpointError(f"{os.fspath(path)} was changed or cut after it was written: its checksum is wrong")
        try:
            return cls({name: _unpack(packed[name], shape) for name, shape in _checked(shapes, packed).items()})
        except (ValueError, RuntimeError) as cause:
            raise CheckpointError(f"{os.fspath(path)} holds no masks: {cause}") from cause

    def _combine(self, other: Mapping[str, Tensor], operation: Callable[[Tensor, Tensor], Tensor]) -> "Masks":
        if not isinstance(other, Mapping):
            return NotImplemented
        if self.keys() != other.keys():
            only = sorted(self.keys() ^ other.keys())
            raise RequestError(f"masks of different models: {only[0]!r} is in one of the two only")
        other = other if isinstance(other, Masks) else Masks(other)  # refuses numbers, of which all but 0 would be True
        for name, mask in self.items():
            if mask.shape != other[name].shape:
                raise RequestError(
                    f"mask of {name!r}: shapes {tuple(mask.shape)} and {tuple(other[name].shape)} differ; "
                    "only masks of one model can be combined"
                )
        return Masks({name: operation(mask, other[name].to(mask.device)) for name, mask in self.items()})


def maskable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that a mask may be about: of Linear, Conv, recurrent and attention layers, tied ones once.

    Returns:
        Parameter name (the first one, where it is tied) → parameter, in the model's order.
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module")
    wanted: set[int] = set()
    for module in model.modules():
        wanted.update(id(weight) for weight in _weights_of_module(module))
    return {name: weight for name, weight in model.named_parameters() if id(weight) in wanted}


def _weights_of_module(module: nn.Module) -> list[nn.Parameter]:
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, nn.Linear | nn.Bilinear | nn.modules.conv._ConvNd):
        own = {name: weight for name, weight in own.items() if name == "weight"}
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        own = {name: weight for name, weight in own.items() if name.startswith("weight_")}
    elif isinstance(module, nn.MultiheadAttention):
        own = {name: weight for name, weight in own.items() if name.endswith("_proj_weight")}
    else:
        return []
    return list(own.values())


def _digest(packed: Mapping[str, Any], shapes: str) -> str:
    digest = hashlib.sha256(shapes.encode())
    for name in sorted(packed):
        digest.update(name.encode() + b"\0" + packed[name].tobytes())
    return digest.hexdigest()


def _checked(text: str, packed: Mapping[str, Any]) -> dict[str, list[int]]:
    """The shapes, each of as many bits as are there: a file made by hand may have a checksum that is right."""
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
