"""The bootstrap behind R² and importance: it is the slow obvious one, and gives the numbers that it gave before."""

import numpy as np
import pytest

from sparsewire.analysis.prediction.bootstraps import share_interval
from sparsewire.analysis.prediction.permutations import importance
from sparsewire.analysis.prediction.r2_scores import with_interval


def test_it_is_the_interval_of_the_shares_one_by_one() -> None:
    random = np.random.default_rng(0)
    parts, targets = random.random(9), random.integers(3, size=9) / 10
    draws = [random.integers(9, size=9) for _ in range(300)]
    shares = [
        parts[draw].sum() / ((targets[draw] - targets[draw].mean()) ** 2).sum()
        for draw in draws
        if len(set(targets[draw])) > 1
    ]
    counts = np.stack([np.bincount(draw, minlength=9) for draw in draws])
    expected = pytest.approx(np.quantile(shares, [0.025, 0.975]))
    assert share_interval(parts, targets, [counts]) == expected
    assert share_interval(parts, targets, [counts[:7], counts[7:]]) == expected


@pytest.mark.parametrize("same", [0.1, 0.3, 50.592])
def test_draws_of_equal_targets_have_no_share(same: float) -> None:
    counts = np.array([[3, 0], [2, 1], [0, 3]])  # of the second: parts of 1 around 2/3
    assert share_interval(np.array([0.0, 1.0]), np.array([same, same + 1]), [counts]) == pytest.approx((1.5, 1.5))


def test_the_numbers_that_were_published_with_it_stay() -> None:
    """As they were when R² and importance had a bootstrap each; what the docs say was drawn so."""
    drawn = np.random.default_rng(0)
    targets = drawn.random(12)
    predicted = np.stack([targets + 0.1 * drawn.normal(size=12) for _ in range(3)])
    assert with_interval(predicted, targets, 7) == pytest.approx((0.92403753384, 0.74110545499, 0.98257858272))
    assert with_interval(predicted[:1], targets, 3) == pytest.approx((0.91551230682, 0.65825320543, 0.97033094893))
    features = {"a": drawn.random(30), "b": drawn.random(30)}
    found = importance(features, features["a"] + 0.1 * drawn.normal(size=30), "bayesian_ridge")
    assert found["a"] == pytest.approx((1.7363650975, 1.4550562864, 2.4970443827), rel=1e-6)
