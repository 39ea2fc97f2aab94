"""How well accuracy can be predicted: R² on networks that were held back.

After Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
section 4.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.analysis.prediction.bootstraps import DRAWS, share_interval
from sparsewire.analysis.prediction.feature_tables import FeatureTable, Numbers, checked_accuracy, feature_table
from sparsewire.analysis.prediction.held_out import Scaling, checked_folds, held_out_predictions
from sparsewire.analysis.prediction.regressors import checked_regressors, fitted, learning, seed_from
from sparsewire.errors import UnknownNameError
from sparsewire.structure.blocks import whole

SPLITS = ("paper", "cross_validation")
_PAPER_SEED, _PAPER_SHARE = 7, 0.1


class R2(NamedTuple):
    """R² from cross-validation, with its 95 % interval.

    Attributes:
        mean: over the repeats.
        low: the lower end of the interval.
        high: the upper end.
    """

    mean: float
    low: float
    high: float


@overload
def accuracy_r2(
    features: Mapping[str, Any], accuracy: Any, split: Literal["paper"] = ..., *,
    regressors: Sequence[str] | None = ..., folds: int = ..., repeats: int = ...,
    generator: torch.Generator | None = ...,
) -> dict[str, float]: ...  # fmt: skip
@overload
def accuracy_r2(
    features: Mapping[str, Any], accuracy: Any, split: Literal["cross_validation"], *,
    regressors: Sequence[str] | None = ..., folds: int = ..., repeats: int = ...,
    generator: torch.Generator | None = ...,
) -> dict[str, R2]: ...  # fmt: skip
@overload
def accuracy_r2(
    features: Mapping[str, Any], accuracy: Any, split: str, *,
    regressors: Sequence[str] | None = ..., folds: int = ..., repeats: int = ...,
    generator: torch.Generator | None = ...,
) -> dict[str, float] | dict[str, R2]: ...  # fmt: skip
def accuracy_r2(
    features: Mapping[str, Any], accuracy: Any, split: str = "paper", *,
    regressors: Sequence[str] | None = None, folds: int = 10, repeats: int = 3,
    generator: torch.Generator | None = None,
) -> dict[str, float] | dict[str, R2]:  # fmt: skip
    """How much of the variance of accuracy each regressor predicts from the features: R², 1 at best.

        R² = 1 - Σ (accuracy - predicted)² / Σ (accuracy - mean accuracy)²        over networks that were held back

    `split="paper"` is the paper's one split: features scaled to 0…1 over all networks, a tenth (rounded up) held back
    by scikit-learn's `train_test_split` with `random_state=7`. Of 200 networks these are 20, the numbers hang on which
    20, and the scaling has seen them. `split="cross_validation"` holds back each network once in each repeat, scales by
    the others alone, and takes one R² over all networks: the mean over the repeats, and the 95 % interval of a
    bootstrap over networks and repeats.

    Args:
        features: name → one finite number for each network.
        accuracy: one number for each network, not all the same; any other measure will do.
        split: "paper" (at least 11 networks) or "cross_validation" (at least 4).
        regressors: some of `REGRESSORS`; None: all.
        folds: of the cross-validation; at least 2, at most one for each network are made.
        repeats: of the cross-validation, each with folds of its own.
        generator: where the seeds of forests and folds come from; None: 7 (the paper's forests are unseeded). The
            paper's split never depends on it.

    Returns:
        Regressor → R², of the paper's split a number (NaN where all that was held back is the same), of the
        cross-validation an `R2` of mean, low and high.

    Raises:
        RequestError: features or accuracy are not what they should be, or scikit-learn is not installed.
        UnknownNameError: there is no such split or regressor.

    Example:
        >>> nodes = torch.arange(40)
        >>> found = accuracy_r2({"nodes": nodes}, nodes / 50, regressors=["bayesian_ridge"])
        >>> {name: round(value, 3) for name, value in found.items()}
        {'bayesian_ridge': 1.0}
        >>> found = accuracy_r2({"nodes": nodes}, nodes / 50, "cross_validation", regressors=["bayesian_ridge"])
        >>> found["bayesian_ridge"].low > 0.99
        True

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.3, whose regressors are the first three. The Gaussian process, gradient boosting, the cross-validation
        and the intervals are ours.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", str(split), SPLITS)
    names, table = checked_regressors(regressors), feature_table(features)
    repeats, seed = whole("repeats", repeats, least=1), seed_from(generator, otherwise=_PAPER_SEED)
    targets = checked_accuracy(accuracy, len(table.values), least=11 if split == "paper" else 4)
    if split == "paper":
        return {name: _papers(name, table, targets, seed) for name in names}
    folds = checked_folds(folds, len(targets))
    return {
        name: with_interval(
            held_out_predictions(name, table.values, targets, folds=folds, repeats=repeats, seed=seed), targets, seed
        )
        for name in names
    }


def r2_of(predicted: Numbers, targets: Numbers) -> float:
    """R² of predictions, NaN where all targets are the same.

    Example:
        >>> r2_of(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        0.5
    """
    around = _around(targets)
    return 1 - float(((targets - predicted) ** 2).sum()) / around if around else float("nan")


def with_interval(predicted: Numbers, targets: Numbers, seed: int) -> R2:
    """The mean R² of several predictions of the same targets, with its 95 % interval.

    Each draw of the bootstrap takes as many networks as there are, with replacement, and one of the predictions.

    Args:
        predicted: (repeats, networks).
        targets: (networks), not all the same.
        seed: of the draws.

    Example:
        >>> with_interval(np.array([[1.0, 2.0, 3.0]]), np.array([1.0, 2.0, 3.0]), seed=0)
        R2(mean=1.0, low=1.0, high=1.0)
    """
    mean = float(np.mean([r2_of(row, targets) for row in predicted]))
    misses = ((targets - predicted) ** 2).reshape(-1)
    low, high = share_interval(misses, np.tile(targets, len(predicted)), _drawn(len(predicted), len(targets), seed))
    return R2(mean, min(mean, 1 - high), max(mean, 1 - low))


def _drawn(repeats: int, networks: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Draws of networks, each draw of one of the repeats: how often each prediction is drawn."""
    random = np.random.default_rng(seed)
    for _ in range(DRAWS):
        places = random.integers(networks, size=networks)
        rows = random.integers(repeats) * networks + places
        yield np.bincount(rows, minlength=repeats * networks)[None]


def _around(targets: Numbers) -> float:
    """Σ (target - mean)²; of equal ones 0, which the rounded mean of them would miss."""
    return float(((targets - targets.mean()) ** 2).sum()) if np.ptp(targets) > 0 else 0.0


def _papers(name: str, table: FeatureTable, targets: Numbers, seed: int) -> float:
    split = learning("model_selection").train_test_split
    known, test = split(np.arange(len(targets)), test_size=_PAPER_SHARE, random_state=_PAPER_SEED)
    scaled = Scaling.of(table.values)(table.values)
    model = fitted(name, scaled[known], targets[known], seed)
    return r2_of(model.predict(scaled[test]), targets[test])
