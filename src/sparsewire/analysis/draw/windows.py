"""Which neuron reaches which window: the window matrices behind a network's scatter, side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.draw.palette import INK, MUTED
from sparsewire.analysis.draw.pixels import FIRST_STEP, draw_pixels, pixel_centres
from sparsewire.analysis.draw.sheet import SMALL, WIDTH, in_house_style, sheet
from sparsewire.analysis.junction_edges import Connections, chain_edges
from sparsewire.analysis.scatter_metric import scatter
from sparsewire.analysis.window_matrices import window_matrix
from sparsewire.structure.blocks import Block
from sparsewire.structure.windows import Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 24.0
_LABELS = 40.0
_TALLEST = 128.0  # a matrix
_LARGEST_CELL = 12.0
_MOST_COLUMNS, _MOST_ROWS = 86, 32  # cells of a matrix; what is larger is drawn in groups


@in_house_style
def window_maps(connections: Connections, windows: Sequence[Layout | None] | None = None) -> "Figure":
    """A figure of a network's window matrices: a row for each junction, forward on the left, backward on the right.

    A cell is filled where a neuron (along the picture) is connected to a window (down the picture). Where there are
    more neurons or windows than cells, a cell stands for a group of them and its colour for the share that is
    connected. The mean over a matrix is its scatter, which is written below.

    Args:
        connections: see `scatter`.
        windows: see `scatter`.

    Returns:
        A matplotlib figure of 540 points' width.

    Raises:
        RequestError: the connections are no chain, the layouts do not fit them, matplotlib is missing.

    Example:
        >>> import torch
        >>> figure = window_maps(torch.tensor([[True, True, False, False], [False, True, True, False]]))
        >>> [text.get_text() for text in figure.axes[0].texts][:2]
        ['S1f 0.750', '2 right neurons × 2 left windows']

    Reference:
        After Dey, Huang, Beerel and Chugg 2018, Figure 6.
    """
    found = scatter(connections, windows)
    maps = _matrices(connections, windows)
    wide = (WIDTH - _GAP) / 2
    cells = [_grouped(one >= 1) for one in maps]
    heights = [min(_LARGEST_CELL * cell.shape[0], _TALLEST) for cell in cells]
    rows = [max(heights[place : place + 2]) for place in range(0, len(cells), 2)]
    page = sheet(sum(rows) + _LABELS * len(rows) + 26)
    top = page.height - 26
    for place, (matrix, cell, tall) in enumerate(zip(maps, cells, heights, strict=True)):
        left = (wide + _GAP) * (place % 2)
        across, down = (min(_LARGEST_CELL, wide / cell.shape[1]), 0.0), (0.0, -tall / cell.shape[0])
        centres = pixel_centres((cell.shape[0], cell.shape[1]), (left, top), across, down)
        draw_pixels(page.page, cell.reshape(-1), centres, across, down, (0.0, 1.0))
        below = top - rows[place // 2] - 13
        page.write(left, below, f"{found.names[place]} {found.vector[place]:.3f}", colour=INK)
        ends = ("left", "right") if place % 2 else ("right", "left")
        words = f"{matrix.shape[1]:,} {ends[0]} neurons × {matrix.shape[0]:,} {ends[1]} windows"
        page.write(left, below - 12, words, colour=MUTED, size=SMALL)
        top -= (rows[place // 2] + _LABELS) * (place % 2)
    unit = "neurons along, windows down: connected"
    page.ramp_key(0, page.height - 10, "some", "all", unit, first=FIRST_STEP, empty="none")
    return page.figure


def _matrices(connections: Connections, windows: Sequence[Layout | None] | None) -> list[NDArray[np.float64]]:
    """Forward and backward of each junction, and of all together; a row is a window, a column a neuron."""
    blocks: list[Block] = [edges.block() for edges in chain_edges(connections).values()]
    layouts = list(windows) if windows is not None else [None] * (len(blocks) + 1)
    spans = [(place, place + 1) for place in range(len(blocks))] + [(0, len(blocks))] * (len(blocks) > 1)
    maps = []
    for start, end in spans:
        part, own = blocks[start:end], layouts[start : end + 1]
        maps += [window_matrix(part, own).T, window_matrix(part, own, backward=True)]
    return maps


def _grouped(connected: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of connected pairs in each cell, of neighbouring rows and columns in near-equal groups."""
    shares = connected.astype(np.float64)
    for axis, most in ((0, _MOST_ROWS), (1, _MOST_COLUMNS)):
        size = shares.shape[axis]
        starts = np.arange(min(size, most)) * size // min(size, most)
        sums = np.add.reduceat(shares, starts, axis=axis)
        counts = np.diff(np.append(starts, size))
        shares = sums / (counts[:, None] if axis == 0 else counts)
    return shares
