"""Regressors that are a formula: a Bayesian line and a Gaussian process, without scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.stored_parts import Parts, checked_part
from sparsewire.errors import RequestError

_JITTER = 1e-10  # scikit-learn adds it to the diagonal


@dataclass(frozen=True, eq=False)
class BayesianLine:
    """y = x·slope + intercept, with Gaussian noise and a Gaussian posterior of the slope.

    Attributes:
        slope: (features).
        intercept: (1).
        centre: (features) the mean of what it learnt from.
        covariance: (features, features) of the slope.
        precision: (1) of the noise.

    Reference:
        MacKay 1992, "Bayesian interpolation"; Tipping 2001, as in scikit-learn's `BayesianRidge`.
    """

    slope: Numbers
    intercept: Numbers
    centre: Numbers
    covariance: Numbers
    precision: Numbers

    @classmethod
    def of(cls, fitted: Any) -> "BayesianLine":
        """What scikit-learn's regressor has learnt.

        Example:
            >>> from sklearn.linear_model import BayesianRidge
            >>> line = BayesianLine.of(BayesianRidge().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]))
            >>> line.predict(np.array([[1.0]]))[0].round(6)
            array([3.])
        """
        parts = (fitted.coef_, fitted.intercept_, fitted.X_offset_, fitted.sigma_, fitted.alpha_)
        slope, intercept, centre, covariance, precision = (np.atleast_1d(np.asarray(one, np.float64)) for one in parts)
        return cls(slope, intercept, centre, covariance, precision)

    @classmethod
    def from_arrays(cls, arrays: Parts, features: int) -> "BayesianLine":
        """The same out of a file.

        Raises:
            RequestError: it is no such thing.
        """
        shapes = {
            "slope": (features,), "intercept": (1,), "centre": (features,), "covariance": (features, features),
            "precision": (1,),
        }  # fmt: skip
        line = cls(**{name: checked_part("bayesian_ridge", arrays, name, shape) for name, shape in shapes.items()})
        if not line.precision[0] > 0:
            raise RequestError(f"bayesian_ridge: its precision is {line.precision[0]:g}, expected more than 0")
        return line

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name."""
        return dict(vars(self))

    def predict(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """What is predicted, and its standard deviation."""
        around = values - self.centre
        variance = np.maximum(((around @ self.covariance) * around).sum(axis=1), 0) + 1 / self.precision
        return values @ self.slope + self.intercept, np.sqrt(variance)


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """y = scale · k(x, known)·weights + mean, with k(a, b) = size · exp(-|a - b|² / (2 · length²)).

    Attributes:
        known: (networks, features) what it learnt from.
        weights: (networks).
        kernel: (3) size, length, variance of the noise.
        target: (2) mean and scale of what it learnt.

    Reference:
        Rasmussen and Williams 2006, "Gaussian processes for machine learning", algorithm 2.1, as in scikit-learn.
    """

    known: Numbers
    weights: Numbers
    kernel: Numbers
    target: Numbers

    @classmethod
    def of(cls, fitted: Any) -> "GaussianProcess":
        """What scikit-learn's regressor, with the kernel constant · RBF + white noise, has learnt.

        Example:
            >>> from sparsewire.analysis.prediction.regressors import fitted
            >>> values = np.linspace(0, 1, 9)[:, None]
            >>> process = GaussianProcess.of(fitted("gaussian_process", values, values[:, 0] ** 2, seed=0))
            >>> process.predict(np.array([[0.5]]))[0].round(2)
            array([0.25])
        """
        smooth, noise = fitted.kernel_.k1, fitted.kernel_.k2
        kernel = np.array([smooth.k1.constant_value, smooth.k2.length_scale, noise.noise_level], np.float64)
        target = np.array([float(np.ravel(one)[0]) for one in (fitted._y_train_mean, fitted._y_train_std)])
        return cls(np.asarray(fitted.X_train_), np.ravel(fitted.alpha_), kernel, target)

    @classmethod
    def from_arrays(cls, arrays: Parts, features: int) -> "GaussianProcess":
        """The same out of a file.

        Raises:
            RequestError: it is no such thing.
        """
        known = checked_part("gaussian_process", arrays, "known", (None, features))
        shapes = {"weights": (len(known),), "kernel": (3,), "target": (2,)}
        process = cls(
            known, **{name: checked_part("gaussian_process", arrays, name, shape) for name, shape in shapes.items()}
        )
        if not len(known) or not np.all(process.kernel > 0) or not process.target[1] > 0:
            raise RequestError("gaussian_process: it has learnt from nothing, or a size of its kernel is not above 0")
        try:
            process.predict(known[:1])
        except np.linalg.LinAlgError as cause:
            raise RequestError(f"gaussian_process: its kernel is none: {cause}") from None
        return process

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name."""
        return dict(vars(self))

    def predict(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """What is predicted, and its standard deviation, noise included."""
        from scipy.linalg import cho_factor, cho_solve

        size, _, noise = self.kernel
        near = self._near(values)
        among = self._near(self.known)
        among[np.diag_indices_from(among)] += noise + _JITTER
        explained = np.einsum("ij,ji->i", near, cho_solve(cho_factor(among, lower=True), near.T))
        variance = np.maximum(size + noise - explained, 0)
        mean, scale = self.target
        return scale * (near @ self.weights) + mean, scale * np.sqrt(variance)

    def _near(self, values: Numbers) -> Numbers:
        from scipy.spatial.distance import cdist

        size, length, _ = self.kernel
        found: Numbers = size * np.exp(-0.5 * cdist(values / length, self.known / length, "sqeuclidean"))
        return found
