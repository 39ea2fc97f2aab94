"""How much a network's connections changed between two states of it, such as a parent and its rebuilt child."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.paths import Network, junction_names
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

Pairs = tuple[NDArray[np.float64], NDArray[np.float64]]
ALL = "all"


def connection_changes(before: Network, after: Network, threshold: float = 0.0) -> dict[str, float]:
    """The share of the active edges whose type changed, per layer and over all.

    The type of an edge before is its sign; after, it is the sign of w where |w| ≥ `threshold`, and inactive elsewhere.

    Args:
        before: a model or its state dict (active edges = its non-zero weights) or a graph (its edges); see
            `sparse_graph(…).graph` for a network's strongest edges.
        after: a network of the same sizes. A weight of exactly zero, or an edge that is not there, is a change.
        threshold: the smallest magnitude of an active edge after, such as `sparse_graph(…).threshold` of the network
            before; with 0 the sign alone counts, not the magnitude.

    Returns:
        Name → share from 0 to 1. Names are those of the weights if one of the two is a model (of `before`, if both
        are), else "0→1" for the edges from layer 0 to layer 1; "all" over all edges together. NaN where there is no
        active edge.

    Raises:
        RequestError: the two are of different sizes, the weight of an active edge is not finite, or the threshold is
            negative or NaN.

    Example:
        >>> import torch
        >>> before = {"0.weight": torch.tensor([[0.5, -2.0, 0.0]]), "1.weight": torch.tensor([[1.0]])}
        >>> after = {"0.weight": torch.tensor([[0.1, 3.0, 9.0]]), "1.weight": torch.tensor([[7.0]])}
        >>> connection_changes(before, after)
        {'0.weight': 0.5, '1.weight': 0.0, 'all': 0.3333333333333333}
        >>> connection_changes(before, after, threshold=0.5)["0.weight"]
        1.0

    Reference:
        Pircher, Haspel and Schlücker, "Dense neural networks as sparse graphs and the lightning initialization",
        Table 1, where the shares are percentages. The paper does not say how it finds the child's types; its rates are
        those of the parent's threshold (see `type_correlation`).
    """
    return {name: _changed(*pair) for name, pair in _typed_pairs(before, after, threshold)}


def type_correlation(before: Network, after: Network, threshold: float) -> dict[str, float]:
    """Pearson's r between the types (+1, 0, -1) of the active edges before and after, per layer and over all.

    Where edges change by becoming inactive alone, and as many activating as inhibiting ones, r = √(1 - f) with the
    share f of changed edges.

    Args:
        before: as in `connection_changes`.
        after: as in `connection_changes`.
        threshold: as in `connection_changes`.

    Returns:
        Names as in `connection_changes` → r from -1 to 1; NaN where r is undefined.

    Raises:
        RequestError: as in `connection_changes`.

    Example:
        >>> import torch
        >>> before = {"weight": torch.tensor([[1.0, -1.0, 2.0, -2.0]])}
        >>> after = {"weight": torch.tensor([[0.1, -0.1, 5.0, -6.0]])}
        >>> round(type_correlation(before, after, threshold=1.0)["weight"] ** 2, 6)
        0.5
        >>> connection_changes(before, after, threshold=1.0)["weight"]
        0.5

    Reference:
        Pircher, Haspel and Schlücker, Table 2. The paper speaks of the correlation of the weights; each of its 20
        figures is √(1 - f) of the rate f in its Table 1, to the last digit, which is that of the types.
    """
    return {name: _pearson(*pair) for name, pair in _typed_pairs(before, after, threshold)}


def weight_correlation(before: Network, after: Network) -> dict[str, float]:
    """Pearson's r between the weights before and after, over the active edges, per layer and over all.

    Args:
        before: as in `connection_changes`.
        after: as in `connection_changes`; an edge that is not there has weight zero.

    Returns:
        Names as in `connection_changes` → r from -1 to 1; NaN where r is undefined: fewer than two active edges, or the
        same weight on all of them before or after.

    Raises:
        RequestError: as in `connection_changes`.

    Example:
        >>> import torch
        >>> before, after = {"weight": torch.tensor([[1.0, -2.0]])}, {"weight": torch.tensor([[3.0, 2.0]])}
        >>> weight_correlation(before, after)
        {'weight': 1.0, 'all': 1.0}

    Reference:
        Pircher, Haspel and Schlücker, section 2, speak of it; the figures of their Table 2 are those of
        `type_correlation`.
    """
    return {name: _pearson(*pair) for name, pair in _active_pairs(before, after)}


def _typed_pairs(before: Network, after: Network, threshold: float) -> Iterator[tuple[str, Pairs]]:
    """As `_active_pairs`, with +1, 0 and -1 in place of the weights."""
    if not threshold >= 0:
        raise RequestError(f"threshold: found {threshold!r}, expected a magnitude, 0 or more")
    for name, (first, later) in _active_pairs(before, after):
        yield name, (np.sign(first), np.sign(later) * (np.abs(later) >= threshold))


def _active_pairs(before: Network, after: Network) -> Iterator[tuple[str, Pairs]]:
    """Per layer and for all: the weights of the active edges before and after."""
    first, then = _graph(before), _graph(after)
    if first.sizes != then.sizes:
        raise RequestError(f"after: found layers of sizes {then.sizes}, expected {first.sizes}, those of `before`")
    names = junction_names(first)
    # The name of a weight says more than a number; where both are models, `before` has the last word.
    for network in (after, before):
        if not isinstance(network, NetGraph):
            names |= {junction: name for junction, name in junction_names(network).items() if junction in names}
    pairs = {}
    for junction, name in names.items():
        targets, sources = first.ends(junction)
        later = np.zeros(targets.size)
        if junction in then.blocks and targets.size:
            later[:] = np.ravel(then.blocks[junction][targets, sources])
        pairs[name] = (first.blocks[junction].data.astype(np.float64), later)
    for name, pair in pairs.items():
        if not all(np.isfinite(weights).all() for weights in pair):
            raise RequestError(f"weights of {name!r}: found NaN or infinity, expected numbers; did a training diverge?")
    yield from pairs.items()
    befores, afters = zip((np.empty(0), np.empty(0)), *pairs.values(), strict=True)
    yield ALL, (np.concatenate(befores), np.concatenate(afters))


def _graph(network: Network) -> NetGraph:
    return network if isinstance(network, NetGraph) else NetGraph.from_model(network)


def _changed(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    if not before.size:
        return float("nan")
    return float(np.mean((before != after) | (after == 0)))


def _pearson(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    if before.size < 2 or np.ptp(before) == 0 or np.ptp(after) == 0:
        return float("nan")
    one, other = (weights - weights.mean() for weights in (before, after))
    one, other = (weights / np.linalg.norm(weights) for weights in (one, other))
    return float(np.clip(one @ other, -1, 1))
