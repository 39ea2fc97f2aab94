"""A state as text: back to the last bit, and texts that are none."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.search.digit_space import DIGITS
from tests.search.test_evolution import SEARCHES, named, run

from sparsewire.errors import RequestError
from sparsewire.search.evolution import begin
from sparsewire.search.spaces import genomes
from sparsewire.search.state_texts import state_from_text, state_text


@named
def test_every_state_comes_back(settings: Any) -> None:
    for state in run(settings):
        assert state_from_text(DIGITS, state_text(DIGITS, state)) == state


def test_graphs_come_back() -> None:
    space, settings = genomes(), SEARCHES["genetic"]
    state = begin(space, settings, seed=3)
    text = state_text(space, state)
    assert state_from_text(space, text) == state
    assert "\n" not in text


def test_of_another_space() -> None:
    text = state_text(DIGITS, run(SEARCHES["genetic"])[0])
    with pytest.raises(RequestError, match=r"history\[0\]: its genome cannot be read .* of another space"):
        state_from_text(genomes(), text)


def test_a_space_has_to_give_texts() -> None:
    with pytest.raises(RequestError, match=r"to_text: gave \(.*\) for a genome, expected a text"):
        state_text(replace(DIGITS, to_text=lambda digits: digits), run(SEARCHES["genetic"])[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "[" * 100_000, '{"format": 2}', "NaN"])
def test_no_states(text: str) -> None:
    with pytest.raises(RequestError, match="text: "):
        state_from_text(DIGITS, text)


def changed(*path: Any, to: Any) -> str:
    read = json.loads(state_text(DIGITS, run(SEARCHES["genetic"])[-1]))
    inner = read
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return json.dumps(read)


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("seed",), -1, "text: seed: found -1"),
        (("generation",), "two", "text: generation: found 'two'"),
        (("objectives",), ["most"], "text: objectives: found 'most'"),
        (("objectives",), [], "text: objectives: found none"),
        (("living",), ["nobody"], "text: living: found 'nobody', which nothing here is named"),
        (("new",), [["a"]], "text: new: found"),
        (("living",), None, "text: living: found 'None', expected a list"),
        (("history",), {}, "text: history: found"),
        (("history", 0), 3, r"text: history\[0\]: found '3'"),
        (("history", 0, "genome"), 3, r"text: history\[0\]: found"),
        (("history", 0, "genome"), "111111", "its key is not that of its genome"),
        (("history", 0, "operator"), "chance", "found 'chance', '.*', expected an operator"),
        (("history", 0, "parents"), "a", "parents: found 'a', expected a list"),
        (("history", 0, "values"), [True], r"history\[0\]: values: found \[True\], expected 1 finite numbers"),
        (("history", 0, "values"), [10**400], r"history\[0\]: values: found \[1000"),
        (("history", 0, "genome"), "seven", r"history\[0\]: its genome cannot be read \(invalid literal"),
        (("history", 0, "values"), None, "but its numbers do not say so"),
        (("history", 0, "predictions"), [1.0, 2.0], "predictions: found"),
    ],
)
def test_changed_texts(path: tuple[Any, ...], to: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        state_from_text(DIGITS, changed(*path, to=to))
