"""Chains with more paths than inputs: a thinner chain, with one path from each input to each output, is planted in."""

import math
from collections.abc import Sequence

import numpy as np

from sparsewire.structure.blocks import Array, Flags
from sparsewire.structure.priors.chain_labels import Windows, labelled_patterns

# Above so many edges to plant, one by one, they are left out: this takes about ten microseconds each.
MOST_PLANTED = 200_000


def with_thin_chain(
    patterns: Sequence[Flags],
    windows: Windows,
    ends: tuple[Array, Array],
    most: float,
    numbers: np.random.Generator,
) -> list[Flags]:
    """Patterns with the same degrees and window sums that hold, as far as can be, the edges of a thinner chain.

    The thinner chain has fan-ins whose product is the number of inputs and fan-outs whose product is the number of
    outputs; then the labels of `labelled_patterns` give each input one path to each output. Where its fans divide the
    given ones and windows have one size, all its edges find room. Without such a chain the patterns come back.

    Args:
        patterns: bool, (out, in) each.
        windows: of each layer, those as a right layer and those as a left layer, -1 for padding.
        ends: not looked at; it is here because `chain_climbing.climbed` has the same signature.
        most: not looked at.
        numbers: draws the thinner chain.
    """
    del ends, most
    fans = [(int(pattern[0].sum()), int(pattern[:, 0].sum())) for pattern in patterns]
    sizes = [patterns[0].shape[1], *(pattern.shape[0] for pattern in patterns)]
    thin = _thinner(sizes, fans)
    if thin is None or sum(size * fan_out for size, (_, fan_out) in zip(sizes, thin, strict=False)) > MOST_PLANTED:
        return list(patterns)
    orders = [np.arange(size) for size in sizes]
    orders[0], orders[-1] = _places(windows[0][1]), _places(windows[-1][0])
    fan_ins, fan_outs = [fan_in for fan_in, _ in thin] + [1], [1] + [fan_out for _, fan_out in thin]
    rows = [
        (place * fan_out // place.size, place * fan_in // place.size)
        for place, fan_in, fan_out in zip(orders, fan_ins, fan_outs, strict=True)
    ]
    wanted = labelled_patterns(rows, (orders[0], orders[-1]), thin, numbers, steady=True)
    found = [pattern.copy() for pattern in patterns]
    for at, edges in enumerate(wanted or []):
        if not found[at].all():
            _plant_(found[at], edges, windows[at][1], windows[at + 1][0])
    return found


def _places(windows: Array) -> Array:
    """The place of each neuron when they are in the order of their windows."""
    return windows.argsort(kind="stable").argsort()


def _thinner(sizes: Sequence[int], fans: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """(fan_in, fan_out) of each junction of a chain with one path from each input to each output.

    Of all such chains, one in which as many junctions as possible have fans that divide the given ones.
    """
    found: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
    for at, (fan_in, fan_out) in enumerate(fans):
        step = sizes[at + 1] // math.gcd(sizes[at], sizes[at + 1])
        longer = []
        for misfits, chain in found:
            rest = sizes[-1] // math.prod(out for _, out in chain)
            for out in range(step, fan_out + 1, step):
                into = sizes[at] * out // sizes[at + 1]
                if rest % out == 0 and sizes[at] % into == 0 and sizes[at + 1] % out == 0:
                    misfits_too = misfits + bool(fan_in % into or fan_out % out)
                    longer.append((misfits_too, [*chain, (into, out)]))
        found = sorted(longer)[:1000]
    complete = [chain for _, chain in found if math.prod(out for _, out in chain) == sizes[-1]]
    return complete[0] if complete else None


def _plant_(pattern: Flags, wanted: Flags, left: Array, right: Array) -> None:
    """Puts in the wanted edges that are missing, one by one, each by a swap of ends within its two windows."""
    columns = [np.flatnonzero(left == window) for window in range(-1, int(left.max()) + 1)]
    rows = [np.flatnonzero(right == window) for window in range(-1, int(right.max()) + 1)]
    free = ~wanted
    for row, column in np.argwhere(wanted & ~pattern).tolist():
        near, far = columns[left[column] + 1], rows[right[row] + 1]
        columns_there = near[pattern[row, near] & free[row, near]]
        rows_there = far[pattern[far, column] & free[far, column]]
        places = np.argwhere(~pattern[np.ix_(rows_there, columns_there)])
        if len(places) and not pattern[row, column]:  # an earlier swap may have put it in by the way
            other_row, other_column = rows_there[places[0, 0]], columns_there[places[0, 1]]
            pattern[row, other_column] = pattern[other_row, column] = False
            pattern[row, column] = pattern[other_row, other_column] = True
