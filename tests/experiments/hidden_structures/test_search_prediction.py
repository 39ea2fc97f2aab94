"""Predictions of genomes that were not learnt from: how they are held back, and how predictions are judged."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from sparsewire.experiments.hidden_structures.search_prediction import (
    LEAST,
    REGRESSORS,
    most_important,
    score,
    scores,
    splits,
)

pytest.importorskip("sklearn")


def drawn(count: int = 60, names: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {f"feature {place}": random.random(count) for place in range(names)}


@pytest.mark.parametrize("count", [LEAST, 47, 100])
def test_nobody_is_tested_who_was_learnt_from(count) -> None:
    groups = [place % 3 for place in range(count)]
    found = splits(count, groups)
    assert list(found) == ["the paper’s split", "ten-fold", "other searches"]
    for pairs in found.values():
        for known, test in pairs:
            assert not set(known) & set(test)
            assert set(known) | set(test) == set(range(count))
    [(_, test)] = found["the paper’s split"]
    assert len(test) == math.ceil(0.3 * count)
    for way in ("ten-fold", "other searches"):
        assert sorted(place for _, test in found[way] for place in test) == list(range(count))
    assert all(len({groups[place] for place in test}) == 1 for _, test in found["other searches"])


def test_one_search_alone_has_no_others() -> None:
    assert list(splits(LEAST, [0] * LEAST)) == ["the paper’s split", "ten-fold"]


def test_what_follows_from_features_is_foretold_and_noise_is_not() -> None:
    features = drawn()
    noise = np.random.default_rng(1).random(60)
    groups = [place // 20 for place in range(60)]
    known = scores(features, 5 * features["feature 0"] - features["feature 2"], groups)
    unknown = scores(features, noise, groups)
    for way, found in known.items():
        assert list(found) == list(REGRESSORS)
        assert found["bayesian_ridge"].r2.low > 0.99, way
        assert found["bayesian_ridge"].rank > 0.99
        assert found["random_forest"].r2.mean > 0.5
        assert unknown[way]["random_forest"].r2.low < 0
        assert found["random_forest"].tested == (18 if way == "the paper’s split" else 60)


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_correlation_is_spearmans(seed) -> None:
    random = np.random.default_rng(seed)
    found = random.integers(0, 6, 40).astype(float)  # with ties
    said = found + random.normal(size=40)
    judged = score(said, found)
    assert judged.rank == pytest.approx(spearmanr(said, found).statistic)
    assert judged.interval[0] < judged.rank < judged.interval[1]
    assert judged.r2.low <= judged.r2.mean <= judged.r2.high


def test_what_does_not_vary_has_no_score() -> None:
    judged = score(np.arange(5.0), np.ones(5))
    assert math.isnan(judged.r2.mean)
    assert math.isnan(judged.rank)
    assert judged.interval is None
    assert math.isnan(score(np.ones(5), np.arange(5.0)).rank)


def test_what_matters_comes_first() -> None:
    features = drawn()
    found = most_important(features, features["feature 3"] ** 2, 2)
    assert next(iter(found)) == "feature 3"
    assert len(found) == 2
