"""Correlations: numpy's values, intervals that cover as often as they say, and Fisher's test as a tolerance."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from sparsewire.experiments.hidden_structures.priors_correlations import chance_reach, correlated


def drawn(seed: int, correlation: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=(2, count))
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_values_are_numpys(scale) -> None:
    random = np.random.default_rng(0)
    features = {f"{place}": scale * (place + random.random(30)) for place in range(6)}
    accuracy = random.random(30)
    found = correlated(features, accuracy)
    for name, values in features.items():
        assert found[name].value == pytest.approx(np.corrcoef(values, accuracy)[0, 1], abs=1e-9)
        assert found[name].trials == 30
        low, high = found[name].interval
        assert -1 <= low < found[name].value < high <= 1


def test_intervals_are_those_of_resampled_pairs() -> None:
    """The same draws, one after another, each with numpy's correlation."""
    x, y = drawn(3, 0.5, 40)
    low, high = correlated({"x": x, "other": -x}, y)["x"].interval
    places = np.random.default_rng(0).integers(0, 40, size=(4000, 40))
    slow = [np.corrcoef(x[row], y[row])[0, 1] for row in places]
    assert (low, high) == pytest.approx(tuple(np.quantile(slow, (0.025, 0.975))), abs=1e-9)


def test_intervals_cover_what_is_true() -> None:
    hits = 0
    for seed in range(100):
        x, y = drawn(seed, 0.4, 80)
        low, high = correlated({"x": x}, y)["x"].interval
        hits += low <= 0.4 <= high
    assert 88 <= hits <= 99


@pytest.mark.parametrize(
    ("features", "accuracy", "value", "is_open"),
    [
        ([1.0, 1, 1, 1, 1, 1], [1.0, 2, 3, 4, 5, 6], math.nan, True),
        ([1.0, 2, 3, 4, 5, 6], [0.1] * 6, math.nan, True),
        ([1.0, 2, 3, 4, 5, 6], [2.0, 4, 6, 8, 10, 12], 1.0, False),
        ([6.0, 5, 4, 3, 2, 1], [2.0, 4, 6, 8, 10, 12], -1.0, False),
        ([1.0, 2, 3], [1.0, 2, 3], 1.0, True),  # too few for an interval
    ],
)
def test_what_does_not_vary_and_what_is_sure(features, accuracy, value, is_open) -> None:
    found = correlated({"x": features}, np.array(accuracy))["x"]
    assert found.value == pytest.approx(value, nan_ok=True)
    assert found.is_open is is_open


def test_the_same_twice() -> None:
    x, y = drawn(0, 0.2, 25)
    assert correlated({"x": x}, y) == correlated({"x": x}, y)


@pytest.mark.parametrize("ours", [-0.9, -0.2, 0.1, 0.3, 0.45, 0.48, 0.7, 0.95])
@pytest.mark.parametrize("published", [-0.58, 0.15, 0.49, 0.74])
def test_the_tolerance_is_fishers_test(published, ours) -> None:
    z = (math.atanh(ours) - math.atanh(published)) / math.sqrt(1 / 197 + 1 / 77)
    is_far = 2 * norm.sf(abs(z)) < 0.05
    assert (abs(ours - published) > chance_reach(published, 200, ours, 80)) == is_far


@pytest.mark.parametrize(("published", "ours"), [(3, 80), (200, 3), (0, 0)])
def test_few_trials_exclude_nothing(published, ours) -> None:
    assert chance_reach(0.9, published, -0.9, ours) == 2.0
