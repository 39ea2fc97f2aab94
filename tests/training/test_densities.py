import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure import schedules
from sparsewire.structure.select import prune
from sparsewire.training.densities import Overheard, checked_densities, next_density
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import Iterations

DONE = Iterations(Evaluation(0.1, 0.9, 10))


def all_of(densities, most=20):
    checked, found = checked_densities(densities, has_end=False), []
    while len(found) < most and (density := next_density(checked, len(found), DONE)) is not None:
        found.append(density)
    return found


@pytest.mark.parametrize(
    ("densities", "expected"),
    [
        (0.5, [0.5]),
        (1, [1.0]),
        ((0.5, 0.5, 0.1), [0.5, 0.5, 0.1]),
        (np.array([0.5, 0.25]), [0.5, 0.25]),
        (torch.tensor(0.5), [0.5]),
        (np.array(0.5), [0.5]),
        (iter([0.5, 0.25]), [0.5, 0.25]),
        (schedules.one_shot(0.5, begin=2), [1.0, 1.0, 0.5]),
        (schedules.fixed_size(4, 10), [0.6, 0.2, 0.0]),
        (schedules.fixed_size(4, 10, density=0.5), [0.6, 0.5]),
        (schedules.relative(0.5, begin=1, until=3, every=2), [1.0, 0.5, 0.5, 0.25]),
        (schedules.relative(0.0, until=1), [1.0, 1.0]),
        (schedules.cubic(0.0, until=2), [1.0, 0.125, 0.0]),
        (schedules.cosine(0.5, until=2, initial=0.5), [0.5]),  # it is at its end from the beginning
    ],
)
def test_where_densities_end(densities, expected):
    assert all_of(densities) == pytest.approx(expected)


def test_functions_of_the_step_and_of_the_loop():
    assert next_density(checked_densities(lambda step: 0.5, True), 7, DONE) == 0.5
    assert next_density(checked_densities(lambda step, done: done.base.accuracy, True), 7, DONE) == 0.9
    assert next_density(checked_densities(lambda step: None, True), 0, DONE) is None


@pytest.mark.parametrize("found", [-0.1, 1.1, float("nan"), "0.5", True])
def test_a_function_must_give_densities(found):
    with pytest.raises(RequestError, match=r"densities\(3\)"):
        next_density(lambda step: found, 3, DONE)


def test_a_score_is_overheard():
    weights = {"a.weight": torch.tensor([[1.0, -2.0]]), "b.weight": torch.tensor([[3.0, 4.0]])}
    masks = {"a.weight": torch.tensor([[True, False]]), "b.weight": torch.tensor([[True, True]])}
    score = Overheard("magnitude")
    assert prune(weights, score=score, density=0.5, masks=masks) == prune(
        weights, score="magnitude", density=0.5, masks=masks
    )
    assert score.total == 4
    assert {name: live.tolist() for name, live in score.of_live().items()} == {"a.weight": [1], "b.weight": [3, 4]}
