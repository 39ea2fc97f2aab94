import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_grammar import DISAGREEING_REBER, EMBEDDED_REBER, REBER, RELABELLED, Automaton, relabelled
from sparsewire.data.reber_unique import unique_strings
from sparsewire.errors import RequestError

AUTOMATA = [REBER, EMBEDDED_REBER, DISAGREEING_REBER, *map(relabelled, RELABELLED)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slowly(automaton: Automaton, count: int, shortest: int, seed: int) -> list[str]:
    """Walk after walk, each string once: the slow obvious version."""
    chance, found = random.Random(seed), dict.fromkeys(())
    while len(found) < count:
        state, text = automaton.start, ""
        while state != automaton.end:
            _, letter, state = chance.choice([edge for edge in automaton.edges if edge[0] == state])
            text += letter
        if len(text) >= shortest:
            found[text] = None
    return list(found)


@settings(max_examples=60, deadline=None)
@given(which=st.sampled_from(AUTOMATA), count=st.integers(0, 400), shortest=st.integers(0, 24),
       more=st.none() | st.integers(0, 12), seed=st.integers(0, 99))  # fmt: skip
def test_strings_are_different_and_of_the_automaton(
    which: Automaton, count: int, shortest: int, more: int | None, seed: int
) -> None:
    longest = None if more is None else shortest + more
    there_are = which.count(shortest, longest=shortest + (256 if more is None else more))
    if there_are < count:
        with pytest.raises(
            RequestError, match=rf"count: found {count}, expected at most {there_are}: so many different"
        ):
            unique_strings(which, count, generator=seeded(seed), shortest=shortest, longest=longest)
        return
    strings = unique_strings(which, count, generator=seeded(seed), shortest=shortest, longest=longest)
    assert len(strings) == len(set(strings)) == count
    assert all(map(which.accepts, strings))
    assert all(shortest <= len(string) <= (longest or 280) for string in strings)


def test_all_that_there_are_can_be_had_and_none_more() -> None:
    all_of_them = unique_strings(REBER, 2404, longest=20, generator=seeded())
    assert len(set(all_of_them)) == 2404 == REBER.count(11, longest=20)
    with pytest.raises(RequestError, match=r"count: found 2,405, expected at most 2,404: .* of 11 to 20 letters there"):
        unique_strings(REBER, 2405, longest=20, generator=seeded())
    with pytest.raises(RequestError, match="expected at most 0: so many different strings of 0 to 4 letters"):
        unique_strings(REBER, 1, shortest=0, longest=4, generator=seeded())
    assert unique_strings(REBER, 0, shortest=0, longest=4, generator=seeded()) == []
    laugh = Automaton(((0, "H", 1), (1, "A", 0), (1, "O", 2)), 0, 2)
    assert set(unique_strings(laugh, 3, shortest=0, longest=6, generator=seeded())) == {"HO", "HAHO", "HAHAHO"}


@pytest.mark.parametrize("automaton", [REBER, EMBEDDED_REBER])
def test_lengths_are_those_of_walk_after_walk(automaton: Automaton) -> None:
    slow = [len(text) for seed in range(12) for text in slowly(automaton, 250, 11, seed)]
    draws = [unique_strings(automaton, 250, generator=seeded(seed)) for seed in range(60)]
    fast = [len(text) for draw in draws for text in draw]
    assert abs(sum(slow) / len(slow) - sum(fast) / len(fast)) < 0.3  # a deviation of either is 0.07 or less
    for length in range(11, 16):
        assert abs(slow.count(length) / 12 - fast.count(length) / 60) < 3
    first, last = (sum(len(text) for draw in draws for text in draw[part]) for part in (slice(25), slice(-25, None)))
    assert first < last - 60 * 25  # the probable ones come first


@pytest.mark.parametrize(("length", "count", "repeats"), [(11, 6, 400), (20, 60, 150)])  # in order, and at random
def test_strings_of_one_length_are_equally_probable(length: int, count: int, repeats: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(repeats):
        found.update(unique_strings(REBER, count, shortest=length, longest=length, generator=seeded(seed)))
    there_are = REBER.count(length, longest=length)
    expected = repeats * count / there_are
    assert len(found) == there_are
    spread = sum((times - expected) ** 2 / expected for times in found.values())
    assert spread < there_are + 4 * (2 * there_are) ** 0.5


def test_the_true_strings_are_those_of_the_paper() -> None:
    strings = unique_strings(REBER, 12_500, generator=seeded())
    lengths = Counter(map(len, strings))
    assert abs(sum(map(len, strings)) / 12_500 - 23.6) < 0.15
    assert min(lengths) == 11
    assert 48 <= max(lengths) <= 70  # the paper's: 53
    missing = REBER.count(11, longest=20) - sum(lengths[length] for length in range(11, 21))
    assert missing <= 4  # the paper's has all of these; 0.3 are expected to be missing
    for length in range(11, 18):
        assert lengths[length] == REBER.count(length, longest=length)


def test_strings_are_those_of_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (unique_strings(REBER, 300, generator=seeded(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert torch.equal(before, torch.random.get_rng_state())


def test_impossible_requests_are_named() -> None:
    for count in (-1, 1.5, True, None, float("nan")):
        with pytest.raises(RequestError, match=r"count: found .*, expected a whole number of at least 0"):
            unique_strings(REBER, count, generator=seeded())  # type: ignore[arg-type]
    for least in (-1, 1.5, True, None):
        with pytest.raises(RequestError, match=r"shortest: found .*, expected a whole number of at least 0"):
            unique_strings(REBER, 1, shortest=least, generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="shortest: found 745, expected at most 744 letters"):
        unique_strings(REBER, 1, shortest=745, generator=seeded())
    for longest in (10, 1001):
        with pytest.raises(RequestError, match=rf"longest: found {longest}, expected None or 11 .* to 1000 letters"):
            unique_strings(REBER, 1, longest=longest, generator=seeded())
    with pytest.raises(RequestError, match="longest: found True"):
        unique_strings(REBER, 1, longest=True, generator=seeded())
    with pytest.raises(RequestError, match="generator: found None"):
        unique_strings(REBER, 1, generator=None)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="automaton: found 'REBER', expected an Automaton"):
        unique_strings("REBER", 1, generator=seeded())  # type: ignore[arg-type]
    three = Automaton(((0, "A", 1), (0, "B", 1), (0, "C", 1)), 0, 1)
    with pytest.raises(RequestError, match="automaton: found a state that more than two edges leave"):
        unique_strings(three, 1, shortest=0, generator=seeded())
    uneven = Automaton(((0, "A", 1), (0, "B", 2), (1, "A", 3), (2, "A", 3), (2, "B", 3)), 0, 3)
    with pytest.raises(RequestError, match="automaton: found strings of 2 letters that are not equally probable"):
        unique_strings(uneven, 1, shortest=0, generator=seeded())


def test_very_long_strings_can_be_drawn() -> None:
    strings = unique_strings(REBER, 50, shortest=744, generator=seeded())
    assert all(map(REBER.accepts, strings))
    assert min(map(len, strings)) == 744
    assert all(map(REBER.accepts, unique_strings(REBER, 5, shortest=744, longest=1000, generator=seeded())))
