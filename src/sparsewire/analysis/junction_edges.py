"""The junctions of masks, patterns, graphs and networks as lists of edges: what scatter is computed from."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, Block, Flags, ends
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

Pattern = Tensor | Array | Block
"""Which neurons of two layers are connected: bools of shape (out, in), or a block, which stores only these."""

Connections = Mapping[str, Tensor] | nn.Module | NetGraph | Pattern | Sequence[Pattern]
"""Everything that is one junction or a chain of them."""


class Edges(NamedTuple):
    """The edges of one junction.

    Attributes:
        targets: the right neuron of each.
        sources: the left neuron of each.
        shape: (right neurons, left neurons).
    """

    targets: Array
    sources: Array
    shape: tuple[int, int]

    def flipped(self) -> "Edges":
        """The same seen from the right."""
        return Edges(self.sources, self.targets, (self.shape[1], self.shape[0]))

    def block(self, kind: type[np.number[Any]] = np.float64) -> Block:
        """The matrix that has at each place the number of its edges."""
        ones = np.ones(self.targets.size, kind)
        block: Block = sparse.csr_array((ones, (self.targets, self.sources)), shape=self.shape)
        return block

    def among(self, targets: Flags | None, sources: Flags | None) -> "Edges":
        """Those between marked neurons, which are numbered anew; None: all are marked.

        Example:
            >>> edges = Edges(np.array([0, 1]), np.array([2, 0]), (2, 3))
            >>> edges.among(None, np.array([False, True, True]))
            Edges(targets=array([0]), sources=array([1]), shape=(2, 2))
        """
        stays = np.ones(self.targets.size, np.bool_)
        parts, sizes = [], []
        for neurons, marked, size in zip(self[:2], (targets, sources), self.shape, strict=True):
            parts.append(neurons if marked is None else np.cumsum(marked)[neurons] - 1)
            sizes.append(size if marked is None else int(marked.sum()))
            if marked is not None:
                stays &= marked[neurons]
        return Edges(parts[0][stays], parts[1][stays], (sizes[0], sizes[1]))


def chain_edges(connections: Connections) -> dict[str, Edges]:
    """The junctions in order, inputs first, by name.

    Args:
        connections: see `scatter`.

    Returns:
        Of masks and modules the weight's name, of a graph "0→1", of patterns "0", "1", … → edges.

    Raises:
        RequestError: it is none of these, has no junction, an empty layer, or neighbours that do not fit.

    Example:
        >>> chain_edges([torch.eye(2).bool(), torch.ones(1, 2).bool()])["1"]
        Edges(targets=array([0, 0]), sources=array([0, 1]), shape=(1, 2))
    """
    chain = {name: _edges(name, pattern) for name, pattern in _named(connections).items()}
    if not chain:
        raise RequestError("connections: found no junction, expected a 2-D mask or pattern of shape (out, in)")
    for (name, left), (after, right) in pairwise(chain.items()):
        if left.shape[0] != right.shape[1]:
            raise RequestError(
                f"connections: {name!r} of shape {left.shape} leads to {left.shape[0]} neurons, but the next one, "
                f"{after!r} of shape {right.shape}, comes from {right.shape[1]}; expected a chain, inputs first, of "
                "shapes (out, in); give the part that is one"
            )
    return chain


def _named(connections: Any) -> dict[str, Any]:
    if isinstance(connections, nn.Module):
        connections = Masks.from_weights(connections)
    if isinstance(connections, Mapping):
        # Kernels of convolutions, which come before the connected layers, have more dimensions.
        return {name: mask for name, mask in connections.items() if not isinstance(mask, Tensor) or mask.ndim == 2}
    if isinstance(connections, NetGraph):
        return _blocks_of_chain(connections)
    if isinstance(connections, Sequence) and not isinstance(connections, str | bytes):
        return {str(place): pattern for place, pattern in enumerate(connections)}
    return {"0": connections}


def _blocks_of_chain(graph: NetGraph) -> dict[str, Any]:
    expected = list(pairwise(range(len(graph.sizes))))
    if list(graph.blocks) != expected:
        raise RequestError(
            f"connections: found a graph of {len(graph.sizes)} layers with blocks {list(graph.blocks)}, expected a "
            f"chain: {expected}; paths past a layer have no window matrix"
        )
    return {f"{source}→{target}": block for (source, target), block in graph.blocks.items()}


def _edges(name: str, pattern: Any) -> Edges:
    if isinstance(pattern, np.ndarray) and pattern.dtype == np.bool_:
        pattern = torch.from_numpy(pattern)
    if isinstance(pattern, Tensor) and pattern.layout != torch.strided:
        pattern = pattern.to_dense()
    if isinstance(pattern, Tensor) and pattern.dtype == torch.bool and pattern.ndim == 2 and pattern.numel():
        flags = pattern.detach().cpu().contiguous().numpy()
        n_out, n_in = flags.shape
        # Where few are set this is many times faster than np.nonzero, which in two dimensions looks at each by itself.
        places = np.flatnonzero(flags)
        targets = places // n_in
        return Edges(targets, places - targets * n_in, (n_out, n_in))
    is_sparse: bool = sparse.issparse(pattern)
    if is_sparse and pattern.ndim == 2 and min(pattern.shape):
        block: Block = sparse.csr_array(pattern)
        if not block.has_canonical_format:
            block = block.copy()
            block.sum_duplicates()
        targets, sources = ends(block)
        return Edges(targets, sources.astype(np.int64), (block.shape[0], block.shape[1]))  # places outgrow an int32
    shape = f" of shape {tuple(pattern.shape)}" if hasattr(pattern, "shape") else ""
    kind = f"{pattern.dtype}" if isinstance(pattern, Tensor | np.ndarray) else type(pattern).__name__
    raise RequestError(
        f"connections: {name!r} is {kind}{shape}, expected a torch.bool tensor or a scipy sparse block of shape "
        "(out, in), neither of them 0; of weights try `weight != 0`"
    )
