"""When each edge of a layered graph joins a complete path, if edges are switched on from the strongest to the weakest.

An edge (u, v) lies on a complete path among the k strongest edges if and only if its own rank, the minimax rank of a
path from the inputs to u and the minimax rank of a path from v to the outputs are all ≤ k. The largest of the three is
the step at which it joins, and one forward and one backward sweep give it for all edges, hence for every k at once:
O(E) after ranking, against O(E²) for a fresh search at each k.

Two forms: `chain_sweep` for dense chains of 2-D arrays, `graph_sweep` for lists of edges between any two layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsewire.errors import RequestError

Ranks = NDArray[np.uint32]

NEVER = 2**32 - 1
"""The rank of what no number of edges brings."""


class Wires(NamedTuple):
    """The edges between two layers: target neurons, source neurons and ranks, one entry an edge."""

    targets: NDArray[Any]
    sources: NDArray[Any]
    ranks: Ranks


class Sweep(NamedTuple):
    """What a sweep finds, as ranks: 0 = from the start, `NEVER` = not even with all edges.

    Attributes:
        forward: per layer and neuron, the k from which a path comes in from an input.
        backward: per layer and neuron, the k from which a path goes out to an output.
        steps: per block and edge, in the order and shape of the given ranks, the k from which it is on a complete path.
    """

    forward: list[Ranks]
    backward: list[Ranks]
    steps: list[Ranks]

    @property
    def latest(self) -> int:
        """The k from which every neuron has a path in and a path out; from then on every edge is on a complete path."""
        return max(int(ranks.max(initial=0)) for ranks in (*self.forward, *self.backward))


def edge_ranks(strengths: Sequence[NDArray[Any]], first: int | None = None) -> list[Ranks]:
    """The rank of each edge by magnitude: 1 for the largest, ties to the lower index over the concatenated arrays.

    A radix sort of the bit patterns, 16 bits at a time; below `first` = all edges only the strongest are sorted.

    Args:
        strengths: real arrays of any shapes; only magnitudes matter, infinities are allowed.
        first: how many of the strongest to rank, 0 to the number of edges (default: all); the others share the rank
            `first` + 1.

    Returns:
        One uint32 array per given array, in its shape: views into one contiguous array.

    Raises:
        RequestError: a strength is NaN, which has no rank, or there are 2³² - 1 edges or more.

    Example:
        >>> edge_ranks([np.array([[0.5, -2.0]]), np.array([[0.5], [1.0]])])
        [array([[3, 1]], dtype=uint32), array([[4], [2]], dtype=uint32)]
    """
    flat = np.concatenate([np.ravel(strength) for strength in strengths]) if strengths else np.empty(0)
    if flat.size >= NEVER:
        raise RequestError(f"strengths: found {flat.size:,} edges, expected fewer than {NEVER:,}")
    # Freed at once, a block as large as all that follows teaches glibc to keep freed memory, instead of handing it back
    # and faulting it in again page by page at each call: 8 instead of 18 ms for 266,200 edges. It learns from up to
    # 32 MB only; under other allocators nothing happens.
    np.empty(min(40 * flat.size, 30_000_000), np.uint8)
    magnitudes = _ordered_bits(flat)
    first = flat.size if first is None else first
    ranks = np.full(flat.size, first + 1, np.uint32)
    strong = _strongest(magnitudes, first)
    ranks[strong] = np.arange(1, strong.size + 1, dtype=np.uint32)
    ends = np.cumsum([np.size(strength) for strength in strengths])
    return [part.reshape(np.shape(one)) for part, one in zip(np.split(ranks, ends[:-1]), strengths, strict=False)]


def chain_sweep(ranks: Sequence[Ranks]) -> Sweep:
    """The sweep over a chain of layers in which every neuron is wired to every one of the next layer.

    The first layer's neurons are the inputs, the last layer's the outputs.

    Args:
        ranks: one array of shape (out, in) per junction; out is the next one's in.

    Example:
        >>> sweep = chain_sweep([np.array([[3, 1]], np.uint32), np.array([[4], [2]], np.uint32)])
        >>> sweep.steps
        [array([[3, 2]], dtype=uint32), array([[4], [2]], dtype=uint32)]
    """
    forward = [np.zeros(ranks[0].shape[1], np.uint32)]
    for rank in ranks:
        forward.append(np.maximum(rank, forward[-1]).min(axis=1, initial=NEVER))
    backward = [np.zeros(ranks[-1].shape[0], np.uint32)]
    for rank in reversed(ranks):
        backward.append(np.maximum(rank, backward[-1][:, None]).min(axis=0, initial=NEVER))
    backward.reverse()
    steps = [np.maximum(rank, forward[layer]) for layer, rank in enumerate(ranks)]
    for layer, step in enumerate(steps):
        np.maximum(step, backward[layer + 1][:, None], out=step)
    return Sweep(forward, backward, steps)


def graph_sweep(sizes: Sequence[int], wires: Mapping[tuple[int, int], Wires]) -> Sweep:
    """The sweep over a graph of layers with any edges from lower to higher layers.

    The first layer's neurons are the inputs, the last layer's the outputs: a neuron elsewhere without predecessors is
    constant, one without successors is not read.

    Args:
        sizes: neurons of each layer.
        wires: (source layer, target layer), source < target → the edges between them.

    Example:
        >>> one = Wires(np.array([0]), np.array([0]), np.array([2], np.uint32))
        >>> skip = Wires(np.array([0]), np.array([0]), np.array([1], np.uint32))
        >>> [int(step[0]) for step in graph_sweep([1, 1, 1], {(0, 1): one, (0, 2): skip}).steps]
        [4294967295, 1]
    """
    forward = [np.full(size, NEVER, np.uint32) for size in sizes]
    backward = [np.full(size, NEVER, np.uint32) for size in sizes]
    forward[0][:] = 0
    backward[-1][:] = 0
    # By source: a layer is read only after all lower ones have written to it. Backward the same, by target.
    for (source, target), wire in sorted(wires.items(), key=lambda item: item[0][0]):
        np.minimum.at(forward[target], wire.targets, np.maximum(wire.ranks, forward[source][wire.sources]))
    for (source, target), wire in sorted(wires.items(), key=lambda item: item[0][1], reverse=True):
        np.minimum.at(backward[source], wire.sources, np.maximum(wire.ranks, backward[target][wire.targets]))
    steps = [
        np.maximum(np.maximum(wire.ranks, forward[source][wire.sources]), backward[target][wire.targets])
        for (source, target), wire in wires.items()
    ]
    return Sweep(forward, backward, steps)


def complete_counts(sweep: Sweep, first: int) -> NDArray[np.int64]:
    """How many of the k strongest edges are on a complete path of these k, for k = 0 … `first`: `first` + 1 numbers.

    Example:
        >>> complete_counts(chain_sweep([np.array([[3, 1]], np.uint32), np.array([[4], [2]], np.uint32)]), 4)
        array([0, 0, 2, 3, 4])
    """
    reached = [step[step <= first] for step in sweep.steps]
    joined = np.concatenate(reached) if reached else np.empty(0, np.uint32)
    return np.cumsum(np.bincount(joined, minlength=first + 1))


def _ordered_bits(values: NDArray[Any]) -> NDArray[Any]:
    """The magnitudes as unsigned integers of the same order: IEEE numbers without their sign sort like their bits.

    The values are used up: here and below arrays are reused, since fresh memory costs more than the arithmetic.
    """
    narrow = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    floats = values.astype(np.float32 if narrow else np.float64, copy=False)
    unsigned = np.uint32 if narrow else np.uint64
    bits: NDArray[Any] = floats.view(unsigned)
    np.bitwise_and(bits, unsigned(np.iinfo(unsigned).max >> 1), out=bits)
    infinity = np.array(np.inf, floats.dtype).view(unsigned)
    if bits.size and bits.max() > infinity:
        at = int(np.argmax(bits > infinity))
        raise RequestError(f"strengths: edge {at} is NaN, which has no rank; look for a diverged training")
    return bits


def _strongest(magnitudes: NDArray[Any], first: int) -> NDArray[np.intp]:
    """Where the `first` largest are, largest first, ties by the lower index."""
    if not 0 < first < magnitudes.size:
        return _falling(magnitudes)[:first]
    # One counting pass over the leading 16 bits leaves few candidates. Not np.partition: many zeros make that slow.
    leading = (magnitudes >> magnitudes.dtype.type(8 * magnitudes.itemsize - 16)).astype(np.uint16)
    larger = np.cumsum(np.bincount(leading)[::-1])[::-1]
    candidates = np.flatnonzero(leading >= np.flatnonzero(larger >= first)[-1])
    return candidates[_falling(magnitudes[candidates])[:first]]


def _falling(magnitudes: NDArray[Any]) -> NDArray[np.intp]:
    """The order from the largest to the smallest, stable: numpy sorts 16-bit keys by counting, so a few passes do."""
    digits = np.iinfo(magnitudes.dtype).max - magnitudes
    order = np.argsort(digits.astype(np.uint16), kind="stable")
    for _ in range(16, 8 * magnitudes.itemsize, 16):
        digits >>= magnitudes.dtype.type(16)
        order = order[np.argsort(digits.astype(np.uint16)[order], kind="stable")]
    return order
