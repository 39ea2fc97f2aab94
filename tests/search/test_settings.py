"""Settings: the paper's, what follows from them, and every mistake."""

from typing import Any

import pytest

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search.settings import Settings


def test_the_papers() -> None:
    paper = Settings()
    assert (paper.population, paper.mutation, paper.crossover, paper.worst, paper.estimated_share) == (
        30,
        0.5,
        0,
        0.1,
        0.5,
    )
    assert paper.regressor == "random_forest"
    assert paper.removed == 3


@pytest.mark.parametrize(
    ("method", "estimated", "batch"), [("genetic", 0.5, 30), ("regularised", 0, 1), ("random", 0, 30), ("nsga2", 0, 30)]
)
def test_what_methods_do_by_themselves(method: Any, estimated: float, batch: int) -> None:
    settings = Settings(method=method)
    assert (settings.estimated_share, settings.batch) == (estimated, batch)
    assert Settings(method=method, estimated=0.25, children=3).estimated_share == 0.25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 1}, "population: found 1, expected a whole number of at least 2"),
        ({"population": None}, "population: found None"),
        ({"population": True}, "population: found True"),
        ({"mutation": 1.5}, "mutation: found 1.5, expected a probability from 0 to 1"),
        ({"mutation": float("nan")}, "mutation: found nan"),
        ({"mutation": None}, "mutation: found None"),
        ({"worst": 1.5}, "worst: found 1.5, expected a probability from 0 to 1"),
        ({"crossover": -0.1}, "crossover: found -0.1"),
        ({"worst": 1}, "worst: found 1, expected from 0 to below 1"),
        ({"estimated": 1.0}, "estimated: found 1.0, expected from 0 to below 1"),
        ({"estimated": "half"}, "estimated: found 'half'"),
        ({"least_tried": 3}, "least_tried: found 3, expected a whole number of at least 4"),
        ({"generations": -1}, "generations: found -1"),
        ({"generations": 2.5}, "generations: found 2.5"),
        ({"generations": None}, "generations: found None, as is evaluations; expected a limit"),
        ({"evaluations": 0}, "evaluations: found 0"),
        ({"children": 0}, "children: found 0"),
        ({"sample": 31}, "sample: found 31, expected at most the population, 30"),
        ({"objectives": ()}, "objectives: found"),
        ({"objectives": "max"}, "objectives: found 'max', expected 'max' or 'min' for each"),
        ({"mutation": 0, "worst": 0.01}, "mutation: found 0, as is crossover, and worst=0.01 of 30 is not one genome"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Settings(**changes)


@pytest.mark.parametrize(
    "changes", [{"method": "genetics"}, {"regressor": "forest"}, {"chosen": "best"}, {"objectives": ("max", "least")}]
)
def test_names_that_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match="is named"):
        Settings(**changes)
