"""Scatter: how evenly the connections of a sparse network spread, known before it is trained.

After Dey, Huang, Beerel and Chugg 2018, "Characterizing sparse connectivity patterns in neural networks", section 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.junction_edges import Connections, Edges, chain_edges
from sparsewire.analysis.window_matrices import checked_layouts, mean_paths, window_factors
from sparsewire.structure.blocks import Block
from sparsewire.structure.windows import Layout

AT_ONCE = 2**23  # numbers of 8 bytes in the largest array of a product; more columns are done in several goes


class JunctionScatter(NamedTuple):
    """The scatter of one junction, or of all together.

    Attributes:
        name: the junction's, counted from 1: "1"; "1:2" is what the junctions from 1 to 2 are together.
        sizes: left and right neurons.
        forward: the share of (right neuron, left window) that are connected.
        backward: the share of (left neuron, right window) that are connected.
        left_windows: how many windows the left layer is cut into.
        right_windows: how many the right layer is cut into.
    """

    name: str
    sizes: tuple[int, int]
    forward: float
    backward: float
    left_windows: int
    right_windows: int


@dataclass(frozen=True)
class Scatter:
    """The scatter of a network; print it for a table.

    Attributes:
        junctions: one row for each junction and, where there are several, one for all together.

    Example:
        >>> import torch
        >>> found = scatter([torch.ones(4, 8).bool(), torch.eye(4).bool()])
        >>> found.names, found.vector, found.minimum
        (('S1f', 'S1b', 'S2f', 'S2b', 'Sf', 'Sb'), (1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 1.0)
    """

    junctions: tuple[JunctionScatter, ...]

    @property
    def vector(self) -> tuple[float, ...]:
        """[S1f, S1b, S2f, S2b, …, Sf, Sb], each from 0 to 1; of a single junction [S1f, S1b]."""
        return tuple(value for row in self.junctions for value in (row.forward, row.backward))

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers of the vector are called: S1f, S1b, …."""
        numbers = ("" if ":" in row.name else row.name for row in self.junctions)
        return tuple(f"S{number}{way}" for number in numbers for way in "fb")

    @property
    def minimum(self) -> float:
        """The scatter metric S: the smallest number of the vector."""
        return min(self.vector)

    def __str__(self) -> str:
        table = [("junction", "neurons", "forward", "windows", "backward", "windows")]
        for name, (left, right), forward, backward, left_windows, right_windows in self.junctions:
            sizes, counts = f"{left:,} → {right:,}", (f"{left_windows:,}", f"{right_windows:,}")
            table.append((name, sizes, f"{forward:.3f}", counts[0], f"{backward:.3f}", counts[1]))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in table]
        return "\n".join([*lines, f"scatter {self.minimum:.3f}, the least of these"])


def scatter(connections: Connections, windows: Sequence[Layout | None] | None = None, *, soft: bool = False) -> Scatter:
    """How many windows each neuron is connected to, as a share, for each junction in both directions.

        A^wl[j, k] = connections of right neuron j to window k of the left layer
        S_f        = mean over j, k of [A^wl[j, k] ≥ 1]                               (S_b: right windows, left neurons)

    Each layer is cut into as many windows as a neuron opposite has connections, so that one from each is ideal (see
    `window_count`). All junctions together count as one, whose connections are the paths from inputs to outputs; where
    these are more than there are neurons, windows are single neurons. 1 is the most, and what full connection has;
    random regular patterns have much less, about 1 - 1/e = 0.632 at a low density.

    Args:
        connections: one pattern or several, inputs first: bool tensors of shape (out, in) or scipy sparse blocks,
            whose stored entries are the connections. Or Masks, of which the 2-D weights count, in order: kernels of
            convolutions are left aside. Or a module (its weights that are not zero), or a `NetGraph` that is a chain.
        windows: one `Layout` for each layer, inputs first; None: a row, as is each layer if all is None. Of a network
            with convolutions the first layer is their last map: `[Layout((256, 4, 4)), None, None]`. Padding (`real`)
            is left out: it is in no window, reaches none, and no path leads through it. The number of windows is that
            of the whole layer still, and a window of padding only does not count.
        soft: mean of min(1, A^wl[j, k] / ideal) instead. It differs only where the ideal is above 1; without padding it
            is that of `window_count`, with padding that of the neurons that exist.

    Raises:
        RequestError: the connections are no chain, or the layouts do not fit them.

    Where degrees differ, the number of windows is that of the mean, rounded down, at least 1; a neuron without
    connections reaches nothing.

    Example:
        >>> import torch
        >>> first = torch.zeros(4, 8).bool()
        >>> first[[0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 4, 3, 5, 6, 7]] = True
        >>> second = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]] * 2).bool()
        >>> print(scatter([first, second]))
        junction  neurons  forward  windows  backward  windows
               1    8 → 4    0.750        2     1.000        1
               2    4 → 4    1.000        2     1.000        2
             1:2    8 → 4    0.750        4     1.000        2
        scatter 0.750, the least of these

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3.1, equation (1), and appendix 5.2. The printed normaliser of S_f,
        f_i N_(i+1), is meant as fan-in · N_(i+1), and S_b is of right windows and left neurons. The authors' later
        code has the soft form.
    """
    edges = chain_edges(connections)
    chain, layouts = list(edges.values()), checked_layouts(windows, edges)
    rows = [_both_ways(str(place + 1), [one], layouts[place : place + 2], soft) for place, one in enumerate(chain)]
    if len(chain) > 1:
        rows.append(_both_ways(f"1:{len(chain)}", chain, layouts, soft))
    return Scatter(tuple(rows))


