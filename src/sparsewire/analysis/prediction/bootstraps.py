"""How sure a share of the variance is: a bootstrap over networks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers

DRAWS = 2000
_ENDS = (0.025, 0.975)


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
    found = []
    for counts in drawn:
        is_in = counts > 0
        # Not by their variance: the rounded mean of equal targets is another number.
        lowest, highest = np.where(is_in, targets, np.inf).min(axis=1), np.where(is_in, targets, -np.inf).max(axis=1)
        differ = counts[lowest < highest]
        means = differ @ targets / differ.sum(axis=1)
        around = (differ * (targets - means[:, None]) ** 2).sum(axis=1)
        found.append((differ @ parts) / around)
    low, high = np.quantile(np.concatenate(found), _ENDS)
    return float(low), float(high)
