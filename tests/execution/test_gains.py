"""The rows of `sparsewire bench`, with times that are made up."""

from collections.abc import Sequence

import pytest

from sparsewire.execution.gains import gains_of
from sparsewire.execution.measuring import Timing
from sparsewire.execution.roofline import Limits, least_seconds, work_of
from sparsewire.execution.subjects import Subject

LIMITS = Limits(1, 1e11, 5e10, ((1 << 30, 1e10),), native=True)


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (4.66, "sparse: 4.6× faster"),
        (1.1, "sparse: 1.10× faster"),
        (1.02, "use dense: 1.02×"),
        (0.8, "use dense: 0.8×"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_row_says_what_was_measured_and_what_to_do(ratio: float, told: str, training: bool) -> None:
    asked: list[Subject] = []

    def measure(subject: Subject, batches: Sequence[int], trained: bool) -> list[Timing]:
        assert trained == training
        asked.append(subject)
        return [Timing(batch, ratio * 1e-3, 1e-3, ratio) for batch in batches]

    first, second = gains_of((784, 300), 0.1, (32, 1), training, LIMITS, measure=measure)
    assert asked == [Subject("Linear", (300, 784), True, 0.1, "float32", "cpu")]
    assert (first.timing.batch, second.timing.batch) == (32, 1)
    assert first.verdict == told
    assert first.fraction == least_seconds(work_of(300, 784, 23520, 32, training=training), LIMITS) / 1e-3
    assert first.as_dict() | {"fraction_of_limit": 0} == {
        "inputs": 784,
        "outputs": 300,
        "density": 0.1,
        "batch": 32,
        "pass": "training" if training else "inference",
        "dense_seconds": ratio * 1e-3,
        "sparse_seconds": 1e-3,
        "ratio": ratio,
        "fraction_of_limit": 0,
        "verdict": told,
    }


def test_it_can_measure_by_itself() -> None:
    assert gains_of((8, 4), 0.5, (2,), True, LIMITS, seconds=0.0)[0].timing.batch == 2
