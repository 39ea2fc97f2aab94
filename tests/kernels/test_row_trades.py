"""Deals and trades: bits, lists and plain numpy come to the same rows; nothing is lost, held labels stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.kernels import native
from sparsewire.kernels.row_trades import Start, dealt, pattern_of, traded_again, traded_lists, traded_pattern
from sparsewire.kernels.row_trades_plain import below, number, numbers


def plainly(monkeypatch):
    monkeypatch.setattr(native, "is_at_hand", lambda: False)


def even(total: int, count: int) -> np.ndarray:
    """Lengths that differ by at most one."""
    return np.full(count, total // count) + (np.arange(count) < total % count)


def test_numbers_are_those_of_splitmix64():
    # The first five of the seed 1234567, as other programs give them.
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [number(1234567, count) for count in range(5)] == known
    assert numbers(np.uint64(1234567), np.arange(5, dtype=np.uint64)).tolist() == known
    ends = np.array([1, 7, 1000, 2**31 + 5, 2**32])
    drawn = np.array([*known[:4], 2**64 - 1], np.uint64)
    assert below(drawn, ends).tolist() == [int(one) * int(end) >> 64 for one, end in zip(drawn, ends, strict=True)]


# count of rows, labels, rows of each label: no row's end at a word's, more rows than labels, one word, many, one row.
@pytest.mark.parametrize(
    ("count", "labels", "each"),
    [(16, 300, 2), (40, 64, 3), (33, 65, 5), (200, 10, 7), (64, 1000, 1), (2, 6, 1), (1, 5, 1), (60, 700, 6)],
)
def test_all_forms_come_to_the_same_rows(count, labels, each, monkeypatch):
    lengths = even(labels * each, count)
    deal = dealt(lengths, labels, each, 5)
    assert deal is not None
    starts = [deal, Start(lengths, labels, None, 4)]
    patterns = [traded_pattern(start, 5, 9) for start in starts]
    lists = [traded_lists(start, 5, 9) for start in starts]
    plainly(monkeypatch)
    assert (dealt(lengths, labels, each, 5).slots == deal.slots).all()
    for start, pattern, listed in zip(starts, patterns, lists, strict=True):
        assert (pattern.sum(1) == lengths).all()
        assert (pattern.sum(0) == each).all()
        assert (pattern_of(listed, labels) == pattern).all()
        assert (listed.labels == np.nonzero(pattern)[1]).all()  # each row's rise
        assert (traded_lists(start, 5, 9).labels == listed.labels).all()
        assert (traded_pattern(start, 5, 9) == pattern).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 20), st.integers(1, 140), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**62 - 1))
def test_patterns_of_any_degrees_trade_alike_in_bits_and_plainly(count, labels, held_part, tilt, seed):
    source = np.random.default_rng(seed)
    pattern = source.random((count, labels)) < tilt * source.random((count, 1)) ** 2
    held = pattern & (source.random(pattern.shape) < held_part)
    for stays in (held, None):
        after = traded_again(pattern, stays, 4, seed)
        assert (after.sum(0) == pattern.sum(0)).all()
        assert (after.sum(1) == pattern.sum(1)).all()
        assert stays is None or after[stays].all()
        with pytest.MonkeyPatch.context() as patch:
            plainly(patch)
            assert (traded_again(pattern, stays, 4, seed) == after).all()


@pytest.mark.parametrize("form", ["native", "plain"])
@pytest.mark.parametrize(("one", "other"), [(3, 3), (1, 5), (5, 1), (2, 4)])
def test_all_ways_to_share_are_equally_probable(form, one, other, monkeypatch):
    if form == "plain":
        plainly(monkeypatch)
    pattern = np.zeros((2, 8), np.bool_)
    pattern[0, :one] = pattern[1, one : one + other] = True
    pattern[:, 7] = True  # shared: it stays
    counts: dict[bytes, int] = {}
    for seed in range(1500):
        after = traded_again(pattern, None, 1, seed)
        assert after[:, 7].all()
        counts[after.tobytes()] = counts.get(after.tobytes(), 0) + 1
    ways = {(3, 3): 20, (1, 5): 6, (5, 1): 6, (2, 4): 15}[one, other]
    assert len(counts) == ways
    chi_square = sum((count - 1500 / ways) ** 2 for count in counts.values()) * ways / 1500
    assert abs(chi_square - (ways - 1)) < 3.5 * (2 * (ways - 1)) ** 0.5


@pytest.mark.parametrize("form", ["native", "plain"])
def test_a_deal_that_cannot_be_mended_is_given_up(form, monkeypatch):
    if form == "plain":
        plainly(monkeypatch)
    assert dealt(np.array([4, 0]), 2, 2, 0) is None  # either label would have to be twice in the only row


@pytest.mark.parametrize("form", ["native", "plain"])
def test_a_deal_of_all_to_all_is_mended_or_given_up(form, monkeypatch):
    if form == "plain":
        plainly(monkeypatch)
    for seed in range(20):
        deal = dealt(np.array([4, 4, 4]), 6, 2, seed)
        if deal is not None:
            rows = deal.slots.reshape(6, 2)
            assert (rows[:, 0] != rows[:, 1]).all()
            assert np.bincount(deal.slots).tolist() == [4, 4, 4]


def test_rows_are_the_same_for_any_number_of_threads(monkeypatch):
    lengths = even(600 * 90, 600)
    start = Start(lengths, 600, None, 17)
    alone = traded_pattern(start, 6, 3), traded_lists(start, 6, 3).labels
    monkeypatch.setattr("sparsewire.kernels.row_trades._threads", lambda size: 3)
    assert (traded_pattern(start, 6, 3) == alone[0]).all()
    assert (traded_lists(start, 6, 3).labels == alone[1]).all()


@pytest.mark.parametrize("labels", [1, 63, 64, 65, 130])
def test_rows_laid_out_go_round_the_labels(labels):
    start = Start(even(labels * 3, 5) if labels > 1 else np.array([1, 1, 1]), labels, None, labels - 1)
    pattern = traded_pattern(start, 0, 0)
    assert (pattern.sum(0) == 3).all()
    place = labels - 1
    for row, length in zip(pattern, start.lengths, strict=True):
        expected = (place + np.arange(length)) % labels
        assert np.flatnonzero(row).tolist() == sorted(expected.tolist())
        place += length
