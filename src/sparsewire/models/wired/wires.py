"""Wires: which layers of a graph feed which cell of its network, and which neurons are read."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from sparsewire.structure.blocks import Block, Junction
from sparsewire.structure.graphs import NetGraph


class Wire(NamedTuple):
    """What one cell of a wired network is fed with, and which layer it belongs to.

    Attributes:
        sources: the layers whose outputs are its input, side by side in this order; () are the network's own inputs.
        target: the layer to whose output it adds.

    Example:
        >>> Wire(sources=(0, 1), target=2)
        Wire(sources=(0, 1), target=2)
    """

    sources: tuple[int, ...]
    target: int


def wires_of(graph: NetGraph, merge: str) -> tuple[Wire, ...]:
    """The wire of each cell, in the order of their targets, then of their sources.

    Layer 0 has one cell, which is fed with the network's inputs. Every other layer has one cell for all its source
    layers together (`merge="pre"`), or one for each (`"post"`). A block without edges is a source layer too. A layer to
    which no block leads has one cell all the same, which is fed with the layer just below, over no edge: its neurons
    have a bias, and a recurrent one its state.

    Example:
        >>> from scipy.sparse import csr_array
        >>> one = csr_array([[1.0]])
        >>> graph = NetGraph((1, 1, 1), {(0, 1): one, (0, 2): one, (1, 2): one})
        >>> [wire.sources for wire in wires_of(graph, "pre")], [wire.sources for wire in wires_of(graph, "post")]
        ([(), (0,), (0, 1)], [(), (0,), (0,), (1,)])
    """
    wires = [Wire((), 0)]
    sources = sources_of(graph.blocks, len(graph.sizes))
    for target in range(1, len(graph.sizes)):
        fed = tuple(sources[target]) or (target - 1,)
        wires += [Wire(fed, target)] if merge == "pre" else [Wire((source,), target) for source in fed]
    return tuple(wires)


def sources_of(blocks: Mapping[Junction, Block], layers: int) -> list[list[int]]:
    """Of each layer the layers with a block to it, in rising order.

    Example:
        >>> from scipy.sparse import csr_array
        >>> sources_of({(1, 2): csr_array((1, 1)), (0, 2): csr_array((1, 1))}, 3)
        [[], [], [0, 1]]
    """
    sources: list[list[int]] = [[] for _ in range(layers)]
    for source, target in sorted(blocks):
        sources[target].append(source)
    return sources


def places_read(graph: NetGraph, readout: str) -> Tensor:
    """The places of the neurons that the readout reads, int64, in rising order; places count layer by layer.

    Args:
        graph: of the network.
        readout: "last_layer": the neurons of the last layer; "sinks": those of all layers from which no edge leads on.

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])})  # nothing leads on from the first input
        >>> places_read(graph, "last_layer").tolist(), places_read(graph, "sinks").tolist()
        ([2], [0, 2])
    """
    total = sum(graph.sizes)
    if readout == "last_layer":
        return torch.arange(total - graph.sizes[-1], total)
    ends = [torch.ones(size, dtype=torch.bool) for size in graph.sizes]
    for source, target in graph.blocks:
        ends[source].numpy()[graph.ends((source, target))[1]] = False
    return torch.cat(ends).nonzero().flatten()
