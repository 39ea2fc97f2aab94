import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.reber_codes import SYMBOLS, code_lengths, decoded, encoded, packed
from sparsewire.data.reber_grammar import ALPHABET
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.sequence_classifier import SequenceClassifier

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@settings(deadline=None)
@given(st.lists(st.text(LETTERS, max_size=9), max_size=6), st.sampled_from(["ascii", "compact"]), st.integers(0, 3))
def test_strings_come_back(strings: list[str], code: str, more: int) -> None:
    steps = max(map(len, strings), default=0) + more
    codes = encoded(strings, code=code, steps=steps)  # type: ignore[arg-type]
    assert (codes.dtype, tuple(codes.shape)) == (torch.int64, (len(strings), steps))
    assert decoded(codes, code=code) == strings  # type: ignore[arg-type]
    assert decoded(codes.to(torch.int32), code=code) == strings  # type: ignore[arg-type]
    assert code_lengths(codes).tolist() == [len(string) for string in strings]
    assert bool((codes < SYMBOLS[code]).all())
    narrow = encoded(strings, code=code)  # type: ignore[arg-type]
    assert torch.equal(narrow, codes[:, : narrow.shape[1]])


@settings(deadline=None)
@given(st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=9)))
def test_the_ascii_code_is_ascii(strings: list[str]) -> None:
    codes = encoded(strings)
    assert [list(string.encode("ascii")) for string in strings] == [row[row > 0].tolist() for row in codes]
    assert decoded(codes) == strings


def test_the_compact_code_counts_the_grammars_letters_first() -> None:
    assert encoded([ALPHABET], code="compact").tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    assert sorted(encoded([LETTERS], code="compact")[0].tolist()) == list(range(1, 27))
    assert encoded(["AZ"], code="compact").tolist() == [[8, 26]]
    assert dict(SYMBOLS) == {"ascii": 128, "compact": 27}


@settings(deadline=None)
@given(st.lists(st.text(ALPHABET, min_size=1, max_size=9), min_size=1, max_size=6))
def test_packed_rows_have_no_padding(strings: list[str]) -> None:
    sequence = packed(encoded(strings, code="compact"))
    assert sequence.data.numel() == sum(map(len, strings))
    rows, lengths = torch.nn.utils.rnn.pad_packed_sequence(sequence, batch_first=True)
    assert decoded(rows, code="compact") == strings
    assert lengths.tolist() == [len(string) for string in strings]


def test_a_classifier_reads_codes_packed_or_not_and_reads_on_if_told() -> None:
    strings = ["BTXSE", "BPTVVE", "BPVPXTVVE"]
    codes = encoded(strings, code="compact", steps=20)
    generator = torch.Generator()
    model, reading = (
        SequenceClassifier(
            "tanh", 4, hidden=5, layers=1, symbols=8, padding=0, reads_padding=reads, generator=generator.manual_seed(0)
        )
        for reads in (False, True)
    )
    with torch.no_grad():
        torch.testing.assert_close(model(packed(codes)), model(codes))
        torch.testing.assert_close(model(codes, code_lengths(codes)), model(codes))
        torch.testing.assert_close(reading(codes), reading(codes[:, :9]))  # to the batch's longest only
        assert not torch.allclose(reading(codes)[0], model(codes)[0])
        torch.testing.assert_close(reading(codes)[2], model(codes)[2])


def test_impossible_requests_are_named() -> None:
    with pytest.raises(UnknownNameError, match=r"no code of Reber strings is named 'asci'; did you mean 'ascii'"):
        encoded(["BTXSE"], code="asci")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"no code of Reber strings is named 'utf-8'"):
        decoded(torch.ones(1, 1, dtype=torch.int64), code="utf-8")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"steps: found 4, expected at least 5, the letters of the longest string"):
        encoded(["BTXSE"], steps=4)
    for steps in (-1, 5.0, True):
        with pytest.raises(RequestError, match=r"steps: found"):
            encoded(["BTXSE"], steps=steps)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"strings: found the string 'BTXSE', expected a list of strings"):
        encoded("BTXSE")
    with pytest.raises(
        RequestError, match=r"strings: found the letter 'b', which has no code 'compact', expected capital"
    ):
        encoded(["bTXSE"], code="compact")
    for letter in ("\0", "Ä"):
        with pytest.raises(
            RequestError, match=r"strings: found the letter .* no code 'ascii', expected ASCII characters"
        ):
            encoded(["BT" + letter])
    for outside in (-1, 128):
        with pytest.raises(RequestError, match=rf"codes: found {outside}, expected 0 to 127, the code 'ascii'"):
            decoded(torch.tensor([[66, outside]]))
    with pytest.raises(RequestError, match=r"codes: found 27, expected 0 to 26, the code 'compact'"):
        decoded(torch.tensor([[27]]), code="compact")
    with pytest.raises(RequestError, match=r"codes: found a letter behind a zero"):
        decoded(torch.tensor([[66, 0, 66]]))
    for codes in (torch.ones(2, 2), torch.ones(3, dtype=torch.int64), torch.ones(2, 2, dtype=torch.bool)):
        for read in (decoded, code_lengths, packed):
            with pytest.raises(RequestError, match=r"codes: found torch\..* of shape .*, expected whole numbers"):
                read(codes)
    for empty in (torch.tensor([[66], [0]]), torch.zeros(0, 3, dtype=torch.int64)):
        with pytest.raises(RequestError, match=r"codes: found a row without a letter, or no row"):
            packed(empty)
