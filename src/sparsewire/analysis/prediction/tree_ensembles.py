"""What many trees say together: the mean of a forest, the median of AdaBoost, the sum of gradient boosting."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.stored_parts import Parts, checked_part
from sparsewire.analysis.prediction.trees import Trees, checked_trees, trees_of
from sparsewire.errors import RequestError

KINDS = ("random_forest", "adaboost", "gradient_boosting")


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Trees and how they are put together.

        random_forest        mean of the trees
        adaboost             the tree at which the weights, trees in order of what they predict, reach half their sum
        gradient_boosting    start + Σ weight · tree

    Attributes:
        kind: one of `KINDS`.
        trees: what was learnt.
        weights: (trees).
        start: (1) of gradient boosting; 0 otherwise.

    Reference:
        Breiman 2001, "Random forests"; Drucker 1997, "Improving regressors using boosting techniques" (AdaBoost.R2);
        Friedman 2001, "Greedy function approximation: a gradient boosting machine". All as in scikit-learn.
    """

    kind: str
    trees: Trees
    weights: Numbers
    start: Numbers

    @classmethod
    def of(cls, kind: str, fitted: Any) -> "TreeEnsemble":
        """What scikit-learn's regressor has learnt.

        Example:
            >>> from sklearn.ensemble import RandomForestRegressor
            >>> forest = RandomForestRegressor(random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
            >>> mean, spread = TreeEnsemble.of("random_forest", forest).predict(np.array([[0.0]]))
            >>> bool(mean[0] == forest.predict([[0.0]])[0]), bool(spread[0] > 0)
            (True, True)
        """
        trees = trees_of(list(np.ravel(fitted.estimators_)))
        start, weights = 0.0, np.ones(len(trees.roots))
        if kind == "adaboost":
            learnt = np.asarray(fitted.estimator_weights_[: len(trees.roots)], np.float64)
            weights = (
                learnt if learnt.any() else weights
            )  # a first tree that is no better than chance stays alone, with 0
        elif kind == "gradient_boosting":
            start, weights = float(np.ravel(fitted.init_.constant_)[0]), weights * fitted.learning_rate
        return cls(kind, trees, weights, np.array([start]))

    @classmethod
    def from_arrays(cls, kind: str, arrays: Parts, features: int) -> "TreeEnsemble":
        """The same out of a file.

        Raises:
            RequestError: it is no such thing.
        """
        trees = checked_trees(arrays, features)
        weights = checked_part(kind, arrays, "weights", trees.roots.shape)
        start = checked_part(kind, arrays, "start", (1,))
        if kind != "gradient_boosting" and (np.any(weights < 0) or not weights.sum() > 0):
            raise RequestError(f"{kind}: its 'weights' are negative, or all 0")
        return cls(kind, trees, weights, start)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name."""
        return {**self.trees.arrays(), "weights": self.weights, "start": self.start}

    def predict(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """What is predicted, and how far the trees are apart (a standard deviation; 0 where they form a sum)."""
        each = self.trees.predict(values)
        if self.kind == "gradient_boosting":
            return self.start[0] + each @ self.weights, np.zeros(len(values))
        mean = np.average(each, axis=1, weights=self.weights)
        apart = np.sqrt(np.average((each - mean[:, None]) ** 2, axis=1, weights=self.weights))
        return (mean if self.kind == "random_forest" else self._median(each)), apart

    def _median(self, each: Numbers) -> Numbers:
        order = np.argsort(each, axis=1, kind="stable")
        below = np.cumsum(self.weights[order], axis=1)
        middle = (below >= 0.5 * below[:, -1:]).argmax(axis=1)
        rows = np.arange(len(each))
        found: Numbers = each[rows, order[rows, middle]]
        return found
