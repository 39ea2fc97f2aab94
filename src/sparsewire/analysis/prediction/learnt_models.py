"""What a regressor has learnt, as arrays that predict by themselves and can be stored."""

from typing import Any, Protocol

from numpy.typing import NDArray

from sparsewire.analysis.prediction.closed_forms import BayesianLine, GaussianProcess
from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.regressors import checked_regressors, fitted
from sparsewire.analysis.prediction.stored_parts import Parts
from sparsewire.analysis.prediction.tree_ensembles import TreeEnsemble


class LearntModel(Protocol):
    """Anything that predicts from scaled features."""

    def predict(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """(networks, features) → what is predicted for each network, and how unsure the model itself is of it."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything it knows, by name."""


def learnt_model(name: str, values: Numbers, targets: Numbers, seed: int) -> LearntModel:
    """The regressor of this name after it has learnt, without scikit-learn's objects; its predictions are the same.

    Args:
        name: one of `REGRESSORS`.
        values: (networks, features), scaled.
        targets: (networks).
        seed: for those that draw.

    Example:
        >>> import numpy as np
        >>> values = np.linspace(0, 1, 20)[:, None]
        >>> model = learnt_model("bayesian_ridge", values, 3 * values[:, 0] + 1, seed=0)
        >>> model.predict(np.array([[0.5]]))[0].round(3)
        array([2.5])
    """
    found = fitted(name, values, targets, seed)
    if name == "bayesian_ridge":
        return BayesianLine.of(found)
    return GaussianProcess.of(found) if name == "gaussian_process" else TreeEnsemble.of(name, found)


def stored_model(name: str, arrays: Parts, features: int) -> LearntModel:
    """The model that `arrays` gave.

    Args:
        name: one of `REGRESSORS`.
        arrays: from a file.
        features: how many it learnt from.

    Raises:
        RequestError: they are no such model.

    Example:
        >>> import numpy as np
        >>> values = np.linspace(0, 1, 20)[:, None]
        >>> model = learnt_model("adaboost", values, values[:, 0], seed=0)
        >>> again = stored_model("adaboost", model.arrays(), features=1)
        >>> bool(np.array_equal(model.predict(values)[0], again.predict(values)[0]))
        True
    """
    checked_regressors([name])
    if name == "bayesian_ridge":
        return BayesianLine.from_arrays(arrays, features)
    if name == "gaussian_process":
        return GaussianProcess.from_arrays(arrays, features)
    return TreeEnsemble.from_arrays(name, arrays, features)
