import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_grammar import EMBEDDED_REBER, is_reber
from sparsewire.data.reber_shortcuts import foreign_share, length_accuracy, ngram_accuracy
from sparsewire.data.reber_strings import reber
from sparsewire.errors import RequestError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_papers_task_can_be_solved_without_the_grammar() -> None:
    strings, valid = reber(25_000, generator=seeded())
    assert foreign_share(strings, valid) == 0.56
    assert ngram_accuracy(strings, valid, 1) == 0.78
    assert abs(length_accuracy(strings, valid) - 0.769) < 0.01
    assert abs(ngram_accuracy(strings, valid, 2) - 0.939) < 0.001  # all but the first block, of 6 %
    assert ngram_accuracy(strings, valid, 3) == 1.0


def test_perturbed_strings_are_harder() -> None:
    strings, valid = reber(5000, false="perturbed", generator=seeded())
    assert foreign_share(strings, valid) == 0
    assert ngram_accuracy(strings, valid, 1) == 0.5
    assert abs(length_accuracy(strings, valid) - 0.5) < 0.02
    assert 0.85 < ngram_accuracy(strings, valid, 2) < 0.90
    assert ngram_accuracy(strings, valid, 3) < 0.995
    more, valid = reber(5000, false="perturbed", edits=4, generator=seeded())
    assert ngram_accuracy(more, valid, 2) > 0.95


def test_nothing_short_tells_embedded_strings_from_false_ones() -> None:
    strings, valid = reber(1000, embedded=True, generator=seeded())
    for n in range(1, 8):
        assert ngram_accuracy(strings, valid, n, automaton=EMBEDDED_REBER) == 0.5


@settings(deadline=None)
@given(st.lists(st.text("BTSXPVEA", max_size=8), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 8))
def test_shares_are_counts(strings: list[str], n: int, least: int) -> None:
    valid = torch.tensor([is_reber(string) for string in strings])
    false = [string for string in strings if not is_reber(string)]
    assert foreign_share(strings, valid) == (sum("A" in string for string in false) / len(false) if false else 0)
    assert length_accuracy(strings, valid, least) == sum(
        (len(string) >= least) == is_reber(string) for string in strings
    ) / len(strings)
    right = ngram_accuracy(strings, valid, n)
    assert right == ngram_accuracy(strings[::-1], valid.flip(0), n)
    assert right >= valid.float().mean().item() - 1e-6  # no valid string is ever taken for false


def test_impossible_requests_are_named() -> None:
    strings, valid = ["BTXSE", "BE"], torch.tensor([True, False])
    for wrong in (valid[:1], valid.long(), valid[:, None]):
        for ask in (foreign_share, length_accuracy, lambda *both: ngram_accuracy(*both, n=2)):
            with pytest.raises(RequestError, match=r"valid: found torch\..*, expected bool \(2,\): one a string"):
                ask(strings, wrong)  # type: ignore[operator]
    for n in (0, 1.5, True, None):
        with pytest.raises(RequestError, match=r"n: found .*, expected a whole number of at least 1"):
            ngram_accuracy(strings, valid, n)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"least: found -1"):
        length_accuracy(strings, valid, -1)
    for ask in (length_accuracy, lambda *both: ngram_accuracy(*both, n=2)):
        with pytest.raises(RequestError, match=r"strings: found none, expected at least one"):
            ask([], torch.zeros(0, dtype=torch.bool))  # type: ignore[operator]
    assert foreign_share([], torch.zeros(0, dtype=torch.bool)) == 0
