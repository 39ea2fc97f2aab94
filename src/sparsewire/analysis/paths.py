"""The sparse graph interpretation: strong connections as a graph, its complete paths and its dead areas.

After Pircher, Haspel and Schlücker, "Dense neural networks as sparse graphs and the lightning initialization",
sections 2 and 3. Biases play no part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.path_sweep import Sweep, Wires, chain_sweep, complete_counts, edge_ranks, graph_sweep
from sparsewire.structure.allocation import count_of
from sparsewire.structure.blocks import Flags
from sparsewire.structure.chain import Model, as_array, dense_chain
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

Network = Model | NetGraph
"""A module, the state dict of one, or a graph."""


class TypeCounts(NamedTuple):
    """How many connections of a layer are of each type."""

    activating: int
    inhibiting: int
    inactive: int


@dataclass(frozen=True, eq=False)
class SparseGraph:
    """A network as a graph of its strongest connections.

    Attributes:
        graph: the active edges alone, with their weights.
        threshold: the smallest magnitude of an active edge; infinite if there is none.
        types: name → int8 tensor of shape (out, in): +1 activating, -1 inhibiting, 0 inactive. Names are those of the
            weights, or "0→1" for the edges from layer 0 to layer 1 if it was made from a graph.
        counts: name → how many connections are of each type; of a graph, only its edges are counted.
    """

    graph: NetGraph
    threshold: float
    types: Mapping[str, Tensor]
    counts: Mapping[str, TypeCounts]

    def masks(self) -> Masks:
        """Masks that keep the active connections."""
        return Masks({name: types != 0 for name, types in self.types.items()})


@dataclass(frozen=True, repr=False, eq=False)
class DeadAreas:
    """Neurons without a part in what the network computes, per layer one bool for each neuron.

    Printed, it says for each layer how many of the neurons are alive.

    Attributes:
        constant: no path from an input comes in: the output never changes.
        unread: no path to an output goes out: the output changes nothing.
    """

    constant: tuple[Flags, ...]
    unread: tuple[Flags, ...]

    @property
    def isolated(self) -> tuple[Flags, ...]:
        """Neurons with neither a path in nor a path out."""
        return tuple(one & other for one, other in zip(self.constant, self.unread, strict=True))

    @property
    def alive(self) -> tuple[Flags, ...]:
        """Neurons with both: those on a complete path."""
        return tuple(~(one | other) for one, other in zip(self.constant, self.unread, strict=True))

    def __repr__(self) -> str:
        layers = (f"{int(alive.sum())} of {alive.size}" for alive in self.alive)
        return f"DeadAreas(alive: {', '.join(layers)})"


def sparse_graph(network: Network, active: float) -> SparseGraph:
    """The strongest connections of a network as activating and inhibiting edges.

    With one threshold t for all layers together: w ≥ t is activating (+1), w ≤ -t inhibiting (-1), all else inactive.

    Args:
        network: a model or its state dict (all weights of its dense layers), or a graph (its edges).
        active: the share of active connections, above 0 up to 1. Of n connections the active · n strongest (rounded
            half up, as in `prune`) are active, at least one; ties go to the lower index over the concatenated layers.
            A connection of weight zero has no sign and is never active, so that there may be fewer.

    Raises:
        RequestError: `active` is out of its range, a weight is NaN, or the dense layers are no chain.

    Example:
        >>> found = sparse_graph({"0.weight": torch.tensor([[0.5, -2.0]]), "1.weight": torch.tensor([[0.1]])}, 0.67)
        >>> found.types["0.weight"].tolist(), found.threshold, found.counts["1.weight"]
        ([[1, -1]], 0.5, TypeCounts(activating=0, inhibiting=0, inactive=1))

    Reference:
        Pircher, Haspel and Schlücker, section 2. That the threshold is global follows from their Table 1; ties at the
        threshold, which they do not mention, are cut to the exact number here.
    """
    if not isinstance(active, Real) or isinstance(active, bool) or not 0 < active <= 1:
        raise RequestError(f"active: found {active!r}, expected the share of active connections, above 0 up to 1")
    names = junction_names(network)
    graph = network if isinstance(network, NetGraph) else NetGraph.from_model(network)
    total = graph.edges if isinstance(network, NetGraph) else sum(w.numel() for w in dense_chain(network).values())
    strong = graph.strongest(min(max(count_of(active, total), 1), graph.edges))
    strong = strong.subgraph({junction: block.data != 0 for junction, block in strong.blocks.items()})
    threshold = min((float(np.abs(block.data).min()) for block in strong.blocks.values() if block.nnz), default=np.inf)
    types, counts = {}, {}
    for junction, block in strong.blocks.items():
        signs = torch.zeros(block.shape, dtype=torch.int8)
        signs.numpy()[strong.ends(junction)] = np.sign(block.data)
        types[names[junction]] = signs
        connections = graph.blocks[junction].nnz if isinstance(network, NetGraph) else signs.numel()
        positive = int((block.data > 0).sum())
        counts[names[junction]] = TypeCounts(positive, block.nnz - positive, connections - block.nnz)
    return SparseGraph(strong, threshold, MappingProxyType(types), MappingProxyType(counts))


def complete_paths(graph: NetGraph) -> NetGraph:
    """The graph with only the edges on complete paths, from an input (layer 0) to an output (last layer).

    Example:
        >>> from scipy.sparse import csr_array
        >>> dead_end = NetGraph((1, 2, 1), {(0, 1): csr_array([[3.0], [4.0]]), (1, 2): csr_array([[5.0, 0.0]])})
        >>> complete_paths(dead_end).blocks[0, 1].toarray().ravel()
        array([3., 0.])

    Reference:
        Pircher, Haspel and Schlücker, section 3: "edges on complete paths between input and output".
    """
    forward, backward = graph.forward_reach(), graph.backward_reach()
    kept = {}
    for source, target in graph.blocks:
        targets, sources = graph.ends((source, target))
        kept[source, target] = forward[source][sources] & backward[target][targets]
    return graph.subgraph(kept)


def dead_areas(graph: NetGraph) -> DeadAreas:
    """The neurons that no path from an input comes to, and those that no path to an output leaves.

    Inputs are never constant and outputs never unread.

    Example:
        >>> from scipy.sparse import csr_array
        >>> dead_end = NetGraph((1, 2, 1), {(0, 1): csr_array([[3.0], [4.0]]), (1, 2): csr_array([[5.0, 0.0]])})
        >>> dead_areas(dead_end), dead_areas(dead_end).unread[1]
        (DeadAreas(alive: 1 of 1, 1 of 2, 1 of 1), array([False,  True]))

    Reference:
        Pircher, Haspel and Schlücker, section 2: "dead paths could build dead areas".
    """
    return DeadAreas(
        tuple(~reached for reached in graph.forward_reach()), tuple(~reaching for reaching in graph.backward_reach())
    )


def complete_path_fraction(network: Network, edges: "Sequence[int] | NDArray[Any] | Tensor") -> NDArray[np.float64]:
    """The share of the k strongest edges that lie on a complete path of these k edges, for each k of `edges`.

    All k at once take a few milliseconds for 266,200 edges: see `kernels/path_sweep.py`.

    Args:
        network: a model or its state dict (all weights of its dense layers are edges, those of value zero the weakest),
            or a graph (its edges). Ties go to the lower index over the concatenated layers.
        edges: the numbers k, each a whole one from 0 to the number of edges, in any order; for k = 0 the share is 0.

    Raises:
        RequestError: an entry of `edges` is no whole number or out of range, a weight is NaN, or the dense layers are
            no chain.

    Example:
        >>> model = {"0.weight": torch.tensor([[0.5, -2.0]]), "1.weight": torch.tensor([[1.0]])}
        >>> complete_path_fraction(model, [0, 1, 2, 3])
        array([0., 0., 1., 1.])

    Reference:
        Pircher, Haspel and Schlücker, Figures 3 and 4.
    """
    sweep, total = _graph_sweeper(network) if isinstance(network, NetGraph) else _chain_sweeper(network)
    wanted = _checked_counts(edges, total)
    last = int(wanted.max(initial=0))
    # Once every neuron has a path in and a path out, every further edge is complete on arrival: mostly a sixth of the
    # edges suffices to see that, and the others need no ranks.
    for first in sorted({min(total // 6, last), last}):
        swept = sweep(first)
        if swept.latest <= first:
            break
    curve = complete_counts(swept, first) / np.maximum(np.arange(first + 1), 1)
    shares: NDArray[np.float64] = curve[np.minimum(wanted, first)]
    return shares


def junction_names(network: Network) -> dict[tuple[int, int], str]:
    """What each block of the network's graph is called: the weight's name in a model, "0→1" in a graph."""
    if isinstance(network, NetGraph):
        return {(source, target): f"{source}→{target}" for source, target in network.blocks}
    return {(layer, layer + 1): name for layer, name in enumerate(dense_chain(network))}


def _chain_sweeper(model: Model) -> tuple[Callable[[int], Sweep], int]:
    weights = [as_array(weight) for weight in dense_chain(model).values()]
    return lambda first: chain_sweep(edge_ranks(weights, first)), sum(weight.size for weight in weights)


def _graph_sweeper(graph: NetGraph) -> tuple[Callable[[int], Sweep], int]:
    def sweep(first: int) -> Sweep:
        ranks = edge_ranks([block.data for block in graph.blocks.values()], first)
        wires = {
            junction: Wires(*graph.ends(junction), rank) for junction, rank in zip(graph.blocks, ranks, strict=True)
        }
        return graph_sweep(graph.sizes, wires)

    return sweep, graph.edges


def _checked_counts(edges: Any, total: int) -> NDArray[np.integer[Any]]:
    if isinstance(edges, range):
        edges = np.arange(edges.start, edges.stop, edges.step)  # numpy would take its numbers one by one
    counts = np.asarray(edges.cpu() if isinstance(edges, Tensor) else edges)
    if counts.ndim != 1:
        raise RequestError(f"edges: found {edges!r}, expected a sequence of counts such as [100, 1000]")
    if not counts.size:
        return np.empty(0, np.int64)
    if counts.dtype.kind == "f" and all(map(float.is_integer, counts.tolist())):  # such as np.linspace(0, total, 11)
        counts = counts.astype(np.int64)
    if counts.dtype.kind not in "iu":
        raise RequestError(f"edges: found values of type {counts.dtype}, expected whole numbers; try .astype(int)")
    if counts.min() < 0 or counts.max() > total:
        wrong = counts[(counts < 0) | (counts > total)][0]
        raise RequestError(f"edges: found {wrong}, expected counts from 0 to {total}, the edges of the network")
    return counts
