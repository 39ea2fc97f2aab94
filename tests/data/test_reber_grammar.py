import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_grammar import (
    ALPHABET,
    DISAGREEING_REBER,
    EMBEDDED_REBER,
    REBER,
    RELABELLED,
    Automaton,
    is_reber,
    relabelled,
)
from sparsewire.errors import RequestError

# Reber's flow chart, written down a second time: from each state, which letter leads where.
CHART = {1: {"T": 2, "P": 3}, 2: {"S": 2, "X": 4}, 3: {"T": 3, "V": 5}, 4: {"X": 3, "S": 6}, 5: {"P": 4, "V": 6}}


def walks(longest: int) -> set[str]:
    """All strings of the chart, by walking everywhere."""
    found, open_ends = set(), {("B", 1)}
    while open_ends:
        found |= {text + "E" for text, state in open_ends if state == 6}
        open_ends = {
            (text + letter, after)
            for text, state in open_ends
            for letter, after in CHART.get(state, {}).items()
            if len(text) < longest - 1
        }
    return {text for text in found if len(text) <= longest}


ALL_15 = walks(15)


def both_accept(one: Automaton, other: Automaton) -> bool:
    """Whether any string is accepted by both: is there a pair of ends among the pairs of states of common walks?"""
    seen, new = set(), {(one.start, other.start)}
    while new:
        seen |= new
        new = {
            (after, across)
            for at, beside in new
            for state, letter, after in one.edges
            for place, same, across in other.edges
            if (state, place, letter) == (at, beside, same)
        } - seen
    return (one.end, other.end) in seen


def test_the_papers_examples() -> None:
    assert is_reber("BPTVPXTTVVE")
    assert not is_reber("BTTPXPXTVPSE")


@pytest.mark.parametrize("string", ["", "B", "E", "BE", "BTXS", "BTXSEE", "BTXSEB", "btxse", "BTXSE ", "TXSE", "BTXXE"])
def test_what_is_not_whole_is_refused(string: str) -> None:
    assert is_reber("BTXSE")
    assert not is_reber(string)


def test_the_automaton_is_the_flow_chart() -> None:
    assert len(ALL_15) == REBER.count(longest=15) == 349
    assert all(map(is_reber, ALL_15))
    assert REBER.alphabet == "".join(sorted(ALPHABET))
    # BTXSE, BPVVE; BTSXSE, BPTVVE, BPVPSE; BTSSXSE, BPTTVVE, BPTVPSE, BTXXVVE
    assert [REBER.count(length, longest=length) for length in range(4, 8)] == [0, 2, 3, 4]
    for length in range(16):
        assert REBER.count(length, longest=length) == sum(len(string) == length for string in ALL_15)


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=12))
def test_other_strings_of_its_letters_are_refused(string: str) -> None:
    assert is_reber(string) == (string in ALL_15)
    assert is_reber("B" + string + "E") == ("B" + string + "E" in ALL_15)


@settings(deadline=None)
@given(st.sampled_from(sorted(ALL_15)), st.sampled_from("TP"), st.sampled_from("TP"))
def test_embedded_strings_end_as_they_began(inner: str, first: str, last: str) -> None:
    string = f"B{first}{inner}{last}E"
    assert is_reber(string, embedded=True) is EMBEDDED_REBER.accepts(string) is (first == last)
    assert DISAGREEING_REBER.accepts(string) is (first != last)
    assert not is_reber(string)
    assert not is_reber(inner, embedded=True)


def test_the_false_automata_have_no_string_of_the_true_one() -> None:
    assert sum(RELABELLED.values()) == 12_500
    automata = [relabelled(labels) for labels in RELABELLED]
    for automaton in automata:
        assert not both_accept(REBER, automaton)
        assert [automaton.count(n, longest=n) for n in range(20)] == [REBER.count(n, longest=n) for n in range(20)]
    shared = [pair for pair in itertools.combinations(range(8), 2) if both_accept(*(automata[at] for at in pair))]
    assert shared == [(5, 6)]
    assert not both_accept(EMBEDDED_REBER, DISAGREEING_REBER)
    assert relabelled("TPSXTVXSPV") == REBER


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_ngrams_are_those_of_the_strings(n: int) -> None:
    assert REBER.ngrams(n) == {text[at : at + n] for text in ALL_15 for at in range(len(text) - n + 1)}


def test_the_graph_is_the_automaton() -> None:
    graph = REBER.graph()
    assert sorted((one, letter, two) for one, two, letter in graph.edges(data="letter")) == sorted(REBER.edges)
    assert sorted(graph.nodes) == list(range(8))
    assert sorted(Automaton((), 3, 4).graph().nodes) == [3, 4]


def test_automata_are_frozen_values() -> None:
    laugh = Automaton(((0, "H", 1), (1, "A", 0), (1, "O", 2)), 0, 2)
    assert laugh == Automaton(((0, "H", 1), (1, "A", 0), (1, "O", 2)), 0, 2)
    assert len({laugh, REBER, relabelled("TPSXTVXSPV")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        laugh.start = 1  # type: ignore[misc]
    assert not Automaton((), 0, 1).accepts("")
    assert Automaton((), 1, 1).accepts("")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("ABCD"), min_size=10, max_size=10).map("".join))
def test_any_labels_that_can_be_told_apart_will_do(labels: str) -> None:
    twins = any(labels[at] == labels[at + 1] for at in range(0, 10, 2))  # the two edges of each state are neighbours
    if twins:
        with pytest.raises(RequestError, match="edges: found two with one letter that leave one state"):
            relabelled(labels)
    else:
        assert relabelled(labels).count(longest=30) == REBER.count(longest=30)


def test_impossible_requests_are_named() -> None:
    with pytest.raises(RequestError, match=r"edges: found the letter 'AB', expected one ASCII character"):
        Automaton(((0, "AB", 1),), 0, 1)
    with pytest.raises(RequestError, match=r"edges: found the letter 'Ä'"):
        Automaton(((0, "Ä", 1),), 0, 1)
    with pytest.raises(RequestError, match=r"edges: found \(1, 'A', 0\), expected none that leaves the end 1"):
        Automaton(((0, "A", 1), (1, "A", 0)), 0, 1)
    for labels in ("TPSXTVXSP", "TPSXTVXSPVV", 3):
        with pytest.raises(RequestError, match=r"labels: found .*, expected 10 letters such as 'TPSXTVXSPV'"):
            relabelled(labels)  # type: ignore[arg-type]
    for string in (None, 3, ["B", "E"], torch.zeros(2)):
        with pytest.raises(RequestError, match=r"string: found .*, expected a string of letters"):
            is_reber(string)  # type: ignore[arg-type]
    for wrong in (-1, 1.5, True, None):
        with pytest.raises(RequestError, match="longest: found"):
            REBER.count(longest=wrong)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="shortest: found"):
            REBER.count(wrong, longest=5)  # type: ignore[arg-type]
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(RequestError, match=r"n: found .*, expected a whole number of at least 1"):
            REBER.ngrams(wrong)  # type: ignore[arg-type]
