"""How well 56 features of a genome foretell its accuracy on genomes that were not learnt from, and which it takes."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.held_out import Scaling, folds_of
from sparsewire.analysis.prediction.permutations import Importance, importance
from sparsewire.analysis.prediction.r2_scores import R2, with_interval
from sparsewire.analysis.prediction.regressors import fitted, learning
from sparsewire.experiments.hidden_structures.priors_correlations import Numbers
from sparsewire.experiments.hidden_structures.search_published import TEST_SHARE
from sparsewire.lab.reporting.intervals import Interval, percentiles

REGRESSORS: Final = ("bayesian_ridge", "random_forest", "adaboost")  # those of the paper
LEAST: Final = 20  # genomes; of fewer the paper's split tests a handful
_SEED: Final = 7
_FOLDS: Final = 10
_DRAWS: Final = 2000
Places = NDArray[np.intp]
Split = tuple[Places, Places]  # places to learn from, places to test on


class Score(NamedTuple):
    """How good predictions of genomes are that were not learnt from.

    Attributes:
        r2: R², with its 95 % interval.
        rank: Spearman's rank correlation of predicted and found accuracy; NaN where one of them is all the same.
        interval: 95 % of the rank correlation, from a bootstrap over genomes; None where there is none.
        tested: how many genomes were foretold.
    """

    r2: R2
    rank: float
    interval: Interval | None
    tested: int


def splits(count: int, groups: Sequence[int]) -> dict[str, list[Split]]:
    """The ways to hold genomes back: the paper's 30 %, a tenth at a time, and all of one seed's searches at a time.

    Genomes of a search descend from one another, so that those held back have parents among the others; only those of
    other seeds have none. Searches of one seed, by several methods, begin with the same genomes.

    Args:
        count: of genomes, at least `LEAST`.
        groups: the seed of the search that each comes from.

    Example:
        >>> found = splits(20, [0] * 10 + [1] * 10)
        >>> [(name, len(pairs), len(pairs[0][1])) for name, pairs in found.items()]
        [('the paper’s split', 1, 6), ('ten-fold', 10, 2), ('other searches', 2, 10)]
    """
    split = learning("model_selection").train_test_split
    found: dict[str, list[Split]] = {
        "the paper’s split": [tuple(split(np.arange(count), test_size=TEST_SHARE, random_state=_SEED))],
        "ten-fold": list(folds_of(count, _FOLDS, np.random.default_rng(_SEED))),
    }
    owners = np.asarray(groups)
    names = np.unique(owners)
    if len(names) > 1:
        pairs = [(np.flatnonzero(owners != name), np.flatnonzero(owners == name)) for name in names]
        found["other searches"] = [(known, test) for known, test in pairs]
    return found


def scores(features: Mapping[str, Numbers], accuracy: Numbers, groups: Sequence[int]) -> dict[str, dict[str, Score]]:
    """Way to hold back → regressor → how good its predictions are.

    Args:
        features: name → one number for each genome.
        accuracy: one number for each genome, not all the same.
        groups: the seed of the search that each comes from.
    """
    values = np.stack(list(features.values()), axis=1)
    return {
        way: {name: _score(name, values, accuracy, pairs) for name in REGRESSORS}
        for way, pairs in splits(len(accuracy), groups).items()
    }


def score(predicted: Numbers, found: Numbers) -> Score:
    """How good these predictions are.

    Args:
        predicted: one number for each genome.
        found: what the genomes were worth.

    Example:
        >>> score(np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0]))[:2]
        (R2(mean=0.8, low=..., high=1.0), 1.0)
    """
    r2 = with_interval(predicted[None], found, _SEED) if len(set(found.tolist())) > 1 else R2(*[float("nan")] * 3)
    places = np.random.default_rng(_SEED).integers(0, len(found), size=(_DRAWS, len(found)))
    ranks = _rank_correlations(predicted[places], found[places])
    return Score(r2, float(_rank_correlations(predicted[None], found[None])[0]), percentiles(ranks), len(found))


def most_important(features: Mapping[str, Numbers], accuracy: Numbers, count: int) -> dict[str, Importance]:
    """The features without which a random forest loses most of its R² on genomes held back, the largest first."""
    found = importance(features, accuracy, "random_forest", folds=5, shuffles=3)
    return {name: found[name] for name in list(found)[:count]}


def _score(name: str, values: Numbers, accuracy: Numbers, pairs: Sequence[Split]) -> Score:
    predicted, found = [], []
    for fold, (known, test) in enumerate(pairs):
        scaling = Scaling.of(values[known])
        model = fitted(name, scaling(values[known]), accuracy[known], _SEED + fold)
        predicted.append(model.predict(scaling(values[test])))
        found.append(accuracy[test])
    return score(np.concatenate(predicted), np.concatenate(found))


def _rank_correlations(one: Numbers, other: Numbers) -> Numbers:
    """Of each row of the two tables; NaN where a row of one does not vary."""
    from scipy.stats import rankdata

    ranks = [rankdata(table, axis=1) for table in (one, other)]
    x, y = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found = np.full(len(x), np.nan)
    np.divide((x * y).sum(axis=1), size, out=found, where=size > 0)
    return found
