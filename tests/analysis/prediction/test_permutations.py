"""Importance: what the prediction rests on is found, what it does not rest on is not."""

from typing import Any

import numpy as np
import pytest
import torch

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.permutations import Importance, importance
from sparsewire.errors import RequestError


def made(networks: int = 60) -> tuple[dict[str, Numbers], Numbers]:
    drawn = np.random.default_rng(0)
    features = {name: drawn.random(networks) for name in ("little", "noise", "much")}
    features["twin"] = features["much"].copy()
    return features, 3 * features["much"] + 1 * features["little"] + 0.05 * drawn.normal(size=networks)


def test_the_largest_comes_first_and_noise_is_around_zero() -> None:
    features, accuracy = made()
    del features["twin"]
    found = importance(features, accuracy, "bayesian_ridge")
    assert list(found) == ["much", "little", "noise"]
    assert all(one.low <= one.mean <= one.high for one in found.values())
    assert found["little"].low > 0
    assert found["noise"].low < 0.01
    # Shuffling a term of variance v adds 2 v to the mean square, but for the 1/n that meet themselves.
    expected = 2 * 9 * np.var(features["much"]) / np.var(accuracy)
    assert found["much"].mean == pytest.approx(expected, rel=0.15)
    assert found["much"].low < expected < found["much"].high


def test_twins_hide_each_other_and_are_found_as_a_group() -> None:
    features, accuracy = made()
    alone = importance(features, accuracy, "bayesian_ridge")
    groups = {"twins": ["much", "twin"], "little": ["little"]}
    together = importance(features, accuracy, "bayesian_ridge", groups=groups)
    assert list(together) == ["twins", "little"]
    assert together["twins"].low > 2 * alone["much"].high > 0


def test_shuffling_all_features_leaves_nothing() -> None:
    features, accuracy = made(40)
    (found,) = importance(features, accuracy, "gradient_boosting", groups={"all": list(features)}, folds=4).values()
    assert found.high > 1


def test_the_generator_decides() -> None:
    features, accuracy = made(20)

    def found(seed: int) -> dict[str, Importance]:
        return importance(features, accuracy, "bayesian_ridge", generator=torch.Generator().manual_seed(seed))

    assert found(1) == found(1) != found(2)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"regressor": "forest"}, "no regressor is named 'forest'"),
        ({"groups": {}}, "groups: found {}, expected a mapping"),
        ({"groups": ["much"]}, r"groups: found \['much'\]"),
        ({"groups": {"a": "much"}}, r"groups\['a'\]: found 'much', expected the names of its features, as a list"),
        ({"groups": {"a": []}}, r"groups\['a'\]: found \[\]"),
        ({"groups": {"a": ["mush"]}}, "no feature is named 'mush'; did you mean 'much'"),
        ({"folds": 1}, "folds: found 1"),
        ({"shuffles": 0}, "shuffles: found 0"),
        ({"generator": 1}, "generator: found 1"),
        ({"accuracy": [1] * 20}, "accuracy: all 20 are 1"),
        ({"features": {}}, "features: found none"),
    ],
)
def test_bad_requests_get_one_message(extra: dict[str, Any], told: str) -> None:
    features, accuracy = made(20)
    with pytest.raises(RequestError, match=told):
        importance(**{"features": features, "accuracy": accuracy} | extra)
