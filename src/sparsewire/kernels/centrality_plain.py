"""The sweep of `centrality.py` in plain numpy and scipy: what runs without the native library, and its oracle.

Many sources side by side, one column each: a step outwards from all of them is one product with the sparse matrix of
neighbours, and so is a step back.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

_NUMBERS = 1 << 22  # in the largest array


def swept(starts: Whole, neighbours: NDArray[np.int32], sources: Whole) -> tuple[Reals, Reals, Whole, Whole, Whole]:
    """Sums over the sources, then numbers per source: those of `Sweep`, in its order.

    Example:
        >>> line = np.array([0, 1, 3, 4]), np.array([1, 0, 2, 1], np.int32)
        >>> nodes, arcs, distances, reached, farthest = swept(*line, np.array([0]))
        >>> nodes, arcs, distances, reached, farthest
        (array([0., 1., 0.]), array([2., 0., 1., 0.]), array([3]), array([2]), array([2]))
    """
    count = starts.size - 1
    joined: Any = sparse.csr_array((np.ones(neighbours.size), neighbours, starts), shape=(count, count))
    tails = np.repeat(np.arange(count), np.diff(starts))
    nodes, arcs = np.zeros(count), np.zeros(neighbours.size)
    distances, reached, farthest = (np.zeros(sources.size, np.int64) for _ in range(3))
    at_once = max(1, min(64, _NUMBERS // max(count, neighbours.size)))
    for first in range(0, sources.size, at_once):
        own = slice(first, first + at_once)
        paths, level = _outwards(joined, sources[own])
        nodes += _back(joined, tails, paths, level, arcs)
        found = np.maximum(level, 0)
        distances[own], farthest[own] = found.sum(axis=0), found.max(axis=0)
        reached[own] = (level > 0).sum(axis=0)
    return nodes, arcs, distances, reached, farthest


def _outwards(joined: Any, sources: Whole) -> tuple[Reals, Whole]:
    """How many shortest paths lead to each node, and how long they are (-1: none), a column per source."""
    count = joined.shape[0]
    columns = np.arange(sources.size)
    paths, level = np.zeros((count, sources.size)), np.full((count, sources.size), -1)
    paths[sources, columns], level[sources, columns] = 1, 0
    last, step = paths.copy(), 0
    while last.any():
        step += 1
        last = np.where(level < 0, joined @ last, 0.0)
        new = last > 0
        level[new], paths[new] = step, last[new]
    return paths, level


def _back(joined: Any, tails: Whole, paths: Reals, level: Whole, arcs: Reals) -> Reals:
    """Each node's part in the shortest paths from all sources; adds those of the arcs to `arcs`."""
    part = np.zeros_like(paths)
    for step in range(int(level.max()), 0, -1):
        onwards = np.divide(1 + part, paths, out=np.zeros_like(paths), where=level == step)
        here = np.where(level == step - 1, paths, 0.0)
        part += here * (joined @ onwards)
        arcs += np.einsum("ab,ab->a", here[tails], onwards[joined.indices])
    part[level == 0] = 0
    sums: Reals = part.sum(axis=1)
    return sums
