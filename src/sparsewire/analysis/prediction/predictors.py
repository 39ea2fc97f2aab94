"""A predictor: features → accuracy, with how far off it may be; it can be saved, and then needs no scikit-learn."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from sparsewire.analysis.prediction.feature_tables import FeatureTable, Numbers, checked_accuracy, feature_table
from sparsewire.analysis.prediction.held_out import Scaling, checked_folds, folds_of
from sparsewire.analysis.prediction.learnt_models import LearntModel, learnt_model
from sparsewire.analysis.prediction.r2_scores import R2, with_interval
from sparsewire.analysis.prediction.regressors import checked_regressors, seed_from
from sparsewire.errors import RequestError

_SEED = 7
_DEVIATION = math.erf(math.sqrt(0.5))  # 0.683, the share within one standard deviation of a normal distribution


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is predicted for some networks.

    Attributes:
        mean: (networks) the predictions.
        spread: (networks) how far off they are, as a standard deviation is: about 68 % of networks are nearer.
        low: (networks) the lower end of the interval that holds the asked-for share of networks.
        high: (networks) its upper end.
        outside: for each network the features that lie below or above all that the predictor has learnt from.
    """

    mean: Numbers
    spread: Numbers
    low: Numbers
    high: Numbers
    outside: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Predictor:
    """Predicts a network's accuracy from its features; made by `Predictor.fit` or `Predictor.load`.

    Attributes:
        regressor: one of `REGRESSORS`.
        names: the features that it needs.
        scaling: their least and largest values in what it learnt from.
        model: what was learnt.
        floor: added to the square of what the model itself says of its uncertainty.
        misses: (networks) how far off it was for each network while that was held back, in units of that uncertainty,
            in order.
        r2: R² on networks that were held back.
        notes: what else should be known, such as the cell and the measure; text by text.

    Example:
        >>> nodes = torch.arange(10.0, 50.0)
        >>> predictor = Predictor.fit({"nodes": nodes}, nodes / 100, "gaussian_process", notes={"cell": "gru"})
        >>> predictor
        Predictor(gaussian_process, 1 feature, 40 networks, R² 1.000, cell gru)
        >>> found = predictor.predict({"nodes": [20, 200], "edges": [30, 300]})
        >>> round(float(found.mean[0]), 2), found.outside
        (0.2, ((), ('nodes',)))
    """

    regressor: str
    names: tuple[str, ...]
    scaling: Scaling
    model: LearntModel
    floor: float
    misses: Numbers
    r2: R2
    notes: Mapping[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", checked_notes(self.notes))

    @classmethod
    def fit(
        cls, features: Mapping[str, Any], accuracy: Any, regressor: str = "random_forest", *, folds: int = 10,
        notes: Mapping[str, str] | None = None, generator: torch.Generator | None = None,
    ) -> "Predictor":  # fmt: skip
        """A predictor that has learnt from these networks.

        It is fitted once on all, and once for each fold without that: what it says of its quality and spread comes from
        networks that it had not seen.

        Args:
            features: name → one finite number for each network, at least 4.
            accuracy: one number for each network, not all the same; any other measure will do.
            regressor: one of `REGRESSORS`.
            folds: into how many parts the networks are split, at least 2.
            notes: kept with the predictor.
            generator: where the seeds of forests and folds come from; None: 7.

        Raises:
            RequestError: features or accuracy are not what they should be, or scikit-learn is not installed.
            UnknownNameError: there is no such regressor.
        """
        (name,), table = checked_regressors([regressor]), feature_table(features)
        targets, seed = checked_accuracy(accuracy, len(table.values), least=4), seed_from(generator, otherwise=_SEED)
        predicted, unsure = _held_out(name, table.values, targets, checked_folds(folds, len(targets)), seed)
        floor = float(np.mean(unsure**2)) or 1.0
        misses = np.sort(np.abs(targets - predicted) / np.sqrt(unsure**2 + floor))
        scaling = Scaling.of(table.values)
        model = learnt_model(name, scaling(table.values), targets, seed)
        r2 = with_interval(predicted[None], targets, seed)
        return cls(name, table.names, scaling, model, floor, misses, r2, notes or {})

    def predict(self, features: Mapping[str, Any], coverage: float = 0.9) -> Prediction:
        """What is predicted for new networks.

        The model's own uncertainty u (of the Bayesian line and the Gaussian process their standard deviation, of a
        forest and AdaBoost how far the trees are apart, of gradient boosting none) tells which networks are harder; how
        wide the interval is comes from networks that were held back:

            mean ± u · q        q = the ⌈(n + 1) · coverage⌉-th smallest of miss / u, of the n networks held back

        Nothing here knows what the measure can be: an interval of accuracies may end above 1, and the mean of a line
        may lie there. `found.high.clip(max=1)` loses no network, as none lies beyond.

        Args:
            features: name → one number for each network, or a single number for one network; those that the predictor
                does not know are left aside.
            coverage: the share of networks that shall lie between low and high, between 0 and 1. It holds for networks
                drawn as those that it has learnt from, and n networks cannot tell of more than n / (n + 1).

        Raises:
            RequestError: a feature is missing or not finite, or the coverage is not between 0 and 1.

        Reference:
            Papadopoulos, Gammerman and Vovk 2008, "Normalized nonconformity measures for regression conformal
            prediction"; held-out misses over folds as in Vovk 2015, "Cross-conformal predictors".
        """
        if not isinstance(coverage, int | float) or not 0 < coverage < 1:
            raise RequestError(f"coverage: found {coverage!r}, expected a share between 0 and 1, such as 0.9")
        values = self._chosen(features).values
        mean, unsure = self.model.predict(self.scaling(values))
        unit = np.sqrt(unsure**2 + self.floor)
        width = unit * self._quantile(coverage)
        beyond = (values < self.scaling.lowest) | (values > self.scaling.highest)
        outside = tuple(tuple(self.names[place] for place in np.flatnonzero(row)) for row in beyond)
        return Prediction(mean, unit * self._quantile(_DEVIATION), mean - width, mean + width, outside)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the predictor as one safetensors file of numbers, with a checksum; a whole file or none.

        Raises:
            FileError: the file cannot be written.
        """
        from sparsewire.analysis.prediction.predictor_files import write_predictor

        write_predictor(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Predictor":
        """Reads a predictor that was saved. Nothing in the file is ever run, and scikit-learn is not needed.

        Raises:
            FileError: there is no such file, it is no predictor, of a newer format, or was changed.
        """
        from sparsewire.analysis.prediction.predictor_files import read_predictor

        return read_predictor(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return Predictor, (*({**vars(self), "notes": dict(self.notes)}.values()),)  # no copy takes a mapping proxy

    def __repr__(self) -> str:
        features = f"{len(self.names)} feature{'s' if len(self.names) != 1 else ''}"
        notes = "".join(f", {name} {text}" for name, text in self.notes.items())
        return f"Predictor({self.regressor}, {features}, {len(self.misses)} networks, R² {self.r2.mean:.3f}{notes})"

    def _chosen(self, features: Mapping[str, Any]) -> FeatureTable:
        missing = [name for name in self.names if name not in features] if isinstance(features, Mapping) else []
        if missing:
            raise RequestError(
                f"features: {missing[0]!r} is missing; this predictor needs {', '.join(self.names)}, each with one "
                "number for each network"
            )
        known = {name: features[name] for name in self.names} if isinstance(features, Mapping) else features
        return feature_table(known)

    def _quantile(self, coverage: float) -> float:
        place = math.ceil((len(self.misses) + 1) * coverage)
        return float(self.misses[min(place, len(self.misses)) - 1])


def checked_notes(notes: Mapping[str, str]) -> Mapping[str, str]:
    """A locked copy of the notes.

    Raises:
        RequestError: they are not text by text.

    Example:
        >>> dict(checked_notes({"cell": "gru"}))
        {'cell': 'gru'}
    """
    if not isinstance(notes, Mapping) or not all(isinstance(one, str) for pair in notes.items() for one in pair):
        raise RequestError(f"notes: found {notes!r}, expected text by text, such as {{'cell': 'gru'}}")
    return MappingProxyType(dict(notes))


def _held_out(name: str, values: Numbers, targets: Numbers, folds: int, seed: int) -> tuple[Numbers, Numbers]:
    """For each network what is predicted without having seen it, and how unsure the model is of it."""
    predicted, unsure = np.empty(len(targets)), np.empty(len(targets))
    for fold, (known, test) in enumerate(folds_of(len(targets), folds, np.random.default_rng(seed))):
        scaling = Scaling.of(values[known])
        model = learnt_model(name, scaling(values[known]), targets[known], seed + fold)
        predicted[test], unsure[test] = model.predict(scaling(values[test]))
    return predicted, unsure
