"""Which rows of which weights a rule is about."""

from collections.abc import Mapping

from torch import Tensor

from sparsewire.structure.gates import stacked_parts
from sparsewire.structure.selection import Only, rows_of, selected


def chosen_rows(weights: Mapping[str, Tensor], only: Only | None) -> dict[str, Tensor | None]:
    """The weights that `only` means, in their order, and of stacked ones the numbers of the rows; None: all rows.

    Args:
        weights: those that have masks.
        only: as for `prune`.

    Raises:
        RequestError: it is no such thing, or means nothing.

    Example:
        >>> import torch
        >>> chosen_rows(dict(torch.nn.GRU(3, 1).named_parameters()), ["i2h", "gate:new"])
        {'weight_ih_l0': None, 'weight_hh_l0': tensor([2])}
    """
    parts = selected(weights, only)
    return {
        name: None if part is None else rows_of(weights[name], part, len(stacked_parts(name, weights)))
        for name, part in parts.items()
    }


def rows_taken(tensor: Tensor, rows: Tensor | None) -> Tensor:
    """Those rows of a tensor: a copy, or for None the tensor itself."""
    return tensor if rows is None else tensor[rows]


def rows_changed(mask: Tensor, rows: Tensor | None, own: Tensor) -> Tensor:
    """The mask with `own` in those rows; the mask itself is left as it is.

    Example:
        >>> import torch
        >>> rows_changed(torch.ones(2, 2).bool(), torch.tensor([1]), torch.tensor([[False, True]])).tolist()
        [[True, True], [False, True]]
    """
    return own.reshape(mask.shape) if rows is None else mask.index_copy(0, rows, own.reshape(-1, *mask.shape[1:]))
