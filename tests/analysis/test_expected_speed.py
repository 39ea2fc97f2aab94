import pytest

from sparsewire.analysis.expected_speed import expected_speed, measured_here
from sparsewire.execution.measuring import Timing
from sparsewire.structure.splits import Split

SPLIT = Split((64, 1024, 64), (256, 16))


def ratios(*each):
    """Every layer takes 4 ms dense; the sparse ones are so many times faster, in the order asked for."""
    left = list(each)

    def measure(subject, batches, training):
        ratio = left.pop(0)
        return [Timing(batch, 4e-3, 4e-3 / ratio, ratio) for batch in batches]

    return measure


@pytest.mark.parametrize(
    ("measured", "speed", "runs_sparse"),
    [
        ((2.0, 4.0), 8 / 3, (True, True)),
        ((0.5, 2.0), 8 / 6, (False, True)),
        ((1.05, 0.2), 1.0, (False, False)),  # too little to gain: the plan's margin is 1.1
        ((2.0, 1000.0), 8 / 6, (True, False)),  # more than a density of a quarter can give: a disturbance
    ],
)
def test_each_layer_runs_as_the_plan_says(measured, speed, runs_sparse):
    found = expected_speed(SPLIT, 32, True, ratios(*measured))
    assert found == (pytest.approx(speed), runs_sparse)


def test_a_whole_layer_costs_what_it_costs():
    assert expected_speed(Split((8, 4, 2), (2, 2)), 1, False, ratios(4.0, 4.0)) == (8 / 5, (True, False))


def test_what_is_measured_is_the_plans_subject():
    asked = []

    def measure(subject, batches, training):
        asked.append((subject.key, tuple(batches), training))
        return [Timing(batch, 1e-3, 1e-3, 1.0) for batch in batches]

    expected_speed(Split((784, 100), (25,)), 7, False, measure)
    assert asked == [("Linear 100×784 bias float32 density 0.255 cpu", (7,), False)]


def test_on_this_machine():
    speed, runs_sparse = expected_speed(Split((8, 4), (2,)), 1, True, measured_here())
    assert speed > 0.9
    assert len(runs_sparse) == 1
