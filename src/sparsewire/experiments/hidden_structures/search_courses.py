"""The searches that one first spec asks for, replayed from what their candidates were worth.

A search draws from its own seed alone, so that the same worths lead it the same way; whoever stops it loses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from typing import Final, NamedTuple, TypeAlias

import torch

from sparsewire.experiments.hidden_structures.search_limits import refusal
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Method, Objective, candidate, shape_of
from sparsewire.experiments.hidden_structures.search_timing import MEASURED
from sparsewire.experiments.hidden_structures.search_training import limits_of
from sparsewire.lab.experiment import Outcome
from sparsewire.search.early_stopping import hopeless
from sparsewire.search.evolution import ask, begin, tell
from sparsewire.search.genome_files import genome_text
from sparsewire.search.genotype import Bounds, Genome
from sparsewire.search.isomorphism import canonical
from sparsewire.search.offspring import NothingAllowedError
from sparsewire.search.random_genomes import most_vertices
from sparsewire.search.settings import Direction, Settings
from sparsewire.search.spaces import Space, genomes
from sparsewire.search.states import State

Known: TypeAlias = Mapping[CandidateSpec, Sequence[Outcome]]  # the outcomes of each spec, one a seed
Values: TypeAlias = tuple[float, ...]  # one an objective, accuracy first
_Round: TypeAlias = tuple[tuple[str, Values | None], ...]  # keys of candidates that were tried together, what came out
_REFUSED: Final = 100  # genomes from which it is told what a limit would have to be
_METRICS: Final[Mapping[Objective, str]] = {"seconds": MEASURED}  # those whose metric is called otherwise


class OneSearch(NamedTuple):
    """One search of a study.

    Args:
        first: the spec that says how.
        method: by which.
        seed: its own.
    """

    first: CandidateSpec
    method: Method
    seed: int


class Tried(NamedTuple):
    """A candidate that was trained, in the order in which the search came to it.

    Args:
        spec: of its training.
        generation: in which it was.
        worth: percent; None where the training diverged or was refused.
        foretold: what the surrogate of that moment said of it, percent; None where there was none.
        values: what the search was told of it, one number an objective; None as for `worth`.
    """

    spec: CandidateSpec
    generation: int
    worth: float | None
    foretold: float | None
    values: Values | None = None


@dataclass(frozen=True)
class Course:
    """How far a search has come.

    Attributes:
        search: which.
        state: of the search, before `needed`.
        tried: what was trained.
        needed: what has to be trained before it can go on; empty: it is over.
    """

    search: OneSearch
    state: State[Genome]
    tried: tuple[Tried, ...]
    needed: tuple[CandidateSpec, ...]

    @property
    def foretold(self) -> int:
        """How many candidates were foretold and never trained."""
        return sum(one.outcome == "foretold" for one in self.state.history)


def searches_of(first: CandidateSpec) -> tuple[OneSearch, ...]:
    """All searches of a study, the first seed of each method first.

    Example:
        >>> [(one.method, one.seed) for one in searches_of(CandidateSpec(searches=2))]
        [('genetic', 0), ('random', 0), ('genetic', 1), ('random', 1)]
    """
    return tuple(OneSearch(first, method, seed) for seed in range(first.searches) for method in first.methods)


def follow(first: Sequence[CandidateSpec], outcomes: Sequence[Outcome]) -> list[CandidateSpec]:
    """The candidates that the searches have come to, whose training is not known yet; several searches share them."""
    known = known_of(outcomes)
    found: dict[CandidateSpec, None] = {}
    for one in first:
        if not one.genome:
            for search in searches_of(one):
                found |= dict.fromkeys(course_of(search, known).needed)
    return list(found)


def known_of(outcomes: Sequence[Outcome]) -> dict[CandidateSpec, list[Outcome]]:
    """The outcomes of each spec."""
    found: dict[CandidateSpec, list[Outcome]] = {}
    for outcome in outcomes:
        if isinstance(outcome.spec, CandidateSpec):
            found.setdefault(outcome.spec, []).append(outcome)
    return found


def worth_of(outcomes: Sequence[Outcome]) -> float | None:
    """The mean over seeds of the best validation accuracy, percent; None where no seed has one.

    Example:
        >>> done = Outcome(CandidateSpec(), 0, "done", None, 1.0, {"best validation accuracy": 50.0}, {})
        >>> worth_of([done, replace(done, state="diverged", metrics={})]), worth_of([])
        (50.0, None)
    """
    name = "best validation accuracy"
    found = [one.metrics[name] for one in outcomes if one.state == "done" and name in one.metrics]
    return fmean(found) if found else None


def values_of(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> Values | None:
    """What a search is told of a candidate: its worth and what else is aimed at, means over seeds; None: it failed.

    All of it was stored when the candidate was trained, measured seconds too, so that a replay is told the same.

    Example:
        >>> metrics = {"best validation accuracy": 50.0, "parameters": 300.0, "forward seconds": 0.25}
        >>> done = Outcome(CandidateSpec(), 0, "done", None, 1.0, metrics, {})
        >>> values_of([done], ("accuracy", "parameters", "seconds")), values_of([], ("accuracy",))
        ((50.0, 300.0, 0.25), None)
    """
    worth, values = worth_of(outcomes), []
    for objective in objectives[1:]:
        name = _METRICS.get(objective, objective)
        found = [one.metrics[name] for one in outcomes if one.state == "done" and name in one.metrics]
        if not found:
            return None
        values.append(fmean(found))
    return None if worth is None else (worth, *values)


def course_of(search: OneSearch, known: Known) -> Course:
    """The search as far as the known trainings lead it.

    Raises:
        RequestError: no genome holds the limits, or the settings cannot be.
    """
    space, settings = space_of(search.first, search.method), settings_of(search.first, search.method)
    aims = objectives_of(search.first, search.method)
    reached, tried = _begun(search), list[Tried]()
    while True:
        state = reached.state
        bars = _bars(search.first, tried, known)
        waiting = ask(space, settings, state)
        specs = [candidate(search.first, line_of(one.genome), bars) for one in waiting]
        needed = tuple(spec for spec in specs if spec not in known)
        if needed or not waiting:
            return Course(search, state, tuple(tried), needed)
        told = [values_of(known[spec], aims) for spec in specs]
        tried += [
            Tried(spec, state.generation, None if values is None else values[0], one.predicted, values)
            for spec, values, one in zip(specs, told, waiting, strict=True)
        ]
        reached = _after(search, reached, tuple((one.key, values) for one, values in zip(waiting, told, strict=True)))


def objectives_of(first: CandidateSpec, method: Method) -> tuple[Objective, ...]:
    """What a method looks at.

    Example:
        >>> first = CandidateSpec(methods=("nsga2", "random"), objectives=("accuracy", "parameters"))
        >>> objectives_of(first, "nsga2"), objectives_of(first, "random")
        (('accuracy', 'parameters'), ('accuracy',))
    """
    return first.objectives if method == "nsga2" else first.objectives[:1]


def directions_of(first: CandidateSpec, method: Method) -> tuple[Direction, ...]:
    """Whether more or less is better, for each of a method's objectives.

    Example:
        >>> directions_of(CandidateSpec(methods=("nsga2",), objectives=("accuracy", "seconds")), "nsga2")
        ('max', 'min')
    """
    return tuple("max" if one == "accuracy" else "min" for one in objectives_of(first, method))


def settings_of(first: CandidateSpec, method: Method) -> Settings:
    """How a method searches.

    Example:
        >>> settings_of(CandidateSpec(), "genetic").estimated_share, settings_of(CandidateSpec(), "all_trained").method
        (0.5, 'genetic')
    """
    return Settings(
        method="genetic" if method == "all_trained" else method,
        population=first.population,
        mutation=first.mutation,
        crossover=first.crossover,
        worst=first.worst,
        estimated=first.estimated if method == "genetic" else 0.0,
        regressor=first.regressor,
        least_tried=first.least_tried,
        generations=first.generations or None,
        evaluations=first.trainings,
        objectives=directions_of(first, method),
    )


@lru_cache(maxsize=64)
def space_of(first: CandidateSpec, method: Method) -> Space[Genome]:
    """The genomes that a method may come to: those within the limits, with the channels that the spec names.

    Kept, for a space remembers the features of its genomes.
    """
    random = first.random_least_depth, first.random_most_depth
    initial = first.least_depth, first.most_depth
    depths = min(initial[0], random[0]), max(initial[1], random[1])
    bounds = Bounds(depths, max(Bounds().vertices, most_vertices(depths)))
    space = genomes(
        depth=random if method == "random" else initial,
        bounds=bounds,
        input_channels=shape_of(first)[0],
        allowed=lambda genome: not limits_of(first, genome),
        channels=first.channels,
    )
    return replace(space, to_text=line_of)


@lru_cache(maxsize=1 << 16)
def line_of(genome: Genome) -> str:
    """The one line that stands for a genome and all that are isomorphic to it."""
    return genome_text(canonical(genome))


@dataclass(frozen=True, eq=False)
class _Reached:
    """A state that a search came to. It equals itself alone, so that nothing of its history is hashed or compared."""

    state: State[Genome]


@lru_cache(maxsize=1 << 10)
def _begun(search: OneSearch) -> _Reached:
    space, settings = space_of(search.first, search.method), settings_of(search.first, search.method)
    try:
        return _Reached(begin(space, settings, search.seed))
    except NothingAllowedError:
        generator = torch.Generator().manual_seed(search.seed)
        raise refusal(search.first, search.method, [space.draw(generator) for _ in range(_REFUSED)]) from None


@lru_cache(maxsize=1 << 14)
def _after(search: OneSearch, reached: _Reached, told: _Round) -> _Reached:
    """Kept, as each call trains a surrogate, and a course is walked anew for every generation."""
    space, settings = space_of(search.first, search.method), settings_of(search.first, search.method)
    return _Reached(tell(space, settings, reached.state, dict(told)))


def _bars(first: CandidateSpec, tried: Sequence[Tried], known: Known) -> tuple[float, ...]:
    """What a training has to reach after each epoch, from those of earlier generations."""
    if not first.hopeless:
        return ()
    outcomes = (outcome for one in tried for outcome in known[one.spec])
    curves = [[value for _, value in one.series.get("validation accuracy", ())] for one in outcomes]
    # A spec holds finite numbers only, and nothing is below 0 %.
    return tuple(max(0.0, bar) for bar in hopeless(curves, quantile=first.hopeless))
