"""Graphs with given degrees, all of them being equally probable."""

from collections.abc import Iterable

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.connected_draws import first_connected
from sparsewire.structure.priors.edge_switches import switched
from sparsewire.structure.priors.trades import checked_labels, number_stream

# Of an orderly start a correlation of 0.6 between the degrees of neighbours is 0.15 after one round and 0.04 after two;
# after eight nothing is to be seen of it, nor of the triangles (measured at 100 and 2,000 nodes).
ROUNDS = 16


def configuration_model(
    degrees: Iterable[int],
    *,
    generator: torch.Generator,
    swaps: int = ROUNDS,
    connected: bool = False,
    tries: int = 10,
) -> NetGraph:
    """A random graph in which node i has degrees[i] neighbours; none with itself, none twice.

    Edges lead from the lower to the higher number; a node's layer is the longest path from a source. All graphs with
    these degrees are equally probable, as far as tests can tell.

    Args:
        degrees: of the nodes, each at least 0; their sum is even.
        generator: where the draws come from.
        swaps: how often each edge is offered to another for an exchange of ends, from an orderly start; at least 1.
        connected: whether a graph in pieces is drawn again.
        tries: how many graphs are drawn at most.

    Raises:
        RequestError: no graph has these degrees, an argument is out of its range, or all of `tries` graphs were in
            pieces.

    Example:
        >>> graph = configuration_model([3, 2, 2, 2, 1], generator=torch.Generator().manual_seed(0))
        >>> sorted(dict(graph.to_networkx().degree).values())
        [1, 2, 2, 2, 3]

    Reference:
        Havel 1955 and Hakimi 1962 for the start; the switches are those of `priors/edge_switches.py`. networkx's
        configuration_model joins loose ends instead, and so makes loops and repeated edges.
    """
    wanted = _checked(degrees)
    rounds = whole("swaps", swaps, least=1)
    stream = number_stream(checked_generator(generator))
    low, high = _orderly(wanted)

    def draw() -> tuple[Array, Array]:
        return switched(wanted.size, low, high, rounds, stream, directed=False)

    hint = "take higher degrees, or connected=False"
    edges = first_connected(wanted.size, draw, connected=connected, tries=tries, hint=hint)
    return NetGraph(*layers_of_edges(wanted.size, *edges))


def random_regular(
    n: int, d: int, *, generator: torch.Generator, swaps: int = ROUNDS, connected: bool = False, tries: int = 10
) -> NetGraph:
    """A random graph of n nodes with d neighbours each, as by `configuration_model`.

    Args:
        n: nodes, more than d.
        d: neighbours of each, at least 0; n·d is even.
        generator: where the draws come from.
        swaps: as for `configuration_model`.
        connected: as for `configuration_model`.
        tries: as for `configuration_model`.

    Raises:
        RequestError: n·d is odd, an argument is out of its range, or all of `tries` graphs were in pieces.

    Example:
        >>> random_regular(20, 3, generator=torch.Generator().manual_seed(0)).edges
        30

    Reference: as `configuration_model`; networkx's random_regular_graph takes the pairing of Steger and Wormald 1999,
        which tends to the same law for large graphs.
    """
    n, d = checked_labels("n", whole("n", n, least=1)), whole("d", d, least=0)
    if d >= n:
        raise RequestError(f"d: found {d}, expected less than {n}, the nodes")
    if n * d % 2:
        near = " or ".join(str(other) for other in (d - 1, d + 1) if 0 <= other < n)
        raise RequestError(f"d: found {d}, and {n} nodes cannot have {d} neighbours each, both odd; take {near}")
    return configuration_model([d] * n, generator=generator, swaps=swaps, connected=connected, tries=tries)


def _checked(degrees: Iterable[int]) -> Array:
    if isinstance(degrees, str | bytes) or not isinstance(degrees, Iterable):
        raise RequestError(f"degrees: found {degrees!r}, expected a whole number for each node")
    wanted = np.array([whole(f"degrees[{i}]", degree, least=0) for i, degree in enumerate(degrees)], np.int64)
    if not wanted.size:
        raise RequestError("degrees: found none, expected those of at least one node")
    if wanted.max() >= wanted.size:
        raise RequestError(
            f"degrees: found {wanted.max()} at place {wanted.argmax()}, expected at most {wanted.size - 1}, the others"
        )
    if wanted.sum() % 2:
        raise RequestError(f"degrees: found the sum {wanted.sum()}, expected an even one, as every edge has two ends")
    return wanted


def _orderly(wanted: Array) -> tuple[Array, Array]:
    """A graph with these degrees: the node with most missing is joined to those that then miss most."""
    order = np.argsort(-wanted, kind="stable")
    missing = -wanted[order]  # negative, so that it rises
    lows, highs = [], []
    for place in range(wanted.size):
        count = -int(missing[place])
        if not count:
            break
        if place + count >= wanted.size or not missing[place + count]:
            raise RequestError(f"degrees: no graph has them; {count} neighbours of one node find too few others")
        last = missing[place + count]
        # Of those that miss as many as the last one, the last are taken, so that the numbers still rise.
        begin, end = np.searchsorted(missing[place + 1 :], [last, last + 1]) + place + 1
        chosen = np.r_[place + 1 : begin, end - (place + 1 + count - begin) : end]
        missing[chosen] += 1
        lows.append(np.full(count, place))
        highs.append(chosen)
    if not lows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    one, other = order[np.concatenate(lows)], order[np.concatenate(highs)]
    return np.minimum(one, other), np.maximum(one, other)
