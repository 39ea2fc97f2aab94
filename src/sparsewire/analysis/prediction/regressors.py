"""The regressors by name: what learns to predict a number from features."""

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator

REGRESSORS = ("bayesian_ridge", "random_forest", "adaboost", "gradient_boosting", "gaussian_process")


def learning(part: str) -> Any:
    """A module of scikit-learn, such as "ensemble".

    Raises:
        RequestError: scikit-learn is not installed.
    """
    try:
        return import_module(f"sklearn.{part}")
    except ImportError:
        raise RequestError(
            "predicting from features needs scikit-learn, which is not installed: pip install 'sparsewire[report]' "
            "(a saved predictor needs it no more)"
        ) from None


def regressor_called(name: str, seed: int) -> Any:
    """A scikit-learn regressor that has learnt nothing yet, with scikit-learn's defaults.

    Args:
        name: one of `REGRESSORS`. The first three are the paper's. The Gaussian process has a squared exponential
            kernel of one length, which is learnt, as are its size and the noise; its time grows with the cube of the
            networks.
        seed: for those that draw.

    Raises:
        UnknownNameError: no regressor is named so.
        RequestError: scikit-learn is not installed.

    Example:
        >>> regressor_called("adaboost", seed=0)
        AdaBoostRegressor(random_state=0)
    """
    checked_regressors([name])
    makers: dict[str, Callable[[], Any]] = {
        "bayesian_ridge": lambda: learning("linear_model").BayesianRidge(),
        "random_forest": lambda: learning("ensemble").RandomForestRegressor(random_state=seed),
        "adaboost": lambda: learning("ensemble").AdaBoostRegressor(random_state=seed),
        "gradient_boosting": lambda: learning("ensemble").GradientBoostingRegressor(random_state=seed),
        "gaussian_process": _gaussian_process,
    }
    return makers[name]()


def fitted(name: str, values: Numbers, targets: Numbers, seed: int) -> Any:
    """The regressor of this name after it has learnt.

    Args:
        name: one of `REGRESSORS`.
        values: (networks, features), scaled.
        targets: (networks).
        seed: for those that draw.

    Example:
        >>> import numpy as np
        >>> values = np.linspace(0, 1, 20)[:, None]
        >>> model = fitted("bayesian_ridge", values, 3 * values[:, 0] + 1, seed=0)
        >>> model.predict(np.array([[0.5]])).round(3)
        array([2.5])
    """
    with _quiet():
        return regressor_called(name, seed).fit(values, targets)


def checked_regressors(names: Sequence[str] | None) -> tuple[str, ...]:
    """The names themselves, all where None are asked for.

    Raises:
        UnknownNameError: no regressor is named so.
        RequestError: there are none, or one text in place of several.

    Example:
        >>> checked_regressors(["adaboost"])
        ('adaboost',)
    """
    if names is None:
        return REGRESSORS
    if isinstance(names, str) or not isinstance(names, Collection) or not len(names):
        raise RequestError(f"regressors: found {names!r}, expected some of {', '.join(REGRESSORS)}, as a list")
    for name in names:
        if name not in REGRESSORS:
            raise UnknownNameError("regressor", str(name), REGRESSORS)
    return tuple(dict.fromkeys(names))


def seed_from(generator: torch.Generator | None, otherwise: int) -> int:
    """A seed for numpy and scikit-learn drawn from the generator; where there is none, the one stated.

    Raises:
        RequestError: it is no generator.

    Example:
        >>> seed_from(None, otherwise=7)
        7
    """
    if generator is None:
        return otherwise
    checked = checked_generator(generator)
    return int(torch.randint(2**31 - 1, (), generator=checked, device=checked.device))


def _gaussian_process() -> Any:
    kernels = learning("gaussian_process.kernels")
    # Features are scaled to 0…1, targets to variance 1; the bounds keep the matrix far from singular.
    kernel = kernels.ConstantKernel(1.0, (1e-2, 1e3)) * kernels.RBF(1.0, (1e-2, 1e3))
    noise = kernels.WhiteKernel(0.5, (1e-4, 1e1))
    return learning("gaussian_process").GaussianProcessRegressor(kernel + noise, normalize_y=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that a length or a noise ended at its bound, which is an answer too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", learning("exceptions").ConvergenceWarning)
        yield
