"""The index arrays of a junction as a module's buffers, and the checks that they, and a mask, can be trusted.

Kernels read and write memory at the places that these arrays name, and a state may come from anywhere. So every number
is checked when one is loaded: the arrays must be exactly what `junction_of` would make of some mask.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.junctions import GROUP, Junction, blocks_of

PARTS = ("columns", "starts", "layout")
_DTYPES = (torch.uint8, torch.int32, torch.int64)
_LARGEST_BLOCK = 16384
# Does a column of this pattern serve this row of its group?
_SERVES = np.array([[pattern >> row & 1 for row in range(GROUP)] for pattern in range(1, 1 << GROUP)], dtype=np.int64)

Array = np.ndarray[Any, Any]


def arrays_of(junction: Junction) -> Mapping[str, Tensor]:
    """The three arrays from which the junction can be made again, by the names of `PARTS`.

    The columns are bytes, two a column: torch.distributed knows no int16. They share the junction's memory.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> arrays = arrays_of(junction_of(torch.tensor([[True, False, True]]), block=3, group=1))
        >>> arrays["columns"].tolist(), arrays["starts"].tolist(), arrays["layout"].tolist()
        ([0, 0, 2, 0], [[0, 2]], [1, 3, 3, 1])
    """
    layout = torch.tensor([junction.outputs, junction.inputs, junction.block, junction.group])
    columns = junction.columns if len(junction.columns) else junction.columns.new_empty(0)  # numpy's have no stride
    return {"columns": columns.view(torch.uint8), "starts": junction.starts, "layout": layout}


def checked_junction(
    name: str, shape: tuple[int, ...], values: object, columns: object, starts: object, layout: object
) -> Junction:
    """The junction that arrays of unknown origin describe, as a copy on the CPU, once every number of them is checked.

    Args:
        name: of the sparse weight, for the message.
        shape: that the dense weight must have.
        values: the live values, of which there must be as many as the arrays say.
        columns: uint8.
        starts: int32.
        layout: int64, (outputs, inputs, block, group).

    Raises:
        RequestError: a part is missing, of another dtype or shape, for another weight, or names places that do not
            exist, exist twice or are out of order.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> arrays = arrays_of(junction_of(torch.tensor([[True, False, True]])))
        >>> checked_junction("weight", (1, 3), torch.ones(2), *arrays.values())
        Junction(1 × 3, 2 weights, density 0.6667)
    """
    try:
        return _checked(shape, values, columns, starts, layout)
    except ValueError as cause:
        raise RequestError(
            f"sparse weight {name!r} in the state: {cause}; load a whole state of a sparse layer of shape {shape} "
            "(a dense one into the dense model, before sparsify)"
        ) from None


def seal_of(columns: Tensor, starts: Tensor) -> int:
    """A number that changes where the arrays are rounded or averaged; 0 without content.

    Example:
        >>> seal_of(torch.tensor([1, 0], dtype=torch.uint8), torch.tensor([[0, 1]], dtype=torch.int32))
        2
    """
    return 0 if columns.is_meta or starts.is_meta else int(columns.sum()) + int(starts.sum())


def origin_of(old: Tensor, new: Tensor) -> Tensor:
    """Where in `old`, whose numbers are distinct, each number of `new` is; −1 where it is not.

    Example:
        >>> origin_of(torch.tensor([5, 2]), torch.tensor([2, 3, 5]))
        tensor([ 1, -1,  0])
    """
    if not len(old):
        return torch.full_like(new, -1)
    ordered, place = old.sort()
    near = torch.searchsorted(ordered, new).clamp_(max=len(old) - 1)
    return torch.where(ordered[near] == new, place[near], -1)


def check_mask(name: str, mask: Tensor, shape: tuple[int, ...] | None) -> None:
    """Raises the RequestError about a mask that is no bool tensor with content, of this shape if there is one.

    Example:
        >>> check_mask("weight", torch.ones(2, 3, dtype=torch.bool), (2, 3))
    """
    right = isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.ndim > 1 and not mask.is_meta
    if not right or tuple(mask.shape) != (shape or tuple(mask.shape)):
        found = described(mask)
        wanted = f"shape {shape}" if shape else "two sides or more"
        raise RequestError(f"mask of {name!r}: found {found}, expected a torch.bool tensor of {wanted}")


def _checked(shape: tuple[int, ...], values: object, *arrays: object) -> Junction:
    if not isinstance(values, Tensor) or values.ndim != 1 or not values.is_floating_point() or not _is_plain(values):
        raise ValueError(f"found {described(values)} as values, expected a 1-D tensor of floats")
    for part, dtype, array in zip(PARTS, _DTYPES, arrays, strict=True):
        if not isinstance(array, Tensor) or array.dtype != dtype or array.is_meta or not _is_plain(array):
            raise ValueError(f"found {described(array)} as {part}, expected {dtype}")
    columns, starts, layout = (
        array.detach().cpu().contiguous().clone() for array in arrays if isinstance(array, Tensor)
    )
    sides = (shape[0], math.prod(shape[1:]))
    if layout.shape != (4,) or tuple(layout[:2].tolist()) != sides:
        raise ValueError(f"found the layout {layout.tolist()}, expected it to begin with {list(sides)}")
    block, group = layout[2:].tolist()
    if not 0 < block <= _LARGEST_BLOCK or group not in (1, GROUP):
        raise ValueError(f"found blocks of {block} and groups of {group}, which do not exist")
    if columns.ndim != 1 or len(columns) % 2:
        raise ValueError(f"found columns of shape {tuple(columns.shape)}, expected two bytes for each")
    indices = columns.view(torch.int16)
    found = (_count_by_rows if group == 1 else _count_by_groups)(indices.numpy(), starts.numpy(), *sides, block)
    if found != len(values):
        raise ValueError(f"found {len(values):,} values for {found:,} weights")
    return Junction(*sides, block, group, indices, starts, found)


def _count_by_rows(columns: Array, starts: Array, outputs: int, inputs: int, block: int) -> int:
    if starts.shape != (blocks_of(inputs, block), outputs + 1):
        raise ValueError(f"found starts of shape {starts.shape}, which is not that of such blocks")
    # The next block begins where the last one ended.
    _check_starts(starts, columns)
    sizes = np.diff(starts.astype(np.int64), axis=1)
    _check_columns(columns, sizes, inputs, block)
    return len(columns)


def _count_by_groups(columns: Array, starts: Array, outputs: int, inputs: int, block: int) -> int:
    groups = -(-outputs // GROUP)
    if starts.shape != (blocks_of(inputs, block), groups, 17):
        raise ValueError(f"found starts of shape {starts.shape}, which is not that of such blocks")
    entries = starts[:, :, :16].reshape(-1, 16)
    _check_starts(entries, columns)
    sizes: Array = np.diff(entries.astype(np.int64), axis=1)
    _check_columns(columns, sizes, inputs, block)
    by_row = (sizes @ _SERVES).reshape(len(starts), groups, GROUP)
    if by_row.reshape(len(starts), -1)[:, outputs:].any():
        raise ValueError("found weights in rows that do not exist")
    ends = np.cumsum(by_row.sum(2).reshape(-1))
    if not np.array_equal(starts[:, :, 16].reshape(-1), ends - by_row.sum(2).reshape(-1)):
        raise ValueError("found starts of the values that do not fit the columns")
    # In a group a column has one pattern.
    group_of = np.repeat(np.arange(len(sizes)), sizes.sum(1))
    if len(np.unique(group_of * block + columns)) != len(columns):
        raise ValueError("found a column twice in a group")
    return int(ends[-1]) if len(ends) else 0


def _check_starts(starts: Array, columns: Array) -> None:
    """Starts of shape (segments, n) run from 0 to the last column without a step back or a gap."""
    if not starts.size:
        fits = not len(columns)
    else:
        flat = starts.reshape(-1)
        follows = np.array_equal(starts[1:, 0], starts[:-1, -1])
        fits = flat[0] == 0 and flat[-1] == len(columns) and follows and bool((flat[1:] >= flat[:-1]).all())
    if not fits:
        raise ValueError("found starts that do not fit the columns")


def _check_columns(columns: Array, sizes: Array, inputs: int, block: int) -> None:
    """Columns lie within their block, and ascend within each run of `sizes`, which go block by block."""
    if not len(columns):
        return
    runs = sizes.reshape(-1)
    of_run = np.repeat(np.arange(len(runs)), runs)
    blocks = blocks_of(inputs, block)
    width = np.minimum(inputs - block * np.arange(blocks), block)[of_run // (len(runs) // blocks)]
    if columns.min() < 0 or (columns >= width).any():
        raise ValueError("found columns out of range")
    if ((np.diff(columns.astype(np.int64)) <= 0) & (of_run[1:] == of_run[:-1])).any():
        raise ValueError("found columns out of order")


def described(found: object) -> str:
    """What was found where a tensor was expected, for a message.

    Example:
        >>> described(torch.ones(2)), described(None)
        ('torch.float32 of shape (2,)', 'nothing')
    """
    if not isinstance(found, Tensor):
        return "nothing" if found is None else type(found).__name__
    layout = f", {found.layout}," if not _is_plain(found) else ""
    return f"{found.dtype}{layout} of shape {tuple(found.shape)}" + (" without content" if found.is_meta else "")


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided
