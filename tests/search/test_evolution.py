"""Searches: the laws that every method keeps, and what is the genetic method's own."""

from dataclasses import replace
from typing import Any

import pytest
from tests.search.digit_space import DIGITS, Digits, near_seven

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search import evolution
from sparsewire.search.evolution import ask, begin, replay, tell
from sparsewire.search.settings import Settings
from sparsewire.search.states import State

# Bayesian ridge: it is fast, and the laws are the same for all regressors.
SEARCHES: dict[str, Settings] = {
    "genetic": Settings(population=12, generations=6, regressor="bayesian_ridge", least_tried=10, crossover=0.2),
    "genetic, promising": Settings(population=12, generations=6, regressor="bayesian_ridge", chosen="promising"),
    "genetic, all tried": Settings(population=12, generations=6, estimated=0),
    "genetic, 40 tried": Settings(population=12, generations=None, evaluations=40, regressor="bayesian_ridge"),
    "regularised": Settings(method="regularised", population=12, generations=30),
    "regularised, foretold": Settings(
        method="regularised", population=12, generations=5, children=6, estimated=0.5, regressor="bayesian_ridge"
    ),
    "random": Settings(method="random", population=12, generations=5, children=7),
    "nsga2": Settings(method="nsga2", population=12, generations=5, crossover=0.5, objectives=("max", "min")),
    "nsga2, foretold": Settings(
        method="nsga2", population=12, generations=5, estimated=0.5, regressor="bayesian_ridge", chosen="promising",
        objectives=("max", "min"),
    ),
}  # fmt: skip
named = pytest.mark.parametrize("settings", SEARCHES.values(), ids=SEARCHES.keys())


def value_of(digits: Digits, settings: Settings) -> Any:
    """Every ninth candidate or so fails."""
    if sum(digits) % 9 == 0:
        return None
    return (near_seven(digits), sum(digits)) if len(settings.objectives) == 2 else near_seven(digits)


def run(settings: Settings, seed: int = 0) -> list[State[Digits]]:
    states = [begin(DIGITS, settings, seed)]
    while asked := ask(DIGITS, settings, states[-1]):
        told = {one.key: value_of(one.genome, settings) for one in asked}
        states.append(tell(DIGITS, settings, states[-1], told))
    return states


@named
def test_laws(settings: Settings) -> None:
    states = run(settings)
    last = states[-1]
    keys = [one.key for one in last.history]
    assert last.finished
    assert len(keys) == len(set(keys)), "a candidate stands twice in the history"
    assert not last.waiting
    assert {one.outcome for one in last.history} <= {"tried", "foretold", "failed"}
    assert all(one.value == near_seven(one.genome) for one in last.history if one.tried)
    assert last.best is not None
    assert last.best.value == max(one.value for one in last.history if one.value is not None)
    assert len(last.living) == len(set(last.living)) <= settings.population
    assert all(one.fitness is not None for one in last.population)
    assert [state.generation for state in states] == sorted(state.generation for state in states)
    if settings.evaluations is not None:
        assert last.evaluations == settings.evaluations
    else:
        assert last.generation == settings.generations


@named
def test_nobody_is_asked_for_twice(settings: Settings) -> None:
    asked = [one.key for state in run(settings) for one in state.waiting]
    assert len(asked) == len(set(asked)) == run(settings)[-1].evaluations


@named
def test_one_by_one_in_any_order_is_the_same_as_all_at_once(settings: Settings) -> None:
    state = begin(DIGITS, settings, seed=0)
    while asked := ask(DIGITS, settings, state):
        state = tell(DIGITS, settings, state, {asked[-1].key: value_of(asked[-1].genome, settings)})
    assert state == run(settings)[-1]


@named
def test_replay_leads_to_the_same_state(settings: Settings) -> None:
    states = run(settings)
    known = {one.key: value_of(one.genome, settings) for one in states[-1].history if one.outcome != "foretold"}
    assert replay(DIGITS, settings, begin(DIGITS, settings, seed=0), known) == states[-1]
    assert replay(DIGITS, settings, states[1], known) == states[-1]
    assert replay(DIGITS, settings, states[1], {}) == states[1]


@named
def test_seeds_differ(settings: Settings) -> None:
    assert run(settings, seed=1)[-1].history != run(settings)[-1].history


@named
def test_all_fail(settings: Settings) -> None:
    state = begin(DIGITS, settings, seed=0)
    while asked := ask(DIGITS, settings, state):
        state = tell(DIGITS, settings, state, {one.key: float("nan") for one in asked})
    assert state.best is None
    assert not state.living
    assert all(one.outcome == "failed" for one in state.history)


def test_the_surrogate_spares_half_of_the_trials() -> None:
    for state in run(SEARCHES["genetic"])[1:]:
        new = [one for one in state.history if one.generation == state.generation > 0]
        if any(one.predictions for one in new):
            spared = sum(one.outcome == "foretold" for one in new)
            assert spared == len(new) // 2
            assert len(new) - spared == len(state.waiting) or state.finished
    last = run(SEARCHES["genetic"])[-1]
    assert sum(one.outcome == "foretold" for one in last.history) > 0.3 * (len(last.history) - 12)


