import pytest
import torch
from torch import nn

import sparsewire as sw
from sparsewire.errors import RequestError
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rewinding import Keeper, Kept, Target, kept_weights, rewind_, target_of


def chain() -> nn.Module:
    return mlp((6, 12, 4), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("rewind", "target"),
    [
        (None, None),
        ("rate", Target("rate")),
        ("start", Target("epoch", 0)),
        (0, Target("epoch", 0)),
        (3, Target("epoch", 3)),
        ("step 0", Target("step", 0)),
        ("step 15", Target("step", 15)),
    ],
)
def test_targets(rewind, target):
    assert target_of(rewind, 3, 5) == target


def test_weights_are_a_target():
    kept = target_of({"w": torch.ones(2)}, 0, None)
    assert isinstance(kept, Kept)
    assert kept.epoch == 0


@pytest.mark.parametrize(
    ("rewind", "steps", "message"),
    [
        (4, 5, "give it first=4 or more"),
        ("step 16", 5, "give it first=4 or more"),
        ("step 3", None, "nobody knows how many steps"),
        ("step -3", 5, "rewind: found 'step -3'"),
        ("steps", 5, "rewind: found 'steps'"),
        (1.0, 5, "rewind: found 1.0"),
    ],
)
def test_impossible_targets(rewind, steps, message):
    with pytest.raises(RequestError, match=message):
        target_of(rewind, 3, steps)


def test_everything_comes_back_and_nothing_is_shared():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    kept = kept_weights(model)
    before = {name: tensor.clone() for name, tensor in kept.items()}
    model(torch.rand(8, 3))  # moves the batch norm's means
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.items())
    rewind_(model, kept)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_sparse_layer_gets_what_was_kept_at_its_present_places():
    model = chain()
    wide, narrow = (sw.prune(model, score="magnitude", density=density) for density in (0.8, 0.3))
    sparse = sw.sparsify(model, wide, plan="sparse")
    kept = kept_weights(sparse)
    assert torch.equal(kept["0.weight"], model.get_parameter("0.weight") * wide["0.weight"])
    SparseOptimizer(torch.optim.SGD(sparse.parameters(), lr=0.1), sparse, narrow)
    with torch.no_grad():
        for parameter in sparse.parameters():
            parameter.add_(1)
    dense, masks = sw.densify(rewind_(sparse, kept))
    assert masks == narrow
    for name, mask in narrow.items():
        assert torch.equal(dense.get_parameter(name), kept[name] * mask)


@pytest.mark.parametrize(
    ("kept", "message"), [({"nothing": torch.ones(1)}, "nothing"), ({"0.weight": torch.ones(2, 2)}, "has shape")]
)
def test_what_does_not_fit_changes_nothing(kept, message):
    model = chain()
    before = kept_weights(model)
    with pytest.raises(RequestError, match=message):
        rewind_(model, {"0.bias": torch.ones(12), **kept})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("target", "place", "epoch"),
    [
        (Target("epoch", 0), 0, 0), (Target("epoch", 2), 10, 2), (Target("step", 0), 0, 0), (Target("step", 4), 4, 0),
        (Target("step", 5), 5, 1), (Target("step", 7), 7, 1),
    ],
)  # fmt: skip
def test_a_keeper_keeps_its_moment(target, place, epoch):
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.zero_()
        keeper = Keeper(model, target)
        for number in range(15):
            model.weight.add_(1)
            keeper.after_step(number // 5 + 1, number % 5 + 1, 5, 0.5)
            if number % 5 == 4:
                keeper.after_epoch(number // 5 + 1)
    assert keeper.kept.weights["weight"].item() == place
    assert keeper.kept.epoch == epoch


def test_masks_keep_rewound_weights_at_zero():
    model = chain()
    kept = kept_weights(model)
    masks = sw.prune(model, score="magnitude", density=0.3)
    masks.apply_(rewind_(model, kept))
    assert Masks.from_weights(model) == masks
