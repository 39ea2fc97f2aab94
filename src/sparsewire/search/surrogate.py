"""What foretells candidates in place of trying them: a regressor that learns from all that were tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from sparsewire.analysis.prediction.feature_tables import FeatureTable, feature_table
from sparsewire.analysis.prediction.held_out import Scaling
from sparsewire.analysis.prediction.learnt_models import LearntModel, learnt_model
from sparsewire.errors import RequestError
from sparsewire.search.spaces import Space
from sparsewire.search.states import Candidate

G = TypeVar("G")

# The time of a Gaussian process grows with the cube of what it learns from: beyond this it learns from the latest.
MOST_OF_PROCESS: Final = 500


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Foretells each objective from a candidate's features; made by `surrogate_of`.

    Attributes:
        names: the features that it needs.
        scaling: their least and largest values in what it learnt from.
        models: one for each objective; a number where all that were tried had the same.
    """

    names: tuple[str, ...]
    scaling: Scaling
    models: tuple[LearntModel | float, ...]

    def __call__(self, space: Space[G], genomes: Sequence[G]) -> tuple[tuple[float, ...], ...]:
        """For each genome what is foretold, one number an objective.

        Raises:
            RequestError: a feature is missing or not finite.
        """
        if not genomes:
            return ()
        values = self.scaling(table_of(space, genomes).only(self.names).values)
        columns = [
            [model] * len(genomes) if isinstance(model, float) else model.predict(values)[0].tolist()
            for model in self.models
        ]
        return tuple(tuple(float(value) for value in row) for row in zip(*columns, strict=True))


def surrogate_of(
    space: Space[G], tried: Sequence[Candidate[G]], regressor: str, *, least: int, seed: int
) -> Surrogate | None:
    """What the regressor has learnt from those that were tried; None where that is nothing.

    Features are scaled to 0…1 by the least and the largest of those that were tried, as in `sw.Predictor`.

    Args:
        space: tells a genome's features.
        tried: those with values, in the order in which they came up.
        regressor: one of `sw.REGRESSORS`. The Gaussian process learns from the latest 500 alone.
        least: from fewer nothing is learnt; nor from values of the first objective that are all the same.
        seed: of regressors that draw.

    Raises:
        RequestError: the space knows no features, one is not finite, or scikit-learn is not installed.
        UnknownNameError: there is no such regressor.

    Example:
        >>> def none(*parts: Any) -> Any: ...
        >>> numbers = Space(none, none, none, str, str, int, features=lambda number: {"size": float(number)})
        >>> tried = [Candidate(str(one), one, outcome="tried", values=(2.0 * one,)) for one in range(30)]
        >>> learnt = surrogate_of(numbers, tried, "bayesian_ridge", least=20, seed=0)
        >>> [round(value, 3) for (value,) in learnt(numbers, [4, 50])]
        [8.0, 100.0]
    """
    latest = tried[-MOST_OF_PROCESS:] if regressor == "gaussian_process" else tried
    targets = np.array([candidate.values for candidate in latest], dtype=np.float64)
    if len(latest) < least or np.ptp(targets[:, 0]) == 0:
        return None
    table = table_of(space, [candidate.genome for candidate in latest])
    scaling = Scaling.of(table.values)
    scaled = scaling(table.values)
    return Surrogate(
        table.names,
        scaling,
        tuple(
            float(column[0]) if np.ptp(column) == 0 else learnt_model(regressor, scaled, column, seed)
            for column in targets.T
        ),
    )


def table_of(space: Space[G], genomes: Sequence[G]) -> FeatureTable:
    """The features of genomes as a table, one row each.

    Raises:
        RequestError: the space knows none, they differ in name, or one is not finite.
    """
    if space.features is None:
        raise RequestError("features: found None, but nothing can be foretold without; set estimated=0")
    rows: list[Any] = [space.features(genome) for genome in genomes]
    for row in rows:
        if row.keys() != rows[0].keys():
            wrong = sorted(set(row) ^ set(rows[0]))[0]
            raise RequestError(f"features: {wrong!r} is not there for every genome, expected the same names for all")
    return feature_table({name: [row[name] for row in rows] for name in rows[0]})
