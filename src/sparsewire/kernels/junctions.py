"""The connections between two layers as index arrays, in the order in which the kernels walk through them.

Inputs are cut into blocks whose activations stay in the first caches. Within a block either

* `group` = 1: row after row, the columns of its live weights; or
* `group` = 4: four rows at a time. The columns are sorted by their *pattern*, the set of those of the four rows that
  have a weight there (a number from 1 to 15, bit r for row r), so that one load of an input serves up to four
  outputs. Under a pattern the values follow row by row.

The live values lie in the same order, so nothing has to be permuted between the optimizer and the kernels.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError

GROUP = 4
_PATTERNS = range(1, 1 << GROUP)
# The (pattern, row) pairs of a group in the order of their values.
_PAIRS = np.array([(p, r) for p in _PATTERNS for r in range(GROUP) if p >> r & 1], dtype=np.int64)
_LARGEST_BLOCK = 16384  # a column within its block is an int16
_MOST = 2**31 - 1  # a start is an int32

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Junction:
    """Which weights of a matrix of shape (outputs, inputs) exist, and in which order their values lie.

    Args:
        outputs: rows of the weight matrix.
        inputs: its columns.
        block: inputs in a block, the last one may have fewer.
        group: 1 or 4, see this module.
        columns: int16; of each entry the column within its block. For group 1 one entry a value.
        starts: int32. For group 1 of shape (blocks, outputs + 1): where the values of each row begin, and the end.
            For group 4 of shape (blocks, ceil(outputs / 4), 17): where the entries of the patterns 1 … 15 begin, and
            their end; last, where the values of the group begin.
        count: how many weights exist.

    Example:
        >>> junction = junction_of(torch.tensor([[True, False, True], [False, False, True]]), group=1)
        >>> junction.count, junction.columns.tolist(), junction.starts.tolist()
        (3, [0, 2, 2], [[0, 2, 3]])
    """

    outputs: int
    inputs: int
    block: int
    group: int
    columns: Tensor
    starts: Tensor
    count: int

    def __repr__(self) -> str:
        return f"Junction({self.outputs} × {self.inputs}, {self.count:,} weights, density {self.density:.4g})"

    @property
    def blocks(self) -> int:
        """How many blocks of inputs there are."""
        return blocks_of(self.inputs, self.block)

    @property
    def density(self) -> float:
        """Live weights / weights; 1 for a matrix without any."""
        return self.count / (self.outputs * self.inputs) if self.outputs * self.inputs else 1.0

    @property
    def bytes(self) -> int:
        """Of the index arrays."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.columns, self.starts))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Outputs, inputs, block, group and count, for the native library, which works on the CPU alone."""
        if not self.columns.is_cpu:
            raise RequestError(f"junction: found its arrays on {self.columns.device}, expected the CPU; junction.to(…)")
        return self.outputs, self.inputs, self.block, self.group, self.count

    @property
    def described(self) -> tuple[int, ...]:
        """What the native library wants to know: the numbers of a Junction and the addresses of its arrays."""
        # Asked for at every call: share_memory_() and sending to another process move an array under its tensor.
        return *self.numbers, self.columns.data_ptr(), self.starts.data_ptr()

    @cached_property
    def places(self) -> Tensor:
        """`positions()`, kept as long as the junction: for plain torch, which needs them at every batch."""
        return self.positions()

    @cached_property
    def by_rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where each row begins, the columns, and which value belongs to each: compressed rows, kept like `places`."""
        ordered, order = self.places.sort()
        ends = torch.arange(self.outputs + 1, device=ordered.device) * self.inputs
        return torch.searchsorted(ordered, ends), ordered % max(self.inputs, 1), order

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: the fields, and nothing that was derived from them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device | str) -> "Junction":
        """The same connections with the index arrays on another device."""
        columns, starts = self.columns.to(device), self.starts.to(device)
        return Junction(self.outputs, self.inputs, self.block, self.group, columns, starts, self.count)

    def positions(self) -> Tensor:
        """Of each value its place in the flattened weight matrix; int64, shape (count,), on the arrays' device.

        Example:
            >>> junction_of(torch.tensor([[True, False, True], [False, False, True]])).positions().tolist()
            [0, 2, 5]
        """
        if torch.compiler.is_compiling():
            return self._positions()
        with torch._C._DisableTorchDispatch():  # else FakeTensorMode hands out arrays of whatever was in memory
            return self._positions()

    def _positions(self) -> Tensor:
        columns = self.columns.cpu().numpy().astype(np.int64)
        starts = self.starts.cpu().numpy().astype(np.int64)
        flat = _positions_by_rows if self.group == 1 else _positions_by_groups
        found = flat(columns, starts, self.inputs, self.block, self.outputs)
        return torch.from_numpy(found).to(self.columns.device)

    def mask(self) -> Tensor:
        """The bool tensor of shape (outputs, inputs) with True where a weight exists."""
        flat = torch.zeros(self.outputs * self.inputs, dtype=torch.bool, device=self.columns.device)
        flat[self.positions()] = True
        return flat.view(self.outputs, self.inputs)

    def values_of(self, weight: Tensor) -> Tensor:
        """The live values of a weight matrix, shape (count,), in this junction's order; what is elsewhere is dropped.

        Example:
            >>> junction = junction_of(torch.tensor([[True, False], [False, True]]))
            >>> junction.values_of(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
            tensor([1., 4.])
        """
        if weight.shape != (self.outputs, self.inputs):
            raise RequestError(f"weight: found shape {tuple(weight.shape)}, expected ({self.outputs}, {self.inputs})")
        return weight.reshape(-1)[self.positions().to(weight.device)]

    def weight_of(self, values: Tensor) -> Tensor:
        """The weight matrix with these live values and zeros elsewhere; differentiable.

        Example:
            >>> junction = junction_of(torch.tensor([[True, False], [False, True]]))
            >>> junction.weight_of(torch.tensor([1.0, 4.0]))
            tensor([[1., 0.],
                    [0., 4.]])
        """
        if values.shape != (self.count,):
            raise RequestError(f"values: found shape {tuple(values.shape)}, expected ({self.count},)")
        flat = values.new_zeros(self.outputs * self.inputs)
        return flat.index_put((self.positions().to(values.device),), values).view(self.outputs, self.inputs)


def junction_of(mask: Tensor, block: int | None = None, group: int | None = None) -> Junction:
    """The connections of a mask in the kernels' order, on the mask's device.

    Args:
        mask: bool, shape (outputs, inputs), True where a weight exists.
        block: inputs in a block, from 1 to 16384; None: by the density.
        group: 1 or 4; None: by the density. Both depend on the mask alone, not on the machine.

    Raises:
        RequestError: no such mask, block or group, or 2³¹ weights and more.

    Example:
        >>> junction_of(torch.ones(8, 2, dtype=torch.bool), group=4)
        Junction(8 × 2, 16 weights, density 1)
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != 2:
        found = f"{mask.dtype} of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise RequestError(f"mask: found {found}, expected a torch.bool tensor of shape (outputs, inputs)")
    array = mask.detach().cpu().contiguous().numpy()
    outputs, inputs = array.shape
    count = int(np.count_nonzero(array))
    usual = layout_for(outputs, inputs, count)
    block, group = usual[0] if block is None else block, usual[1] if group is None else group
    if not 0 < block <= _LARGEST_BLOCK or group not in (1, GROUP) or count > _MOST:
        raise RequestError(
            f"block, group: found {block} and {group} for {count:,} weights; expected a block from 1 to "
            f"{_LARGEST_BLOCK:,}, a group of 1 or {GROUP}, and at most {_MOST:,} weights"
        )
    columns, starts = (_by_rows if group == 1 else _by_groups)(array, block)
    device = mask.device
    return Junction(
        outputs, inputs, block, group, torch.from_numpy(columns).to(device), torch.from_numpy(starts).to(device), count
    )


def layout_for(outputs: int, inputs: int, count: int) -> tuple[int, int]:
    """The block and the group that suit a matrix with so many live weights.

    Small blocks keep their activations in the first caches, but a row should find some sixty weights in one, else it
    costs more to begin and to end its sum than to add to it; and from about 15 % on it pays to share the inputs between
    four rows. Measured by benchmarks/junction_layouts.py.

    Example:
        >>> layout_for(300, 784, 300 * 784 // 2), layout_for(4096, 4096, 4096 * 40)
        ((784, 4), (2048, 1))
    """
    density = count / (outputs * inputs) if outputs * inputs else 1.0
    wanted, group = 2048 if 1024 * density < 60 else 1024, GROUP if density >= 0.15 else 1
    blocks = max(1, round(inputs / wanted))
    return max(1, -(-inputs // blocks)), group


def blocks_of(inputs: int, block: int) -> int:
    """How many blocks so many inputs make; at least one, so that every row is visited.

    Example:
        >>> blocks_of(784, 384), blocks_of(0, 384)
        (3, 1)
    """
    return max(1, -(-inputs // block))


def _by_rows(mask: Array, block: int) -> tuple[Array, Array]:
    outputs, inputs = mask.shape
    columns, starts, done = [], np.zeros((blocks_of(inputs, block), outputs + 1), np.int32), 0
    for number in range(len(starts)):
        part = mask[:, number * block : (number + 1) * block]
        rows, found = np.nonzero(part)
        columns.append(found.astype(np.int16))
        starts[number, 0] = done
        starts[number, 1:] = done + np.cumsum(np.bincount(rows, minlength=outputs))
        done += len(found)
    return np.concatenate(columns), starts


def _by_groups(mask: Array, block: int) -> tuple[Array, Array]:
    outputs, inputs = mask.shape
    groups = -(-outputs // GROUP)
    whole = np.zeros((groups * GROUP, inputs), np.uint8)
    whole[:outputs] = mask
    pattern = np.bitwise_or.reduce([whole[row::GROUP] << row for row in range(GROUP)])
    columns, starts, entries, values = [], np.zeros((blocks_of(inputs, block), groups, 17), np.int32), 0, 0
    for number in range(len(starts)):
        part = pattern[:, number * block : (number + 1) * block]
        group, found = np.nonzero(part)
        key = group * 16 + part[group, found]
        columns.append(found[np.argsort(key, kind="stable")].astype(np.int16))
        sizes = np.bincount(key, minlength=groups * 16).reshape(groups, 16)
        ends = entries + np.cumsum(sizes.reshape(-1)).reshape(groups, 16)
        starts[number, :, :15], starts[number, :, 15] = (ends - sizes)[:, 1:], ends[:, 15]
        weights = sizes @ np.array([p.bit_count() for p in range(16)])
        starts[number, :, 16] = values + np.cumsum(weights) - weights
        entries, values = entries + len(found), values + int(weights.sum())
    return np.concatenate(columns), starts


def _positions_by_rows(columns: Array, starts: Array, inputs: int, block: int, outputs: int) -> Array:
    blocks = len(starts)
    row = np.repeat(np.tile(np.arange(outputs), blocks), np.diff(starts, axis=1).reshape(-1))
    first = np.repeat(np.arange(blocks) * block, starts[:, -1] - starts[:, 0])
    return row * inputs + first + columns


def _positions_by_groups(columns: Array, starts: Array, inputs: int, block: int, outputs: int) -> Array:
    blocks, groups, _ = starts.shape
    pattern, row = _PAIRS[:, 0], _PAIRS[:, 1]
    sizes = np.diff(starts[:, :, :16], axis=2)[:, :, pattern - 1].reshape(-1)
    entry = starts[:, :, pattern - 1].reshape(-1)
    before = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum())) - np.repeat(before, sizes)
    column = columns[np.repeat(entry, sizes) + within]
    rows = (np.arange(groups)[None, :, None] * GROUP + row + np.zeros((blocks, 1, 1), np.int64)).reshape(-1)
    first = np.broadcast_to(np.arange(blocks)[:, None, None] * block, (blocks, groups, len(_PAIRS))).reshape(-1)
    found: Array = np.repeat(rows * inputs + first, sizes) + column
    return found
