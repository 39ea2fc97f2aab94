"""New candidates: how many, of whom, by which operator; none known, none that is not allowed."""

from typing import Any

import pytest
import torch
from tests.search.digit_space import DIGITS, Digits, allowing, near_seven

from sparsewire.errors import RequestError
from sparsewire.search.evolution import ask, begin, tell
from sparsewire.search.offspring import offspring, stream
from sparsewire.search.settings import METHODS, Settings
from sparsewire.search.states import Candidate, State


def living(count: int) -> State[Digits]:
    drawn = [DIGITS.draw(stream(0, place, "test")) for place in range(count)]
    few = tuple(Candidate(DIGITS.key(one), one, outcome="tried", values=(near_seven(one),)) for one in drawn)
    return State(0, generation=1, history=few, living=tuple(one.key for one in few))


@pytest.mark.parametrize("method", METHODS)
def test_new_ones_are_unknown_and_have_parents(method: Any) -> None:
    state = living(20)
    found = offspring(DIGITS, Settings(method=method, population=20, crossover=0.5, children=9), state)
    keys = [one.key for one in found.fresh]
    assert found.fresh
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set(state.living)
    for one in found.fresh:
        assert one.generation == 1
        assert one.outcome == "waiting"
        assert len(one.parents) == {"drawn": 0, "mutation": 1, "crossover": 2}[one.operator]
        assert set(one.parents) <= set(state.living)


@pytest.mark.parametrize(
    ("mutation", "crossover", "least", "most"), [(1.0, 0, 20, 20), (0.5, 0, 4, 16), (0, 1.0, 20, 40)]
)
def test_rates_of_the_genetic_method(mutation: float, crossover: float, least: int, most: int) -> None:
    settings = Settings(population=20, mutation=mutation, crossover=crossover)
    assert least <= len(offspring(DIGITS, settings, living(20)).fresh) <= most


def test_who_was_removed_is_drawn_anew() -> None:
    found = offspring(DIGITS, Settings(population=20, mutation=0, crossover=0, worst=0.25), living(15))
    assert [one.operator for one in found.fresh] == ["drawn"] * 5


@pytest.mark.parametrize(("method", "count"), [("regularised", 7), ("random", 7), ("nsga2", 7)])
def test_as_many_children_as_asked_for(method: Any, count: int) -> None:
    assert len(offspring(DIGITS, Settings(method=method, population=20, children=count), living(20)).fresh) == count


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_allowed_never_comes_up(method: Any) -> None:
    space, settings = (
        allowing(lambda digits: sum(digits) < 27),
        Settings(method=method, population=10, generations=4, estimated=0),
    )
    state = begin(space, settings, seed=1)
    while asked := ask(space, settings, state):
        state = tell(space, settings, state, {one.key: near_seven(one.genome) for one in asked})
    assert all(sum(one.genome) < 27 for one in state.history)


def test_nothing_is_allowed() -> None:
    with pytest.raises(RequestError, match="allowed: refused 1,000 genomes in a row"):
        begin(allowing(lambda digits: False), Settings(population=2), seed=0)


def test_streams_differ() -> None:
    draws = {
        float(torch.rand((), generator=stream(*names)))
        for names in [(0, 0, "a"), (0, 0, "b"), (0, 1, "a"), (1, 0, "a"), (10, 0, "a"), (1, 0, "0/a")]
    }
    assert len(draws) == 6
