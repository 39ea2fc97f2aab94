"""Fronts and crowding: what has to hold, the slow obvious version, and Deb's rules worked out by hand."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.search import front
from sparsewire.search.front import _beats, crowding, dominates, first_front, fronts

rows = st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 3), max_size=20)
OBJECTIVES = ("max", "min", "max")


@given(rows)
def test_every_front_is_what_nothing_of_the_rest_dominates(values: list[tuple[float, ...]]) -> None:
    left = list(range(len(values)))
    for found in fronts(values, OBJECTIVES):
        free = [one for one in left if not any(dominates(values[o], values[one], OBJECTIVES) for o in left)]
        assert list(found) == free
        left = [place for place in left if place not in found]
    assert not left


@given(rows)
def test_the_first_front_alone_is_that_of_all(values: list[tuple[float, ...]]) -> None:
    assert first_front(values, OBJECTIVES) == (*fronts(values, OBJECTIVES), ())[0]


def test_the_first_front_is_found_without_comparing_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def beats(one: Sequence[float], other: Sequence[float]) -> bool:
        compared.append(one)
        return _beats(one, other)

    monkeypatch.setattr(front, "_beats", beats)
    values = [(float(row % 7 + row), float(-row), float(row)) for row in range(1000)]
    assert len(first_front(values, OBJECTIVES)) < 8
    assert len(compared) < 8 * len(values)


@given(rows)
def test_one_objective_sorts(values: list[tuple[float, ...]]) -> None:
    numbers = [row[0] for row in values]
    found = [[numbers[place] for place in front] for front in fronts([(one,) for one in numbers], ["max"])]
    assert [front[0] for front in found] == sorted(set(numbers), reverse=True)


@pytest.mark.parametrize("objectives", ["max", ("maximum", "min", "max"), (), None, ("max", "min")])
def test_directions_are_words_that_are_known(objectives: object) -> None:
    with pytest.raises(RequestError, match=r"objectives: found|no direction is named|expected 2 numbers"):
        fronts([(1.0, 2.0, 3.0)], objectives)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"objectives: found|no direction is named|expected 2 numbers"):
        dominates((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), objectives)  # type: ignore[arg-type]


def test_crowding_by_hand() -> None:
    # ranges 10 and 4; the second: (4 - 0)/10 + (4 - 1)/4, the third: (10 - 2)/10 + (2 - 0)/4
    assert crowding([(0.0, 4.0), (2.0, 2.0), (4.0, 1.0), (10.0, 0.0)]) == (math.inf, 0.4 + 0.75, 0.8 + 0.5, math.inf)


@pytest.mark.parametrize("values", [[], [(1.0, 1.0)], [(1.0, 1.0)] * 3])
def test_crowding_where_there_is_no_room(values: list[tuple[float, ...]]) -> None:
    found = crowding(values)
    assert len(found) == len(values)
    assert not any(math.isnan(one) for one in found)


@pytest.mark.parametrize("row", [(1.0,), (1.0, math.nan)])
def test_mistakes(row: tuple[float, ...]) -> None:
    with pytest.raises(RequestError, match="expected 2 numbers, one an objective"):
        fronts([row], ["max", "max"])
    with pytest.raises(RequestError, match="expected 2 numbers, one an objective"):
        first_front([row], ["max", "max"])
