"""`sparsewire trials`: which columns its table has room for."""

import pytest

from sparsewire.cli.listing import _table
from sparsewire.errors import UnknownNameError
from sparsewire.lab.storage.queries import Row

NUMBERS = {f"number {place}": float(place) for place in range(9)}


def row(place: int = 0, **fields: object) -> Row:
    return Row(place, "a" * 16, "demo", 0, "done", None, 1.0, "", {"epochs": 5, **fields}, NUMBERS)


def metrics_of(columns: list[str]) -> list[str]:
    return [name for name in columns if name.startswith("number")]


def test_what_came_out_is_shown_rather_than_what_a_trial_began_with() -> None:
    columns, _ = _table([row()], [], [])
    assert metrics_of(list(columns)) == [f"number {place}" for place in range(3, 9)]
    assert "epochs" not in columns  # the same everywhere


def test_what_is_sorted_and_filtered_by_comes_first() -> None:
    columns, content = _table([row(), row(1)], [], ["number 1", "epochs", "seed"])
    assert metrics_of(list(columns)) == ["number 1", *(f"number {place}" for place in range(4, 9))]
    assert columns[3:5] == ["epochs", "number 1"]
    assert content[0][3:5] == [5, 1.0]
    every = [f"number {place}" for place in range(8)]
    assert metrics_of(list(_table([row()], [], every)[0])) == every[:6]


def test_what_shall_be_shown_is_all_that_is() -> None:
    columns, _ = _table([row(genome="a"), row(1, genome="b")], ["number 2", "epochs"], ["number 1"])
    assert columns == ["run", "seed", "state", "epochs", "number 2", "seconds"]
    with pytest.raises(UnknownNameError, match="'epoch'; did you mean 'epochs'"):
        _table([row()], ["epoch"], [])


def test_a_long_text_is_cut() -> None:
    [first, second] = _table([row(genome="g" * 30), row(genome="g" * 31)], [], [])[1]
    assert (first[3], second[3]) == ("g" * 30, f"{'g' * 29}…")
