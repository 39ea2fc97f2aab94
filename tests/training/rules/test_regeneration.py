import pytest
import torch
from tests.training.rules.small_training import sparse, train

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks
from sparsewire.structure.schedules import cubic, one_shot
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.regeneration import granet


@pytest.mark.parametrize("scope", ["blind", "uniform", "erk"])
def test_the_density_falls_on_schedule_exactly_and_connections_move(scope):
    schedule = cubic(0.1, begin=4, until=24, every=4)
    model, optimizer = sparse(granet(schedule, steps=4, fraction=0.5, scope=scope))
    before, regenerated = optimizer.masks, 0

    def check(step):
        nonlocal before, regenerated
        masks = optimizer.masks
        assert masks.count == int(schedule(step) * masks.total + 0.5)
        regenerated += sum(int((mask & ~before[name]).sum()) for name, mask in masks.items())
        before = masks

    train(model, optimizer, 30, check)
    assert regenerated > 0


def test_without_an_exchange_it_is_gradual():
    schedule, ends = cubic(0.1, until=20, every=5, initial=0.8), []
    for rule in (granet(schedule, steps=5, fraction=0), gradual(schedule, every=5)):
        model, optimizer = sparse(rule)
        train(model, optimizer, 25)
        ends.append((optimizer.masks, model[0].weight))
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


def test_by_hand_pruned_then_exchanged():
    weights = {"weight": torch.tensor([[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])}
    gradients = {"weight": torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 3.0, 2.0, 0.0]])}
    rule = granet(one_shot(0.5, begin=1), steps=1, until=9, fraction=0.5, decay="constant")
    # 8, 7, 6, 5 are left; of these 6 and 5 go; 3 and 2 come, whose gradients are the largest of all that are off
    new = rule(1, Masks({"weight": torch.ones(1, 8).bool()}), weights, gradients)["weight"]
    assert new.tolist() == [[True, True, False, False, False, True, True, False]]


def test_exchanges_go_on_after_the_last_pruning_up_to_until():
    model, optimizer = sparse(granet(cubic(0.3, until=6, every=3), steps=3, until=15, fraction=0.5))
    seen = {}
    train(model, optimizer, 20, lambda step: seen.update({step: optimizer.masks}))
    moved = [step for step in range(7, 20) if seen[step] != seen[step - 1]]
    assert moved == [9, 12]  # at 15 the cosine has come to zero
    assert seen[19].density == 0.3


def test_masks_that_hold_less_than_the_schedule_are_only_exchanged():
    model, optimizer = sparse(granet(cubic(0.3, until=20, every=2), steps=2, fraction=0.5), density=0.4)
    before = optimizer.masks
    train(model, optimizer, 4)
    assert optimizer.masks.count == before.count
    assert optimizer.masks != before


def test_what_cannot_be_is_refused_when_it_is_made():
    with pytest.raises(RequestError, match=r"schedule: found 0\.5, expected a function"):
        granet(0.5, until=10)
    with pytest.raises(RequestError, match=r"until: found None, and one_shot.* has none either"):
        granet(one_shot(0.5))
    with pytest.raises(RequestError, match="steps: found 0"):
        granet(cubic(0.5, until=10), steps=0)
    with pytest.raises(RequestError, match="fraction: found 3"):
        granet(cubic(0.5, until=10), fraction=3)
    with pytest.raises(UnknownNameError, match="no scope is named 'blnd'"):
        granet(cubic(0.5, until=10), scope="blnd")
    with pytest.raises(UnknownNameError, match="is named 'al'; did you mean 'all'"):
        granet(cubic(0.5, until=10), over="al")


def test_what_is_no_schedule_is_called_that():
    with pytest.raises(RequestError, match=r"schedule: found 0\.1, expected a function step → density"):
        granet(0.1)
