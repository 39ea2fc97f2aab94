"""What the findings on the search for architectures read off outcomes: studies, courses, the table of all genomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from sparsewire.experiments.hidden_structures.priors_correlations import Numbers
from sparsewire.experiments.hidden_structures.search_courses import (
    Course,
    Known,
    Tried,
    course_of,
    known_of,
    searches_of,
    worth_of,
)
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Method
from sparsewire.experiments.hidden_structures.search_training import genome_of
from sparsewire.lab.experiment import Outcome
from sparsewire.search.genotype import Genome
from sparsewire.search.measures import FEATURES


@dataclass(frozen=True)
class Study:
    """What one first spec led to.

    Attributes:
        first: that spec.
        known: the outcomes of each spec.
        courses: its searches, the first seed of each method first.
    """

    first: CandidateSpec
    known: Known
    courses: tuple[Course, ...]

    def of(self, method: Method) -> list[Course]:
        """The searches of a method, by seed."""
        return [course for course in self.courses if course.search.method == method]

    @cached_property
    def equal(self) -> int:
        """How many trainings all of its searches have done."""
        return min(len(course.tried) for course in self.courses)

    @cached_property
    def genomes(self) -> dict[CandidateSpec, int]:
        """Every genome that has a worth, once, and the seed of the first search that came to it.

        Where searches stop trainings at bars of their own, one genome may have been trained several times: its best
        training stands for it, lest it be learnt from and foretold at once.
        """
        best: dict[str, CandidateSpec] = {}
        seeds: dict[str, int] = {}
        for course in self.courses:
            for one in course.tried:
                if one.worth is not None:
                    seeds.setdefault(one.spec.genome, course.search.seed)
                    if one.worth > self._worth(best.setdefault(one.spec.genome, one.spec)):
                        best[one.spec.genome] = one.spec
        return {spec: seeds[line] for line, spec in best.items()}

    def _worth(self, spec: CandidateSpec) -> float:
        return worth_of(self.known[spec]) or 0.0

    @property
    def best(self) -> CandidateSpec | None:
        """The genome of the best validation accuracy, the hand-drawn one aside; None where there is none."""
        return max(self.genomes, key=self._worth, default=None)


def studies(outcomes: Sequence[Outcome]) -> list[Study]:
    """The studies whose first trial is among the outcomes."""
    known = known_of(outcomes)
    return [
        Study(first, known, tuple(course_of(search, known) for search in searches_of(first)))
        for first in known
        if not first.genome
    ]


def metric(study: Study, spec: CandidateSpec, name: str) -> float:
    """A number of a genome's training, its mean over seeds; NaN where it has none."""
    found = [one.metrics[name] for one in study.known[spec] if name in one.metrics]
    return fmean(found) if found else float("nan")


def best_so_far(tried: Sequence[Tried]) -> list[float]:
    """The best worth after each training, percent; 0 before any.

    Example:
        >>> spec = CandidateSpec()
        >>> best_so_far([Tried(spec, 0, worth, None) for worth in (50.0, None, 40.0, 60.0)])
        [50.0, 50.0, 50.0, 60.0]
    """
    found: list[float] = []
    for one in tried:
        found.append(max(found[-1] if found else 0.0, one.worth or 0.0))
    return found


def chosen(tried: Sequence[Tried]) -> Tried | None:
    """The candidate of the best worth, of equals the first; None where none was trained to an end."""
    return max((one for one in tried if one.worth is not None), key=lambda one: one.worth or 0.0, default=None)


def until(course: Course, generation: int) -> list[Tried]:
    """What a search trained up to the end of a generation."""
    return [one for one in course.tried if one.generation <= generation]


def complete(course: Course) -> int:
    """The last generation of which nothing is missing: the one before the last; −1 where there is none.

    The last one may have been cut short by the bound on trainings.
    """
    return course.tried[-1].generation - 1 if course.tried else -1


def seconds(study: Study, tried: Sequence[Tried]) -> float:
    """How long the trainings took, each as often as it would have to be done."""
    found = [metric(study, one.spec, "training seconds") for one in tried]
    return sum(value for value in found if value == value)


def table(study: Study) -> tuple[dict[str, Numbers], Numbers, list[int]]:
    """The 56 features of each genome, its best validation accuracy in percent, and the seed of its search."""
    specs = list(study.genomes)
    features = {name: np.array([metric(study, spec, name) for spec in specs]) for name in FEATURES}
    accuracy = np.array([worth_of(study.known[spec]) or 0.0 for spec in specs], dtype=np.float64)
    return features, accuracy, [study.genomes[spec] for spec in specs]


def guesses(study: Study) -> tuple[Numbers, Numbers]:
    """What the surrogates said of candidates that were then trained, and what these were worth, percent."""
    pairs = [
        (one.foretold, one.worth)
        for course in study.courses
        for one in course.tried
        if one.foretold is not None and one.worth is not None
    ]
    said, found = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(said, dtype=np.float64), np.array(found, dtype=np.float64)


def best_genome(study: Study) -> Genome | None:
    """The best genome of a study, as it was trained; None where there is none."""
    return None if study.best is None else genome_of(study.best)
