"""What all pruning experiments start from: the split, the falling rate, methods that remove what they should."""

import pytest
import torch
from pydantic import ValidationError

from sparsewire.experiments.hidden_structures import setup
from sparsewire.experiments.hidden_structures.relative import RelativeSpec
from sparsewire.lab.experiment import Trial
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Epoch, Evaluation, History

SMALL = RelativeSpec(**setup.SMOKE)


def history(*accuracies: float) -> History:
    return History(
        tuple(Epoch(n, 1, 0.0, 0.0, Evaluation(0.0, one, 100), "native") for n, one in enumerate(accuracies))
    )


class TestImages:
    def test_a_sixth_is_for_validation_and_no_image_is_in_two_parts(self) -> None:
        data = setup.load("digits")
        assert [len(part.labels) for part in data] == [1198, 239, 360]
        rows = {tuple(row) for part in data[:2] for row in part.inputs.tolist()}
        assert len(rows) == len({tuple(row) for row in torch.cat([part.inputs for part in data[:2]]).tolist()})

    def test_pixels_have_mean_zero_and_deviation_one(self) -> None:
        everything = torch.cat([part.inputs for part in setup.load("digits")[:2]])
        assert everything.mean().abs() < 0.01
        assert (everything.std() - 1).abs() < 0.01


class TestFallingRate:
    def test_three_rates_then_the_end(self) -> None:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
        found = []
        while setup._lowered(optimizer, 0.5):
            found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        assert found == [(pytest.approx(1e-3), 0.5), (pytest.approx(1e-4), 0.5)]

    @pytest.mark.parametrize(
        ("start", "accuracies", "is_better"),
        [(0.0, (0.5,), True), (0.5, (0.5,), False), (0.9, (0.5, 0.6), True), (0.0, (0.6, 0.5), False)],
    )
    def test_an_epoch_is_held_against_the_one_before(self, start, accuracies, is_better) -> None:
        assert setup._is_better(history(*accuracies), start) is is_better

    def test_a_base_ends_early_and_by_its_seed_alone(self, tmp_path) -> None:
        spec = SMALL.model_copy(update={"epochs": 4, "hidden": (4,)})
        found = []
        for folder in ("a", "b"):
            trial = Trial(3, tmp_path / folder)
            model = setup.network(spec, trial)
            told = setup.train_base(model, spec, trial)
            assert 1 <= len(told) <= 4
            found.append(torch.cat([weight.flatten() for weight in model.parameters()]))
        assert torch.equal(*found)


@pytest.mark.parametrize("method", [*setup.METHODS, "surgeon"])
def test_every_method_keeps_exactly_so_many_and_masks_only_shrink(method, tmp_path) -> None:
    spec, trial = SMALL.model_copy(update={"hidden": (4,)}), Trial(0, tmp_path)
    model = setup.network(spec, trial)
    masks, chance = Masks.from_model(model), trial.generator("chance")
    assert masks.total == 64 * 4 + 4 * 10
    for kept in (200, 77, 1):
        smaller = setup.pruned(model, method, kept, masks, spec, chance)
        assert smaller.count == kept
        assert (smaller & masks) == smaller
        masks = smaller


def test_the_methods_of_the_paper_are_known() -> None:
    assert set(setup.PAPER) <= set(setup.METHODS)


@pytest.mark.parametrize(
    "fields",
    [
        {"methods": ()},
        {"methods": ("obs",)},
        {"removed": ()},
        {"removed": (1.0,)},
        {"removed": (0.0,)},
        {"hidden": ()},
        {"rate": 0.0},
        {"least": 0},
        {"retraining": 0},
        {"data": "cifar10"},
    ],
)
def test_a_spec_that_cannot_be_is_refused(fields) -> None:
    with pytest.raises(ValidationError):
        RelativeSpec(**fields)
