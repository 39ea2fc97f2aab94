"""How sure a share of the variance is: a bootstrap over networks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers

DRAWS = 2000
_ENDS = (0.025, 0.975)
_CLOSE = 1e-6


def share_interval(parts: Numbers, targets: Numbers, drawn: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The middle 95 % of a share of the variance, over draws of networks with replacement.

        share = Σ part / Σ (target - mean target)²        over what was drawn, as often as it was drawn

    Of the squared misses of predictions the share is 1 - R²; of what these grow by without a feature, its importance.
    A draw of equal targets alone has no share and is left out.

    Args:
        parts: (rows) what each adds.
        targets: (rows) of each, not all the same.
        drawn: (draws, rows) how often each row is in each draw, the same number of rows in all; in as many pieces as
            the memory wants.

    Example:
        >>> counts = np.array([[1, 1, 1], [2, 1, 0], [3, 0, 0]])  # 1/2, 0 / (2/3), and none
        >>> share_interval(np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0]), [counts])
        (0.0125, 0.4875)

    Reference:
        Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13.
    """
    centred = targets - targets.mean()
    squares, found = centred**2, []
    for counts in drawn:
        around = counts @ squares - (counts @ centred) ** 2 / counts.sum(axis=1)
        # Where next to nothing is left of a difference, rounding would decide what it is, and whether it is any.
        close = around <= _CLOSE * (counts @ squares)
        around[close] = [_around(targets[row > 0], row[row > 0]) for row in counts[close]]
        differ = around > 0
        found.append((counts[differ] @ parts) / around[differ])
    low, high = np.quantile(np.concatenate(found), _ENDS)
    return float(low), float(high)


def _around(values: Numbers, counts: NDArray[Any]) -> float:
    """Σ (value - mean value)², exactly 0 where all are equal: the rounded mean of equal numbers is another one."""
    if values.min() == values.max():
        return 0.0
    return float(counts @ (values - counts @ values / counts.sum()) ** 2)
