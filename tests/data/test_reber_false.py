import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_false import perturbed_strings, random_strings, relabelled_strings, shares
from sparsewire.data.reber_grammar import ALPHABET, REBER, RELABELLED, is_reber, relabelled
from sparsewire.data.reber_unique import unique_strings
from sparsewire.errors import RequestError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(one: str, other: str) -> int:
    """The least number of substitutions, insertions, deletions and swaps of neighbours between two strings."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, beside in enumerate(other, 1):
            best = min(row[-1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (letter != beside))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], beside):
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


@settings(deadline=None)
@given(st.integers(0, 100_000))
def test_shares_add_up_and_are_in_proportion(count: int) -> None:
    assert sum(shares(count)) == count
    for share, size in zip(shares(count), RELABELLED.values(), strict=True):
        assert abs(share - count * size / 12_500) < 1


def test_the_papers_blocks() -> None:
    assert shares(12_500) == [1500, 1500, 500, 2000, 2000, 2000, 1500, 1500]
    strings = relabelled_strings(1250, generator=seeded(), shortest=11, longest=None)
    assert len(set(strings)) == 1250
    start = 0
    for labels, share in zip(RELABELLED, shares(1250), strict=True):
        assert all(map(relabelled(labels).accepts, strings[start : start + share]))
        start += share
    # The sixth automaton and the seventh share strings; both blocks are whole all the same.
    assert any(relabelled("MNOQCAURFD").accepts(string) for string in strings[800 : 800 + 200])


def test_too_few_relabelled_strings_are_named() -> None:
    # 24 strings of 11 letters: the fourth block, of 16 %, is the first that cannot be filled.
    with pytest.raises(
        RequestError, match=r"count: found 160 false strings of 11 to 11 letters, of which 26 of the aut"
    ):
        relabelled_strings(160, generator=seeded(), shortest=11, longest=11)


@pytest.mark.parametrize("edits", [1, 2, 5])
def test_perturbed_strings_are_as_many_edits_away_at_most(edits: int) -> None:
    true = unique_strings(REBER, 60, generator=seeded())
    strings = perturbed_strings(true, REBER, edits, generator=seeded(), shortest=11, longest=None)
    assert len(set(strings)) == 60
    assert not any(map(is_reber, strings))
    assert set().union(*strings) <= set(ALPHABET)
    assert min(map(len, strings)) >= 11
    nearest = [min(distance(string, origin) for origin in true) for string in strings]
    # A swap may be followed by an edit between the two letters, and then this distance needs three.
    assert max(nearest) <= (1 if edits == 1 else 2 * edits)
    assert nearest.count(edits) > 20 or edits == 5


def test_all_four_edits_are_made() -> None:
    true = unique_strings(REBER, 300, shortest=20, longest=20, generator=seeded())
    strings = perturbed_strings(true, REBER, 1, generator=seeded(), shortest=0, longest=None)
    lengths = [sum(len(string) == length for string in strings) for length in (19, 20, 21)]
    assert sum(lengths) == 300
    assert min(lengths) > 40  # about a quarter each taken out and put in
    swapped = sum(sorted(string) in [sorted(one) for one in true] for string in strings if len(string) == 20)
    assert 30 < swapped < lengths[1] - 30
    bounded = perturbed_strings(true, REBER, 3, generator=seeded(), shortest=20, longest=20)
    assert set(map(len, bounded)) == {20}


def test_random_strings_have_the_lengths_and_all_letters() -> None:
    true = unique_strings(REBER, 200, generator=seeded())
    strings = random_strings(true, REBER, generator=seeded(), shortest=11, longest=None)
    assert sorted(map(len, strings)) == sorted(map(len, true))
    assert not any(map(is_reber, strings))
    text = "".join(strings)
    expected = len(text) / 7
    assert set(text) == set(ALPHABET)
    assert sum((text.count(letter) - expected) ** 2 / expected for letter in ALPHABET) < 23  # 6 degrees of freedom


def test_no_false_strings_are_asked_for_in_vain() -> None:
    none: list[str] = []
    assert perturbed_strings(none, REBER, 1, generator=seeded(), shortest=0, longest=None) == []
    assert random_strings(none, REBER, generator=seeded(), shortest=0, longest=None) == []
    # Of one letter there are only the seven, and each is false.
    ones = list("BTSXPVE")
    assert sorted(random_strings(ones, REBER, generator=seeded(), shortest=0, longest=None)) == sorted(ALPHABET)
    with pytest.raises(RequestError, match=r"count: found 8 false strings, expected at most 7: no more different ones"):
        random_strings([*ones, "B"], REBER, generator=seeded(), shortest=0, longest=None)
