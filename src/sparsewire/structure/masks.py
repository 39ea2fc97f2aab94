"""Masks: which weights of a model exist."""

import os
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.mask_files import read_masks, write_masks
from sparsewire.structure.sparse_weights import junctions_of, refuse_hidden_edges, sparse_weights


class Masks(Mapping[str, Tensor]):
    """A frozen mapping from a parameter's name to a bool tensor of its shape; `True` = the weight is kept.

    Names are those of `model.named_parameters()`; a weight that is tied under several names appears once. The mask of
    a sparse layer's weight, whose parameter holds the live values only, has the shape of the dense weight. The tensors
    are copied when the value is made; treat those that you read as read-only.

    Args:
        masks: parameter name → bool tensor.

    Raises:
        RequestError: a tensor is not of dtype bool, or a name is no string.

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
            if not isinstance(name, str):
                raise RequestError(f"masks: found the name {name!r}, expected that of a parameter, as '0.weight'")
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                found = f"dtype {mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
                raise RequestError(f"mask of {name!r}: found {found}, expected a torch.bool tensor; try `mask != 0`")
        self._tensors = {name: mask.detach().clone() for name, mask in masks.items()}

    @classmethod
    def from_model(cls, model: nn.Module) -> "Masks":
        """All that exist: every weight matrix or kernel of Linear, Conv, recurrent and attention layers, no bias.

        Of a sparse layer those weights exist that it stores.

        Raises:
            RequestError: the model has edges that are no matrix, as a feed-forward network of `wired(…, sparse=True)`.

        Example:
            >>> Masks.from_model(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))).densities()
            {'0.weight': 1.0, '2.weight': 1.0}
        """
        refuse_hidden_edges(_checked(model))
        return cls(existing(model))

    @classmethod
    def from_weights(cls, model: nn.Module) -> "Masks":
        """Kept where the model's weight is not zero, over the same parameters as `from_model`.

        Of a sparse layer every weight is kept that it stores, also one that is zero, as a connection that has just
        grown is: there the structure is known and need not be read off the numbers.

        Raises:
            RequestError: as `from_model`.

        Example:
            >>> layer = nn.Linear(2, 1)
            >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
            >>> Masks.from_weights(layer)["weight"]
            tensor([[False,  True]])
        """
        refuse_hidden_edges(_checked(model))
        sparse = sparse_weights(model)
        return cls(
            {
                name: sparse[name].mask() if name in sparse else weight.detach() != 0
                for name, weight in maskable(model).items()
            }
        )

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

        A sparse layer keeps its structure: stored weights outside the mask become zeros that are stored, and what a
        mask keeps beyond them stays absent, which is zero. (`SparseOptimizer` changes the structure to the masks.)

        Raises:
            RequestError: the model lacks a parameter, or has it in another shape; then nothing was changed.

        Example:
            >>> layer = nn.Linear(2, 1)
            >>> _ = Masks({"weight": torch.tensor([[True, False]])}).apply_(layer)
            >>> layer.weight[0, 1].item()
            0.0
        """
        weights, sparse = self.weights_of(model), sparse_weights(model)
        with torch.no_grad():
            for name, weight in weights.items():
                mask = self[name].to(weight.device)
                # Not a product: it would keep a NaN and turn a negative weight into -0.0.
                weight.masked_fill_(~(sparse[name].values_of(mask) if name in sparse else mask), 0)
        return model

    def weights_of(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The model's parameters that these masks are about, in the masks' order; of sparse layers the live values.

        Raises:
            RequestError: the model lacks one of them, or has the weight in another shape.
        """
        sparse = sparse_weights(_checked(model))
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, mask in self.items():
            if name not in parameters:
                raise UnknownNameError("parameter of the model", name, parameters)
            shape = sparse[name].shape if name in sparse else tuple(_known(name, parameters[name]).shape)
            if tuple(mask.shape) != shape:
                raise RequestError(
                    f"mask of {name!r}: found shape {tuple(mask.shape)}, expected {shape}, "
                    "the shape of the weight; make the mask for this model"
                )
        return {name: parameters[name] for name in self}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the masks as safetensors, one bit a weight, with a checksum; a whole file or none.

        Raises:
            CheckpointError: the file cannot be written.
        """
        write_masks(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Masks":
        """Reads what `save` wrote; every changed byte is noticed.

        Raises:
            CheckpointError: there is no such file, or it is not such a file, or it was changed.
        """
        return cls(read_masks(path))

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


def existing(model: nn.Module) -> dict[str, Tensor]:
    """By the names of `maskable` which weights there are: all, and of a sparse layer those that it stores."""
    sparse = sparse_weights(model)
    return {
        name: sparse[name].mask() if name in sparse else torch.ones_like(weight, dtype=torch.bool)
        for name, weight in maskable(model).items()
    }


def maskable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that a mask may be about: of Linear, Conv, recurrent and attention layers, tied ones once.

    Returns:
        Parameter name (the first one, where it is tied) → parameter, in the model's order. That of a sparse layer has
        one dimension, its live values; `matrices` shows all weights in their own shapes.
    """
    wanted: set[int] = set()
    for module in _checked(model).modules():
        wanted.update(id(weight) for weight in _weights_of_module(module))
    return {name: _known(name, weight) for name, weight in model.named_parameters() if id(weight) in wanted}


def matrices(model: nn.Module) -> dict[str, Tensor]:
    """The weights that a mask may be about, each in the shape of its mask.

    Returns:
        The names of `maskable` → the parameter itself, or for a sparse layer a tensor of its live values and zeros
        elsewhere, made now, with its gradient as `grad` in the same way.

    Example:
        >>> matrices(nn.Linear(3, 2))["weight"].shape
        torch.Size([2, 3])
    """
    weights, sparse = maskable(model), sparse_weights(model)
    return {name: sparse[name].matrix() if name in sparse else weight for name, weight in weights.items()}


def _checked(model: nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module")
    return model


def _known(name: str, weight: nn.Parameter) -> nn.Parameter:
    if isinstance(weight, UninitializedParameter):
        raise RequestError(f"parameter {name!r}: found a lazy one without shape; call the model on an input first")
    return weight


def _weights_of_module(module: nn.Module) -> list[nn.Parameter]:
    own = dict(module.named_parameters(recurse=False))
    if junctions := junctions_of(module):
        own = {name: weight for name, weight in own.items() if name in junctions}
    elif isinstance(module, nn.Linear | nn.Bilinear | nn.modules.conv._ConvNd):
        own = {name: weight for name, weight in own.items() if name == "weight"}
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        own = {name: weight for name, weight in own.items() if name.startswith("weight_")}
    elif isinstance(module, nn.MultiheadAttention):
        own = {name: weight for name, weight in own.items() if name.endswith("_proj_weight")}
    else:
        return []
    return list(own.values())
