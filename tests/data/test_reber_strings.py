import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_grammar import DISAGREEING_REBER, REBER, RELABELLED, is_reber, relabelled
from sparsewire.data.reber_strings import reber
from sparsewire.errors import RequestError, UnknownNameError

KINDS = [(False, "relabelled"), (False, "perturbed"), (False, "random"), (True, "disagreeing"), (True, "perturbed"),
         (True, "random")]  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), count=st.integers(1, 301), shortest=st.integers(9, 16),
       more=st.none() | st.integers(10, 20), seed=st.integers(0, 99))  # fmt: skip
def test_half_are_valid_and_none_comes_twice(
    kind: tuple[bool, str], count: int, shortest: int, more: int | None, seed: int
) -> None:
    embedded, false = kind
    longest = None if more is None else shortest + more
    strings, valid = reber(
        count, false=false, embedded=embedded, shortest=shortest, longest=longest, generator=seeded(seed)  # type: ignore[arg-type]
    )  # fmt: skip
    assert len(strings) == len(set(strings)) == count
    assert (valid.dtype, tuple(valid.shape), int(valid.sum())) == (torch.bool, (count,), (count + 1) // 2)
    assert [is_reber(string, embedded=embedded) for string in strings] == valid.tolist()
    assert all(shortest <= len(string) <= (longest or 300) for string in strings)


def test_the_papers_strings() -> None:
    strings, valid = reber(25_000, generator=seeded())
    true = [string for string, is_valid in zip(strings, valid.tolist(), strict=True) if is_valid]
    false = [string for string, is_valid in zip(strings, valid.tolist(), strict=True) if not is_valid]
    assert (len(set(true)), len(set(false))) == (12_500, 12_500)
    assert abs(sum(map(len, true)) / 12_500 - 23.6) < 0.15
    assert abs(sum(map(len, false)) / 12_500 - 18.7) < 0.15
    assert min(map(len, strings)) == 11
    assert max(map(len, false)) < 65  # the paper's: 48
    blocks = [sum(map(relabelled(labels).accepts, false)) for labels in RELABELLED]
    wanted = list(RELABELLED.values())
    assert blocks[:5] == wanted[:5]
    assert blocks[7] == wanted[7]
    assert sum(blocks[5:7]) - 3500 in range(40)  # these two automata share a string of each length


def test_the_order_is_random() -> None:
    _, valid = reber(2000, generator=seeded())
    assert 430 < int(valid[:1000].sum()) < 570
    runs = int((valid[1:] != valid[:-1]).sum()) + 1
    assert 900 < runs < 1100


def test_embedded_false_strings_are_wrong_in_one_letter_only() -> None:
    strings, valid = reber(500, embedded=True, shortest=9, generator=seeded())
    other = {"T": "P", "P": "T"}
    for string, is_valid in zip(strings, valid.tolist(), strict=True):
        assert is_reber(string[2:-2])
        assert (string[1] == string[-2]) is is_valid
        assert DISAGREEING_REBER.accepts(string) is not is_valid
        assert is_reber(string[:-2] + other[string[-2]] + "E", embedded=True) is not is_valid


@pytest.mark.parametrize(("embedded", "false"), KINDS)
def test_strings_are_those_of_the_generator_alone(embedded: bool, false: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        reber(101, false=false, embedded=embedded, generator=seeded(seed)) for seed in (3, 3, 4)  # type: ignore[arg-type]
    )  # fmt: skip
    assert first[0] == again[0]
    assert torch.equal(first[1], again[1])
    assert first[0] != other[0]
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_defaults_are_the_papers_and_the_only_ones_of_the_embedded_grammar() -> None:
    for embedded, false in ((False, "relabelled"), (True, "disagreeing")):
        default = reber(50, embedded=embedded, generator=seeded())
        named = reber(50, embedded=embedded, false=false, generator=seeded())  # type: ignore[arg-type]
        assert default[0] == named[0]


def test_impossible_requests_are_named() -> None:
    for wrong in (0, -1, 1.5, True, None, float("nan")):
        with pytest.raises(RequestError, match=r"count: found .*, expected a whole number of at least 1"):
            reber(wrong, generator=seeded())  # type: ignore[arg-type]
        with pytest.raises(RequestError, match=r"edits: found .*, expected a whole number of at least 1"):
            reber(2, false="perturbed", edits=wrong, generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"edits: found 2 with false 'relabelled', expected 1"):
        reber(2, edits=2, generator=seeded())
    with pytest.raises(RequestError, match=r"embedded: found 1, expected True or False"):
        reber(2, embedded=1, generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(
        UnknownNameError, match=r"no kind of false strings is named 'relabeled'; did you mean 'relabelled'"
    ):
        reber(2, false="relabeled", generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(
        UnknownNameError, match=r"no kind of false strings of the embedded grammar is named 'relabelled'"
    ):
        reber(2, false="relabelled", embedded=True, generator=seeded())
    with pytest.raises(UnknownNameError, match=r"no kind of false strings is named 'disagreeing'"):
        reber(2, false="disagreeing", generator=seeded())
    with pytest.raises(RequestError, match=r"longest: found 10, expected None or 11"):
        reber(2, longest=10, generator=seeded())
    with pytest.raises(RequestError, match=r"shortest: found -1"):
        reber(2, shortest=-1, generator=seeded())
    with pytest.raises(RequestError, match=r"generator: found 3"):
        reber(2, generator=3)  # type: ignore[arg-type]
    there_are = REBER.count(11, longest=20)
    reber(2 * there_are, longest=20, generator=seeded())
    with pytest.raises(
        RequestError, match=r"count: found 4,809, expected at most 4,808: 2,404 different valid strings"
    ):
        reber(2 * there_are + 1, longest=20, generator=seeded())
