"""Gates: recurrent layers stack one matrix for each gate, and `nn.MultiheadAttention` its three projections likewise.

A stacked weight of G gates and n neurons has the rows of the first gate, then those of the second, …: neuron j has the
rows j, j + n, j + 2n, …. A mask for all gates is thus *tiled*, never repeated row by row.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole

# torch's order of the stacked gates, by how many there are: those of a GRU (its r, z, n) and an LSTM (its i, f, g, o).
GATES = {3: ("reset", "update", "new"), 4: ("input", "forget", "cell", "output")}


def tiled(mask: Tensor, gates: int) -> Tensor:
    """One mask for all gates of a recurrent weight: the same for each, in torch's order of rows.

        tiled[g · neurons + j, i] = mask[j, i]

    Args:
        mask: shape (neurons, inputs), any dtype.
        gates: how many: 3 for a GRU, 4 for an LSTM, 1 for a plain RNN.

    Returns:
        Shape (gates · neurons, inputs), a tensor of its own.

    Raises:
        RequestError: the mask is no matrix, or the gates are not a positive whole number.

    Example:
        >>> tiled(torch.tensor([[True, False], [False, True]]), gates=3).int().tolist()
        [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]]
    """
    return _matrix(mask).repeat(whole("gates", gates, least=1), 1)


def gate_masks(mask: Tensor, gates: int) -> tuple[Tensor, ...]:
    """The mask of each gate out of that of a stacked weight, in torch's order; the inverse of stacking them.

    Args:
        mask: shape (gates · neurons, inputs), any dtype.
        gates: how many: 3 for a GRU (reset, update, new), 4 for an LSTM (input, forget, cell, output), 1 for a plain
            RNN.

    Returns:
        As many tensors of shape (neurons, inputs), views of the mask; `torch.cat` of them gives it again.

    Raises:
        RequestError: the mask is no matrix, the gates are not a positive whole number, or the rows are no multiple.

    Example:
        >>> reset, update, new = gate_masks(torch.arange(6).view(6, 1), gates=3)
        >>> reset.tolist(), new.tolist()
        ([[0], [1]], [[4], [5]])
    """
    rows, count = len(_matrix(mask)), whole("gates", gates, least=1)
    if rows % count:
        raise RequestError(
            f"mask: found {rows} rows, expected a multiple of the {count} gates, as the stacked weight has"
        )
    return torch.split(mask, rows // count) if rows else (mask,) * count


def stacked_parts(name: str, weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """What a weight is stacked of, in the order of its rows: gates, or the projections of an attention; () if of none.

    Args:
        name: of the weight.
        weights: all weights that it came with; the one of the neurons to themselves tells how many gates there are.

    Example:
        >>> layer = torch.nn.GRU(5, 2)
        >>> stacked_parts("weight_ih_l0", dict(layer.named_parameters()))
        ('reset', 'update', 'new')
    """
    if name.rpartition(".")[2] == "in_proj_weight" and len(weights[name]) % 3 == 0:
        return ("q_proj", "k_proj", "v_proj")
    count = gate_count(name, weights)
    return GATES.get(count, ())


def gate_count(name: str, weights: Mapping[str, Tensor]) -> int:
    """How many gates a recurrent weight is stacked of; 1 for any other weight.

    Example:
        >>> gate_count("weight_hh_l0", dict(torch.nn.LSTM(5, 2).named_parameters()))
        4
    """
    rows = weights[name].shape[0]
    for junction in ("weight_ih", "weight_hh"):
        before, found, after = name.rpartition(junction)
        if found:
            to_itself = _to_itself(before, after, weights)
            if to_itself is not None and to_itself.shape[1] and rows % to_itself.shape[1] == 0:
                return max(1, rows // to_itself.shape[1])
    return 1


def _to_itself(before: str, after: str, weights: Mapping[str, Tensor]) -> Tensor | None:
    """The weight of a layer with a column for each of its neurons, its own or, where that is tied, another layer's."""
    # weight_hh is (gates · neurons, neurons), unless weight_hr (projected, neurons) comes between.
    for kind in ("weight_hr", "weight_hh"):
        if f"{before}{kind}{after}" in weights:
            return weights[f"{before}{kind}{after}"]
        # A tied weight bears one name; all layers of one module have as many neurons.
        for name, weight in weights.items():
            if name.startswith(f"{before}{kind}_l") and after.startswith("_l"):
                return weight
    return None


def _matrix(mask: Tensor) -> Tensor:
    if not isinstance(mask, Tensor) or mask.dim() != 2:
        found = f"shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise RequestError(f"mask: found {found}, expected a tensor of shape (neurons, inputs)")
    return mask