def _both_ways(name: str, chain: list[Edges], layouts: list[Layout], soft: bool) -> JunctionScatter:
    forward, left_windows = _one_way(chain, layouts, soft)
    backward, right_windows = _one_way([edges.flipped() for edges in reversed(chain)], layouts[::-1], soft)
    sizes = (chain[0].shape[1], chain[-1].shape[0])
    return JunctionScatter(name, sizes, forward, backward, left_windows, right_windows)


def _one_way(chain: list[Edges], layouts: list[Layout], soft: bool) -> tuple[float, int]:
    """The share of windows of the first layer that neurons of the last one reach, and the number of windows."""
    factors, count = window_factors(chain, layouts)
    pairs = factors[-1].shape[0] * factors[0].shape[1]
    if len(chain) == 1:  # at most one connection from each window is ideal, so that soft is the same
        connected = np.zeros(pairs, np.bool_)
        connected[factors[0].targets * factors[0].shape[1] + factors[0].sources] = True
        return int(np.count_nonzero(connected)) / pairs, count
    real = layouts[0].neurons if layouts[0].real is None else int(np.count_nonzero(layouts[0].real))
    links = factors[-1].shape[0] * real
    if factors[-1].shape[0] < factors[0].shape[1]:  # the fewer columns, the less work
        factors = [edges.flipped() for edges in reversed(factors)]
    return (_soft_sum(factors, links) if soft else _reached(factors)) / pairs, count


def _reached(factors: list[Edges]) -> int:
    """How many entries of the product of the factors (the last one leftmost) are not 0."""
    # Of each neuron the set of windows, 64 of them in a word: at any density at least as fast as products of dense or
    # sparse matrices of numbers, and whether there is a path needs no number of them.
    first, *rest = (edges.block(np.int32) for edges in factors)
    words = max(1, AT_ONCE // max(max(matrix.nnz, 8 * matrix.shape[0]) for matrix in (first, *rest)))
    found = 0
    for columns in _chunks(first, 64 * words):
        packed = np.packbits(columns > 0, axis=1)
        sets = np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))).view(np.uint64)
        for matrix in rest:
            sets = _united(matrix, sets)
        found += int(np.count_nonzero(np.unpackbits(sets.view(np.uint8))))
    return found


def _united(matrix: Block, sets: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of each row the union of the sets of its columns."""
    united = np.zeros((matrix.shape[0], sets.shape[1]), np.uint64)
    filled = np.flatnonzero(np.diff(matrix.indptr))  # reduceat cannot do an empty one
    if filled.size:
        united[filled] = np.bitwise_or.reduceat(sets[matrix.indices], matrix.indptr[filled], axis=0)
    return united


def _soft_sum(factors: list[Edges], links: int) -> float:
    """The sum of min(1, entry / ideal) over the product of the factors; the ideal is at least 1, and paths / links."""
    mean, powers = mean_paths(factors)
    if mean == 0:
        return 0.0  # the ideal may be below what a float can hold
    ideal = max(float(np.ldexp(1.0, -sum(powers))), mean * factors[-1].shape[0] / links)  # divided as the entries are
    first, *rest = (edges.block() for edges in factors)
    step = max(1, AT_ONCE // max(matrix.shape[0] for matrix in (first, *rest)))
    found = 0.0
    for columns in _chunks(first, step):
        columns = np.ldexp(columns, -powers[0])
        for matrix, power in zip(rest, powers[1:], strict=True):
            columns = np.ldexp(matrix @ columns, -power)
        found += float(np.minimum(1.0, columns / ideal).sum())
    return found


def _chunks(block: Block, step: int) -> Iterator[NDArray[Any]]:
    """The block as a dense matrix, so many columns at a time."""
    by_column = block.tocsc()
    for start in range(0, block.shape[1], step):
        chunk: Any = by_column[:, start : start + step]
        yield chunk.toarray(order="C")
