"""Labels of the inputs (or outputs) of a chain, from their windows in the first junction and in the whole chain."""

import numpy as np

from sparsewire.structure.blocks import Array

# Labels, and places among neurons of equal label and coarse window, where these are not free.
EndLabels = tuple[Array, Array | None]


def end_labels(
    fine: Array, coarse: Array, run: int, numbers: np.random.Generator, *, steady: bool = False
) -> EndLabels | None:
    """The digits of each neuron below the highest one; None where windows do not allow them.

    With T fine and f coarse windows, each of T / f labels is given to f fine windows that together have `run` neurons
    of each coarse window. Where fine windows are inside coarse ones, it is one fine window of each. Otherwise those
    that overlap the coarse ones alike are shared out evenly, if they can be; then of neurons of one label the i-th ones
    of all coarse windows are in different fine windows, too.

    Args:
        fine: window of each neuron in the whole chain; -1 for padding.
        coarse: window of each neuron in its junction.
        run: neurons per fine window.
        numbers: draws which windows get which label.
        steady: whether labels follow each other in the same order in each coarse window.

    Example:
        >>> end_labels(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1]), 1, np.random.default_rng(0))
        (array([...]), None)
        >>> end_labels(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), 2, np.random.default_rng(0))
        (array([0, 0, 0, 0]), array([...]))
    """
    if min(fine.min(), coarse.min()) < 0:
        return None
    overlap = np.zeros((int(fine.max()) + 1, int(coarse.max()) + 1), np.int64)
    np.add.at(overlap, (fine, coarse), 1)
    parts, rest = divmod(overlap.shape[0], overlap.shape[1])
    if rest or (overlap.sum(1) != run).any() or (overlap.sum(0) != fine.size // overlap.shape[1]).any():
        return None
    _, kind, times = np.unique(overlap, axis=0, return_inverse=True, return_counts=True)
    if (times % parts).any():
        return None
    keys = np.resize(numbers.random(parts), len(overlap)) if steady else numbers.random(len(overlap))
    order = np.lexsort((keys, kind.ravel()))
    label_of = np.empty_like(order)
    label_of[order] = np.arange(order.size) % parts
    nested = np.count_nonzero(overlap) == len(overlap)
    return label_of[fine], None if nested else _transversals(label_of[fine], fine, coarse, run)


def _transversals(labels: Array, fine: Array, coarse: Array, run: int) -> Array:
    """Numbers 0 … run - 1: neurons of equal label and number are in different coarse and in different fine windows."""
    from scipy import sparse
    from scipy.sparse.csgraph import maximum_bipartite_matching

    found = np.zeros(labels.size, np.int64)
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        column = np.unique(fine[members], return_inverse=True)[1]
        row = coarse[members]
        left = np.ones(members.size, bool)
        for number in range(run):
            # What is left has equally many neurons in each window of both kinds: so there is a perfect matching.
            there = sparse.csr_array((np.ones(left.sum()), (row[left], column[left])))
            matched = maximum_bipartite_matching(there, perm_type="column")
            fitting = np.flatnonzero(left & (matched[row] == column))
            chosen = fitting[np.unique(row[fitting], return_index=True)[1]]
            found[members[chosen]] = number
            left[chosen] = False
    return found
