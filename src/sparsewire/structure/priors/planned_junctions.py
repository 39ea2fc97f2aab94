"""One junction whose connections are spread over the windows of both layers as evenly as arithmetic allows."""

import math

import numpy as np
import torch
from torch import Tensor

from sparsewire.structure.blocks import Array, Flags, checked_generator
from sparsewire.structure.degrees import degrees
from sparsewire.structure.priors.trades import number_stream
from sparsewire.structure.windows import Layout, layout_of

# How often each connection is offered a partner to change ends with: a handful mixes well; fewer where there are many.
MIXING_ROUNDS = 10
MIXING_OFFERS = 2_000_000


def planned(
    n_in: int,
    n_out: int,
    fan_out: int,
    *,
    left: Layout | None = None,
    right: Layout | None = None,
    generator: torch.Generator,
) -> Tensor:
    """A regular pattern with the highest scatter that there is: every neuron reaches every window of the other side.

    With fan-in fi, the left layer has fi windows and the right layer fan_out windows. Where all of these have one size,
    s = n_in / fi = n_out / fan_out, each (right window × left window) is an s × s permutation, drawn uniformly. With
    other windows, one of w neurons gives each neuron opposite ⌊w / s⌋ or ⌈w / s⌉ connections.

    Guaranteed: degrees are exact, and no pattern of these degrees has a higher scatter, forward or backward, whatever
    the windows (with padding on one side at most). It is 1 where windows have one size, and in general

        forward  = Σ_w min(n_out, |w| · fan_out) / (fi · n_out)        over the left windows w; backward likewise

    That there is such a pattern: 1 / s at every place meets all sums, and to round it so that sums over rows, columns
    and windows are rounded too is a flow problem, which has whole solutions. Here one is written down directly.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        fan_out: edges per left neuron; n_in · fan_out must be a multiple of n_out.
        left: how the left neurons lie; None: in a row.
        right: how the right neurons lie; None: in a row.
        generator: where the permutations come from; one seed is drawn from it.

    Returns:
        bool, shape (n_out, n_in), True = edge.

    Raises:
        RequestError: the degrees do not divide or do not fit, or a layout has other neurons than its layer.

    Example:
        >>> pattern = planned(8, 4, 2, generator=torch.Generator().manual_seed(0))
        >>> pattern.sum(0).tolist(), pattern.sum(1).tolist()
        ([2, 2, 2, 2, 2, 2, 2, 2], [4, 4, 4, 4])
        >>> pattern.view(4, 4, 2).sum(-1).tolist()  # connections of each right neuron to each of the 4 left windows
        [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]

    Reference:
        Dey, Huang, Beerel and Chugg 2018, section 3: the ideal; they say that patterns should be so, not how.
    """
    asked = degrees(n_in, n_out, fan_out=fan_out)
    fan_in = asked.fan_in[0]
    left_windows = windows_of("left", left, asked.n_in, fan_in)
    right_windows = windows_of("right", right, asked.n_out, asked.fan_out[0])
    return torch.from_numpy(
        even_pattern(left_windows, right_windows, fan_in, number_stream(checked_generator(generator)))
    )


def windows_of(argument: str, layout: Layout | None, neurons: int, count: int) -> Array:
    """The window of each neuron of a layer; -1 for padding.

    Raises:
        RequestError: the layout is none, or has another number of neurons.
    """
    return layout_of(argument, layout, neurons).windows(min(count, neurons)).numpy()


def even_pattern(left_windows: Array, right_windows: Array, fan_in: int, numbers: np.random.Generator) -> Flags:
    """The same for windows that are given: those of left and of right neurons, -1 for what is in none.

    Example:
        >>> windows = np.array([0, 0, 0, 1])
        >>> pattern = even_pattern(windows, np.array([0, 0, 1, 1]), 2, np.random.default_rng(0))
        >>> pattern.sum(0), pattern.sum(1), pattern[:, 3]  # one neuron cannot reach four with two connections
        (array([2, 2, 2, 2]), array([2, 2, 2, 2]), array([...]))
    """
    n_in, n_out = left_windows.size, right_windows.size
    size = math.gcd(n_in, fan_in)
    period, ones = n_in // size, fan_in // size
    left, right = by_window(left_windows, numbers), by_window(right_windows, numbers)
    pattern = np.zeros((n_out, n_in), bool)
    if ones == 1 and _all_of_size(left_windows, period) and _all_of_size(right_windows, period):
        ranks = numbers.random((n_out // period, fan_in, period)).argsort(-1)
        pattern[right.reshape(-1, 1, period), left.reshape(fan_in, period)[np.arange(fan_in)[:, None], ranks]] = True
        return pattern
    # A word of period p with q ones, as even as can be, has ⌊w q / p⌋ or ⌈w q / p⌉ of them in any w places in a row; as
    # row j begins at its letter j, this is so along the columns, too.
    word = np.arange(n_in + n_out) * ones % period >= period - ones
    pattern[right[:, None], left] = np.lib.stride_tricks.sliding_window_view(word, n_in)[:n_out]
    for _ in range(max(1, min(MIXING_ROUNDS, MIXING_OFFERS // (n_out * fan_in)))):
        _mix_(pattern, left_windows, right_windows, numbers)
    return pattern


def by_window(windows: Array, numbers: np.random.Generator) -> Array:
    """The neurons window by window, in random order inside each; those in none come last."""
    return np.lexsort((numbers.random(windows.size), np.where(windows < 0, windows.max() + 1, windows)))


def _all_of_size(windows: Array, size: int) -> bool:
    return windows.min() >= 0 and bool((np.bincount(windows) == size).all())


def _mix_(pattern: Flags, left_windows: Array, right_windows: Array, numbers: np.random.Generator) -> None:
    """Pairs of connections between the same two windows change ends where this makes two new connections.

    This changes neither degrees nor how many connections a neuron has to a window.
    """
    rows, columns = pattern.nonzero()
    block = right_windows[rows] * (left_windows.max() + 2) + left_windows[columns]
    order = np.lexsort((numbers.random(rows.size), block))
    rows, columns, block = rows[order], columns[order], block[order]
    first = np.flatnonzero(block[:-1] == block[1:])
    first = first[(first - np.searchsorted(block, block[first])) % 2 == 0]  # pairs, not chains
    second = first + 1
    new = ~pattern[rows[first], columns[second]] & ~pattern[rows[second], columns[first]]
    first, second = first[new], second[new]
    places = np.stack(
        [rows[first] * left_windows.size + columns[second], rows[second] * left_windows.size + columns[first]]
    )
    _, inverse, times = np.unique(places, return_inverse=True, return_counts=True)
    alone = (times[inverse.reshape(places.shape)] == 1).all(0)
    first, second = first[alone], second[alone]
    pattern[rows[first], columns[first]] = pattern[rows[second], columns[second]] = False
    pattern[rows[first], columns[second]] = pattern[rows[second], columns[first]] = True
