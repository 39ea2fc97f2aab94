"""A network of nodes in layers as index arrays: which lower nodes each node reads, in the order of the kernels.

Nodes are numbered layer by layer. Those of layer 0 are given; every other node is the sum of its *units*, and a unit is
one weighted sum with its activation. Where all edges of a node are one sum it has one unit. Where each source layer has
a sum of its own, a node has a unit for each layer that it reads, and one without edges if it reads none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError

Array = np.ndarray[Any, Any]
_MOST = 2**31 - 1  # places are int32


@dataclass(frozen=True, eq=False)
class Dag:
    """Which lower nodes each node reads, and which nodes are the outputs; made by `dag_of`.

    Args:
        sizes: nodes per layer; those of layer 0 are given.
        columns: int32, shape (edges,): the node from which each edge comes; in a unit ascending.
        starts: int32, shape (units + 1,): where the edges of each unit begin, and the end.
        first: int32, shape (nodes − sizes[0] + 1,): where the units of each node after layer 0 begin, and the end;
            None: each node has one unit.
        read: int32, ascending: the nodes that are outputs.
    """

    sizes: tuple[int, ...]
    columns: Tensor
    starts: Tensor
    first: Tensor | None
    read: Tensor

    def __repr__(self) -> str:
        shown = "-".join(map(str, self.sizes)) if len(self.sizes) < 8 else f"{self.nodes:,} in {len(self.sizes)} layers"
        return f"Dag({shown}, {self.edges:,} edges, {self.units:,} units)"

    @property
    def sources(self) -> int:
        """Nodes of layer 0."""
        return self.sizes[0]

    @property
    def nodes(self) -> int:
        """Nodes of all layers."""
        return sum(self.sizes)

    @property
    def edges(self) -> int:
        """How many there are."""
        return self.columns.numel()

    @property
    def units(self) -> int:
        """Weighted sums."""
        return self.starts.numel() - 1

    @property
    def arrays(self) -> tuple[Tensor, ...]:
        """The index arrays that are there."""
        return tuple(array for array in (self.columns, self.starts, self.first, self.read) if array is not None)

    @property
    def bytes(self) -> int:
        """Of the index arrays."""
        return sum(array.numel() * array.element_size() for array in self.arrays)

    @cached_property
    def layers(self) -> tuple[tuple[int, int, int, int, int, int], ...]:
        """Of each layer after 0: its nodes, its units and its edges, each as begin and end."""
        ends = np.cumsum(self.sizes)
        starts = self.starts.cpu().numpy()
        first = np.arange(self.units + 1) if self.first is None else self.first.cpu().numpy()
        found = []
        for begin, end in pairwise(ends.tolist()):
            units = int(first[begin - self.sources]), int(first[end - self.sources])
            found.append((begin, end, *units, int(starts[units[0]]), int(starts[units[1]])))
        return tuple(found)

    @cached_property
    def unit_of_edge(self) -> Tensor:
        """int64, shape (edges,): for plain torch, which needs it at every batch."""
        return torch.repeat_interleave(self.starts.long().diff())

    @cached_property
    def node_of_unit(self) -> Tensor:
        """int64, shape (units,)."""
        if self.first is None:
            return torch.arange(self.sources, self.nodes, device=self.columns.device)
        return torch.repeat_interleave(self.first.long().diff()) + self.sources

    def to(self, device: torch.device | str) -> "Dag":
        """The same network with the index arrays on another device."""
        first = None if self.first is None else self.first.to(device)
        return Dag(self.sizes, self.columns.to(device), self.starts.to(device), first, self.read.to(device))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: the fields, and nothing that was derived from them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def dag_of(sizes: Sequence[int], targets: Array, sources: Array, read: Array, *, apart: bool = False) -> Dag:
    """The network with these edges, in the kernels' order: by target, and then by source.

    Args:
        sizes: nodes per layer, each at least 1.
        targets: whole numbers, shape (edges,): the node to which each edge leads, nodes counted layer by layer.
        sources: the node from which it comes; in a lower layer than its target.
        read: the nodes that are outputs, ascending, at least one.
        apart: whether the edges from each source layer are a sum of their own.

    Raises:
        RequestError: a node that is none, an edge that leads not upwards or is not in order or there twice, outputs
            that are not ascending, or 2³¹ nodes, edges or more.

    Example:
        >>> edges = np.array([2, 3, 3]), np.array([0, 1, 2])
        >>> dag_of((2, 1, 1), *edges, read=np.array([3])), dag_of((2, 1, 1), *edges, read=np.array([3]), apart=True)
        (Dag(2-1-1, 3 edges, 2 units), Dag(2-1-1, 3 edges, 3 units))
    """
    ends = np.cumsum(np.asarray(sizes, np.int64)) if len(sizes) and min(sizes) >= 1 else np.zeros(1, np.int64)
    nodes, given = int(ends[-1]), int(ends[0])
    targets, sources, read = (np.asarray(array, np.int64) for array in (targets, sources, read))
    _check(ends, targets, sources, read)
    layer = np.searchsorted(ends, sources, side="right") if apart else np.zeros(len(sources), np.int64)
    # A unit begins with each node's first edge, and where its edges come from another layer.
    new = np.ones(len(targets), np.bool_)
    new[1:] = (targets[1:] != targets[:-1]) | (layer[1:] != layer[:-1])
    per_node = np.bincount(targets[new], minlength=nodes)[given:]
    first = np.concatenate([[0], np.cumsum(np.maximum(per_node, 1))])  # a node without edges has a unit as well
    counts = np.zeros(first[-1], np.int64)
    full = np.ones(first[-1], np.bool_)
    full[first[:-1][per_node == 0]] = False
    counts[full] = np.diff(np.append(np.flatnonzero(new), len(targets)))
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns, edges, units, outputs = (_indices(array) for array in (sources, starts, first, read))
    return Dag(tuple(map(int, sizes)), columns, edges, units if apart else None, outputs)


def _indices(array: Array) -> Tensor:
    return torch.from_numpy(array.astype(np.int32))


def _check(ends: Array, targets: Array, sources: Array, read: Array) -> None:
    nodes = int(ends[-1])
    if not nodes or max(nodes, len(targets)) > _MOST:
        raise RequestError(
            f"sizes, targets: found {nodes:,} nodes and {len(targets):,} edges; expected layers of at least 1 node, "
            f"and at most {_MOST:,} of each"
        )
    if targets.ndim != 1 or targets.shape != sources.shape:
        raise RequestError(
            f"targets, sources: found shapes {targets.shape} and {sources.shape}, expected one number an edge of each"
        )
    if len(targets) and (min(targets.min(), sources.min()) < 0 or max(targets.max(), sources.max()) >= nodes):
        raise RequestError(f"targets, sources: found a node that is none; expected numbers from 0 to {nodes - 1}")
    if (np.searchsorted(ends, targets, side="right") <= np.searchsorted(ends, sources, side="right")).any():
        raise RequestError("targets, sources: found an edge that leads not to a higher layer")
    if (np.diff(targets * nodes + sources) <= 0).any():
        raise RequestError("targets, sources: expected edges ordered by target, then by source, each of them once")
    if read.ndim != 1 or not len(read) or read.min() < 0 or read.max() >= nodes or (np.diff(read) <= 0).any():
        raise RequestError(f"read: expected at least one node, ascending, from 0 to {nodes - 1}")
