"""How long the surrogate of a search took: its trainings are done again and timed when the findings are told.

The course of a search does not depend on it, and no trial records it: the surrogate is trained where the search is
led, again at each resumption, not where candidates are trained.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

from sparsewire.experiments.hidden_structures.search_courses import Course, settings_of, space_of
from sparsewire.experiments.hidden_structures.search_setup import shape_of
from sparsewire.search.measures import features
from sparsewire.search.surrogate import surrogate_of

MOST: Final = 8  # generations that are timed


def seconds_a_generation(course: Course, last: int) -> float:
    """What training and asking the surrogate takes in a generation of a search, here and now, on average.

    Up to 8 generations, evenly spread from the first with a surrogate to `last`, are timed: the regressor learns what
    the search had tried by then, says anew what it had foretold, and foretells what was new, whose features it has to
    find first. One more training goes before, untimed.

    Args:
        course: of a search that foretells.
        last: generation.

    Returns:
        Seconds; NaN where there was no surrogate.
    """
    generations = with_surrogate(course, last)
    if not generations:
        return float("nan")
    _taken(course, generations[0])
    return fmean(_taken(course, generation) for generation in _spread(generations, MOST))


def with_surrogate(course: Course, last: int) -> list[int]:
    """The generations up to the last in which a surrogate was trained."""
    settings = settings_of(course.search.first, course.search.method)
    if not settings.estimated_share:
        return []
    found = []
    for generation in range(1, last + 1):
        values = [one.worth for one in course.tried if one.generation < generation and one.worth is not None]
        if len(values) >= settings.least_tried and len(set(values)) > 1:
            found.append(generation)
    return found


def _taken(course: Course, generation: int) -> float:
    first, history = course.search.first, course.state.history
    space, settings = space_of(first, course.search.method), settings_of(first, course.search.method)
    tried = [one for one in history if one.tried and one.generation < generation]
    foretold = [one.genome for one in history if one.outcome == "foretold" and one.generation < generation]
    new = [one.genome for one in history if one.generation == generation]
    # The space remembers the features of all of them; those of new ones had to be found.
    unknown = replace(space, features=lambda genome: features(genome, input_channels=shape_of(first)[0]))
    start = time.perf_counter()
    learnt = surrogate_of(space, tried, settings.regressor, least=settings.least_tried, seed=generation)
    if learnt is not None:
        learnt(space, foretold[-settings.population :])
        learnt(unknown, new)
    return time.perf_counter() - start


def _spread(places: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spread, the first and the last among them."""
    if len(places) <= most:
        return list(places)
    return [places[round(step * (len(places) - 1) / (most - 1))] for step in range(most)]
