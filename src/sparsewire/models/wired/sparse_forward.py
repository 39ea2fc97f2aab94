"""The feed-forward network of a graph that stores and computes its edges only, and `sparse_wired` for both kinds."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.kernels.dag import outputs_of
from sparsewire.kernels.dag_structure import Dag, dag_of
from sparsewire.kernels.plain import activate
from sparsewire.models.wired.cells import KINDS
from sparsewire.models.wired.network import Design, checked_design
from sparsewire.models.wired.wires import places_read
from sparsewire.models.zoo.layers import linear
from sparsewire.structure.blocks import Block, Junction, block_of_sorted
from sparsewire.structure.chain import as_array
from sparsewire.structure.graphs import NetGraph


def sparse_wired(
    graph: NetGraph,
    n_inputs: int,
    n_outputs: int,
    cell: str,
    merge: str,
    readout: str,
    generator: torch.Generator | None,
) -> nn.Module:
    """The sparse form of a graph's network: a `SparseWiredForward`, or a `SparseWiredRecurrent` for cells with a state.

    Args:
        graph: its layers and edges; its values are not looked at.
        n_inputs: features of an input, or of a step.
        n_outputs: how many logits.
        cell: a kind of `cells.KINDS`.
        merge: "pre" or "post".
        readout: "last_layer" or "sinks".
        generator: where the weights are drawn from; None: the global seed.

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])})
        >>> type(sparse_wired(graph, 5, 3, "gru", "pre", "last_layer", None)).__name__
        'SparseWiredRecurrent'
    """
    if KINDS[cell].recurrent:
        from sparsewire.models.wired.sparse_recurrent import SparseWiredRecurrent

        return SparseWiredRecurrent(graph, n_inputs, n_outputs, cell, merge, readout, generator=generator)
    return SparseWiredForward(graph, n_inputs, n_outputs, cell, merge, readout, generator=generator)


class SparseWiredForward(nn.Module):
    """A feed-forward network whose neurons and connections are those of a graph, with one number an edge; logits out.

    It computes what `WiredForward` says, all layers in one call forward and one backward. Memory is in proportion to
    the edges (values, gradients, int32 places; a sum of gradients for each thread) and to neurons · batch; the inputs'
    map and the readout are dense. With merge="post" a junction holds a bias for those neurons only to which it has an
    edge, and a neuron to which no edge leads at all has one bias; the others of the dense form, which add a constant
    to a neuron, are left out as if they were 0.

    A fresh network draws the weights and the bias of a sum of n edges from U(−1/√n, 1/√n): torch.nn.Linear's bound by
    live edges instead of the layer's inputs, as `SparseLinear` does. The bias of a sum without edges is 0.

    Its edges are no matrix, so that `prune` refuses it, but for its entry and readout by `only`.

    A state is loaded only into a network of the same graph, merge and readout: `graph_digest` is a part of it.

    The arguments, and what is raised, are those of `wired`; the cell is "relu" or "tanh".

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])})
        >>> network = SparseWiredForward(graph, n_inputs=5, n_outputs=3)
        >>> network(torch.zeros(4, 5)).shape, NetGraph.from_model(network), network.values.shape
        (torch.Size([4, 3]), NetGraph(2-1, 1 edges, density 0.5), torch.Size([1]))
    """

    hidden_edges: ClassVar[tuple[str, ...]] = ("values",)  # so that pruning does not pass over them

    graph_digest: Tensor

    def __init__(
        self,
        graph: NetGraph,
        n_inputs: int,
        n_outputs: int,
        cell: str = "relu",
        merge: str = "pre",
        readout: str = "last_layer",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        design = checked_design(Design(graph, n_inputs, n_outputs, cell, merge, readout), generator, recurrent=False)
        _, self.n_inputs, self.n_outputs, self.cell, self.merge, self.reads, _ = design
        self.graph_sizes: tuple[int, ...] = graph.sizes
        self.graph_junctions: tuple[Junction, ...] = tuple(graph.blocks)
        self.dag = _dag(graph, places_read(graph, readout), apart=merge == "post")
        self.entry = linear(self.n_inputs, self.dag.sources, generator=generator)
        self.values = nn.Parameter(torch.empty(self.dag.edges))
        self.bias = nn.Parameter(torch.empty(self.dag.units))
        self.readout = linear(self.dag.read.numel(), self.n_outputs, generator=generator)
        self.register_buffer("graph_digest", _digest(self.dag))
        self._draw(generator)

    def forward(self, input: Tensor) -> Tensor:
        """The logits, shape (batch, n_outputs).

        Args:
            input: shape (batch, n_inputs), or with more dimensions before the last.
        """
        first = self.entry(input)
        if self.merge == "post":
            first = activate(first, self.cell)
        rows = first.reshape(-1, self.dag.sources)
        read = outputs_of(rows, self.values, self.bias, self.dag, self.cell)
        logits: Tensor = self.readout(read)
        return logits.view(*input.shape[:-1], self.n_outputs)

    def graph_blocks(self, masks: Mapping[str, Tensor] | None = None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
        """The sizes and blocks of the graph, with the weights as values; see `NetGraph.from_model`.

        Args:
            masks: "values" → bool, shape (edges,): which edges there are; None: all.
        """
        dag = self.dag.to("cpu")
        targets, sources = dag.node_of_unit[dag.unit_of_edge].numpy(), dag.columns.long().numpy()
        values = as_array(self.values)
        if masks is not None and "values" in masks:
            kept = masks["values"].cpu().numpy()
            targets, sources, values = targets[kept], sources[kept], values[kept]
        ends = np.cumsum(self.graph_sizes)
        to, come = np.searchsorted(ends, targets, side="right"), np.searchsorted(ends, sources, side="right")
        key = come * len(ends) + to
        order = np.argsort(key, kind="stable")  # within a junction they stay in the order of rows
        begins = np.searchsorted(key[order], [s * len(ends) + t for s, t in self.graph_junctions] or [0])
        ends_of = np.searchsorted(key[order], [s * len(ends) + t for s, t in self.graph_junctions] or [0], side="right")
        starts, blocks = np.concatenate([[0], ends]), {}
        for (source, target), begin, end in zip(self.graph_junctions, begins, ends_of, strict=False):
            part = order[begin:end]
            shape = self.graph_sizes[target], self.graph_sizes[source]
            rows, columns = targets[part] - starts[target], sources[part] - starts[source]
            blocks[source, target] = block_of_sorted(rows, columns, values[part], shape)
        return self.graph_sizes, blocks

    def extra_repr(self) -> str:
        """The graph's layers and edges, and the options."""
        sizes = "-".join(map(str, self.graph_sizes))
        return f"{sizes}, {self.dag.edges:,} edges, cell={self.cell!r}, merge={self.merge!r}, reads={self.reads!r}"

    @torch.no_grad()
    def _draw(self, generator: torch.Generator | None) -> None:
        counts = self.dag.starts.diff()
        bound = counts.clamp(min=1).to(self.values.dtype).rsqrt()
        self.values.uniform_(-1, 1, generator=generator).mul_(bound[self.dag.unit_of_edge])
        self.bias.uniform_(-1, 1, generator=generator).mul_(bound * (counts > 0))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SparseWiredForward":
        """Moves everything, the index arrays as well, whose content no `fn` may change: kernels read memory there."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not self.values.is_meta and self.values.device != self.dag.columns.device:
            self.dag = self.dag.to(self.values.device)
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        digest = state_dict.get(f"{prefix}graph_digest")
        if digest is not None and not torch.equal(digest.cpu(), _digest(self.dag)):
            raise RequestError(
                f"state of {prefix.removesuffix('.') or 'the network'}: found that of another graph, merge or readout; "
                "make the network from the same graph in the same way"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _dag(graph: NetGraph, read: Tensor, *, apart: bool) -> Dag:
    """The graph's edges, neurons counted layer by layer."""
    starts = np.concatenate([[0], np.cumsum(graph.sizes)])
    nodes = int(starts[-1])
    keys = [np.empty(0, np.int64)]
    for source, target in graph.blocks:
        rows, columns = graph.ends((source, target))
        keys.append((rows + starts[target]) * nodes + (columns + starts[source]))
    targets, sources = np.divmod(np.sort(np.concatenate(keys)), nodes)
    return dag_of(graph.sizes, targets, sources, read.numpy(), apart=apart)


def _digest(dag: Dag) -> Tensor:
    """uint8, shape (32,): SHA-256 of the layers and the index arrays."""
    found = hashlib.sha256(repr(dag.sizes).encode())
    for array in dag.arrays:
        found.update(array.cpu().numpy().astype("<i4").tobytes())
    return torch.tensor(list(found.digest()), dtype=torch.uint8)
