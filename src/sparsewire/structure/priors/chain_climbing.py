"""Hill climbing: the input–output junction of a chain reaches more windows, while single junctions stay as they are."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparsewire.structure.blocks import Array, Flags
from sparsewire.structure.priors.chain_labels import Windows

# Sums of shares differ by less than this where they are meant to be equal.
NEGLIGIBLE = 1e-9
# Multiplications that one climb may take before it stops short of the bound: one or two seconds of one core.
WORK = 1e10
# Above so many paths between one layer and an end, in one array, nothing is climbed.
MOST_PATHS = 50_000_000
# After so many turns of all junctions without any gain a climb ends.
PATIENCE = 10
# What a block costs besides its multiplications: a hundred calls of numpy.
BLOCK_WORK = 2e6


class Reach(NamedTuple):
    """Paths between the ends of a chain and one junction of it.

    Attributes:
        inputs: to each left neuron, from each window of the inputs and from each input.
        outputs: from each right neuron, to each output and to each window of the outputs (neurons are columns).
        weights: what one more pair of a window and an output, and of a window and an input, is worth.
    """

    inputs: tuple[Array, Array]
    outputs: tuple[Array, Array]
    weights: tuple[float, float]


def climbed(
    patterns: Sequence[Flags], windows: Windows, ends: tuple[Array, Array], most: float, numbers: np.random.Generator
) -> list[Flags]:
    """Patterns with the same degrees and window sums whose input–output junction has a scatter at least as high.

    Block by block, (right window × left window) in random order, some connections are taken away, at most one of each
    neuron, and their ends are joined anew so that each gains most (an assignment problem); what lowers the scatter is
    put back. Ends when forward + backward scatter is `most`, or after a fixed amount of work.

    Args:
        patterns: bool, (out, in) each.
        windows: of each layer, those as a right layer and those as a left layer, -1 for padding.
        ends: windows of the inputs and of the outputs in the input–output junction.
        most: the highest sum of forward and backward scatter that there can be.
        numbers: draws the order of the blocks and the connections.
    """
    found = [pattern.copy() for pattern in patterns]
    sizes = [ends[0].size, *(pattern.shape[0] for pattern in found)]
    if max(sizes) * max(sizes[0], sizes[-1]) > MOST_PATHS:
        return found
    left_work, turn, still = WORK, 0, 0
    order = numbers.permutation(len(found))
    score = end_scatter(found, ends)
    while left_work > 0 and still < PATIENCE * len(found) and score < most - NEGLIGIBLE:
        at = int(order[turn % len(found)])
        reach = reach_of(found, at, ends)
        left, right = windows[at][1], windows[at + 1][0]
        spent, after = _sweep_(found[at], left, right, reach, most, left_work, numbers)
        left_work -= spent
        still = 0 if after > score + NEGLIGIBLE else still + 1
        score, turn = after, turn + 1
    return found


def end_scatter(patterns: Sequence[Flags], ends: tuple[Array, Array]) -> float:
    """Forward plus backward scatter of the input–output junction.

    Example:
        >>> end_scatter([np.eye(2, dtype=bool), np.eye(2, dtype=bool)], (np.array([0, 1]), np.array([0, 1])))
        1.0
    """
    forward, backward = _one_hot(ends[0]), _one_hot(ends[1])
    for pattern in patterns:
        forward = _product(pattern, forward) > 0
    for pattern in reversed(patterns):
        backward = _product(pattern.T, backward) > 0
    return float((forward[ends[1] >= 0] > 0).mean() + (backward[ends[0] >= 0] > 0).mean())


def reach_of(patterns: Sequence[Flags], at: int, ends: tuple[Array, Array]) -> Reach:
    """What lies before and after a junction."""
    # Below 2²⁴ paths, 32-bit numbers count them exactly.
    number = np.float32 if math.prod(int(pattern[0].sum()) for pattern in patterns) < 2**24 else np.float64
    inputs = [_one_hot(ends[0]).astype(number), _each_real(ends[0], number)]
    outputs = [_each_real(ends[1], number), _one_hot(ends[1]).astype(number)]
    for pattern in patterns[:at]:
        inputs = [_product(pattern, paths) for paths in inputs]
    for pattern in reversed(patterns[at + 1 :]):
        outputs = [_product(pattern.T, paths) for paths in outputs]
    weights = [1 / (i.shape[1] * o.shape[1]) for i, o in zip(inputs, outputs, strict=True)]
    return Reach((inputs[0], inputs[1]), (outputs[0].T, outputs[1].T), (weights[0], weights[1]))


def _product(pattern: Flags, paths: Array) -> Array:
    from scipy import sparse

    number = paths.dtype if paths.dtype.kind == "f" else np.dtype(np.float32)
    if np.count_nonzero(pattern) > 0.1 * pattern.size:
        return np.asarray(pattern.astype(number) @ paths.astype(number))
    return np.asarray(sparse.csr_array(pattern, dtype=number) @ paths.astype(number))


def _one_hot(windows: Array) -> Flags:
    kinds = np.unique(windows[windows >= 0])
    return np.asarray(windows[:, None] == kinds)


def _each_real(windows: Array, number: type) -> Array:
    """A column for each neuron that is no padding, with a one in its row."""
    real = np.flatnonzero(windows >= 0)
    found: Array = np.zeros((windows.size, real.size), number)  # cutting columns out of np.eye takes ten times as long
    found[real, np.arange(real.size)] = 1
    return found


def _sweep_(
    pattern: Flags, left: Array, right: Array, reach: Reach, most: float, work: float, numbers: np.random.Generator
) -> tuple[float, float]:
    """Goes through all blocks of a junction once; returns the work that this took and the scatter that came out."""
    paths = [
        _product(pattern.T, np.ascontiguousarray(o.T)).T @ i for i, o in zip(reach.inputs, reach.outputs, strict=True)
    ]
    seen = [(o.T > 0).astype(np.float32) for o in reach.outputs], [(i > 0).astype(np.float32) for i in reach.inputs]
    score = _worth(paths, reach)
    columns = [np.flatnonzero(left == window) for window in range(int(left.max()) + 1)]
    rows = [np.flatnonzero(right == window) for window in range(int(right.max()) + 1)]
    spent = 0.0
    for block in numbers.permutation(len(rows) * len(columns)):
        edges = _some_edges(pattern, rows[block // len(columns)], columns[block % len(columns)], numbers)
        if edges.shape[1] > 1:
            score = _rejoin_(pattern, edges, paths, seen, reach, score, numbers)
        count = edges.shape[1]
        spent += BLOCK_WORK + 4 * count * sum(part.size + count * part.shape[1] for part in paths) + 10 * count**3
        if score > most - NEGLIGIBLE or spent > work:
            break
    return spent, score


def _some_edges(pattern: Flags, rows: Array, columns: Array, numbers: np.random.Generator) -> Array:
    """Some connections of a block as (2, n), no two of them with a common end: all, or a half, a quarter, … of them."""
    edges = np.stack(pattern[np.ix_(rows, columns)].nonzero())
    edges = edges[:, numbers.permutation(edges.shape[1])]
    for end in (0, 1):
        edges = edges[:, np.unique(edges[end], return_index=True)[1]]
    count = max(2, edges.shape[1] >> int(numbers.integers(max(1, edges.shape[1].bit_length() - 1))))
    edges = edges[:, numbers.permutation(edges.shape[1])[:count]]
    return np.stack([rows[edges[0]], columns[edges[1]]])


def _rejoin_(
    pattern: Flags,
    edges: Array,
    paths: list[Array],
    seen: tuple[list[Array], list[Array]],
    reach: Reach,
    score: float,
    numbers: np.random.Generator,
) -> float:
    """Takes these connections away and joins their ends as gains most; returns the scatter, which does not fall."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = edges
    pattern[rows, columns] = False
    for part, i, o in zip(paths, reach.inputs, reach.outputs, strict=True):
        part -= o[:, rows] @ i[columns]
    # Ties fall at random; all of this together is worth less than one pair of a window and a neuron.
    gain = 0.5 * min(reach.weights) / rows.size * numbers.random((rows.size, columns.size))
    for part, i, o, weight in zip(paths, seen[1], seen[0], reach.weights, strict=True):
        missing = part == 0
        some = missing.any(0)
        gain += weight * (o[rows] @ missing[:, some].astype(np.float32) @ i[np.ix_(columns, some)].T)
    gain[pattern[np.ix_(rows, columns)]] = -1e9  # no connection twice
    _, chosen = linear_sum_assignment(gain, maximize=True)
    tried = score
    for new in (columns[chosen], columns):
        for part, i, o in zip(paths, reach.inputs, reach.outputs, strict=True):
            part += o[:, rows] @ i[new]
        tried = _worth(paths, reach)
        if tried >= score - NEGLIGIBLE or new is columns:
            break
        for part, i, o in zip(paths, reach.inputs, reach.outputs, strict=True):
            part -= o[:, rows] @ i[new]
    pattern[rows, new] = True
    return tried


def _worth(paths: list[Array], reach: Reach) -> float:
    return float(sum(weight * np.count_nonzero(part) for part, weight in zip(paths, reach.weights, strict=True)))
