"""Random edges: between any two nodes, or more or less probable by the groups that they are in."""

from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator, checked_sizes, whole
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges
from sparsewire.structure.priors.connected_draws import first_connected
from sparsewire.structure.priors.trades import checked_labels, number_stream


def erdos_renyi(
    n: int,
    p: float | None = None,
    *,
    edges: int | None = None,
    generator: torch.Generator,
    connected: bool = False,
    tries: int = 10,
) -> NetGraph:
    """A graph of which every edge exists with the same probability, or that has a given number of edges anywhere.

    Edges lead from the lower to the higher number; a node's layer is the longest path from a source.

    Args:
        n: nodes, at least 1.
        p: probability of each of the n·(n - 1)/2 edges, 0 to 1; or
        edges: how many there are, all graphs with as many being equally probable.
        generator: where the draws come from.
        connected: whether a graph in pieces is drawn again.
        tries: how many graphs are drawn at most.

    Raises:
        RequestError: an argument is out of its range, not exactly one of `p` and `edges` is given, or all of `tries`
            graphs were in pieces.

    Example:
        >>> erdos_renyi(100, edges=250, generator=torch.Generator().manual_seed(0)).edges
        250

    Reference:
        Gilbert 1959 for p, Erdős and Rényi 1959 for a number of edges.
    """
    n = checked_labels("n", whole("n", n, least=1))
    if (p is None) == (edges is None):
        raise RequestError(f"p, edges: found p={p!r} and edges={edges!r}, expected one of the two")
    pairs = n * (n - 1) // 2
    stream = number_stream(checked_generator(generator))
    chance = None if p is None else checked_probability("p", p)
    if edges is not None and whole("edges", edges, least=0) > pairs:
        raise RequestError(f"edges: found {edges}, expected at most {pairs}, the pairs of {n} nodes")

    def draw() -> tuple[Array, Array]:
        count = int(edges) if chance is None else int(stream.binomial(pairs, chance))  # type: ignore[arg-type]
        return pairs_of_numbers(distinct(count, pairs, stream))

    hint = f"take a larger {'edges' if chance is None else 'p'}, or connected=False"
    return NetGraph(*layers_of_edges(n, *first_connected(n, draw, connected=connected, tries=tries, hint=hint)))


def stochastic_block(sizes: Sequence[int], p: Sequence[Sequence[float]], *, generator: torch.Generator) -> NetGraph:
    """A graph of groups: two nodes are joined with a probability that hangs on their groups.

    Nodes are numbered group after group. Edges lead from the lower to the higher number; a node's layer is the longest
    path from a source.

    Args:
        sizes: nodes of each group, each at least 1.
        p: a symmetric table of probabilities, 0 to 1: p[a][b] for a node of group a and one of b.
        generator: where the draws come from.

    Raises:
        RequestError: a size or a probability is out of its range, or the table is of another shape or not symmetric.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> stochastic_block([3, 2], [[0.0, 1.0], [1.0, 0.0]], generator=generator)  # all edges between the groups
        NetGraph(3-2, 6 edges, density 1)

    Reference:
        Holland, Laskey and Leinhardt 1983; the same law as networkx's stochastic_block_model.
    """
    if isinstance(sizes, str | bytes) or not isinstance(sizes, Iterable):
        raise RequestError(f"sizes: found {sizes!r}, expected the number of nodes of each group, such as [3, 2]")
    groups = checked_sizes(list(sizes))
    table = _checked_table(p, len(groups))
    stream = number_stream(checked_generator(generator))
    starts = np.append(0, np.cumsum(groups)).tolist()
    checked_labels("sizes, their sum", starts[-1])
    lows, highs = [], []
    for one in range(len(groups)):
        for other in range(one, len(groups)):
            pairs = groups[one] * (groups[one] - 1) // 2 if one == other else groups[one] * groups[other]
            drawn = distinct(int(stream.binomial(pairs, table[one][other])), pairs, stream)
            low, high = pairs_of_numbers(drawn) if one == other else np.divmod(drawn, groups[other])
            lows.append(low + starts[one])
            highs.append(high + starts[other])
    return NetGraph(*layers_of_edges(starts[-1], np.concatenate(lows), np.concatenate(highs)))


def distinct(count: int, among: int, stream: np.random.Generator) -> Array:
    """So many different numbers from 0 to among - 1, in order; all such sets are equally probable.

    Example:
        >>> distinct(3, 3, np.random.Generator(np.random.SFC64(0)))
        array([0, 1, 2])
    """
    if 2 * count > among:
        return np.delete(np.arange(among), distinct(among - count, among, stream))
    found = np.zeros(0, np.int64)
    while found.size < count:  # at most half are wanted, so that most draws hit a new one
        found = np.sort(np.append(found, stream.integers(among, size=count - found.size)))
        found = found[np.diff(found, prepend=-1) > 0]  # np.unique hashes, which takes ten times as long
    return found


def pairs_of_numbers(numbers: Array) -> tuple[Array, Array]:
    """The pair low < high of each number, counted as (0, 1), (0, 2), (1, 2), (0, 3), ….

    Example:
        >>> low, high = pairs_of_numbers(np.arange(4))
        >>> low.tolist(), high.tolist()
        ([0, 0, 1, 0], [1, 2, 2, 3])
    """
    high = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > numbers  # the root of a large number may be off by one, either way
    high += high * (high + 1) // 2 <= numbers
    return numbers - high * (high - 1) // 2, high


def checked_probability(argument: str, value: object) -> float:
    """The value as a float from 0 to 1.

    Raises:
        RequestError: it is none; the message begins with the argument's name.

    Example:
        >>> checked_probability("p", 1)
        1.0
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise RequestError(f"{argument}: found {value!r}, expected a probability from 0 to 1")
    return float(value)


def _checked_table(p: Sequence[Sequence[float]], groups: int) -> list[list[float]]:
    try:
        rows = [list(row) for row in p]
    except TypeError:
        raise RequestError(f"p: found {p!r}, expected a table of {groups} × {groups} probabilities") from None
    if len(rows) != groups or any(len(row) != groups for row in rows):
        found = " and ".join(str(len(row)) for row in rows)
        raise RequestError(f"p: found rows of {found or 'no'} entries, expected {groups} × {groups}, by the sizes")
    table = [[checked_probability(f"p[{a}][{b}]", rows[a][b]) for b in range(groups)] for a in range(groups)]
    for a in range(groups):
        for b in range(a):
            if table[a][b] != table[b][a]:
                raise RequestError(f"p: p[{a}][{b}] is {table[a][b]} and p[{b}][{a}] is {table[b][a]}, expected equal")
    return table
