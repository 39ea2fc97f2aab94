"""What a search says of its features."""

import math

import pytest
from tests.search.digit_space import DIGITS, near_seven, sevens
from tests.search.test_evolution import SEARCHES, run

from sparsewire.errors import RequestError
from sparsewire.search.explaining import foresight, reasons
from sparsewire.search.states import Candidate, State


def test_the_feature_that_decides_is_found() -> None:
    drawn = [tuple(7 if place < count else 1 for place in range(6)) for count in range(7)]
    drawn += [tuple((7, 2)[(count >> place) & 1] for place in range(6)) for count in range(64)]
    tried = {DIGITS.key(one): one for one in drawn}
    state = State(0, history=tuple(Candidate(k, g, outcome="tried", values=(sevens(g),)) for k, g in tried.items()))
    first, *others = reasons(DIGITS, state, "random_forest")
    assert first.feature == "sevens"
    assert first.correlation == pytest.approx(1)
    assert first.rank_correlation == pytest.approx(1)
    assert first.low <= first.importance <= first.high
    assert len(others) == 6
    assert len(reasons(DIGITS, state, "bayesian_ridge", most=2)) == 2


def test_nothing_is_said_of_few_or_equal_ones() -> None:
    few = tuple(Candidate(str(one), (one,) * 6, outcome="tried", values=(float(one),)) for one in range(7))
    same = tuple(Candidate(str(one), (one,) * 6, outcome="tried", values=(0.1,)) for one in range(9))
    assert reasons(DIGITS, State(0, history=few)) == reasons(DIGITS, State(0, history=same)) == ()
    assert reasons(DIGITS, State(0)) == ()
    assert foresight(State(0)).candidates == 0
    assert math.isnan(foresight(State(0)).r2)


def test_foresight_is_of_those_that_were_tried_afterwards() -> None:
    last = run(SEARCHES["genetic"])[-1]
    found = foresight(last)
    assert found.candidates == sum(one.tried and one.predictions is not None for one in last.history) > 0
    assert found.r2 <= 1
    assert all(one.value == near_seven(one.genome) for one in last.history if one.tried)


def test_most_is_checked() -> None:
    state = run(SEARCHES["genetic"])[-1]
    with pytest.raises(RequestError, match="most: found 0"):
        reasons(DIGITS, state, "bayesian_ridge", most=0)
