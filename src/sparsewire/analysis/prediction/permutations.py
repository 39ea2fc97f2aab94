"""Which features a prediction rests on: what is lost when one of them is shuffled among the networks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from sparsewire.analysis.prediction.bootstraps import DRAWS, share_interval
from sparsewire.analysis.prediction.feature_tables import FeatureTable, Numbers, checked_accuracy, feature_table
from sparsewire.analysis.prediction.held_out import Scaling, checked_folds, folds_of
from sparsewire.analysis.prediction.learnt_models import LearntModel, learnt_model
from sparsewire.analysis.prediction.regressors import checked_regressors, seed_from
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole

_SEED = 7


class Importance(NamedTuple):
    """How much R² is lost without a feature, with its 95 % interval; an interval around 0: perhaps nothing.

    Attributes:
        mean: over folds and shuffles.
        low: the lower end of the interval.
        high: the upper end.
    """

    mean: float
    low: float
    high: float


def importance(
    features: Mapping[str, Any], accuracy: Any, regressor: str = "random_forest", *,
    groups: Mapping[str, Sequence[str]] | None = None, folds: int = 10, shuffles: int = 10,
    generator: torch.Generator | None = None,
) -> dict[str, Importance]:  # fmt: skip
    """How much of R² each feature carries, on networks that were held back; the largest first.

        importance = Σ (miss² with the feature shuffled - miss²) / Σ (accuracy - mean accuracy)²

    Each network is predicted by a regressor that has not seen it, once as it is and `shuffles` times with the feature's
    value of another network. Features that say nearly the same (nodes and edges) stand in for each other and look
    unimportant one by one: shuffle them together, as a group.

    Args:
        features: name → one finite number for each network, at least 4.
        accuracy: one number for each network, not all the same.
        regressor: one of `REGRESSORS`.
        groups: name → features that are shuffled together; None: each by itself.
        folds: into how many parts the networks are split, at least 2.
        shuffles: how many times, at least 1.
        generator: where the seeds of forests, folds and shuffles come from; None: 7.

    Returns:
        Feature or group → `Importance` of mean, low and high; the interval is that of a bootstrap over networks.

    Raises:
        RequestError: features or accuracy are not what they should be, or scikit-learn is not installed.
        UnknownNameError: there is no such regressor, or a group names a feature that is not there.

    Example:
        >>> drawn = torch.Generator().manual_seed(0)
        >>> features = {name: torch.rand(60, generator=drawn) for name in ("nodes", "noise")}
        >>> found = importance(features, 2 * features["nodes"], "bayesian_ridge")
        >>> list(found), found["nodes"].low > 1, abs(found["noise"].mean) < 1e-3
        (['nodes', 'noise'], True, True)

    Reference:
        Breiman 2001, "Random forests", section 10; Fisher, Rudin and Dominici 2019, "All models are wrong, but many are
        useful". The paper has no importances.
    """
    (name,), table = checked_regressors([regressor]), feature_table(features)
    targets, seed = checked_accuracy(accuracy, len(table.values), least=4), seed_from(generator, otherwise=_SEED)
    columns = {group: _columns(table, names) for group, names in checked_groups(groups, table.names).items()}
    shuffles, random = whole("shuffles", shuffles, least=1), np.random.default_rng(seed)
    lost = {group: np.zeros(len(targets)) for group in columns}
    for fold, (known, test) in enumerate(folds_of(len(targets), checked_folds(folds, len(targets)), random)):
        scaling = Scaling.of(table.values[known])
        scaled = scaling(table.values)
        model = learnt_model(name, scaled[known], targets[known], seed + fold)
        missed = (targets[test] - model.predict(scaled[test])[0]) ** 2
        for group, places in columns.items():
            others = np.stack([random.permutation(len(targets))[: len(test)] for _ in range(shuffles)])
            lost[group][test] = _missed(model, scaled, test, places, others, targets) - missed
    found = {group: _with_interval(lost[group], targets, seed) for group in columns}
    return dict(sorted(found.items(), key=lambda item: -item[1].mean))


def checked_groups(groups: Mapping[str, Sequence[str]] | None, features: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The groups themselves; None: each feature is one.

    Raises:
        RequestError: there are none, or one is empty or a text in place of several.

    Example:
        >>> checked_groups(None, ["nodes", "edges"])
        {'nodes': ['nodes'], 'edges': ['edges']}
    """
    if groups is None:
        return {name: [name] for name in features}
    if not isinstance(groups, Mapping) or not groups:
        raise RequestError(f"groups: found {groups!r}, expected a mapping from a group's name to its features")
    for group, names in groups.items():
        if isinstance(names, str) or not isinstance(names, Collection) or not len(names):
            raise RequestError(f"groups[{group!r}]: found {names!r}, expected the names of its features, as a list")
    return groups


def _columns(table: FeatureTable, names: Sequence[str]) -> list[int]:
    return [table.names.index(name) for name in table.only(names).names]


def _missed(
    model: LearntModel, scaled: Numbers, test: Any, places: list[int], others: Any, targets: Numbers
) -> Numbers:
    """The mean squared miss of each network of `test` where it has other networks' values at these places."""
    changed = np.tile(scaled[test], (len(others), 1))
    changed[:, places] = scaled[np.ix_(others.reshape(-1), places)]
    predicted = model.predict(changed)[0].reshape(others.shape)
    missed: Numbers = ((targets[test] - predicted) ** 2).mean(axis=0)
    return missed


def _with_interval(lost: Numbers, targets: Numbers, seed: int) -> Importance:
    size, mean = len(targets), float(lost.sum() / ((targets - targets.mean()) ** 2).sum())
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=DRAWS)
    low, high = share_interval(lost, targets, [drawn])
    return Importance(mean, min(mean, low), max(mean, high))
