import itertools
import json
import math

import pytest
import torch

from sparsewire.errors import CheckpointError
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import Iteration
from sparsewire.training.loop_state import LoopCheckpoints, Pending, Standing, Trained, parts_of
from sparsewire.training.rewinding import Kept
from sparsewire.training.state import State

GOOD, ODD = Evaluation(0.5, 0.9, 10), Evaluation(1 / 3, 0.1, 7)


def masks(left: int) -> Masks:
    return Masks({"a.weight": (torch.arange(12) < left).view(3, 4), "b": torch.arange(5) < left})


def iteration(step: int, left: int, control: Evaluation | None) -> Iteration:
    return Iteration(step, left / 12, masks(left), GOOD, ODD, GOOD, control, 2, 8, 8, 0.1, 0.2, (0.25, 1 / 3))


STANDINGS = [
    Standing(seed=2**62 - 1),
    Standing(base=GOOD, kept=Kept({"a.weight": torch.rand(3, 4), "b": torch.zeros(0)}, 3)),
    Standing(1, ODD, (iteration(0, 12, None), iteration(1, 4, GOOD))),
    Standing(1, ODD, (iteration(0, 9, ODD),), Pending(1, 0.1, masks(9), ODD, 0.5, 77)),
    Standing(1, ODD, (), Pending(0, 0.1, masks(0), ODD, 0.5, 77, "sparse", Trained(GOOD, 2, 8, 1.5, (0.5, 0.75)))),
]


@pytest.mark.parametrize("standing", STANDINGS, ids=range(len(STANDINGS)))
def test_a_standing_comes_back(standing: Standing) -> None:
    facts = json.loads(json.dumps(standing.told(tensors := {}), allow_nan=False))
    again = Standing.found(facts, tensors)
    assert (again.seed, again.base, again.done, again.pending) == (
        standing.seed, standing.base, standing.done, standing.pending
    )  # fmt: skip
    assert (again.kept is None) == (standing.kept is None)
    if standing.kept is not None and again.kept is not None:
        assert again.kept.epoch == standing.kept.epoch
        assert all(torch.equal(tensor, again.kept.weights[name]) for name, tensor in standing.kept.weights.items())


def test_nan_is_told_as_a_number_of_a_tensor() -> None:
    facts = json.loads(json.dumps(Standing(base=Evaluation(0.5, math.nan, 3)).told(tensors := {}), allow_nan=False))
    base = Standing.found(facts, tensors).base
    assert base is not None
    assert math.isnan(base.accuracy)


def test_another_form_is_refused() -> None:
    with pytest.raises(CheckpointError, match="form 99"):
        Standing.found({"form": 99}, {})


def test_masks_of_all_steps_take_two_bytes_a_weight() -> None:
    standing = Standing(1, GOOD, tuple(iteration(step, 12 - step, None) for step in range(9)))
    standing.told(tensors := {})
    gone = {name: tensor for name, tensor in tensors.items() if name.startswith("gone/")}
    assert {name: tensor.dtype for name, tensor in gone.items()} == {
        "gone/a.weight": torch.int16,
        "gone/b": torch.int16,
    }
    lefts = [int((gone["gone/a.weight"] > step).sum()) for step in range(9)]
    assert all(later == earlier - 1 for earlier, later in itertools.pairwise(lefts))


def test_two_parts_are_kept_as_one() -> None:
    class Shelf:
        kept: State | None = None

        def load(self) -> State | None:
            return self.kept

        def is_due(self) -> bool:
            return True

        def save(self, state: State) -> None:
            self.kept = state

    shelf = Shelf()
    loop, training = State({"x": torch.ones(1)}, {"step": 3}), State({"x": torch.zeros(2)}, {"epoch": 1})
    phase = LoopCheckpoints(shelf, lambda: loop, training)
    assert phase.load() is training
    assert phase.is_due()
    phase.save(training)
    assert shelf.kept is not None
    for found, given in zip(parts_of(shelf.kept), (loop, training), strict=True):
        assert found.facts == given.facts
        assert torch.equal(found.tensors["x"], given.tensors["x"])
