import pytest
import torch
from tests.training.rules.small_training import ends_of_a_run_and_of_one_stopped, network, sparse, train
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rule_contract import grows, is_dense, recall
from sparsewire.training.rules.dissipation import dissipating_gradients

WEIGHTS = {"weight": torch.ones(1, 5)}
FULL = Masks({"weight": torch.ones(1, 5).bool()})
# Two epochs of two steps. Sums of the first: 0, 0.5, −1, 10⁻⁷, 1; of the second: 1, 0, −1, 1, 10⁻⁷.
GRADIENTS = [[0.5, 0.25, -0.5, 1e-7, 0.5], [-0.5, 0.25, -0.5, 0, 0.5], [1, 1, -1, 1, 1e-7], [0, -1, 0, 0, 0]]


def answers(rule, masks=FULL):
    found = []
    for step, gradient in enumerate(GRADIENTS):
        answer = rule(step, masks, WEIGHTS, {"weight": torch.tensor([gradient])})
        masks = masks if answer is None else answer
        found.append(None if answer is None else answer["weight"].int().tolist()[0])
    return found


CASES = {
    "as it is": ({}, [None, [0, 1, 1, 0, 1], None, [0, 0, 1, 0, 0]]),
    "one epoch": ({"epochs": 1}, [None, [0, 1, 1, 0, 1], None, None]),
    "Algorithm 2's ε": ({"below": 0.75}, [None, [0, 0, 1, 0, 1], None, [0, 0, 1, 0, 0]]),
    "a finer ε": ({"below": 1e-8}, [None, [0, 1, 1, 1, 1], None, [0, 0, 1, 1, 1]]),
    "signed": ({"signed": True}, [None, [0, 1, 0, 0, 1], None, [0, 0, 0, 0, 0]]),
    # sums of both epochs: 1, 0.5, −2, 1, 1
    "not reset": ({"reset": False}, [None, [0, 1, 1, 0, 1], None, None]),
    # 20 % after the first epoch, 40 % after the second
    "a fraction": ({"removed": 0.4}, [None, [0, 1, 1, 1, 1], None, [0, 0, 1, 1, 1]]),
    "all": ({"removed": 1.0, "epochs": 1}, [None, [0, 0, 0, 0, 0], None, None]),
    "nothing": ({"removed": 0.0}, [None, None, None, None]),
}


@pytest.mark.parametrize(("arguments", "expected"), CASES.values(), ids=CASES)
def test_what_goes_is_what_adds_up_to_nothing(arguments, expected):
    assert answers(dissipating_gradients(2, **arguments)) == expected


def test_masks_that_hold_less_already_wait():
    few = Masks({"weight": torch.tensor([[False, True, False, False, False]])})
    assert answers(dissipating_gradients(2, removed=0.4), few) == [None] * 4


def test_inputs_that_are_always_zero_lose_their_weights_and_no_other_does():
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    optimizer = SparseOptimizer(
        torch.optim.Adam(model.parameters(), weight_decay=0.1), model, Masks.from_model(model), dissipating_gradients(4)
    )
    for step in range(12):
        inputs = torch.rand(8, 6, generator=torch.Generator().manual_seed(step))
        inputs[:, [0, 5]] = 0
        optimizer.zero_grad()
        (model(inputs) - inputs[:, 1:4]).square().mean().backward()
        optimizer.step()
        assert optimizer.masks.count == (18 if step < 3 else 12)
    assert optimizer.masks["weight"][0].tolist() == [False, True, True, True, True, False]
    assert not model.weight[:, [0, 5]].any()


def test_after_the_first_epochs_it_is_not_asked():
    rule = dissipating_gradients(3, epochs=2)
    assert [step for step in range(20) if rule.acts_at(step)] == list(range(6))
    assert (is_dense(rule), grows(rule)) == (False, False)


def test_only_some_weights_go():
    rule = dissipating_gradients(2, epochs=1, removed=0.5, only="0.*")
    model, optimizer = sparse(rule)
    train(model, optimizer, 2)
    assert optimizer.masks.densities() == {"0.weight": 0.5, "2.weight": 1.0}
    rule = dissipating_gradients(2, epochs=1, below=1e9, only="2.*")
    model, optimizer = sparse(rule)
    train(model, optimizer, 2)
    assert optimizer.masks.densities() == {"0.weight": 1.0, "2.weight": 0.0}


def test_sparse_layers_lose_the_same_weights():
    models = [network().double(), network().double()]
    masks = prune(models[0], score="magnitude", density=0.6)
    masks.apply_(models[0])
    models[1] = sparsify(models[1], masks, "sparse")
    optimizers = [
        SparseOptimizer(torch.optim.Adam(model.parameters()), model, masks, dissipating_gradients(3, 3, removed=0.7))
        for model in models
    ]
    for model, optimizer in zip(models, optimizers, strict=True):
        for step in range(12):
            optimizer.zero_grad()
            inputs = torch.randn(16, 10, generator=torch.Generator().manual_seed(step)).double()
            (model(inputs) - inputs[:, :5].sin()).square().mean().backward()
            optimizer.step()
    assert optimizers[0].masks == optimizers[1].masks
    assert optimizers[0].masks.count == 36


@pytest.mark.parametrize("stop", [2, 4, 5, 9])
def test_a_saved_run_goes_on_to_the_same_masks(stop):
    ends = ends_of_a_run_and_of_one_stopped(
        lambda: dissipating_gradients(4, removed=0.6), lambda: dissipating_gradients(4, removed=0.6), 12, stop
    )
    assert ends[0][1] == ends[1][1]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0], ends[1][0], strict=True))


BAD = {
    "steps": ({"steps": 0}, "steps: found 0, expected a whole number of at least 1"),
    "epochs": ({"epochs": 1.5}, "epochs: found 1.5, expected a whole number of at least 1"),
    "below": ({"below": -1.0}, r"below: found -1.0, expected a number from 0 up"),
    "below, NaN": ({"below": float("nan")}, "below: found nan"),
    "below, a truth value": ({"below": True}, "below: found True"),
    "removed": ({"removed": 1.1}, "removed: found 1.1, expected a number from 0 to 1"),
    "signed": ({"signed": 1}, "signed: found 1, expected True or False"),
    "reset": ({"reset": None}, "reset: found None, expected True or False"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_when_it_is_made(arguments, message):
    with pytest.raises(RequestError, match=message):
        dissipating_gradients(**{"steps": 2, **arguments})


def test_other_names_and_memories_are_refused():
    with pytest.raises(UnknownNameError, match="no scope is named 'blnd'; did you mean 'blind'"):
        dissipating_gradients(2, scope="blnd")
    with pytest.raises(RequestError, match="scope: found 'uniform' without `removed`"):
        dissipating_gradients(2, scope="uniform")
    with pytest.raises(RequestError, match=r"found a memory of seen, but dissipating_gradients\(2.*remembers sums"):
        recall(dissipating_gradients(2), {"seen": 3})
    model, optimizer = sparse(dissipating_gradients(2, removed=0.5, only="3.*"))
    with pytest.raises(RequestError, match=r"no weight to prune is named '3.\*'"):
        train(model, optimizer, 2)


@pytest.mark.parametrize("signed", [False, True])
def test_a_sum_that_is_no_number_takes_no_weight_along(signed):
    rule = dissipating_gradients(1, 1, signed=signed)
    gradient = torch.tensor([[torch.nan, 0.0, 1.0, torch.inf, torch.nan]])
    assert rule(0, FULL, WEIGHTS, {"weight": gradient})["weight"].int().tolist() == [[1, 0, 1, 1, 1]]
