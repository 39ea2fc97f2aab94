"""Who lives on, and who becomes a parent: the four methods' rules, on candidates that have a fitness."""

from collections.abc import Sequence
from typing import Any

import torch

from sparsewire.search.front import crowding, fronts
from sparsewire.search.settings import Direction, Settings
from sparsewire.search.states import Candidate

Candidates = Sequence[Candidate[Any]]


def ranked(candidates: Candidates, objectives: Sequence[Direction]) -> tuple[Candidate[Any], ...]:
    """The candidates with a fitness, the best by the first objective first.

    Of equal ones those that were tried come before those that are foretold, then the older ones.

    Example:
        >>> few = [Candidate("a", 1, outcome="tried", values=(0.5,)), Candidate("b", 2, outcome="failed")]
        >>> [one.key for one in ranked([*few, Candidate("c", 3, outcome="foretold", predictions=(0.9,))], ["max"])]
        ['c', 'a']
    """
    sign = -1 if objectives[0] == "max" else 1
    fit = [candidate for candidate in candidates if candidate.fitness is not None]
    return tuple(sorted(fit, key=lambda one: (sign * (one.fitness or (0.0,))[0], not one.tried)))


def ranked_by_fronts(candidates: Candidates, objectives: Sequence[Direction]) -> tuple[Candidate[Any], ...]:
    """The candidates with a fitness, front by front, the least crowded first.

    Example:
        >>> values = [(3.0, 1.0), (2.0, 2.0), (1.9, 2.1), (0.0, 3.0), (0.0, 0.0)]
        >>> few = [Candidate(str(place), place, outcome="tried", values=pair) for place, pair in enumerate(values)]
        >>> [one.key for one in ranked_by_fronts(few, ["max", "max"])]
        ['0', '3', '2', '1', '4']

    Reference:
        Deb, Pratap, Agarwal and Meyarivan 2002, section III.C (the crowded-comparison operator).
    """
    fit = [candidate for candidate in candidates if candidate.fitness is not None]
    values = [candidate.fitness or () for candidate in fit]
    found: list[Candidate[Any]] = []
    for front in fronts(values, objectives):
        apart = crowding([values[place] for place in front])
        order = sorted(range(len(front)), key=lambda place: -apart[place])
        found += [fit[front[place]] for place in order]
    return tuple(found)


def survivors(living: Candidates, new: Candidates, settings: Settings) -> tuple[str, ...]:
    """The keys of the next population, of those that live and those that were made of them.

    - genetic, random: the best of all.
    - nsga2: front by front, of the last that has room the least crowded.
    - regularised: the youngest, the oldest of them first; who comes up again is young again.

    Candidates that failed never live. `Settings.population` limits the number.

    Example:
        >>> old, new = Candidate("a", 1, outcome="tried", values=(0.5,)), Candidate("b", 2, outcome="failed")
        >>> survivors([old], [new], Settings())
        ('a',)
    """
    fit = [candidate for candidate in (*living, *new) if candidate.fitness is not None]
    if settings.method == "regularised":
        youngest_last = list(dict.fromkeys(candidate.key for candidate in reversed(fit)))[::-1]
        return tuple(youngest_last[-settings.population :])
    once = list({candidate.key: candidate for candidate in fit}.values())
    rank = ranked_by_fronts if settings.method == "nsga2" else ranked
    return tuple(candidate.key for candidate in rank(once, settings.objectives)[: settings.population])


def parent_of(population: Candidates, settings: Settings, generator: torch.Generator) -> Candidate[Any]:
    """One that may have a child: the winner of a tournament.

    - regularised: the best of `sample` that are drawn without replacement (Real et al. 2019, algorithm 1).
    - others: the better of two that are drawn so, where the population is in the order of their worth.

    Args:
        population: who lives, in the order that `survivors` gives.
        settings: the method's.
        generator: draws who takes part.

    Example:
        >>> population = [Candidate(str(place), place, outcome="tried", values=(-place,)) for place in range(10)]
        >>> drawn = torch.Generator().manual_seed(0)
        >>> all(parent_of(population, Settings(), drawn).key != "9" for _ in range(100))
        True
    """
    size = min(settings.tournament if settings.method == "regularised" else 2, len(population))
    drawn = torch.randperm(len(population), generator=generator)[:size].tolist()
    if settings.method == "regularised":
        best, *_ = ranked([population[place] for place in sorted(drawn)], settings.objectives)
        return best
    best_place: int = min(drawn)
    return population[best_place]
