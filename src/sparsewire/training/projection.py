"""Setting what lies outside a mask to zero: exactly, and as fast as memory is read."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sparsewire.structure.masks import Masks

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Projection:
    """Sets tensors outside their masks to exactly zero, in place: w ← w ⊙ m, also where w is NaN, inf or negative.

    The numbers are multiplied as integers, bit pattern by bit pattern, with 0 or 1. A product of floats would keep a
    NaN (NaN · 0 = NaN) and make −0.0 of a negative weight; `masked_fill_` does neither, but takes 6 to 30 times as long
    on a CPU, because it branches at every weight (`benchmarks/projection.py`).

    The masks are kept as integers of the size of the tensors' numbers; a tensor that comes in another type or from
    another device gets a new copy of its mask, so `model.to(...)` needs no notice.

    Args:
        masks: what to keep.

    Example:
        >>> weight = torch.tensor([float("nan"), -1.0, 2.0])
        >>> Projection(Masks({"w": torch.tensor([False, False, True])}))({"w": weight})
        >>> weight
        tensor([0., 0., 2.])
    """

    def __init__(self, masks: Masks) -> None:
        self.masks = masks
        self._keeps: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, tensors: Mapping[str, Tensor]) -> None:
        """Projects tensors, each by the mask of its name and of its shape."""
        bits = [_bits(tensor) for tensor in tensors.values()]
        if bits:
            keeps = [self._keep(name, bit) for name, bit in zip(tensors, bits, strict=True)]
            torch._foreach_mul_(bits, keeps)

    def _keep(self, name: str, bits: Tensor) -> Tensor:
        keep = self._keeps.get(name)
        if keep is None or keep.dtype != bits.dtype or keep.device != bits.device or keep.dim() != bits.dim():
            mask = self.masks[name]
            keep = (mask if mask.dim() == bits.dim() else mask.unsqueeze(-1)).to(bits.device, bits.dtype)
            self._keeps[name] = keep
        return keep


def _bits(tensor: Tensor) -> Tensor:
    """The tensor's own memory as integers; a complex number is a pair of them, in one more dimension."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.view(_INTEGERS[real.element_size()])
