"""A search as pure functions on frozen states: begin, ask who shall be tried, tell what came out.

    state = begin(space, settings, seed)
    while asked := ask(space, settings, state):
        state = tell(space, settings, state, {one.key: value_of(one.genome) for one in asked})

Everything that is drawn follows from the seed, the generation and the purpose alone. The same values told, all at once
or one by one and in any order, therefore give the same state, bit for bit: a search that was killed is resumed by
telling it again what is known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from sparsewire.analysis.prediction.regressors import learning
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search.offspring import offspring, stream
from sparsewire.search.selection import ranked, ranked_by_fronts, survivors
from sparsewire.search.settings import Settings
from sparsewire.search.spaces import Space
from sparsewire.search.states import Candidate, State
from sparsewire.search.surrogate import Surrogate, surrogate_of
from sparsewire.structure.blocks import whole

G = TypeVar("G")

_MOST_IDLE = 20  # generations in a row in which nothing unknown came about


def begin(space: Space[G], settings: Settings, seed: int) -> State[G]:
    """The first population of a search, of which nothing is known yet.

    `population` genomes are drawn, all are tried. A generation then goes like this, by method:

    - **genetic**: the surrogate is trained anew, and says anew what is foretold of the living. The worst of the
      population (share `worst`) are removed, and as many genomes are drawn. Each of those that are left is mutated with
      the probability `mutation`, and crossed with another with the probability `crossover`. Of all that are new the
      share `estimated` is foretold, the others are tried. The best of old and new are the next population.
    - **regularised** evolution (Real et al. 2019): the best of `sample` of the living is mutated, or with the
      probability `crossover` crossed with another such, `children` times; the children join the population, its oldest
      die.
    - **random**: `children` genomes are drawn; the population is a record of the best.
    - **nsga2** (Deb et al. 2002): parents are found by tournaments of two and crossed with the probability `crossover`
      (and then mutated with that of `mutation`), else mutated. Old and new are sorted by fronts and crowding.

    A candidate that failed never lives; one that is known is never tried again. `offspring.offspring` and
    `selection.survivors` say the rest.

    Args:
        space: what is looked through.
        settings: how.
        seed: a whole number, at least 0.

    Raises:
        RequestError: an argument is not what it should be, the space allows none of 1,000 genomes, or candidates shall
            be foretold but the space knows no features or scikit-learn is not installed.

    Example:
        >>> from sparsewire.search.spaces import genomes
        >>> state = begin(genomes(), Settings(population=4), seed=0)
        >>> len(ask(genomes(), Settings(population=4), state)), state.generation
        (4, 0)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4. Which candidates are foretold, what the worst are replaced by, and
        who lives on is not told there: the reading is ours.
    """
    check_search(space, settings)
    if settings.estimated_share and space.features is None:
        raise RequestError("estimated: found more than 0, but the space knows no features to foretell from; set 0")
    if settings.estimated_share:
        learning("ensemble")  # so that nothing is tried in vain where scikit-learn is missing
    state: State[G] = State(whole("seed", seed, least=0), settings.objectives)
    return _with_new(space, settings, state, None)


def ask(space: Space[G], settings: Settings, state: State[G]) -> tuple[Candidate[G], ...]:
    """Who has to be tried before the search can go on; nobody where it is over.

    Example:
        >>> from sparsewire.search.spaces import genomes
        >>> settings = Settings(population=4, generations=0)
        >>> state = begin(genomes(), settings, seed=0)
        >>> [one.operator for one in ask(genomes(), settings, state)]
        ['drawn', 'drawn', 'drawn', 'drawn']
    """
    check_search(space, settings, state)
    return state.waiting


def tell(
    space: Space[G], settings: Settings, state: State[G], values: Mapping[str, float | Sequence[float] | None]
) -> State[G]:
    """The state once this is known: the next generation where nobody has to be waited for any more.

    Args:
        space: as for `begin`.
        settings: as for `begin`.
        state: of `begin` or `tell`.
        values: key → what came out: a number, or one for each objective. None, or what is not finite: it failed, or
            cannot be tried.

    Raises:
        RequestError: a value is no number, or there are not as many as objectives.
        UnknownNameError: nobody who is waited for has such a key.

    Example:
        >>> from sparsewire.search.spaces import genomes
        >>> space, settings = genomes(), Settings(population=4, generations=0)
        >>> state = begin(space, settings, seed=0)
        >>> for one in ask(space, settings, state):
        ...     state = tell(space, settings, state, {one.key: one.genome.depth})
        >>> state.finished, state.best.value >= 6
        (True, True)
    """
    check_search(space, settings, state)
    waiting = {candidate.key: candidate for candidate in state.waiting}
    told = []
    for key, value in values.items():
        if key not in waiting:
            raise UnknownNameError("candidate that is waited for", str(key), waiting)
        found = _checked_value(key, value, len(settings.objectives))
        told.append(replace(waiting[key], outcome="failed" if found is None else "tried", values=found))
    state = state.with_candidates(*told)
    while not state.finished and not state.waiting:
        state = _next(space, settings, _selected(settings, state))
    return state


def replay(
    space: Space[G], settings: Settings, state: State[G], known: Mapping[str, float | Sequence[float] | None]
) -> State[G]:
    """The state as far as what is known leads: everybody who is waited for there is unknown.

    Args:
        space: as for `begin`.
        settings: as for `begin`.
        state: from where, e.g. of `begin`.
        known: as the values of `tell`, of any candidates; others than are waited for are left aside.

    Raises:
        RequestError: as for `tell`.

    Example:
        >>> from sparsewire.search.spaces import genomes
        >>> space, settings = genomes(), Settings(population=4, generations=0)
        >>> state = begin(space, settings, seed=0)
        >>> one, *others = ask(space, settings, state)
        >>> replay(space, settings, state, {one.key: 0.5, "of another search": 0.7}).waiting == tuple(others)
        True
    """
    while told := {one.key: known[one.key] for one in ask(space, settings, state) if one.key in known}:
        state = tell(space, settings, state, told)
    return state


def _selected(settings: Settings, state: State[G]) -> State[G]:
    """The end of a generation: who lives on, and whether it was the last one."""
    living = survivors(state.population, [state[key] for key in state.new], settings)
    over = (
        (settings.generations is not None and state.generation >= settings.generations)
        or (settings.evaluations is not None and state.evaluations >= settings.evaluations)
        or state.idle >= _MOST_IDLE
    )
    return replace(state, living=living, new=(), finished=over)


def _next(space: Space[G], settings: Settings, state: State[G]) -> State[G]:
    """The beginning of a generation: the surrogate is trained anew, the worst go, new candidates come about."""
    if state.finished:
        return state
    state = replace(state, generation=state.generation + 1)
    surrogate = None
    if settings.estimated_share:
        seed = int(torch.randint(2**31 - 1, (), generator=stream(state.seed, state.generation, "surrogate")))
        tried = [candidate for candidate in state.history if candidate.tried]
        surrogate = surrogate_of(space, tried, settings.regressor, least=settings.least_tried, seed=seed)
    if surrogate is not None:
        foretold = [candidate for candidate in state.population if candidate.outcome == "foretold"]
        state = state.with_candidates(*_said_anew(space, foretold, surrogate))
        state = replace(state, living=survivors(state.population, [], settings))
    if settings.method == "genetic":
        left = max(1, len(state.living) - settings.removed)
        state = replace(state, living=state.living[:left])
    return _with_new(space, settings, state, surrogate)


def _with_new(space: Space[G], settings: Settings, state: State[G], surrogate: Surrogate | None) -> State[G]:
    found = offspring(space, settings, state)
    fresh = list(found.fresh)
    if surrogate is not None:
        # What was foretold, died and comes up again competes with the new: by what is known now, as they do.
        dead = [state[key] for key in found.again if key not in state.living and state[key].outcome == "foretold"]
        state = state.with_candidates(*_said_anew(space, dead, surrogate))
        fresh = _foretold(space, settings, state, fresh, surrogate)
    if settings.evaluations is not None:
        left = settings.evaluations - state.evaluations
        tried = [one.key for one in fresh if one.outcome == "waiting"][left:]
        fresh = [one for one in fresh if one.key not in tried]
    return replace(
        state.with_candidates(*fresh),
        new=(*(one.key for one in fresh), *found.again),
        duplicates=state.duplicates + found.duplicates,
        idle=0 if fresh else state.idle + 1,
    )


def _said_anew(space: Space[G], foretold: Sequence[Candidate[G]], surrogate: Surrogate) -> list[Candidate[G]]:
    said = surrogate(space, [candidate.genome for candidate in foretold])
    return [replace(one, predictions=numbers) for one, numbers in zip(foretold, said, strict=True)]


def _foretold(
    space: Space[G], settings: Settings, state: State[G], fresh: Sequence[Candidate[G]], surrogate: Surrogate
) -> list[Candidate[G]]:
    """The new candidates with what the surrogate says of each, and a share of them foretold in place of tried."""
    said = surrogate(space, [one.genome for one in fresh])
    guessed = [replace(one, outcome="foretold", predictions=numbers) for one, numbers in zip(fresh, said, strict=True)]
    spared = int(settings.estimated_share * len(fresh))
    if settings.chosen == "promising":
        rank = ranked_by_fronts if settings.method == "nsga2" else ranked
        order = [one.key for one in reversed(rank(guessed, settings.objectives))]
    else:
        generator = stream(state.seed, state.generation, "estimated")
        order = [fresh[place].key for place in torch.randperm(len(fresh), generator=generator).tolist()]
    keys = set(order[:spared])
    return [one if one.key in keys else replace(one, outcome="waiting") for one in guessed]


def check_search(space: Any, settings: Any, state: Any = None) -> None:
    """Refuses what is no space, no settings or no state; no state is none that is wrong.

    Raises:
        RequestError: one of them is something else.

    Example:
        >>> check_search("genomes", Settings())
        Traceback (most recent call last):
        sparsewire.errors.RequestError: space: found str, expected a Space, such as search.genomes()
    """
    if not isinstance(space, Space):
        raise RequestError(f"space: found {type(space).__name__}, expected a Space, such as search.genomes()")
    if not isinstance(settings, Settings):
        raise RequestError(f"settings: found {type(settings).__name__}, expected Settings(population=30)")
    if not isinstance(state, State | None):
        raise RequestError(f"state: found {type(state).__name__}, expected the State of begin or tell")


def _checked_value(key: str, value: Any, objectives: int) -> tuple[float, ...] | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    numbers = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    try:
        found = tuple(float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError):
        found = ()
    if len(found) != objectives or any(isinstance(number, bool | str | bytes) for number in numbers):
        expected = f"{objectives} number{'s' * (objectives > 1)}, or None: it failed"
        raise RequestError(f"values[{key[:12]!r}]: found {value!r:.60}, expected {expected}")
    return found if all(math.isfinite(number) for number in found) else None
