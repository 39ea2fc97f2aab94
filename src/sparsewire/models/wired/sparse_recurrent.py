"""The recurrent network of a graph that stores and computes its edges only."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsewire.execution.recurrent import SparseGRU, SparseLSTM, SparseRNN
from sparsewire.execution.recurrent_module import SparseRecurrent
from sparsewire.models.wired.cells import KINDS, new_cell
from sparsewire.models.wired.junction_masks import wire_blocks
from sparsewire.models.wired.network import Design, checked_design
from sparsewire.models.wired.sequences import checked_sequences
from sparsewire.models.wired.wires import Wire, places_read, wires_of
from sparsewire.models.zoo.layers import linear
from sparsewire.structure.blocks import Block, Junction
from sparsewire.structure.gates import tiled
from sparsewire.structure.graphs import NetGraph


class SparseWiredRecurrent(nn.Module):
    """A recurrent network whose neurons and connections of one step are those of a graph, with one number an edge.

    It computes what `WiredRecurrent` says. A cell is a `SparseRNN`, `SparseGRU` or `SparseLSTM` whose input are those
    neurons only that it has an edge from. Weights from a cell's input are in proportion to its edges; those from its
    own state are dense, as they are in every form of this network: neurons² a cell, and with merge="post" a cell a
    junction.

    The arguments, and what is raised, are those of `wired`; the cell is "rnn_tanh", "rnn_relu", "gru" or "lstm".

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((3, 2), {(0, 1): csr_array([[0.0, 0.0, 3.0], [2.0, 0.0, 0.0]])})
        >>> network = SparseWiredRecurrent(graph, n_inputs=5, n_outputs=3, cell="gru")
        >>> network(torch.zeros(4, 7, 5)).shape, NetGraph.from_model(network).edges, network.cells
        (torch.Size([4, 3]), 2, ModuleList(
          (0): Linear(in_features=5, out_features=3, bias=True)
          (1): SparseGRU(2, 2, batch_first=True, density=0.75)
        ))
    """

    read: Tensor

    def __init__(
        self,
        graph: NetGraph,
        n_inputs: int,
        n_outputs: int,
        cell: str = "gru",
        merge: str = "pre",
        readout: str = "last_layer",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        design = checked_design(Design(graph, n_inputs, n_outputs, cell, merge, readout), generator, recurrent=True)
        _, self.n_inputs, self.n_outputs, self.cell, self.merge, self.reads, _ = design
        self.graph_sizes: tuple[int, ...] = graph.sizes
        self.graph_junctions: tuple[Junction, ...] = tuple(graph.blocks)
        self.wiring: tuple[Wire, ...] = wires_of(graph, merge)
        self.cells = nn.ModuleList()
        for place, wire in enumerate(self.wiring):
            taken = _taken(graph, wire)
            for source, some in zip(wire.sources, taken, strict=True):
                self.register_buffer(f"taken_{place}_{source}", torch.from_numpy(some), persistent=False)
            self.cells.append(self._new_cell(graph, wire, taken, generator))
        self.register_buffer("read", places_read(graph, readout), persistent=False)
        self.readout = linear(len(self.read), self.n_outputs, generator=generator)

    def forward(self, input: Tensor | PackedSequence, lengths: Tensor | None = None) -> Tensor:
        """The logits of each sequence after its last step, shape (batch, n_outputs).

        Args:
            input: shape (batch, steps, n_inputs), or a PackedSequence of such.
            lengths: whole numbers (batch,), the steps that count of each sequence; None: all.

        Raises:
            RequestError: the input has another number of dimensions, or lengths are given that cannot be.
        """
        input, lengths = checked_sequences(input, lengths)
        rows = torch.arange(len(input), device=input.device)
        last = -1 if lengths is None else lengths.to(input.device) - 1
        ends = [layer[rows, last] for layer in self._layers(input)]
        read = ends[-1] if self.reads == "last_layer" else torch.cat(ends, -1).index_select(-1, self.read)
        logits: Tensor = self.readout(read)
        return logits

    def graph_blocks(self, masks: Mapping[str, Tensor] | None = None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
        """The sizes and blocks of the graph; of several gates the value is √Σ w². See `NetGraph.from_model`.

        Args:
            masks: "cells.1.weight_ih_l0" and so on → bool, in the shape of the weight if it were dense; of what is
                missing, all weights that are stored are edges.
        """
        blocks: dict[Junction, Block] = {}
        for place, (wire, cell) in enumerate(zip(self.wiring, self.cells, strict=True)):
            if not isinstance(cell, SparseRecurrent):
                continue
            kept = (masks or {}).get(f"cells.{place}.weight_ih_l0", cell.mask_of("weight_ih_l0"))
            taken = [self.get_buffer(f"taken_{place}_{source}").cpu().numpy() for source in wire.sources]
            gates = KINDS[self.cell].gates
            parts = wire_blocks(cell.dense_weight("weight_ih_l0"), kept, [len(t) for t in taken], gates, "tiled")
            for source, some, part in zip(wire.sources, taken, parts, strict=True):
                shape = self.graph_sizes[wire.target], self.graph_sizes[source]
                if (source, wire.target) in self.graph_junctions:
                    columns = some[part.indices]
                    blocks[source, wire.target] = sparse.csr_array((part.data, columns, part.indptr), shape=shape)
        return self.graph_sizes, blocks

    def extra_repr(self) -> str:
        """The graph's layers and the options."""
        sizes = "-".join(map(str, self.graph_sizes))
        return f"{sizes}, cell={self.cell!r}, merge={self.merge!r}, reads={self.reads!r}"

    def _layers(self, input: Tensor) -> list[Tensor]:
        """The states of each layer, shape (batch, steps, neurons)."""
        layers: list[Tensor] = []
        for place, (wire, cell) in enumerate(zip(self.wiring, self.cells, strict=True)):
            parts = [layers[s].index_select(-1, self.get_buffer(f"taken_{place}_{s}")) for s in wire.sources]
            output = cell(torch.cat(parts, -1) if parts else input)
            states: Tensor = output[0] if isinstance(output, tuple) else output
            if wire.target == len(layers):
                layers.append(states)
            else:
                layers[wire.target] = layers[wire.target] + states
        return layers

    def _new_cell(
        self, graph: NetGraph, wire: Wire, taken: list[np.ndarray], generator: torch.Generator | None
    ) -> nn.Module:
        kind, size = KINDS[self.cell], graph.sizes[wire.target]
        if not wire.sources:
            if self.merge == "pre":
                return linear(self.n_inputs, size, generator=generator)
            return new_cell(kind, self.n_inputs, size, generator)
        mask = torch.zeros(size, sum(map(len, taken)), dtype=torch.bool)
        begin = 0
        for source, some in zip(wire.sources, taken, strict=True):
            if (source, wire.target) in graph.blocks:
                rows, columns = graph.ends((source, wire.target))
                mask[torch.from_numpy(rows), torch.from_numpy(begin + np.searchsorted(some, columns))] = True
            begin += len(some)
        masks, inputs = {"weight_ih_l0": tiled(mask, kind.gates)}, mask.shape[1]
        if kind.nonlinearity is not None:
            own = kind.nonlinearity
            return SparseRNN(inputs, size, nonlinearity=own, batch_first=True, masks=masks, generator=generator)
        layer = SparseGRU if kind.layer is nn.GRU else SparseLSTM
        return layer(inputs, size, batch_first=True, masks=masks, generator=generator)


def _taken(graph: NetGraph, wire: Wire) -> list[np.ndarray]:
    """Of each source layer the neurons from which an edge leads to the cell; one at least, as no cell has no input."""
    found = []
    for source in wire.sources:
        edges = graph.blocks.get((source, wire.target))
        found.append(np.unique(np.empty(0, np.int64) if edges is None else edges.indices.astype(np.int64)))
    if wire.sources and not any(map(len, found)):
        found[0] = np.zeros(1, np.int64)
    return found
