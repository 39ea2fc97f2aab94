"""What a search has found out about structure: which features tell a good candidate, and how well they do."""

from typing import NamedTuple, TypeVar

import numpy as np
import torch

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.permutations import importance
from sparsewire.analysis.prediction.r2_scores import r2_of
from sparsewire.search.spaces import Space
from sparsewire.search.states import State
from sparsewire.search.surrogate import table_of
from sparsewire.structure.blocks import whole

G = TypeVar("G")

_LEAST = 8  # from fewer candidates nothing is read


class Reason(NamedTuple):
    """What one feature tells of the first objective.

    Attributes:
        feature: its name.
        importance: how much of R² is lost, on candidates that were held back, when it is shuffled.
        low: the lower end of the 95 % interval of that.
        high: its upper end.
        correlation: Pearson's, -1 to 1; 0 where the feature is the same for all.
        rank_correlation: Spearman's, likewise.
    """

    feature: str
    importance: float
    low: float
    high: float
    correlation: float
    rank_correlation: float


class Foresight(NamedTuple):
    """How well candidates were foretold before they were tried.

    Attributes:
        candidates: how many were foretold and then tried.
        r2: R² of the first objective, NaN where there are fewer than two or all have the same.
        rank_correlation: Spearman's, likewise.
    """

    candidates: int
    r2: float
    rank_correlation: float


def reasons(
    space: Space[G], state: State[G], regressor: str = "random_forest", *, most: int | None = None
) -> tuple[Reason, ...]:
    """What the features of all that were tried tell of the first objective, the most important first.

    Args:
        space: tells a genome's features.
        state: of a search, over or not.
        regressor: one of `sw.REGRESSORS`.
        most: how many are told; None: all.

    Returns:
        One `Reason` a feature; none where fewer than 8 candidates were tried or all have the same value.

    Raises:
        RequestError: the space knows no features, or scikit-learn is not installed.
        UnknownNameError: there is no such regressor.

    Example:
        >>> from sparsewire.search.states import Candidate
        >>> def none(*parts: object) -> object: ...
        >>> numbers = Space(none, none, none, str, str, int, features=lambda one: {"size": one, "odd": one % 2})
        >>> tried = tuple(Candidate(str(one), one, outcome="tried", values=(one**2,)) for one in range(30))
        >>> best, _ = reasons(numbers, State(seed=0, history=tried), "bayesian_ridge")
        >>> best.feature, round(best.rank_correlation, 3)
        ('size', 1.0)
    """
    tried = [candidate for candidate in state.history if candidate.tried]
    values = np.array([candidate.value for candidate in tried], np.float64)
    if len(tried) < _LEAST or np.ptp(values) == 0:
        return ()
    count = None if most is None else whole("most", most, least=1)
    table = table_of(space, [candidate.genome for candidate in tried])
    columns = dict(zip(table.names, table.values.T, strict=True))
    generator = torch.Generator().manual_seed(state.seed)
    weights = importance(columns, values, regressor, folds=5, shuffles=3, generator=generator)
    found = tuple(
        Reason(name, *weight, _correlation(columns[name], values), _correlation(_ranks(columns[name]), _ranks(values)))
        for name, weight in weights.items()
    )
    return found[:count]


def foresight(state: State[G]) -> Foresight:
    """How well the surrogates of a search foretold candidates that were tried afterwards.

    No surrogate had seen the candidate that it is judged by. Later surrogates knew more, and candidates of later
    generations are more alike: this is about the search as it went, not about genomes in general.

    Example:
        >>> from sparsewire.search.states import Candidate
        >>> pairs = [(0.1, 0.2), (0.5, 0.4), (0.7, 0.9)]
        >>> tried = tuple(
        ...     Candidate(str(place), place, outcome="tried", values=(value,), predictions=(foretold,))
        ...     for place, (value, foretold) in enumerate(pairs)
        ... )
        >>> found = foresight(State(seed=0, history=tried))
        >>> found.candidates, round(found.r2, 3), round(found.rank_correlation, 3)
        (3, 0.679, 1.0)
    """
    pairs = [(one.values[0], one.predictions[0]) for one in state.history if one.values and one.predictions]
    if len(pairs) < 2 or len({value for value, _ in pairs}) == 1:
        return Foresight(len(pairs), float("nan"), float("nan"))
    values, said = np.array(pairs, np.float64).T
    return Foresight(len(pairs), r2_of(said, values), _correlation(_ranks(said), _ranks(values)))


def _ranks(values: Numbers) -> Numbers:
    from scipy.stats import rankdata

    found: Numbers = rankdata(values)
    return found


def _correlation(one: Numbers, other: Numbers) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
