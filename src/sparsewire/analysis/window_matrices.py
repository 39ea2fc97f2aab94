"""Window adjacency matrices: how many connections, or paths, there are between windows and the neurons opposite.

After Dey, Huang, Beerel and Chugg 2018, "Characterizing sparse connectivity patterns in neural networks", section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.junction_edges import Connections, Edges, chain_edges
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Block
from sparsewire.structure.windows import Layout, layout_of, window_count

Layouts = Sequence[Layout | None]


def equivalent_junction(connections: Connections) -> Block:
    """The numbers of paths from each neuron of the first layer to each of the last: A_J … A_2 A_1.

    Args:
        connections: see `scatter`; to go from junction X to junction Y, give these alone.

    Returns:
        A block of shape (last, first) of float64, exact up to 2⁵³ paths, infinite where there are too many.

    Raises:
        RequestError: the connections are no chain.

    Example:
        >>> import torch
        >>> equivalent_junction([torch.ones(3, 1).bool(), torch.ones(2, 3).bool()]).toarray().tolist()
        [[3.0], [3.0]]

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3.
    """
    first, *rest = (edges.block() for edges in chain_edges(connections).values())
    for block in rest:
        first = block @ first
    first.sort_indices()
    return first


def window_matrix(
    connections: Connections, windows: Layouts | None = None, *, backward: bool = False
) -> NDArray[np.float64]:
    """How many connections (of several junctions: paths) there are from each window to each neuron opposite.

        forward   A^wl[j, k] = Σ A[j, i] over the neurons i of left window k         shape (right neurons, left windows)
        backward  A^wr[k, i] = Σ A[j, i] over the neurons j of right window k        shape (right windows, left neurons)

    The number of windows is the one that `scatter` takes, whose paper form is the share of the entries ≥ 1.

    Args:
        connections: see `scatter`; several junctions are taken together, for a single one give it alone.
        windows: see `scatter`. Neurons that are padding, and windows of padding only, have no row and no column.
        backward: right windows and left neurons.

    Returns:
        A dense array; a whole network's may be large.

    Raises:
        RequestError: the connections are no chain, or the layouts do not fit them.

    Example:
        >>> import torch
        >>> pattern = torch.tensor([[True, True, False, False], [False, True, True, False]])
        >>> window_matrix(pattern).tolist(), window_matrix(pattern, backward=True).tolist()
        ([[2.0, 0.0], [1.0, 1.0]], [[1.0, 2.0, 1.0, 0.0]])

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3 and Figure 5(c).
    """
    edges = chain_edges(connections)
    layouts = checked_layouts(windows, edges)
    chain = list(edges.values())
    if backward:
        chain, layouts = [part.flipped() for part in reversed(chain)], layouts[::-1]
    first, *rest = (part.block() for part in window_factors(chain, layouts)[0])
    matrix: NDArray[np.float64] = first.toarray()
    for block in rest:
        matrix = block @ matrix
    return matrix.T if backward else matrix


def checked_layouts(windows: Any, chain: Mapping[str, Edges]) -> list[Layout]:
    """A layout for each layer of the chain: those given, and rows.

    Raises:
        RequestError: they are not one for each layer, or not of its size.
    """
    first, *_ = chain.values()
    sizes = [first.shape[1], *(edges.shape[0] for edges in chain.values())]
    if windows is None:
        windows = [None] * len(sizes)
    if not isinstance(windows, Sequence) or len(windows) != len(sizes):
        found = f"{len(windows)} layouts" if isinstance(windows, Sequence) else type(windows).__name__
        raise RequestError(
            f"windows: found {found}, expected a Layout or None for each of the {len(sizes)} layers of {sizes} neurons"
        )
    pairs = zip(windows, sizes, strict=True)
    return [layout_of(f"windows[{layer}]", layout, size) for layer, (layout, size) in enumerate(pairs)]


def window_factors(chain: list[Edges], layouts: list[Layout]) -> tuple[list[Edges], int]:
    """The matrices whose product is the forward window matrix, and how many windows the first layer is cut into.

    Padding is cut off everywhere, and windows without neurons; in the first factor, of windows instead of neurons, a
    pair is given as often as it is connected.
    """
    mean, powers = mean_paths(chain)
    with np.errstate(over="ignore"):
        count = window_count(float(np.ldexp(mean, sum(powers))), layouts[0].neurons).windows
    window = layouts[0].windows(count).numpy()
    real = [None if layout.real is None else np.asarray(layout.real) for layout in layouts]
    first, *rest = (edges.among(real[place + 1], real[place]) for place, edges in enumerate(chain))
    filled, window = np.unique(window[window >= 0], return_inverse=True)
    return [Edges(first.targets, window[first.sources], (first.shape[0], filled.size)), *rest], count


def mean_paths(chain: list[Edges]) -> tuple[float, list[int]]:
    """The mean number of paths that end in a neuron of the last layer, as m · 2^(sum of powers, one a junction)."""
    # Powers of two come off on the way: exact, and however many paths there are, nothing overflows.
    paths: NDArray[np.float64] = np.ones(chain[0].shape[1])
    powers: list[int] = []
    for edges in chain:
        ending: NDArray[np.float64] = np.bincount(edges.targets, paths[edges.sources], edges.shape[0]).astype(
            np.float64
        )
        powers.append(int(np.frexp(ending.max())[1]))
        paths = np.ldexp(ending, -powers[-1])
    return float(paths.mean()), powers
