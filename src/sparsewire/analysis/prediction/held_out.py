"""Predictions for networks that a regressor has not seen: cross-validation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.regressors import fitted
from sparsewire.structure.blocks import whole

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Brings each feature to 0…1 by the least and the largest of some networks; others may lie outside.

    Attributes:
        lowest: (features) what becomes 0.
        highest: (features) what becomes 1; a feature that is the same for all becomes 0, and another value of it its
            distance from that.

    Example:
        >>> Scaling.of(np.array([[0.0, 5.0], [4.0, 5.0]]))(np.array([[1.0, 6.0]]))
        array([[0.25, 1.  ]])
    """

    lowest: Numbers
    highest: Numbers

    @classmethod
    def of(cls, values: Numbers) -> "Scaling":
        """The scaling that brings these values to 0…1."""
        return cls(values.min(axis=0), values.max(axis=0))

    def __call__(self, values: Numbers) -> Numbers:
        """The values scaled."""
        width = self.highest - self.lowest
        scaled: Numbers = (values - self.lowest) / np.where(width > 0, width, 1.0)
        return scaled


def folds_of(networks: int, folds: int, random: np.random.Generator) -> Iterator[tuple[Places, Places]]:
    """Pairs of (places to learn from, places to test on): each place is tested on once; sizes differ by 1 at most.

    Example:
        >>> pairs = list(folds_of(5, 2, np.random.default_rng(0)))
        >>> [len(test) for _, test in pairs], sorted(np.concatenate([test for _, test in pairs]).tolist())
        ([3, 2], [0, 1, 2, 3, 4])
    """
    order = random.permutation(networks)
    for test in np.array_split(order, folds):
        yield np.setdiff1d(order, test), np.sort(test)


def checked_folds(folds: int, networks: int) -> int:
    """How many folds to make: no more than there are networks.

    Raises:
        RequestError: it is no whole number of at least 2.
    """
    return min(whole("folds", folds, least=2), networks)


def held_out_predictions(
    name: str, values: Numbers, targets: Numbers, *, folds: int, repeats: int, seed: int
) -> Numbers:
    """What the regressor predicts for each network without having seen it, once for each repeat.

    Features are scaled by the networks that it learns from alone. The folds follow from the seed, so that all
    regressors are tested on the same.

    Args:
        name: one of `REGRESSORS`.
        values: (networks, features).
        targets: (networks).
        folds: into how many parts the networks are split.
        repeats: how many times, each time anew.
        seed: of the folds and of regressors that draw.

    Returns:
        (repeats, networks).

    Example:
        >>> values = np.linspace(0, 1, 20)[:, None]
        >>> found = held_out_predictions("bayesian_ridge", values, 2 * values[:, 0], folds=5, repeats=2, seed=0)
        >>> found.shape, bool(np.allclose(found, 2 * values[:, 0], atol=1e-3))
        ((2, 20), True)
    """
    random = np.random.default_rng(seed)
    found = np.empty((repeats, len(targets)))
    for row in found:
        for fold, (known, test) in enumerate(folds_of(len(targets), folds, random)):
            scaling = Scaling.of(values[known])
            model = fitted(name, scaling(values[known]), targets[known], seed + fold)
            row[test] = model.predict(scaling(values[test]))
    return found
