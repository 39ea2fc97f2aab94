"""What a search by several objectives found: the genomes that no other beats, beside a drawn chain."""

from typing import Literal

from sparsewire.experiments.hidden_structures.search_courses import Values, directions_of, values_of
from sparsewire.experiments.hidden_structures.search_readings import Study
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.search.front import dominates, first_front

Beside = Literal["beats it", "is beaten", "neither"]


def front_of(study: Study, generation: int | None = None) -> dict[CandidateSpec, Values]:
    """The genomes that searches by several objectives trained and that none of them beats, the most accurate first.

    Args:
        study: whose searches, all seeds together.
        generation: up to which; None: to the end.

    Returns:
        The spec of each training → its value by each objective, accuracy first.
    """
    directions = directions_of(study.first, "nsga2")
    tried = {
        one.spec: one.values
        for course in study.of("nsga2")
        for one in course.tried
        if one.values is not None and (generation is None or one.generation <= generation)
    }
    specs = list(tried)
    first = first_front(list(tried.values()), directions)
    best = sorted((specs[place] for place in first), key=lambda spec: (-tried[spec][0], tried[spec][1:]))
    once = {spec.genome: spec for spec in reversed(best)}  # under several bars a genome may reach the same twice
    return {spec: tried[spec] for spec in best if once[spec.genome] is spec}


def chain_values(study: Study) -> Values | None:
    """The hand-drawn chain by each objective; None where it was not trained."""
    return values_of(study.known.get(study.first, ()), study.first.objectives)


def beside_chain(study: Study, values: Values) -> Beside | None:
    """Whether a genome is nowhere worse than the hand-drawn chain, or nowhere better, or neither; None without one."""
    chain = chain_values(study)
    if chain is None:
        return None
    directions = directions_of(study.first, "nsga2")
    if dominates(values, chain, directions):
        return "beats it"
    return "is beaten" if dominates(chain, values, directions) else "neither"


def has_front(study: Study) -> bool:
    """Whether one of its methods looks at several objectives.

    Example:
        >>> several = CandidateSpec(methods=("nsga2",), objectives=("accuracy", "parameters"))
        >>> [has_front(Study(first, {}, ())) for first in (CandidateSpec(), several)]
        [False, True]
    """
    return "nsga2" in study.first.methods and len(study.first.objectives) > 1
