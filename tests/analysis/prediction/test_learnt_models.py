"""What a regressor has learnt predicts without scikit-learn what it predicts with it: one table for all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.prediction.closed_forms import BayesianLine, GaussianProcess
from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.learnt_models import learnt_model, stored_model
from sparsewire.analysis.prediction.regressors import REGRESSORS, fitted, learning
from sparsewire.analysis.prediction.stored_parts import checked_part
from sparsewire.analysis.prediction.tree_ensembles import KINDS, TreeEnsemble
from sparsewire.analysis.prediction.trees import checked_trees, trees_of
from sparsewire.errors import RequestError

DRAWN = np.random.default_rng(0)
VALUES, NEW = DRAWN.random((40, 5)), DRAWN.random((90, 5)) * 2 - 0.5
CASES: dict[str, tuple[Numbers, Numbers]] = {
    "noisy": (VALUES, VALUES[:, 0] + DRAWN.normal(size=40)),
    "exact, ties": (VALUES.round(1), np.round(3 * VALUES[:, 1])),
    "two networks": (VALUES[:2], np.array([0.25, 0.75])),
    "the same features for all": (np.ones((6, 5)), np.arange(6.0)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", REGRESSORS)
def test_predictions_are_scikit_learn_s_also_out_of_a_file(name: str, case: str) -> None:
    theirs, ours = fitted(name, *CASES[case], 5), learnt_model(name, *CASES[case], 5)
    again = stored_model(name, ours.arrays(), features=5)
    for model in (ours, again):
        mean, spread = model.predict(NEW)
        np.testing.assert_allclose(mean, theirs.predict(NEW), rtol=0, atol=1e-12)
        assert mean.shape == spread.shape == (90,)
        assert np.all(spread >= 0)
        if name not in KINDS:
            np.testing.assert_allclose(spread, theirs.predict(NEW, return_std=True)[1], rtol=1e-9)


def test_the_spread_of_a_forest_is_that_of_its_trees() -> None:
    forest = fitted("random_forest", *CASES["noisy"], 0)
    each = np.stack([tree.predict(NEW) for tree in forest.estimators_])
    spread = TreeEnsemble.of("random_forest", forest).predict(NEW)[1]
    np.testing.assert_allclose(spread, each.std(axis=0), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), networks=st.integers(1, 30), depth=st.sampled_from([None, 1, 3]))
def test_any_tree(seed: int, networks: int, depth: int | None) -> None:
    drawn = np.random.default_rng(seed)
    values, new = (drawn.integers(0, 6, (rows, 3)) / 3 for rows in (networks, 20))
    tree = learning("tree").DecisionTreeRegressor(max_depth=depth).fit(values, drawn.random(networks))
    trees = trees_of([tree, tree])
    found = checked_trees(trees.arrays(), features=3).predict(new)
    assert np.array_equal(found, np.stack([tree.predict(new)] * 2, axis=1))


def test_a_tree_compares_with_32_bits_as_scikit_learn_does() -> None:
    tree = learning("tree").DecisionTreeRegressor().fit([[0.0], [0.2]], [0.0, 1.0])
    at = np.float32(tree.tree_.threshold[0])
    near = np.array([[np.nextafter(float(at), 1)], [np.nextafter(at, np.float32(1))], [1e300]])
    assert trees_of([tree]).predict(near).tolist() == [[0.0 if at <= tree.tree_.threshold[0] else 1.0], [1.0], [1.0]]


def test_the_weighted_median_by_hand() -> None:
    tree = learning("tree").DecisionTreeRegressor
    stumps = [tree().fit([[0.0]], [value]) for value in (3.0, 1.0, 2.0)]
    for weights, median, mean in (
        ([1, 1, 1], 2, 2),
        ([3, 1, 1], 3, 12 / 5),
        ([1, 2, 1], 1, 7 / 4),
        ([1, 5, 1], 1, 10 / 7),
    ):
        both = TreeEnsemble("adaboost", trees_of(stumps), np.array(weights, float), np.zeros(1))
        forest = TreeEnsemble("random_forest", trees_of(stumps), np.array(weights, float), np.zeros(1))
        assert both.predict(np.zeros((1, 1)))[0].tolist() == [median]
        assert forest.predict(np.zeros((1, 1)))[0][0] == pytest.approx(mean)


# What a stranger's file may hold

Parts = dict[str, Any]


def _set(name: str, value: Any, place: int = 0) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts[name] = parts[name].copy()
        parts[name].reshape(-1)[place] = value

    return change


def _put(name: str, value: Any) -> Callable[[Parts], None]:
    return lambda parts: parts.__setitem__(name, value)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("random_forest", lambda parts: parts.pop("left"), "trees: it has no 'left', expected int32"),
        ("random_forest", _set("left", 0), "leads backwards"),
        ("random_forest", _set("left", 10**6), "out of the trees"),
        ("random_forest", _set("right", -1), "leads backwards"),
        ("random_forest", _set("roots", -1), "leads backwards, out"),
        ("random_forest", _set("feature", 5), "a feature that is not there"),
        ("random_forest", _set("feature", -1), "a feature that is not there"),
        ("random_forest", _set("value", np.nan), "trees: its 'value' has NaN"),
        ("random_forest", _put("value", np.zeros(3)), "of different lengths"),
        ("random_forest", _put("roots", np.zeros(0, np.int32)), "or there are none"),
        ("random_forest", _put("roots", np.zeros(2, np.int64)), r"'roots' is int64 of shape \(2,\), expected int32"),
        ("random_forest", _put("weights", np.ones(2)), r"random_forest: its 'weights' is float64 of shape \(2,\)"),
        ("adaboost", _set("weights", -1), "adaboost: its 'weights' are negative"),
        ("gradient_boosting", _put("start", np.zeros(())), r"'start' is float64 of shape \(\), expected .* \(1,\)"),
        ("bayesian_ridge", _set("precision", 0), "its precision is 0, expected more than 0"),
        ("bayesian_ridge", _put("covariance", np.eye(4)), r"'covariance' is float64 of shape \(4, 4\)"),
        ("bayesian_ridge", _set("slope", np.inf), "'slope' has NaN or infinite numbers"),
        ("gaussian_process", _set("kernel", 0, 2), "a size of its kernel is not above 0"),
        ("gaussian_process", _set("kernel", 1e20, 0), "its kernel is none"),
        ("gaussian_process", _put("known", np.zeros((0, 5))), "'weights' is float64"),
        ("gaussian_process", lambda parts: parts.pop("known"), "it has no 'known'"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_model_are_refused(name: str, change: Callable[[Parts], None], told: str) -> None:
    parts = learnt_model(name, *CASES["noisy"], 0).arrays()
    if name == "gaussian_process":
        parts["known"] = np.repeat(parts["known"][:1], len(parts["known"]), axis=0)
    change(parts)
    with pytest.raises(RequestError, match=told):
        stored_model(name, parts, features=5)


def test_classes_are_told_apart() -> None:
    kinds = {name: type(learnt_model(name, *CASES["noisy"], 0)) for name in REGRESSORS}
    assert kinds == dict.fromkeys(KINDS, TreeEnsemble) | {
        "bayesian_ridge": BayesianLine,
        "gaussian_process": GaussianProcess,
    }
    with pytest.raises(RequestError, match="no regressor is named 'oracle'"):
        stored_model("oracle", {}, 1)
    assert checked_part("any", {"a": np.zeros((2, 3))}, "a", (None, 3)).shape == (2, 3)
