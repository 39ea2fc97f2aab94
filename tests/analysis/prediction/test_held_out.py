"""Folds: every network is held back once, and nothing of it is seen before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.prediction.held_out import Scaling, checked_folds, folds_of, held_out_predictions
from sparsewire.analysis.prediction.regressors import learning, regressor_called
from sparsewire.errors import RequestError


@settings(max_examples=50, deadline=None)
@given(networks=st.integers(2, 60), folds=st.integers(2, 12), seed=st.integers(0, 9))
def test_folds_are_a_partition(networks: int, folds: int, seed: int) -> None:
    folds = checked_folds(folds, networks)
    pairs = list(folds_of(networks, folds, np.random.default_rng(seed)))
    assert len(pairs) == folds
    assert sorted(np.concatenate([test for _, test in pairs])) == list(range(networks))
    for known, test in pairs:
        assert sorted([*known, *test]) == list(range(networks))
        assert len(test) in (networks // folds, -(-networks // folds))
        assert len(known)


def test_predictions_are_those_of_a_pipeline_that_saw_the_other_folds_only() -> None:
    drawn = np.random.default_rng(1)
    values, targets = drawn.normal(size=(24, 3)), drawn.normal(size=24)
    found = held_out_predictions("random_forest", values, targets, folds=3, repeats=1, seed=4)
    pipeline, scaler = learning("pipeline").make_pipeline, learning("preprocessing").MinMaxScaler
    for fold, (known, test) in enumerate(folds_of(24, 3, np.random.default_rng(4))):
        model = pipeline(scaler(), regressor_called("random_forest", 4 + fold)).fit(values[known], targets[known])
        np.testing.assert_allclose(found[0, test], model.predict(values[test]), rtol=0, atol=1e-12)


def test_all_regressors_are_tested_on_the_same_folds() -> None:
    # a network whose target is far off is predicted badly only while it is held back
    values, targets = np.zeros((10, 1)), np.arange(10.0)
    first, second = (
        held_out_predictions(name, values, targets, folds=5, repeats=2, seed=3)
        for name in ("bayesian_ridge", "gradient_boosting")
    )
    np.testing.assert_allclose(first, second, atol=1e-6)  # both can only say the mean of the others
    assert not np.allclose(first[0], first[1])


def test_scaling() -> None:
    scale = Scaling.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert scale(np.array([[2.0, 5.0], [5.0, 7.0]])).tolist() == [[0.5, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize("folds", [0, 1, -3, 2.5, True, "10", float("nan")])
def test_impossible_folds(folds: int) -> None:
    with pytest.raises(RequestError, match=r"folds: found .*, expected a whole number of at least 2"):
        checked_folds(folds, 20)
