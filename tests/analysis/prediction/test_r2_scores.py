"""R² of the paper's split and of cross-validation."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.r2_scores import R2, accuracy_r2, r2_of, with_interval
from sparsewire.analysis.prediction.regressors import REGRESSORS, learning, regressor_called
from sparsewire.errors import RequestError, UnknownNameError

FAST = ("bayesian_ridge", "gaussian_process")


def made(networks: int, noise: float = 0.05, seed: int = 0) -> tuple[dict[str, Numbers], Numbers]:
    drawn = np.random.default_rng(seed)
    features = {"nodes": drawn.integers(10, 51, networks) * 1.0, "density": drawn.random(networks)}
    return features, 0.5 + features["nodes"] / 100 + noise * drawn.normal(size=networks)


def test_the_paper_s_split_is_that_of_scikit_learn() -> None:
    features, accuracy = made(60)
    found = accuracy_r2(features, accuracy)
    assert tuple(found) == REGRESSORS
    scaled = learning("preprocessing").MinMaxScaler().fit_transform(np.column_stack(list(features.values())))
    known, test, known_y, test_y = learning("model_selection").train_test_split(
        scaled, accuracy, test_size=0.1, random_state=7
    )
    for name, r2 in found.items():
        assert isinstance(r2, float)
        assert r2 == pytest.approx(regressor_called(name, 7).fit(known, known_y).score(test, test_y), abs=1e-12)


def test_the_paper_s_split_does_not_depend_on_the_generator() -> None:
    features, accuracy = made(40)
    one, other = (
        accuracy_r2(features, accuracy, regressors=["bayesian_ridge"], generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    )
    assert one == other


def test_cross_validation_gives_a_mean_in_its_interval_and_the_truth() -> None:
    features, accuracy = made(120)
    best = r2_of(0.5 + features["nodes"] / 100, accuracy)  # the noise is what no regressor can know
    for r2 in accuracy_r2(features, accuracy, "cross_validation", regressors=FAST).values():
        mean, low, high = r2
        assert low < best < high
        assert low < mean < best + 0.01


def test_noise_cannot_be_predicted() -> None:
    """Would anything of the held-back networks leak, the forest would know them."""
    drawn = np.random.default_rng(3)
    features = {f"f{place}": drawn.random(60) for place in range(20)}
    found = accuracy_r2(
        features, drawn.random(60), "cross_validation", regressors=["random_forest"], repeats=1, folds=5
    )
    assert found["random_forest"].mean < 0.1
    assert found["random_forest"].low < 0


def test_the_same_generator_gives_the_same_numbers_and_moves_nothing_else() -> None:
    features, accuracy = made(30)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002

    def found(seed: int | None) -> dict[str, R2]:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return accuracy_r2(
            features, accuracy, "cross_validation", regressors=["adaboost"], folds=3, repeats=1, generator=generator
        )

    assert found(1) == found(1) != found(2)
    assert found(None) == found(None)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_neither_the_unit_nor_a_constant_feature_matters() -> None:
    features, accuracy = made(40)
    other = {name: 1000 * column - 3 for name, column in features.items()} | {"same": np.full(40, 5.0)}
    for split in ("paper", "cross_validation"):
        one, two = (
            accuracy_r2(each, accuracy, split, regressors=["bayesian_ridge"])["bayesian_ridge"]
            for each in (features, other)
        )
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_more_folds_than_networks_are_one_for_each() -> None:
    features, accuracy = made(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = accuracy_r2(features, accuracy, "cross_validation", regressors=FAST, folds=100)
    assert all(np.isfinite(r2).all() for r2 in found.values())


def test_where_all_held_back_are_the_same_r2_is_nan() -> None:
    accuracy = np.zeros(11)
    known, test = learning("model_selection").train_test_split(np.arange(11), test_size=0.1, random_state=7)
    accuracy[known] = np.arange(len(known))
    accuracy[test] = 1.0
    assert np.isnan(accuracy_r2({"a": accuracy}, accuracy, regressors=["bayesian_ridge"])["bayesian_ridge"])


@pytest.mark.parametrize("same", [0.1, 0.3, 50.592])
def test_equal_accuracies_have_no_r2_however_their_mean_is_rounded(same: float) -> None:
    """The mean of three 0.1 is another number, and R² would be minus 10³²."""
    assert np.isnan(r2_of(np.zeros(3), np.full(3, same)))
    targets = np.append(np.full(5, same), same + 1)
    mean, low, _ = with_interval(np.full((1, 6), targets.mean()), targets, seed=0)
    assert mean == 0
    assert low > -20


def test_r2_by_hand() -> None:
    targets = np.array([1.0, 2.0, 3.0])  # around the mean: 1 + 0 + 1
    assert r2_of(targets, targets) == 1
    assert r2_of(np.full(3, 2.0), targets) == 0
    assert r2_of(np.array([3.0, 2.0, 1.0]), targets) == 1 - 8 / 2
    mean, low, high = with_interval(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), targets, seed=0)
    assert mean == (1 + -3) / 2
    assert low < mean < high == 1


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"split": "papers"}, "no split is named 'papers'; did you mean 'paper'"),
        ({"split": None}, "no split is named 'None'"),
        ({"regressors": 5}, "regressors: found 5, expected some of bayesian_ridge"),
        ({"regressors": ["forest"]}, "no regressor is named 'forest'"),
        ({"folds": 1, "split": "cross_validation"}, "folds: found 1"),
        ({"repeats": 0}, "repeats: found 0, expected a whole number of at least 1"),
        ({"generator": 7}, "generator: found 7"),
        ({"accuracy": [0.5] * 20}, "accuracy: all 20 are 0.5"),
        ({"accuracy": [0.5, 0.6]}, "accuracy: found 2 numbers, expected 20"),
        ({"features": {"a": [1, 2]}, "accuracy": [1, 2]}, "accuracy: found 2 networks, expected at least 11"),
        ({"features": {"a": [1, 2]}, "accuracy": [1, 2], "split": "cross_validation"}, "expected at least 4"),
        ({"features": {"a": [float("nan")] * 20}}, r"features\['a'\]: number 0 is nan"),
    ],
)
def test_bad_requests_get_one_message(extra: dict[str, Any], told: str) -> None:
    features, accuracy = made(20)
    with pytest.raises(RequestError, match=told):
        accuracy_r2(**{"features": features, "accuracy": accuracy, "split": "paper"} | extra)
    assert issubclass(UnknownNameError, RequestError)
