"""Chains whose windows divide: every output reaches every window of the inputs, and back, by construction."""

import math
from collections.abc import Sequence

import numpy as np

from sparsewire.structure.blocks import Array, Flags
from sparsewire.structure.priors.chain_ends import EndLabels, end_labels

# A pair of window indices for each layer: as the right layer of the junction before it, and as the left of the next.
Windows = Sequence[tuple[Array, Array]]


def labelled_patterns(
    windows: Windows,
    ends: tuple[Array, Array],
    fans: Sequence[tuple[int, int]],
    numbers: np.random.Generator,
    *,
    steady: bool = False,
) -> list[Flags] | None:
    """Patterns with scatter 1 in the whole vector, or None where the windows do not divide.

    Write fi and fo for the fan-ins and fan-outs. Each neuron of layer i gets two labels: which inputs its paths come
    from, as digits (m_i, …, m_J), m_j < fi_j, and which outputs they lead to, as digits (k_1, …, k_{i-1}), k_j < fo_j.
    Those of an input are its window of the whole network, those of an output likewise. Edges of junction i go from a
    neuron to those that have the same digits but for m_i, which is dropped, and for k_i, which is new. A right neuron
    takes each m_i once; so the paths to an output come from all windows, one from each. In the same way each k_i is
    taken once. What remains is that each m_i shall come from another left window of the junction, and each k_i shall be
    in another right window: the digits along a layer are laid so that any fi consecutive places have all values of m,
    any fo all values of k, and all pairs (m, k) are equally often there.

    Args:
        windows: of each layer, those as a right layer and those as a left layer, -1 for padding.
        ends: windows of the inputs and of the outputs in the junction from the inputs to the outputs.
        fans: (fan_in, fan_out) of each junction.
        numbers: draws the places of labels, the order of digits, and which neurons of equal labels are joined.
        steady: whether neurons of one label keep, as near as can be, equal distances along their layer.
    """
    run, rest = divmod(windows[0][0].size, math.prod(fan_in for fan_in, _ in fans))
    if rest or not all(_in_a_row(found) for pair in windows[1:-1] for found in pair):
        return None
    first = end_labels(ends[0], windows[0][1], run, numbers, steady=steady)
    last = end_labels(ends[1], windows[-1][0], run, numbers, steady=steady)
    if first is None or last is None:
        return None
    left = [first]
    right: list[EndLabels] = []
    for layer in range(1, len(fans)):
        after = math.prod(fan_in for fan_in, _ in fans[layer + 1 :])
        before = math.prod(fan_out for _, fan_out in fans[: layer - 1])
        labels = _middle_labels(run, fans[layer][0], fans[layer - 1][1], (after, before), numbers, steady)
        right.append((labels[0], None))
        left.append((labels[1], None))
    right.append(last)
    return [
        _joined((left[i], windows[i][1]), (right[i], windows[i + 1][0]), fans[i], run, numbers)
        for i in range(len(fans))
    ]


def _in_a_row(windows: Array) -> bool:
    count = int(windows.max()) + 1
    return windows.size % count == 0 and np.array_equal(windows, np.arange(windows.size) * count // windows.size)


def _middle_labels(
    run: int, fan_in: int, fan_out: int, others: tuple[int, int], numbers: np.random.Generator, steady: bool
) -> tuple[Array, Array]:
    """The labels of the neurons of a layer that the junction before it must match, and those that the next one must.

    Places are cut into chunks of as many as there are other digits (m_{i+1} …, k_1 … k_{i-2}); a chunk has each of them
    once. The neurons that have the same ones lie in a row too; `run` consecutive ones of these share (m, k).
    """
    after, before = others
    digits = after * before
    chunks = run * fan_in * fan_out
    rest = np.broadcast_to(numbers.random((1 if steady else chunks, digits)).argsort(-1), (chunks, digits))
    place = np.arange(chunks)[:, None] // run
    once = math.lcm(fan_in, fan_out)
    # Without the shift, only those pairs would meet whose difference is a multiple of the common divisor.
    m, k = place % fan_in, (place + place // once) % fan_out
    m = numbers.random((digits, fan_in)).argsort(-1)[rest, m]
    k = numbers.random((digits, fan_out)).argsort(-1)[rest, k]
    mu, kappa = rest // before, rest % before
    return ((m * after + mu) * before + kappa).ravel(), ((mu * before + kappa) * fan_out + k).ravel()


def _joined(
    left: tuple[EndLabels, Array],
    right: tuple[EndLabels, Array],
    fans: tuple[int, int],
    run: int,
    numbers: np.random.Generator,
) -> Flags:
    """Joins neurons of equal labels: those of a left and a right window by a random permutation of `run` neurons.

    Where the order of the neurons of one side is not free, one permutation is for all its windows.
    """
    fan_in, fan_out = fans
    (left_labels, left_places), (right_labels, right_places) = left[0], right[0]
    free = numbers.random(left_labels.size), numbers.random(right_labels.size)
    sources = np.lexsort((free[0] if left_places is None else left_places, left[1], left_labels))
    targets = np.lexsort((free[1] if right_places is None else right_places, right[1], right_labels))
    shared = (1 if right_places is not None else fan_out, 1 if left_places is not None else fan_in)
    ranks = numbers.random((sources.size // (fan_in * run), *shared, run)).argsort(-1)
    ranks = np.broadcast_to(ranks, (len(ranks), fan_out, fan_in, run))
    sources = np.broadcast_to(sources.reshape(-1, 1, fan_in, run), ranks.shape)
    pattern = np.zeros((right_labels.size, left_labels.size), bool)
    pattern[targets.reshape(-1, fan_out, 1, run), np.take_along_axis(sources, ranks, -1)] = True
    return pattern