def test_nothing_is_foretold_from_too_few_or_from_equal_values() -> None:
    few = replace(SEARCHES["genetic"], least_tried=10_000)
    assert all(one.predictions is None for one in run(few)[-1].history)
    settings, state = SEARCHES["genetic"], begin(DIGITS, SEARCHES["genetic"], seed=0)
    while asked := ask(DIGITS, settings, state):
        state = tell(DIGITS, settings, state, {one.key: 0.1 for one in asked})
    assert all(one.predictions is None for one in state.history)


def test_the_most_promising_are_tried() -> None:
    for state in run(SEARCHES["genetic, promising"]):
        new = [one for one in state.history if one.generation == state.generation and one.predicted is not None]
        spared = [one.predicted for one in new if one.outcome == "foretold" and one.predicted is not None]
        tried = [one.predicted for one in state.waiting if one.predicted is not None]
        assert not spared or not tried or max(spared) <= min(tried)


def test_the_worst_go_and_as_many_are_drawn() -> None:
    settings = Settings(population=10, mutation=1.0, worst=0.2, estimated=0)
    state = begin(DIGITS, settings, seed=0)
    first = sorted((near_seven(one.genome) for one in state.waiting), reverse=True)
    state = tell(DIGITS, settings, state, {one.key: near_seven(one.genome) for one in state.waiting})
    assert [one.value for one in state.population] == first[:8]
    assert [one.operator for one in state.waiting] == ["drawn"] * 2 + ["mutation"] * 8
    assert [one.parents for one in state.waiting[2:]] == [(key,) for key in state.living]


def test_the_genetic_population_never_gets_worse() -> None:
    bests = [state.best.value for state in run(SEARCHES["genetic, all tried"])[1:] if state.best]
    assert bests == sorted(bests)


def test_regularised_evolution_is_real_et_als() -> None:
    """One child at a time, of one who lives; the oldest dies."""
    settings = Settings(method="regularised", population=5, generations=20)
    state = begin(DIGITS, settings, seed=0)
    state = tell(DIGITS, settings, state, {one.key: near_seven(one.genome) for one in state.waiting})
    while asked := ask(DIGITS, settings, state):
        (child,), before = asked, state.living
        assert child.parents[0] in before
        state = tell(DIGITS, settings, state, {child.key: near_seven(child.genome)})
        assert state.living == (*before[1:], child.key)


def test_a_space_that_is_used_up_ends_the_search() -> None:
    space = replace(DIGITS, allowed=lambda digits: digits[1:] == (7,) * 5, draw=lambda generator: (3,) + (7,) * 5)
    settings = Settings(population=4, generations=None, evaluations=1000, estimated=0, mutation=1.0)
    state = begin(space, settings, seed=0)
    while asked := ask(space, settings, state):
        state = tell(space, settings, state, {one.key: near_seven(one.genome) for one in asked})
    assert state.evaluations == 10  # the ten first digits
    assert state.duplicates > 0


def test_what_was_foretold_and_comes_up_again_is_foretold_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surrogate that foretells the number of what was tried shows of when a prediction is."""

    def counting(space: Any, tried: Any, *_: Any, **__: Any) -> Any:
        return lambda space, genomes: tuple((float(len(tried)),) for _ in genomes)

    monkeypatch.setattr(evolution, "surrogate_of", counting)
    space = replace(DIGITS, allowed=lambda digits: digits[2:] == (7,) * 4, draw=lambda generator: (3, 3) + (7,) * 4)
    settings = Settings(population=4, generations=30, mutation=1.0, least_tried=4)
    state, again = begin(space, settings, seed=0), 0
    while asked := ask(space, settings, state):
        known = len([one for one in state.history if one.tried])
        for key in state.new:
            if state[key].outcome == "foretold":
                assert state[key].predictions == (known,)
                again += state[key].generation < state.generation
        state = tell(space, settings, state, {one.key: near_seven(one.genome) for one in asked})
    assert again


def test_mistakes() -> None:
    settings, few = SEARCHES["genetic, all tried"], replace(DIGITS, features=None)
    state = begin(DIGITS, settings, seed=0)
    key = state.waiting[0].key
    with pytest.raises(RequestError, match="seed: found -1"):
        begin(DIGITS, settings, seed=-1)
    with pytest.raises(RequestError, match="space: found int, expected a Space"):
        begin(3, settings, seed=0)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="settings: found int"):
        ask(DIGITS, 3, state)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="estimated: found more than 0, but the space knows no features"):
        begin(few, Settings(), seed=0)
    with pytest.raises(UnknownNameError, match="no candidate that is waited for is named 'x'"):
        tell(DIGITS, settings, state, {"x": 1.0})
    with pytest.raises(RequestError, match="state: found int, expected the State of begin or tell"):
        ask(DIGITS, settings, 3)  # type: ignore[arg-type]
    for part, wrong_part in (("key", sum), ("crossover", lambda one, other, generator: one[:1])):
        space, crossing = replace(DIGITS, **{part: wrong_part}), replace(settings, crossover=1.0, mutation=0.0)
        with pytest.raises(RequestError, match=f"{part}: gave .*, expected"):
            tell(space, crossing, state, {one.key: 0.5 for one in state.waiting})
    for wrong in ("a", "0.5", b"5", 10**400, ["0.5"], (1.0, 2.0), True, [None], {}):
        with pytest.raises(RequestError, match="expected 1 number, or None: it failed"):
            tell(DIGITS, settings, state, {key: wrong})  # type: ignore[dict-item]
