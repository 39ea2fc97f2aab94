"""The regressors by name, and what is said where scikit-learn is missing."""

import sys
import warnings

import numpy as np
import pytest
import torch

from sparsewire.analysis.prediction.regressors import (
    REGRESSORS,
    checked_regressors,
    fitted,
    learning,
    regressor_called,
    seed_from,
)
from sparsewire.errors import RequestError, UnknownNameError


def test_each_is_scikit_learn_s_own_with_its_defaults() -> None:
    classes = [type(regressor_called(name, 3)).__name__ for name in REGRESSORS]
    assert classes == [
        "BayesianRidge", "RandomForestRegressor", "AdaBoostRegressor", "GradientBoostingRegressor",
        "GaussianProcessRegressor",
    ]  # fmt: skip
    for name, kind in zip(REGRESSORS[:4], classes[:4], strict=True):
        plain = getattr(learning("linear_model" if kind == "BayesianRidge" else "ensemble"), kind)()
        assert regressor_called(name, 3).get_params() == plain.get_params() | (
            {} if name == "bayesian_ridge" else {"random_state": 3}
        )


def test_what_the_gaussian_process_cannot_learn_warns_nobody() -> None:
    drawn = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted("gaussian_process", np.zeros((8, 2)), drawn.random(8), 0)
        fitted("gaussian_process", drawn.random((8, 2)), np.arange(8.0) * 1e-9, 0)


def test_names_are_checked() -> None:
    assert checked_regressors(None) == REGRESSORS
    assert checked_regressors(["adaboost", "adaboost"]) == ("adaboost",)
    with pytest.raises(UnknownNameError, match="no regressor is named 'random_forrest'; did you mean 'random_forest'"):
        checked_regressors(["random_forrest"])
    with pytest.raises(RequestError, match=r"regressors: found 'adaboost', expected some of bayesian_ridge, .* a list"):
        checked_regressors("adaboost")
    with pytest.raises(RequestError, match=r"regressors: found \[\]"):
        checked_regressors([])


def test_seeds_come_from_the_generator() -> None:
    first, again = (torch.Generator().manual_seed(5) for _ in range(2))
    drawn = [seed_from(first, otherwise=7) for _ in range(3)]
    assert drawn == [seed_from(again, otherwise=7) for _ in range(3)]
    assert len({7, *drawn}) == 4
    with pytest.raises(RequestError, match="generator: found 3, expected one"):
        seed_from(3, otherwise=7)  # type: ignore[arg-type]


def test_without_scikit_learn_there_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.ensemble", raising=False)
    with pytest.raises(RequestError, match=r"needs scikit-learn, .*: pip install 'sparsewire\[report\]'"):
        regressor_called("adaboost", 0)
