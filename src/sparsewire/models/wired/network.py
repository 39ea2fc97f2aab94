"""What the wired networks have in common: cells in the order of the graph's layers, and the way back to the graph."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.wired.cells import KINDS, new_cell
from sparsewire.models.wired.junction_masks import GATE_MASKS, wire_blocks, wire_mask
from sparsewire.models.wired.wires import Wire, places_read, wires_of
from sparsewire.models.zoo.layers import linear
from sparsewire.structure.blocks import Block, Junction, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.sparse_weights import sparse_weights

MERGES = ("pre", "post")
READOUTS = ("last_layer", "sinks")


class Design(NamedTuple):
    """What a wired network is made from; see `wired`."""

    graph: NetGraph
    n_inputs: int
    n_outputs: int
    cell: str
    merge: str
    readout: str
    gate_masks: str = "tiled"


def checked_design(design: Design, generator: torch.Generator | None, recurrent: bool | None = None) -> Design:
    """The same with whole numbers as ints.

    Args:
        design: what was asked for.
        generator: where weights would be drawn from.
        recurrent: whether its cell has to have a state; None: it may.

    Raises:
        RequestError: no graph, no generator, a cell of the other kind, or a number that is not whole or less than 1.
        UnknownNameError: no such cell, merge, readout or order of gate masks.
    """
    if not isinstance(design.graph, NetGraph):
        found = type(design.graph).__name__
        raise RequestError(f"graph: found {found}, expected a NetGraph; of networkx take NetGraph.from_networkx(graph)")
    chosen = (
        ("cell", design.cell, KINDS),
        ("merge", design.merge, MERGES),
        ("readout", design.readout, READOUTS),
        ("order of gate_masks", design.gate_masks, GATE_MASKS),
    )
    for what, name, known in chosen:
        if not isinstance(name, str) or name not in known:
            raise UnknownNameError(what, str(name), known)
    if recurrent is not None and KINDS[design.cell].recurrent != recurrent:
        is_other = "has no state" if recurrent else "reads sequences"
        *first, last = (repr(name) for name, kind in KINDS.items() if kind.recurrent == recurrent)
        raise RequestError(f"cell: found {design.cell!r}, which {is_other}, expected {', '.join(first)} or {last}")
    if generator is not None:
        checked_generator(generator)
    n_inputs, n_outputs = whole("n_inputs", design.n_inputs, least=1), whole("n_outputs", design.n_outputs, least=1)
    return design._replace(n_inputs=n_inputs, n_outputs=n_outputs)


class WiredNetwork(nn.Module):
    """What `WiredForward` and `WiredRecurrent` have in common; not to be made itself.

    Attributes:
        graph_sizes: neurons per layer of the graph.
        graph_junctions: (source layer, target layer) of its blocks, in order.
        n_inputs: features of the network's input.
        n_outputs: logits.
        cell: the kind of its cells.
        merge: "pre" or "post".
        gate_masks: "tiled" or "rows".
        reads: "last_layer" or "sinks".
        wiring: the wire of each cell.
        cells: torch's layers, in the order of `wiring`.
        readout: the dense layer on the neurons that are read.
        read: their places, counted layer by layer.
    """

    read: Tensor
    readout: nn.Linear

    def __init__(self, design: Design, generator: torch.Generator | None) -> None:
        super().__init__()
        graph, self.n_inputs, self.n_outputs, self.cell, self.merge, self.reads, self.gate_masks = design
        self.graph_sizes: tuple[int, ...] = graph.sizes
        self.graph_junctions: tuple[Junction, ...] = tuple(graph.blocks)
        self.wiring: tuple[Wire, ...] = wires_of(graph, self.merge)
        self.cells = nn.ModuleList(self._new_cell(wire, generator) for wire in self.wiring)
        self.register_buffer("read", places_read(graph, self.reads), persistent=False)
        self.readout = linear(len(self.read), self.n_outputs, generator=generator)

    def graph_masks(self, sizes: tuple[int, ...], blocks: Mapping[Junction, Block]) -> dict[str, Tensor]:
        """The masks that keep exactly these edges, by the names of the input weights of all layers but 0.

        Args:
            sizes: neurons per layer.
            blocks: (source layer, target layer) → edges, as of a NetGraph.

        Raises:
            RequestError: there are other layers, or there is an edge where this network has no cell.
        """
        if sizes != self.graph_sizes:
            raise RequestError(f"graph: found sizes {sizes}, expected {self.graph_sizes}, those of the network")
        wired = {(source, wire.target) for wire in self.wiring for source in wire.sources}
        for junction, block in blocks.items():
            if junction not in wired and block.nnz:
                raise RequestError(
                    f"graph: found an edge between the layers {junction}, where the network has no cell; expected "
                    "edges only where the graph had a block that it was made from"
                )
        gates = KINDS[self.cell].gates
        return {name: wire_mask(sizes, blocks, wire, gates, self.gate_masks) for name, wire in self._masked().items()}

    def graph_blocks(self, masks: Mapping[str, Tensor] | None = None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
        """The sizes and blocks of the graph that this network is wired by; see `NetGraph.from_model`.

        A junction of several gates has an edge where one of its gates has a weight; its value is the root of the sum of
        their squares.
        """
        weights, sparse = dict(self.named_parameters()), sparse_weights(self)
        blocks: dict[Junction, Block] = {}
        for name, wire in self._masked().items():
            weight = sparse[name].dense() if name in sparse else weights[name].detach()
            if masks is not None and name in masks:
                kept = masks[name]
            elif name in sparse:
                kept = sparse[name].mask()
            else:
                kept = weight != 0 if masks is None else torch.ones_like(weight, dtype=torch.bool)
            sizes = [self.graph_sizes[source] for source in wire.sources]
            parts = wire_blocks(weight, kept, sizes, KINDS[self.cell].gates, self.gate_masks)
            for source, block in zip(wire.sources, parts, strict=True):
                if block.nnz or (source, wire.target) in self.graph_junctions:
                    blocks[source, wire.target] = block
        return self.graph_sizes, blocks

    def extra_repr(self) -> str:
        """The graph's layers and the options, for `repr`."""
        sizes = "-".join(map(str, self.graph_sizes))
        return f"{sizes}, cell={self.cell!r}, merge={self.merge!r}, reads={self.reads!r}"

    def _layers(self, input: Tensor) -> list[Tensor]:
        """The output of each layer, features last."""
        layers: list[Tensor] = []
        for wire, cell in zip(self.wiring, self.cells, strict=True):
            fed = [layers[source] for source in wire.sources] or [input]
            output = self._output(cell, torch.cat(fed, -1) if len(fed) > 1 else fed[0], first=not wire.sources)
            if wire.target == len(layers):
                layers.append(output)
            else:
                layers[wire.target] = layers[wire.target] + output  # never in place: autograd needs what was there
        return layers

    def _output(self, cell: nn.Module, input: Tensor, *, first: bool) -> Tensor:
        raise NotImplementedError

    def _logits(self, layers: list[Tensor]) -> Tensor:
        read = layers[-1] if self.reads == "last_layer" else torch.cat(layers, -1).index_select(-1, self.read)
        logits: Tensor = self.readout(read)
        return logits

    def _new_cell(self, wire: Wire, generator: torch.Generator | None) -> nn.Module:
        size = self.graph_sizes[wire.target]
        if wire.sources:
            inputs = sum(self.graph_sizes[source] for source in wire.sources)
            return new_cell(KINDS[self.cell], inputs, size, generator)
        if self.merge == "pre":
            return linear(self.n_inputs, size, generator=generator)
        return new_cell(KINDS[self.cell], self.n_inputs, size, generator)

    def _masked(self) -> dict[str, Wire]:
        """The input weights that are masked, by name: those of all cells but the ones on the network's inputs."""
        own = KINDS[self.cell].weight
        return {f"cells.{place}.{own}": wire for place, wire in enumerate(self.wiring) if wire.sources}
