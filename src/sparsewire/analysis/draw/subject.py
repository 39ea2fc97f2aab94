"""What a picture of a network is about: a graph, its edges in one row, and which of them lie on complete paths."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

Subject = NetGraph | nn.Module | Mapping[str, Tensor]


class Edges(NamedTuple):
    """The edges of a graph, one entry each: layer and neuron at both ends, value, whether on a complete path."""

    source_layer: NDArray[np.int64]
    source: NDArray[np.int64]
    target_layer: NDArray[np.int64]
    target: NDArray[np.int64]
    value: NDArray[np.float64]
    on_path: NDArray[np.bool_]

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Edges":
        """The chosen edges, in the order of choice."""
        return Edges(
            self.source_layer[chosen], self.source[chosen], self.target_layer[chosen], self.target[chosen],
            self.value[chosen], self.on_path[chosen],
        )  # fmt: skip


def as_graph(subject: Subject, edges: int | None = None, argument: str = "graph") -> NetGraph:
    """The graph that is to be drawn, with at least one edge and without NaN.

    Args:
        subject: a graph, a module or a state dict; of the latter two the non-zero weights of the dense layers.
        edges: keep only so many of the strongest; None keeps all.
        argument: what the subject is called in messages.

    Raises:
        RequestError: there is no edge, a value is not finite, there are fewer than `edges` edges, or the model's dense
            layers do not chain.
    """
    graph = subject if isinstance(subject, NetGraph) else NetGraph.from_model(subject)
    for (source, target), block in graph.blocks.items():
        if not np.isfinite(block.data).all():
            raise RequestError(
                f"{argument}: found a weight that is not finite between layers {source} and {target}, "
                "expected numbers; did training diverge?"
            )
    if graph.edges == 0 or edges == 0:
        raise RequestError(f"{argument}: found no edges, expected at least one to draw")
    return graph if edges is None else graph.strongest(edges)


def edges_of(graph: NetGraph) -> Edges:
    """All edges of a graph, block by block, row by row.

    An edge is on a complete path if an input reaches its source and its target reaches an output.
    """
    forward, backward = graph.forward_reach(), graph.backward_reach()
    parts: list[Edges] = []
    for (low, high), block in graph.blocks.items():
        targets, sources = graph.ends((low, high))
        on_path = forward[low][sources] & backward[high][targets]
        count, values = len(sources), np.asarray(block.data, dtype=np.float64)
        parts.append(Edges(np.full(count, low), sources, np.full(count, high), targets, values, on_path))
    return Edges(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def alive(graph: NetGraph) -> list[NDArray[np.bool_]]:
    """Per layer, which neurons lie on a complete path: an input reaches them and they reach an output."""
    return [f & b for f, b in zip(graph.forward_reach(), graph.backward_reach(), strict=True)]
