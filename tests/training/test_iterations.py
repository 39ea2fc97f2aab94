import math

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import Iteration, Iterations


def judged(accuracy: float) -> Evaluation:
    return Evaluation(0.5, accuracy, 100)


def step(number: int, left: int, accuracy: float, control: float | None = None) -> Iteration:
    masks = Masks({"weight": torch.arange(100) < left})
    other = None if control is None else judged(control)
    return Iteration(
        number, left / 100, masks, judged(0.9), judged(0.5), judged(accuracy), other, 2, 8, 8, 1.0, 1.0, ()
    )


def loop(*steps: tuple[int, float] | tuple[int, float, float]) -> Iterations:
    return Iterations(judged(0.9), tuple(step(number, *one) for number, one in enumerate(steps)))


@pytest.mark.parametrize(
    ("rule", "steps", "best"),
    [
        ({"drop": 0.01}, [(80, 0.9), (40, 0.895), (20, 0.88)], 1),
        ({"drop": 0.01}, [(80, 0.95), (40, 0.895), (20, 0.891)], 2),
        ({"drop": 0.25}, [(80, 0.9), (40, 0.65)], 0),  # exactly so much is not less
        ({"drop": 0.1}, [(80, 0.9), (40, 0.8)], 0),  # nor as a binary fraction, where 0.8 - 0.9 > -0.1
        ({"drop": 0.01}, [(80, 0.5)], None),
        ({"drop": 0.01}, [(80, math.nan)], None),
        ({"drop": 0.01}, [], None),
        ({"density": 0.5}, [(80, 0.99), (50, 0.9), (20, 0.95), (10, 0.8)], 2),
        ({"density": 0.5}, [(51, 0.99)], None),
        ({"density": 0.5}, [(50, 0.9), (20, 0.9), (20, 0.9)], 1),  # of equals the smaller, then the earlier
        ({"density": 0.5}, [(50, math.nan), (20, 0.2)], 1),
        ({"density": 0.5, "drop": 0.05}, [(80, 0.9), (40, 0.8), (20, 0.86)], 2),
        ({"drop": 0.01, "against": "control"}, [(80, 0.95, 0.9), (40, 0.95, 0.97)], 0),
    ],
)
def test_best(rule, steps, best):
    found = loop(*steps).best(**rule)
    assert (None if found is None else found.step) == best


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "best: found neither"),
        ({"drop": 1.5}, "drop: found 1.5"),
        ({"drop": True}, "drop: found True"),
        ({"density": -0.1}, "density: found -0.1"),
        ({"density": math.nan}, "density: found nan"),
        ({"drop": 0.1, "against": "control"}, "against: found 'control'"),
        ({"drop": 0.1, "against": "base line"}, "base line"),
    ],
)
def test_impossible_rules(rule, message):
    with pytest.raises(RequestError, match=message):
        loop((50, 0.9)).best(**rule)


def test_what_a_loop_says_of_itself():
    found = loop((50, 0.8, 0.9), (20, 0.7, 0.95))
    assert (len(found), [one.left for one in found], found[-1].left) == (2, [50, 20], 20)
    assert found.densities == (0.5, 0.2)
    assert found.accuracies == (0.8, 0.7)
    assert found.control_accuracies == (0.9, 0.95)
    assert found.masks == found[1].masks
    assert found[0].gain == pytest.approx(0.3)
    assert loop((50, 0.8)).control_accuracies == ()
    assert loop().masks is None
    assert str(loop()).startswith("step  density")
