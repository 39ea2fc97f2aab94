"""NetGraph: a network as a graph of neurons, one sparse block per connected pair of layers."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.path_sweep import edge_ranks
from sparsewire.structure.blocks import (
    Array,
    Block,
    Flags,
    Junction,
    block_of_sorted,
    checked_blocks,
    checked_sizes,
    ends,
    same,
    whole,
)
from sparsewire.structure.chain import MaskedModule, Model, chain_sizes, dense_chain, model_blocks, wired_part
from sparsewire.structure.masks import Masks
from sparsewire.structure.networkx_graphs import layers_of_networkx, networkx_of_layers

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False, repr=False)
class NetGraph:
    """A frozen network of neurons in layers; edges lead from lower to higher layers, also past layers in between.

    The inputs are the neurons of layer 0, the outputs those of the last layer. An edge is an entry that a block stores,
    also where its value is zero.

    Args:
        sizes: neurons per layer, each at least 1.
        blocks: (source layer, target layer) with source < target → scipy sparse matrix of shape (neurons of the target,
            neurons of the source layer); values are weights, or ones. Copied, ordered and locked; float32 stays, other
            numbers become float64.

    Raises:
        RequestError: a size, a junction or the shape of a block is impossible, or a block stores an edge twice.

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 2), {(0, 1): csr_array([[1.0, 0.0], [-2.0, 3.0]])})
        >>> graph, graph.edges, graph.density
        (NetGraph(2-2, 3 edges, density 0.75), 3, 0.75)
    """

    sizes: tuple[int, ...]
    blocks: Mapping[Junction, Block]

    def __post_init__(self) -> None:
        sizes = checked_sizes(self.sizes)
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "blocks", MappingProxyType(checked_blocks(self.blocks, sizes)))

    @classmethod
    def from_model(cls, model: Model, masks: Mapping[str, Tensor] | None = None) -> "NetGraph":
        """The chain of the model's dense layers (see `dense_chain`), with the weights as values.

        A network of `wired`, by itself or as a part of the model, gives the graph that it was made from: layer 0 is the
        graph's, not the network's inputs, and the value of an edge of several gates is √Σ w² over them.

        Args:
            model: a module or a state dict.
            masks: which weights are edges, also where they are zero; of a layer without a mask all are, and masks of
                other layers, such as convolutions, are left aside. Without masks the non-zero weights are edges.

        Raises:
            RequestError: the dense layers are no chain, there are several networks of `wired`, or a mask is of no
                weight of the model or of another shape (a tied weight is known by its first name only).

        Example:
            >>> model = {"0.weight": torch.tensor([[0.0, 3.0]]), "2.weight": torch.tensor([[4.0]])}
            >>> NetGraph.from_model(model)
            NetGraph(2-1-1, 2 edges, density 0.6667)
            >>> NetGraph.from_model(model, masks=Masks({"0.weight": torch.tensor([[True, True]])})).edges
            3
        """
        return cls(*model_blocks(model, masks))

    @classmethod
    def from_networkx(cls, graph: "nx.Graph") -> "NetGraph":
        """The graph in layers, every edge led from its lower to its higher node.

        Lower means the smaller number if all nodes are integers: a directed edge against that is turned round. Between
        other nodes a directed edge keeps its direction, and an undirected one follows the graph's own order. A node's
        layer is the length of the longest path from a source, unless the nodes state fitting ones as attribute "layer",
        as `to_networkx` does; in a layer the nodes keep their order. Values are the edge attribute "weight", 1 where
        there is none.

        Raises:
            RequestError: the graph has no nodes, a node with an edge to itself, two edges between the same nodes,
                directed edges in a circle, or a weight that is no real number.

        Example:
            >>> import networkx as nx
            >>> NetGraph.from_networkx(nx.Graph([(0, 2), (2, 3), (1, 3), (0, 3)]))
            NetGraph(2-1-1, 4 edges, density 0.8)

        Reference:
            Stier and Granitzer (2019), "Structural analysis of sparse neural networks": the layer index.
        """
        return cls(*layers_of_networkx(graph))

    def to_networkx(self) -> "nx.DiGraph":
        """A networkx DiGraph of nodes 0, 1, … layer by layer.

        Nodes have the attributes "layer" and "index" (the place in the layer), edges "weight". `from_networkx` gives
        the same graph back, but for blocks without edges.

        Example:
            >>> from scipy.sparse import csr_array
            >>> NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])}).to_networkx().edges(data="weight")
            OutEdgeDataView([(1, 2, 3.0)])
        """
        return networkx_of_layers(self.sizes, self.blocks)

    def to_masks(self, model: Model) -> Masks:
        """Masks for the model's dense layers, or its network of `wired`, that keep exactly this graph's edges.

        Raises:
            RequestError: the model's layers are of other sizes, or it lacks a connection past layers that the graph
                has, as a chain does, or it is sparse.

        Example:
            >>> from scipy.sparse import csr_array
            >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])})
            >>> graph.to_masks(torch.nn.Linear(2, 1))["weight"]
            tensor([[False,  True]])
        """
        if (part := wired_part(model)) and isinstance(part[1], MaskedModule):
            found = part[1].graph_masks(self.sizes, self.blocks)
            return Masks({f"{part[0]}.{name}".removeprefix("."): mask for name, mask in found.items()})
        chain = dense_chain(model)
        sizes = chain_sizes(chain)
        skips = [junction for junction in self.blocks if junction[1] > junction[0] + 1]
        if skips or sizes != self.sizes:
            other = f"a connection past layers, {skips[0]}" if skips else f"sizes {self.sizes}"
            raise RequestError(f"graph: found {other}; expected a chain of sizes {sizes}, those of the model")
        masks = {name: torch.zeros(weight.shape, dtype=torch.bool) for name, weight in chain.items()}
        for layer, mask in enumerate(masks.values()):
            if (layer, layer + 1) in self.blocks:
                mask.numpy()[self.ends((layer, layer + 1))] = True
        return Masks(masks)

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return sum(int(block.nnz) for block in self.blocks.values())

    @property
    def density(self) -> float:
        """Edges / possible edges of the existing blocks; 0 if there is no block."""
        possible = sum(self.sizes[source] * self.sizes[target] for source, target in self.blocks)
        return self.edges / possible if possible else 0.0

    def ends(self, junction: Junction) -> tuple[Array, Array]:
        """The target and the source neuron of each edge between two layers, in the order of the block's values."""
        return ends(self.blocks[junction])

    def subgraph(self, kept: Mapping[Junction, Flags]) -> "NetGraph":
        """The same layers and blocks with only the edges that `kept` marks: per block one bool per edge.

        Example:
            >>> from scipy.sparse import csr_array
            >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[1.0, 2.0]])})
            >>> graph.subgraph({(0, 1): np.array([False, True])}).blocks[0, 1].toarray()
            array([[0., 2.]])
        """
        blocks = {}
        for junction, block in self.blocks.items():
            targets, sources = self.ends(junction)
            stays = kept[junction]
            blocks[junction] = block_of_sorted(targets[stays], sources[stays], block.data[stays], block.shape)
        return NetGraph(self.sizes, blocks)

    def strongest(self, edges: int) -> "NetGraph":
        """The same layers and blocks with the `edges` edges of the largest magnitude.

        Ties go to the lower index over the concatenated blocks in the order of (source, target), each row by row.

        Raises:
            RequestError: the graph has fewer edges, or a value is NaN.

        Example:
            >>> from scipy.sparse import csr_array
            >>> graph = NetGraph((2, 1, 1), {(0, 1): csr_array([[1.0, -2.0]]), (1, 2): csr_array([[1.0]])})
            >>> [block.data.tolist() for block in graph.strongest(2).blocks.values()]
            [[1.0, -2.0], []]
        """
        count = whole("edges", edges, least=0)
        if count > self.edges:
            raise RequestError(f"edges: found {count}, expected at most {self.edges}, the edges of the graph")
        ranks = edge_ranks([block.data for block in self.blocks.values()], count)
        return self.subgraph({junction: rank <= count for junction, rank in zip(self.blocks, ranks, strict=True)})

    def forward_reach(self) -> list[Flags]:
        """Per layer, to which neurons a path from an input leads; every input reaches itself.

        Example:
            >>> from scipy.sparse import csr_array
            >>> NetGraph((1, 2), {(0, 1): csr_array([[1.0], [0.0]])}).forward_reach()
            [array([ True]), array([ True, False])]
        """
        reach = [np.full(size, layer == 0) for layer, size in enumerate(self.sizes)]
        for source, target in self.blocks:  # ordered by source: all lower layers have written to it by then
            targets, sources = self.ends((source, target))
            reach[target][targets[reach[source][sources]]] = True
        return reach

    def backward_reach(self) -> list[Flags]:
        """Per layer, from which neurons a path leads to an output; every output reaches itself.

        Example:
            >>> from scipy.sparse import csr_array
            >>> NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])}).backward_reach()
            [array([False,  True]), array([ True])]
        """
        reach = [np.full(size, layer == len(self.sizes) - 1) for layer, size in enumerate(self.sizes)]
        for source, target in sorted(self.blocks, key=operator.itemgetter(1), reverse=True):
            targets, sources = self.ends((source, target))
            reach[source][sources[reach[target][targets]]] = True
        return reach

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NetGraph):
            return NotImplemented
        return (
            self.sizes == other.sizes
            and self.blocks.keys() == other.blocks.keys()
            and all(same(block, other.blocks[junction]) for junction, block in self.blocks.items())
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content, and arrays have no hash by content

    def __reduce__(self) -> tuple[Any, ...]:
        return NetGraph, (self.sizes, dict(self.blocks))  # copy and pickle cannot take the mapping proxy

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        return f"NetGraph({sizes}, {self.edges:,} edges, density {self.density:.4g})"
