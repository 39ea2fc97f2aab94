"""The order in which a GPU walks through a junction: row by row, or column by column.

A junction's own order shares loads within one core's caches. A GPU has thousands of small programs instead, each of
which sums one row, so it wants every row's entries side by side, and for the gradient of the inputs every column's. The
values stay in the junction's order, since they are the parameter; `places` says where each of them is.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sparsewire.kernels.junctions import Junction

_SHORT = 2**15  # numbers below fit into an int16, which halves what a kernel reads of indices

Stamp = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lines:
    """The entries of a weight matrix, line after line; a line is a row or a column.

    Args:
        count: how many lines there are.
        starts: int32, shape (count + 1,); where each line's entries begin, and the end.
        others: int16 or int32, one an entry: its place within the line (for rows the column), ascending.
        places: int32, one an entry: where its value lies in the junction's order.
    """

    count: int
    starts: Tensor
    others: Tensor
    places: Tensor

    @property
    def mean(self) -> float:
        """Entries a line."""
        return len(self.places) / max(self.count, 1)


# One entry a living `columns` tensor. Not an attribute of the tensor: torch.save and deepcopy would carry it along; and
# not of the Junction: a custom operator receives its tensors and makes a new Junction at every call.
_known: MutableMapping[Tensor, dict[bool, tuple[Stamp, Lines]]] = WeakTensorKeyDictionary()


def lines_of(junction: Junction, by_column: bool = False) -> Lines:
    """A junction's entries by rows or by columns, on its device; derived once and kept as long as its `columns` live.

    Writing into the junction's tensors, as `load_state_dict` does, makes them be derived again.

    Args:
        junction: the connections.
        by_column: for x W instead of x Wᵀ.

    Example:
        >>> import torch
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction = junction_of(torch.tensor([[True, False, True], [False, False, True]]))
        >>> lines = lines_of(junction, by_column=True)
        >>> lines.starts.tolist(), lines.others.tolist(), lines.places.tolist()
        ([0, 1, 1, 3], [0, 0, 1], [0, 1, 2])
    """
    kept = _known.get(junction.columns)
    if kept is None:
        kept = _known[junction.columns] = {}
    stamp = _stamp(junction)
    if by_column not in kept or kept[by_column][0] != stamp:
        kept[by_column] = stamp, _derived(junction, by_column)
    return kept[by_column][1]


def _stamp(junction: Junction) -> Stamp:
    # What was derived holds for these numbers in these tensors: torch counts the writes to a tensor, and an address is
    # enough for `starts`, as writing a new structure writes `columns` too.
    columns, starts = junction.columns, junction.starts
    writes = (0 if some.is_inference() else some._version for some in (columns, starts))
    sizes = junction.outputs, junction.inputs, junction.block, junction.group, junction.count
    return *writes, columns.data_ptr(), starts.data_ptr(), *sizes


def _derived(junction: Junction, by_column: bool) -> Lines:
    positions = junction.positions()
    wide = max(junction.inputs, 1)
    rows, columns = positions // wide, positions % wide
    if by_column:
        count, length, line, other = junction.inputs, junction.outputs, columns, rows
    else:
        count, length, line, other = junction.outputs, junction.inputs, rows, columns
    keys, places = torch.sort(line * length + other)  # every key is there once: the order is that of the mask alone
    firsts = torch.arange(count + 1, device=keys.device) * length
    starts = torch.searchsorted(keys, firsts, out_int32=True)
    small = torch.int16 if length <= _SHORT else torch.int32
    return Lines(count, starts, (keys % max(length, 1)).to(small), places.to(torch.int32))
