"""The rule of what is safe: worked out by hand, and against the paper's text and stored accuracies."""

import math

import pytest

from sparsewire.experiments.hidden_structures.recurrent_published import (
    CELLS,
    DROP,
    REMOVED,
    SAFE,
    SCOPES,
    STORED,
    STRICT_DROP,
    by_share,
    safe_share,
    stored_safe_share,
)


@pytest.mark.parametrize(
    ("base", "accuracies", "safe"),
    [
        (100, {10: 100, 20: 95.5, 30: 90}, 20),
        (100, {10: 95.4, 20: 100}, 0),
        (100, {30: 50, 10: 100, 20: 100, 40: 100}, 20),  # what comes after a fall does not count, in any order
        (93.7, {10: 89.2, 20: 95}, 20),  # 93.7 − 89.2 is 4.500000000000014, and 4.5 on paper
        (50, {10: 50, 20: 99}, 20),
        (100, {10: 100, 20: math.nan, 30: 100}, 10),
        (100, {}, 0),
    ],
)
def test_by_hand(base, accuracies, safe) -> None:
    assert safe_share(base, accuracies) == safe


def test_everything_published_is_there() -> None:
    assert SAFE.keys() == STORED.keys() == {(scope, cell) for scope in SCOPES for cell in CELLS}
    assert all(len(row) == len(REMOVED) for row in STORED.values())


def disagreements(drop: float) -> set[tuple[str, str]]:
    return {key for key, share in SAFE.items() if stored_safe_share(*key, drop) != share}


def test_the_rule_gives_the_text_from_the_stored_accuracies_in_all_cells_but_one() -> None:
    assert disagreements(DROP) == {("h2h", "lstm")}
    assert stored_safe_share("h2h", "lstm") == 80 > SAFE["h2h", "lstm"]


def test_by_two_points_another_cell_disagrees() -> None:
    assert disagreements(STRICT_DROP) == {("h2h", "lstm"), ("h2h", "gru")}
    assert stored_safe_share("h2h", "gru", STRICT_DROP) == 70 < SAFE["h2h", "gru"]


def test_no_drop_agrees_with_more() -> None:
    found = {tenths / 10: len(disagreements(tenths / 10)) for tenths in range(1, 300)}
    assert min(found.values()) == 1
    assert [drop for drop, count in found.items() if count == 1] == [4.4, 4.5, 4.6, 4.7, 4.8]


def test_shares() -> None:
    assert by_share(range(10))[10] == 0
    assert by_share(range(10))[100] == 9
    with pytest.raises(ValueError, match="shorter"):
        by_share([1.0])
