"""Switches: pairs of edges that exchange an end, so that every node keeps its degree.

In a round all edges are put into pairs at random, and the pairs switch one after another: edges (a, b) and (c, d)
become (a, d) and (c, b), unless there is such an edge at that moment, or it were none. A quarter of the pairs rest, for
otherwise a graph of two edges would only ever flip. Each outcome is as probable as its reverse, so that rounds lead to
the uniform law over all graphs with these degrees that switches can reach.

A round is not done pair by pair but at once: who waits for whom is known (`_accepted`), and few pairs wait long.

Reference: Allendorf, Meyer, Penschuck and Tran 2022, "Parallel global edge switching for the uniform sampling of simple
graphs with prescribed degrees": the rounds, and that their pairs can be decided side by side.
"""

import numpy as np

from sparsewire.structure.blocks import Array

_REST = 0.25
_OPEN, _DONE, _REFUSED = 0, 1, 2


def switched(
    nodes: int, low: Array, high: Array, rounds: int, stream: np.random.Generator, *, directed: bool
) -> tuple[Array, Array]:
    """The edges after so many rounds; each place of the arrays keeps to be one edge, low < high.

    Args:
        nodes: how many there are, less than 3e9.
        low: the lower end of each edge.
        high: the higher end.
        rounds: how often each edge takes part.
        stream: where the draws come from.
        directed: whether every node also keeps how many of its edges lead to higher, and how many to lower nodes.

    Example:
        >>> stream = np.random.Generator(np.random.SFC64(0))
        >>> low, high = switched(6, np.arange(5), np.arange(1, 6), 9, stream, directed=False)
        >>> np.bincount(np.append(low, high)).tolist()
        [1, 2, 2, 2, 2, 1]
    """
    low, high = low.astype(np.int64), high.astype(np.int64)
    for _ in range(rounds if low.size > 1 else 0):
        _round(nodes, low, high, stream, directed=directed)
    return low, high


def _round(nodes: int, low: Array, high: Array, stream: np.random.Generator, *, directed: bool) -> None:
    pairs = low.size // 2
    order = stream.permutation(low.size)
    first, second = order[:pairs], order[pairs : 2 * pairs]
    wants = stream.random(pairs) >= _REST
    a, b, c, d = low[first], high[first], low[second], high[second]
    if directed:
        wants &= (a < d) & (c < b)
    else:
        turned = stream.random(pairs) < 0.5
        c, d = np.where(turned, d, c), np.where(turned, c, d)
        a, d = np.minimum(a, d), np.maximum(a, d)
        c, b = np.minimum(c, b), np.maximum(c, b)
        wants &= (a < d) & (c < b)
    owner = np.full(low.size, pairs)
    owner[first] = owner[second] = np.arange(pairs)
    done = _accepted(low * nodes + high, owner, np.stack((a * nodes + d, c * nodes + b), axis=1), wants)
    low[first[done]], high[first[done]] = a[done], d[done]
    low[second[done]], high[second[done]] = c[done], b[done]


def _accepted(present: Array, owner: Array, wanted: Array, wants: Array) -> Array:
    """Which pairs switch, where they do so one after another, in their order; others find an edge in their way.

    Args:
        present: the key of each edge that is there.
        owner: the number of the pair that it is in, as many as there are pairs if it is in none.
        wanted: the keys of the two edges that each pair would make, shape (pairs, 2).
        wants: whether the pair would switch at all; bool.
    """
    pairs = wants.size
    state = np.full(pairs + 2, _OPEN, np.int8)
    state[:pairs][~wants] = _REFUSED
    state[pairs], state[pairs + 1] = _REFUSED, _DONE  # who would remove an edge that stays, or one that is not there
    pair = np.repeat(np.arange(pairs), 2)
    order = np.argsort(wanted.reshape(-1), kind="stable")  # by edges, then by pairs
    order = order[wants[pair[order]]]
    pair, edge = pair[order], wanted.reshape(-1)[order]
    remover = _removers(present, owner, edge, absent=pairs + 1)
    state[pair[(remover >= pair) & (remover <= pairs)]] = _REFUSED  # the edge is still there when its turn comes
    while (found := state[pair]).size:
        begins = np.flatnonzero(np.diff(edge, prepend=-1))
        group = np.repeat(begins, np.diff(begins, append=edge.size))
        is_open = found == _OPEN
        first, removed = state[remover], _earlier(found == _DONE, group)
        refused = is_open & (removed | (first == _REFUSED))
        waits = is_open & (_earlier(is_open, group) | (first == _OPEN))
        goes_on = np.zeros(pairs, np.bool_)
        goes_on[pair[is_open]] = True
        goes_on[pair[waits | refused]] = False
        state[:pairs][goes_on] = _DONE
        state[pair[refused]] = _REFUSED
        still = np.repeat(np.logical_or.reduceat(state[pair] == _OPEN, begins), np.diff(begins, append=edge.size))
        pair, edge, remover = pair[still], edge[still], remover[still]
    done: Array = state[:pairs] == _DONE
    return done


def _removers(present: Array, owner: Array, edge: Array, absent: int) -> Array:
    """The pair that each edge is in; `absent` where there is no such edge."""
    order = np.argsort(present)
    place = order[np.minimum(np.searchsorted(present, edge, sorter=order), present.size - 1)]
    return np.where(present[place] == edge, owner[place], absent)


def _earlier(flags: Array, group: Array) -> Array:
    """Whether one before each entry is set in its group; the group is the place of its first entry."""
    before = np.cumsum(flags) - flags
    found: Array = before > before[group]
    return found
