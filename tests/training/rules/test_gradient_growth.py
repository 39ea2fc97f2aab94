import math

import pytest
import torch
from tests.training.rules.small_training import sparse, train
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules.gradient_growth import rigl


def test_the_smallest_go_and_the_steepest_come_by_hand():
    weights = {"w": torch.tensor([[5.0, -1.0, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0]])}
    gradients = {"w": torch.tensor([[0.0, 0.0, 0.0, 2.0, 3.0, -1.0, 3.0, 1.0]])}
    masks = Masks({"w": weights["w"] != 0})
    # At step 5 of 10 the cosine has come to half: 0.5 of 4 go, 0.5 and −1; of 2, 3, −1, 3, 1 the two threes come.
    assert rigl(5, 10, 1.0)(5, masks, weights, gradients)["w"].tolist() == [
        [True, False, True, False, True, False, True, False]
    ]
    # Where it is steepest itself, what goes comes back.
    gradients["w"][0, 3] = 9
    assert rigl(5, 10, 1.0)(5, masks, weights, gradients)["w"].tolist() == [
        [True, False, True, True, True, False, False, False]
    ]


def test_each_layer_keeps_its_connections_and_as_many_go_as_the_cosine_says():
    rule = rigl(4, 40, 0.5)
    model, optimizer = sparse(rule, density=0.4)
    counts = {name: int(mask.sum()) for name, mask in optimizer.masks.items()}
    before, moved = optimizer.masks, []

    def check(step):
        nonlocal before
        masks = optimizer.masks
        assert {name: int(mask.sum()) for name, mask in masks.items()} == counts
        if masks != before:
            assert step % 4 == 0
            most = 0.25 * (1 + math.cos(math.pi * step / 40))
            for name, mask in masks.items():
                assert int((mask & ~before[name]).sum()) <= math.floor(most * counts[name] + 0.5)
            moved.append(step)
        before = masks

    train(model, optimizer, 60, check)
    assert moved[0] == 4
    assert 4 < moved[-1] < 40


def test_what_comes_takes_its_first_step_along_the_gradient_that_chose_it():
    model = nn.Linear(3, 1, bias=False)
    model.weight.data = torch.tensor([[2.0, 0.1, 0.0]])
    masks = Masks({"weight": torch.tensor([[True, True, False]])})
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.5), model, masks, rigl(1, 9, 0.6))
    for _ in range(2):
        optimizer.zero_grad()
        (model.weight * torch.tensor([[0.0, 0.0, 4.0]])).sum().backward()
        optimizer.step()
    assert model.weight.tolist() == [[2.0, 0.0, -2.0]]


@pytest.mark.parametrize("over", ["parts", "layers", "cells", "all"])
def test_connections_move_within_the_pools_only(over):
    torch.manual_seed(0)
    model = nn.LSTM(6, 5)
    masks = Masks({name: torch.rand(mask.shape) < 0.5 for name, mask in Masks.from_model(model).items()})
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.5), model, masks, rigl(1, 90, over=over))
    for step in range(10):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(step)))[0][..., :2].square().sum().backward()
        optimizer.step()

    def gates(masks):
        return [int(gate.sum()) for mask in masks.values() for gate in mask.split(5)]

    old, new = gates(masks), gates(optimizer.masks)
    assert sum(old) == sum(new)
    assert (old == new) == (over == "parts")
    assert (sum(old[:4]) == sum(new[:4])) == (over in ("parts", "layers"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": -1}, "steps: found -1"),
        ({"until": 2.5}, "until: found 2.5"),
        ({"fraction": 2}, "fraction: found 2"),
        ({"decay": "sine"}, "no decay is named 'sine'; did you mean 'cosine'"),
        ({"over": "part"}, "is named 'part'; did you mean 'parts'"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(RequestError, match=message):
        rigl(**wrong)


def test_a_name_that_fits_nothing_is_refused_at_the_exchange():
    model, optimizer = sparse(rigl(1, 9, only="7"), density=0.5)
    with pytest.raises(RequestError, match="no weight to prune is named '7'"):
        train(model, optimizer, 2)
