"""Who lives and who has children: laws over the methods."""

from typing import Any

import pytest
import torch

from sparsewire.search.selection import parent_of, ranked, survivors
from sparsewire.search.settings import METHODS, Settings
from sparsewire.search.states import Candidate


def tried(key: str, *values: float) -> Candidate[str]:
    return Candidate(key, key, outcome="tried", values=values)


def foretold(key: str, *values: float) -> Candidate[str]:
    return Candidate(key, key, outcome="foretold", predictions=values)


@pytest.mark.parametrize("method", METHODS)
def test_the_failed_die_and_nobody_lives_twice(method: Any) -> None:
    old = [tried("a", 1.0), tried("b", 3.0)]
    new = [tried("c", 2.0), Candidate("d", "d", outcome="failed"), old[0]]
    living = survivors(old, new, Settings(method=method, population=3))
    assert sorted(living) == ["a", "b", "c"]
    assert len(survivors(old, new, Settings(method=method, population=2))) == 2


@pytest.mark.parametrize(
    ("method", "living"),
    [("genetic", ("b", "c")), ("random", ("b", "c")), ("regularised", ("c", "a")), ("nsga2", ("b", "c"))],
)
def test_who_lives_on(method: Any, living: tuple[str, ...]) -> None:
    """The oldest dies by age, however good; "a" came up again, and is young."""
    old = [tried("b", 3.0), tried("a", 1.0)]
    assert survivors(old, [tried("c", 2.0), old[1]], Settings(method=method, population=2)) == living


def test_the_least_is_the_best_where_it_shall_be() -> None:
    few = [tried("a", 1.0), tried("b", 3.0)]
    assert [one.key for one in ranked(few, ["min"])] == ["a", "b"]


def test_the_tried_come_before_the_foretold_of_the_same_worth() -> None:
    assert [one.key for one in ranked([foretold("a", 1.0), tried("b", 1.0)], ["max"])] == ["b", "a"]


def test_nsga2_keeps_the_ends_of_the_last_front() -> None:
    line = [tried(str(place), float(place), float(-place)) for place in (0, 4, 5, 10)]
    kept = survivors([], line, Settings(method="nsga2", population=3, objectives=("max", "max")))
    assert set(kept) >= {"0", "10"}


@pytest.mark.parametrize("sample", [1, 3, 10])
def test_the_parent_is_the_best_of_the_sample(sample: int) -> None:
    """The k-th best of n wins as often as it is drawn while none of the k - 1 better ones is: hypergeometric."""
    population = [tried(str(place), -float(place)) for place in range(10)]
    settings, generator = Settings(method="regularised", population=10, sample=sample), torch.Generator().manual_seed(0)
    won = [parent_of(population, settings, generator).key for _ in range(2000)]
    # the best is among `sample` of 10 with probability sample / 10
    assert abs(won.count("0") / 2000 - sample / 10) < 0.04
