"""Graphs that grow: each new node is joined to old ones, rather to those that have many edges."""

from typing import Literal

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.trades import checked_labels, number_stream

Start = Literal["sources", "star"]
# Random numbers are drawn in such portions.
_PORTION = 1 << 14


def barabasi_albert(n: int, m: int, *, generator: torch.Generator, start: Start = "sources") -> NetGraph:
    """A graph grown by preferential attachment: each new node is joined to m others, drawn by their degrees.

    It has m·(n - m) edges, from the older (lower) to the newer node, and is connected.

    Args:
        n: nodes, more than m.
        m: edges of each new node, at least 1.
        generator: where the draws come from.
        start: what it grows from. "sources": nodes 0 to m - 1 without edges, which node m joins, so that there are m
            sources, as in the stored data of the paper (and old versions of networkx). "star": node 0 joined to nodes 1
            to m, so that it has one source, as in networkx today.

    Raises:
        RequestError: an argument is out of its range.

    Example:
        >>> graph = barabasi_albert(30, 3, generator=torch.Generator().manual_seed(0))
        >>> graph.edges, graph.sizes[0]
        (81, 3)
        >>> barabasi_albert(30, 3, start="star", generator=torch.Generator().manual_seed(0)).sizes[0]
        1

    Reference:
        Barabási and Albert 1999; networkx's barabasi_albert_graph: the same law. The paper takes m = n // 10 for n from
        10 to 50.
    """
    n, m = checked_labels("n", whole("n", n, least=2)), whole("m", m, least=1)
    if m >= n:
        raise RequestError(f"m: found {m}, expected less than {n}, the nodes")
    if start not in ("sources", "star"):
        raise RequestError(f"start: found {start!r}, expected 'sources' or 'star'")
    ends = _grown(n, m, start, number_stream(checked_generator(generator)))
    # Each edge is written as (older, newer), so that a node is in the list as often as it has edges.
    return NetGraph(*layers_of_edges(n, ends[::2], ends[1::2]))


def _grown(nodes: int, m: int, start: Start, stream: np.random.Generator) -> Array:
    ends: list[int] = []
    for other in range(m):
        ends += (other, m) if start == "sources" else (0, other + 1)
    portion: list[float] = []
    for node in range(m + 1, nodes):
        reach = len(ends)  # its own edges are no reason to draw it
        chosen: dict[int, None] = {}  # a set, but in an order that does not hang on hashes
        while len(chosen) < m:
            if not portion:
                portion = stream.random(_PORTION).tolist()
            chosen[ends[int(portion.pop() * reach)]] = None
        for other in chosen:
            ends += (other, node)
    return np.array(ends, np.int64)
