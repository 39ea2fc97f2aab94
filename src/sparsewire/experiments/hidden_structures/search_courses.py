"""The searches that one first spec asks for, replayed from what their candidates were worth.

A search draws from its own seed alone, so that the same worths lead it the same way; whoever stops it loses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple, TypeAlias

from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Method, candidate, shape_of
from sparsewire.experiments.hidden_structures.search_training import limits_of
from sparsewire.lab.experiment import Outcome
from sparsewire.search.early_stopping import hopeless
from sparsewire.search.evolution import ask, begin, tell
from sparsewire.search.genome_files import genome_text
from sparsewire.search.genotype import Bounds, Genome
from sparsewire.search.isomorphism import canonical
from sparsewire.search.random_genomes import most_vertices
from sparsewire.search.settings import Settings
from sparsewire.search.spaces import Space, genomes
from sparsewire.search.states import State

Known: TypeAlias = Mapping[CandidateSpec, Sequence[Outcome]]  # the outcomes of each spec, one a seed
_Round: TypeAlias = tuple[tuple[str, float | None], ...]  # keys of candidates that were tried together, and their worth


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
    """

    spec: CandidateSpec
    generation: int
    worth: float | None
    foretold: float | None


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


def course_of(search: OneSearch, known: Known) -> Course:
    """The search as far as the known trainings lead it."""
    space, settings = space_of(search.first, search.method), settings_of(search.first, search.method)
    rounds: tuple[_Round, ...] = ()
    tried: list[Tried] = []
    while True:
        state = _state_after(search, rounds)
        bars = _bars(search.first, tried, known)
        waiting = ask(space, settings, state)
        specs = [candidate(search.first, line_of(one.genome), bars) for one in waiting]
        needed = tuple(spec for spec in specs if spec not in known)
        if needed or not waiting:
            return Course(search, state, tuple(tried), needed)
        worths = [worth_of(known[spec]) for spec in specs]
        tried += [
            Tried(spec, state.generation, worth, one.predicted)
            for spec, worth, one in zip(specs, worths, waiting, strict=True)
        ]
        rounds = (*rounds, tuple((one.key, worth) for one, worth in zip(waiting, worths, strict=True)))


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


@lru_cache(maxsize=1 << 14)
def _state_after(search: OneSearch, rounds: tuple[_Round, ...]) -> State[Genome]:
    """Kept, as each call trains a surrogate, and a course is walked anew for every generation."""
    space, settings = space_of(search.first, search.method), settings_of(search.first, search.method)
    if not rounds:
        return begin(space, settings, search.seed)
    return tell(space, settings, _state_after(search, rounds[:-1]), dict(rounds[-1]))


def _bars(first: CandidateSpec, tried: Sequence[Tried], known: Known) -> tuple[float, ...]:
    """What a training has to reach after each epoch, from those of earlier generations."""
    if not first.hopeless:
        return ()
    outcomes = (outcome for one in tried for outcome in known[one.spec])
    curves = [[value for _, value in one.series.get("validation accuracy", ())] for one in outcomes]
    # A spec holds finite numbers only, and nothing is below 0 %.
    return tuple(max(0.0, bar) for bar in hopeless(curves, quantile=first.hopeless))
