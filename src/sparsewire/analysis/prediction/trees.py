"""Decision trees as arrays: what a forest, AdaBoost and gradient boosting have learnt, without scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.stored_parts import Parts, checked_part
from sparsewire.errors import RequestError

Whole = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Trees:
    """Regression trees, all nodes in one row, tree after tree.

    At a node one goes to `left` where the feature, rounded to 32 bits, is at most the threshold, else to `right`. A
    leaf leads to itself; every other node leads to later ones.

    Attributes:
        roots: (trees) the first node of each.
        feature: (nodes) which column is asked; 0 at leaves.
        threshold: (nodes).
        left: (nodes) counted over all trees.
        right: (nodes).
        value: (nodes) what a leaf predicts.

    Example:
        >>> one = Trees(
        ...     np.array([0], np.int32), np.zeros(3, np.int32), np.array([0.5, 0.0, 0.0]),
        ...     np.array([1, 1, 2], np.int32), np.array([2, 1, 2], np.int32), np.array([0.0, 10.0, 20.0]),
        ... )
        >>> one.predict(np.array([[0.5], [0.6]]))
        array([[10.], [20.]])
    """

    roots: Whole
    feature: Whole
    threshold: Numbers
    left: Whole
    right: Whole
    value: Numbers

    def predict(self, values: Numbers) -> Numbers:
        """What each tree predicts for each network: (networks, trees)."""
        with np.errstate(over="ignore"):  # beyond 32 bits it is infinite, and goes right
            rounded = values.astype(np.float32)
        rows = np.arange(len(values))[:, None]
        node = np.broadcast_to(self.roots, (len(values), len(self.roots)))
        while True:
            goes_left = rounded[rows, self.feature[node]] <= self.threshold[node]
            further = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(further, node):
                found: Numbers = self.value[node]
                return found
            node = further

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name."""
        return dict(vars(self))


def trees_of(fitted: Sequence[Any]) -> Trees:
    """The trees that scikit-learn has fitted.

    Args:
        fitted: its `DecisionTreeRegressor`s.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [10.0, 20.0])
        >>> trees_of([tree, tree]).predict(np.array([[0.2]]))
        array([[10., 10.]])
    """
    parts = [one.tree_ for one in fitted]
    sizes = [part.node_count for part in parts]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name).reshape(-1) for part in parts])

    own, first = np.arange(sum(sizes)), np.repeat(roots, sizes)
    left, right = joined("children_left"), joined("children_right")
    is_leaf = left < 0
    return Trees(
        roots.astype(np.int32),
        np.where(is_leaf, 0, joined("feature")).astype(np.int32),
        np.where(is_leaf, 0.0, joined("threshold")),
        np.where(is_leaf, own, left + first).astype(np.int32),
        np.where(is_leaf, own, right + first).astype(np.int32),
        joined("value").astype(np.float64),
    )


def checked_trees(parts: Parts, features: int) -> Trees:
    """Trees out of a file.

    Args:
        parts: those of `Trees.arrays`, and others, which are left aside.
        features: how many columns there are to ask.

    Raises:
        RequestError: a node asks for a column that is not there, or a walk would leave the trees or never end.

    Example:
        >>> checked_trees({"roots": np.array([3], np.int32)}, features=1)
        Traceback (most recent call last):
        sparsewire.errors.RequestError: trees: it has no 'feature', expected int32 of shape (any,)
    """
    kinds = {name: np.float64 if name in ("threshold", "value") else np.int32 for name in Trees.__dataclass_fields__}
    trees = Trees(**{name: checked_part("trees", parts, name, (None,), kind) for name, kind in kinds.items()})
    nodes, own = len(trees.value), np.arange(len(trees.value))
    lengths = {len(part) for name, part in trees.arrays().items() if name != "roots"}
    if lengths != {nodes} or not len(trees.roots):
        raise RequestError("trees: their parts are of different lengths, or there are none")
    ahead = (trees.left > own) & (trees.right > own)
    leaf = (trees.left == own) & (trees.right == own)
    inside = (trees.left < nodes) & (trees.right < nodes) & (trees.feature >= 0) & (trees.feature < features)
    if not (np.all((ahead | leaf) & inside) and np.all((trees.roots >= 0) & (trees.roots < nodes))):
        raise RequestError("trees: a node leads backwards, out of the trees or to a feature that is not there")
    return trees
