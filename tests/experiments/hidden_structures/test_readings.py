"""What is read off made-up outcomes."""

import math

import pytest

from sparsewire.experiments.hidden_structures.descents import MEASURES
from sparsewire.experiments.hidden_structures.readings import at, best_half, control_at, finite, smallest
from sparsewire.experiments.hidden_structures.relative import RelativeSpec
from sparsewire.lab.experiment import Outcome

# removed, weights, before, after, validation, epochs, gain
ROWS = (
    (0.0, 100, 97.0, 97.0, 97.0, 0, 0.0),
    (50.0, 50, 96.0, 97.4, 97.2, 2, 1.4),
    (75.0, 25, 90.0, 97.0, 97.3, 4, 7.0),
    (90.0, 10, 60.0, 96.4, 96.2, 6, 36.4),
    (95.0, 5, 30.0, 91.0, 90.0, 8, 61.0),
)


@pytest.fixture
def outcome() -> Outcome:
    series = {
        f"way {measure}": [(step, row[place]) for step, row in enumerate(ROWS)]
        for place, measure in enumerate(MEASURES)
    }
    series["control"] = [(epoch, 97.0 + 0.1 * epoch) for epoch in range(9)]
    return Outcome(RelativeSpec(), 0, "done", None, 1.0, {"base": 97.0}, series)


def test_at_a_level_between_two_steps(outcome) -> None:
    assert at(outcome, "way", 80) == pytest.approx(97.0 - 0.6 / 3)
    assert at(outcome, "way", 90) == 96.4
    assert at(outcome, "way", 60, "before") == pytest.approx(96 - 6 * 0.4)


def test_beyond_the_end_there_is_nothing(outcome) -> None:
    assert math.isnan(at(outcome, "way", 96))
    assert math.isnan(at(outcome, "no such way", 10))
    assert math.isnan(control_at(outcome, "way", 99))
    assert finite([1.0, math.nan]) == (1.0,)


def test_the_control_after_as_many_epochs(outcome) -> None:
    assert control_at(outcome, "way", 90) == pytest.approx(97.6)
    assert control_at(outcome, "way", 80) == pytest.approx(97.4 + 0.2 / 3)


def test_the_two_rules_for_the_best_network_choose_by_validation(outcome) -> None:
    assert smallest(outcome, "way")[:2] == (10, 96.4)
    assert best_half(outcome, "way")[:2] == (25, 97.0)
    assert smallest(outcome, "other") is None
    assert best_half(outcome, "other") is None
