"""The edges between layers as the mask of a cell's input weight, and back."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sparsewire.models.wired.wires import Wire
from sparsewire.structure.blocks import Block, Junction, block_of_sorted, ends
from sparsewire.structure.chain import as_array
from sparsewire.structure.gates import tiled

GATE_MASKS = ("tiled", "rows")


def wire_mask(sizes: Sequence[int], blocks: Mapping[Junction, Block], wire: Wire, gates: int, order: str) -> Tensor:
    """The mask of a cell's input weight, bool, shape (gates · neurons, neurons of all source layers).

    Args:
        sizes: neurons per layer.
        blocks: their edges are kept; a junction without a block has none.
        wire: of the cell; its source layers stand side by side.
        gates: how many the weight is stacked of.
        order: "tiled": the same mask for each gate; "rows": each row repeated `gates` times in a row.

    Example:
        >>> from scipy.sparse import csr_array
        >>> blocks = {(0, 1): csr_array([[1.0, 0.0], [0.0, 1.0]])}
        >>> wire_mask((2, 2), blocks, Wire((0,), 1), 2, "tiled").int().tolist()
        [[1, 0], [0, 1], [1, 0], [0, 1]]
        >>> wire_mask((2, 2), blocks, Wire((0,), 1), 2, "rows").int().tolist()
        [[1, 0], [1, 0], [0, 1], [0, 1]]
    """
    widths = [sizes[source] for source in wire.sources]
    mask = torch.zeros(sizes[wire.target], sum(widths), dtype=torch.bool)
    for source, part in zip(wire.sources, torch.split(mask, widths, 1), strict=True):
        if (source, wire.target) in blocks:
            part.numpy()[ends(blocks[source, wire.target])] = True
    return tiled(mask, gates) if order == "tiled" else mask.repeat_interleave(gates, 0)


def wire_blocks(weight: Tensor, kept: Tensor, sizes: Sequence[int], gates: int, order: str) -> list[Block]:
    """The block of each source layer: an edge where a gate keeps its weight; the inverse of `wire_mask`.

    Args:
        weight: shape (gates · neurons, neurons of all source layers).
        kept: bool, of the same shape.
        sizes: neurons of each source layer.
        gates: how many the weight is stacked of.
        order: of their masks, as in `wire_mask`.

    Returns:
        One block a source layer. Values are the weights, or of several gates √Σ w² over the gates' kept weights.

    Example:
        >>> weight = torch.tensor([[3.0, 0.0, 5.0], [4.0, 0.0, 0.0]])  # of two gates of one neuron
        >>> [block.toarray().tolist() for block in wire_blocks(weight, weight != 0, [2, 1], 2, "tiled")]
        [[[5.0, 0.0]], [[5.0]]]
    """
    values, edges = as_array(weight), kept.cpu().numpy()
    neurons = len(values) // gates
    if gates > 1:
        shape = (gates, neurons, -1) if order == "tiled" else (neurons, gates, -1)
        by_gate = 0 if order == "tiled" else 1
        values = np.sqrt(np.square(np.where(edges, values, 0).reshape(shape)).sum(by_gate))
        edges = np.any(edges.reshape(shape), by_gate)
    starts = np.cumsum([0, *sizes])
    blocks = []
    for start, size in zip(starts, sizes, strict=False):
        part = slice(start, start + size)
        targets, sources = np.nonzero(edges[:, part])
        blocks.append(block_of_sorted(targets, sources, values[:, part][targets, sources], (neurons, size)))
    return blocks
