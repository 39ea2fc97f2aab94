"""One junction whose neurons have all their connections in as few windows as possible."""

import math

import numpy as np
import torch
from torch import Tensor

from sparsewire.structure.blocks import Array, Flags, checked_generator
from sparsewire.structure.degrees import degrees
from sparsewire.structure.priors.planned_junctions import by_window, windows_of
from sparsewire.structure.priors.trades import number_stream
from sparsewire.structure.windows import Layout

# Up to so many groups are all tried, and patterns of up to so many edges are improved by swaps afterwards.
FEW = 64
SMALL = 2000


def clustered(
    n_in: int,
    n_out: int,
    fan_out: int,
    *,
    left: Layout | None = None,
    right: Layout | None = None,
    generator: torch.Generator,
) -> Tensor:
    """A regular pattern with a scatter as low as we can make it: the opposite of `planned`.

    The layers are cut into G pairs of groups, and group g of the left is connected with group g of the right only, by a
    band: right neuron j of m takes fan_in consecutive ones of n left neurons, from ⌊j · n / m⌋ on, the first following
    the last. Then the connections of a left neuron come to lie on consecutive right neurons, too. Of all G from 1 to
    1 / density, whose groups are as equal as degrees allow, the one is taken that has the lowest scatter.

    Guaranteed: degrees are exact; the same windows as for `planned`. Best effort: the scatter. No pattern is below

        forward = backward = ⌈fi / s⌉ / fi,   and fan_out for fi backward,   s = n_in / fi = n_out / fan_out

    for windows of one size s, and where fi and fan_out divide s, or s divides both, this is what comes out.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        fan_out: edges per left neuron; n_in · fan_out must be a multiple of n_out.
        left: how the left neurons lie; None: in a row.
        right: how the right neurons lie; None: in a row.
        generator: puts the neurons of each window in random order, which the scatter does not see; one seed is drawn
            from it.

    Returns:
        bool, shape (n_out, n_in), True = edge.

    Raises:
        RequestError: the degrees do not divide or do not fit, or a layout has other neurons than its layer.

    Example:
        >>> pattern = clustered(8, 8, 2, generator=torch.Generator().manual_seed(0))
        >>> pattern.view(8, 2, 4).sum(-1).tolist()  # connections of each right neuron to the 2 left windows
        [[2, 0], [2, 0], [2, 0], [2, 0], [0, 2], [0, 2], [0, 2], [0, 2]]

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3: what "would be undesirable", such as all connections of an output
        in the top half of an image.
    """
    asked = degrees(n_in, n_out, fan_out=fan_out)
    fans = asked.fan_in[0], asked.fan_out[0]
    n_in, n_out = asked.n_in, asked.n_out
    windows = windows_of("left", left, n_in, fans[0]), windows_of("right", right, n_out, fans[1])
    numbers = number_stream(checked_generator(generator))
    orders = by_window(windows[0], numbers), by_window(windows[1], numbers)
    sorted_windows = windows[0][orders[0]], windows[1][orders[1]]
    bands = (_band(n_in, n_out, fans, groups) for groups in _groups(n_in // fans[0], fans))
    columns, rows = min(bands, key=lambda edges: _reached(sorted_windows, *edges))
    pattern = np.zeros((n_out, n_in), bool)
    pattern[orders[1][rows], orders[0][columns]] = True
    if columns.size <= SMALL:
        _descend_(pattern, windows, numbers)
    return torch.from_numpy(pattern)


def _groups(most: int, fans: tuple[int, int]) -> list[int]:
    """The numbers of groups to try: all, or the few that fit windows or degrees where there are many."""
    if most <= FEW:
        return list(range(1, most + 1))
    units = (*fans, math.lcm(*fans))
    fitting = {*range(1, FEW // 4), *units, most, *(most // unit * unit for unit in units)}
    return sorted(groups for groups in fitting if 1 <= groups <= most)


def _band(n_in: int, n_out: int, fans: tuple[int, int], groups: int) -> tuple[Array, Array]:
    """The left and the right ends of the edges of so many bands, fan_in for each right neuron."""
    common = math.gcd(*fans)
    wide, high = fans[0] // common, fans[1] // common  # the least numbers of neurons that can have these degrees
    firsts = np.arange(groups + 1) * (n_in // wide) // groups
    row = np.arange(n_out)
    group = np.searchsorted(firsts, row // high, side="right") - 1
    first, size = firsts[group], (firsts[1:] - firsts[:-1])[group]
    place = (row - first * high) * wide // high
    columns = (place[:, None] + np.arange(fans[0])) % (size * wide)[:, None] + (first * wide)[:, None]
    return columns, row[:, None]


def _reached(windows: tuple[Array, Array], columns: Array, rows: Array) -> float:
    """Forward plus backward scatter of edges."""
    return _part(windows[0][columns], rows) + _part(windows[1][rows], columns)


def _part(windows: Array, neurons: Array) -> float:
    seen = np.zeros((int(windows.max()) + 2, int(neurons.max()) + 1), bool)
    seen[windows, neurons] = True
    return float(seen[:-1].mean())  # what is in no window has index -1


def _descend_(pattern: Flags, windows: tuple[Array, Array], numbers: np.random.Generator) -> None:
    """Two random edges change ends where this does not raise the scatter, twenty times for each edge."""
    left, right = (side.tolist() for side in windows)
    rows, columns = (end.tolist() for end in pattern.nonzero())
    forward, backward = _counts(rows, columns, left), _counts(columns, rows, right)
    worth = 1 / forward[:, :-1].size, 1 / backward[:, :-1].size
    for one, other in numbers.integers(len(rows), size=(20 * len(rows), 2)).tolist():
        a, b, c, d = rows[one], rows[other], columns[one], columns[other]
        if pattern[a, d] or pattern[b, c]:
            continue
        moves = (forward, a, b, left[c], left[d]), (backward, c, d, right[a], right[b])
        if sum(value * _gain(*move) for value, move in zip(worth, moves, strict=True)) > 1e-12:
            continue
        for counts, first, second, here, there in moves:
            for neuron, window, more in ((first, here, -1), (first, there, 1), (second, there, -1), (second, here, 1)):
                counts[neuron, window] += more
        pattern[a, c] = pattern[b, d] = False
        pattern[a, d] = pattern[b, c] = True
        columns[one], columns[other] = d, c


def _counts(neurons: list[int], opposite: list[int], windows: list[int]) -> Array:
    """Edges from each neuron to each window opposite; the last column is for padding and never near 0 or 1."""
    counts = np.zeros((max(neurons) + 1, max(windows) + 2), np.int64)
    np.add.at(counts, (np.array(neurons), np.array(windows)[opposite]), 1)
    counts[:, -1] += len(neurons) ** 2
    return counts


def _gain(counts: Array, first: int, second: int, here: int, there: int) -> int:
    """How many more pairs of neuron and window are reached when two edges change ends."""
    if here == there:
        return 0
    lost = int(counts[first, here] == 1) + int(counts[second, there] == 1)
    return int(counts[first, there] == 0) + int(counts[second, here] == 0) - lost
