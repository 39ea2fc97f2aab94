import pytest
import torch
from tests.training.soft.small_supermasks import DATA, adam, chain, source
from torch import nn

from sparsewire.errors import DivergedError, RequestError, UnknownNameError
from sparsewire.models.zoo import mlp
from sparsewire.structure.select import prune
from sparsewire.training.judging import evaluate
from sparsewire.training.soft.contract import straight_through
from sparsewire.training.soft.top_scores import TopScores, edge_popup, kept_counts


def test_the_gradient_goes_straight_through_the_choice():
    # One output y = w̃ · x of x = (1, 2, 3), the loss y² / 2, so dL/dw̃ = y x.
    weight = torch.tensor([[2.0, -1.0, 4.0]])
    scores = torch.tensor([[0.3, -0.5, 0.1]], requires_grad=True)
    softened = TopScores({"w": 2}).soften("w", weight, scores, source())
    assert softened.tolist() == [[2.0, -1.0, 0.0]]  # |s| = 0.3 and 0.5 are the highest
    x = torch.tensor([1.0, 2.0, 3.0])
    y = (softened @ x).sum()  # 2 - 2 = 0; with the target 5 the error is -5
    ((y - 5).square() / 2).backward()
    # −5 · (1, 2, 3) · (2, −1, 4) · sign(s) = (−10, 10, −60) · (1, −1, 1)
    assert scores.grad.tolist() == [[-10.0, -10.0, -60.0]]


def test_by_value_a_negative_score_is_a_low_one():
    weight = torch.tensor([2.0, -1.0, 4.0])
    scores = torch.tensor([0.3, -0.5, 0.1], requires_grad=True)
    softened = TopScores({"w": 2}, by="value").soften("w", weight, scores, source())
    softened.sum().backward()
    assert softened.tolist() == [2.0, 0.0, 4.0]
    assert scores.grad.tolist() == [2.0, -1.0, 4.0]


def test_only_the_values_get_a_gradient():
    values = torch.tensor([0.5, 0.2], requires_grad=True)
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    straight_through(values, weight, torch.tensor([True, False])).sum().backward()
    assert weight.grad is None


def test_ties_go_to_the_lower_index():
    kept = TopScores({"w": 2}).decide("w", torch.ones(2, 2), source())
    assert kept.tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("density", [0.0, 0.1, 1 / 3, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("scope", ["uniform", "uniform_amount", "erk", {"0.weight": 0.3, "4": 1.0}])
def test_counts_are_exact_after_every_epoch_and_those_of_prune(density, scope):
    model, seen = chain(), []
    found = edge_popup(
        model, DATA, density=density, scope=scope, generator=source(), optimizer=adam, epochs=2,
        on_epoch=lambda epoch, network, history: seen.append(network.masks()),
    )  # fmt: skip
    scores = {name: tensor.abs() for name, tensor in found.scores.items()}
    assert found.masks == prune(model, score=scores, density=density, scope=scope)
    assert {masks.count for masks in seen} == {found.masks.count}
    assert [masks.densities() for masks in seen] == [found.masks.densities()] * 2


def test_counts_of_two_layers_by_hand():
    # 20 and 10 weights, half of them: 15 in all, in equal fractions.
    weights = {"a": torch.zeros(4, 5), "b": torch.zeros(2, 5)}
    assert kept_counts(weights, 0.5) == {"a": 10, "b": 5}
    assert kept_counts(weights, 0.5, {"a": 1.0}) == {"a": 20, "b": 5}


def test_the_first_scores_are_within_one_over_the_root_of_the_fan_in():
    scores = TopScores({}).begin("w", torch.zeros(50, 4, 5, 5), source())
    assert 0.099 < scores.abs().max() < 0.1  # 1 / √100
    assert abs(scores.mean()) < 0.005


def test_signed_constant_and_scaled_weights_are_in_the_model_at_the_end():
    model = nn.Sequential(nn.Linear(6, 4))
    signs, bias = model[0].weight.detach().sign(), model[0].bias.detach().clone()
    found = edge_popup(
        model, DATA, density=0.25, init="signed_constant", scaled=True, generator=source(), optimizer=adam, epochs=1,
        validation=DATA,
    )  # fmt: skip
    # √(2 / 6) · √4
    assert torch.allclose(model[0].weight, signs * (4 / 3) ** 0.5)
    assert torch.equal(model[0].bias, bias)
    assert found.masks.count == 6


def test_a_scaled_layer_that_keeps_nothing_stays_as_it_is():
    model = nn.Sequential(nn.Linear(6, 4))
    before = model[0].weight.detach().clone()
    edge_popup(model, DATA, density=0, scaled=True, generator=source(), optimizer=adam, epochs=1)
    assert torch.equal(model[0].weight, before)


def test_half_of_an_untrained_network_learns_the_task():
    model = mlp((6, 64, 4), generator=source())
    before = evaluate(model, DATA).accuracy
    found = edge_popup(
        model, DATA, density=0.5, init="signed_constant", generator=source(), epochs=40, batch_size=20, validation=DATA,
        optimizer=lambda scores: torch.optim.Adam(scores, lr=0.01),
    )  # fmt: skip
    assert before < 0.5 < 0.7 < found.judged.accuracy


def test_scores_that_are_no_numbers_end_the_training():
    with pytest.raises(DivergedError, match=r"a score of 'w' is no number"):
        TopScores({"w": 1}).decide("w", torch.tensor([1.0, float("nan")]), source())
    with pytest.raises(RequestError, match="count"):
        TopScores({"w": 3}).decide("w", torch.ones(2), source())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("density", -0.1), ("density", 1.5), ("density", True), ("density", float("nan")), ("density", "half"),
        ("scope", "blind"), ("scope", "distributed"), ("scope", 3), ("scope", {"9": 0.5}), ("scope", {"0": 2.0}),
        ("by", "rank"), ("by", None), ("init", "ones"), ("init", 1), ("scaled", 1), ("scaled", "yes"),
        ("only", "nowhere"), ("generator", 0), ("generator", None),
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused_and_the_model_is_left(argument, value):
    model, before = chain(), chain()
    good = {"density": 0.5, "generator": source(), "optimizer": adam, "epochs": 1}
    named = "init" if (argument, value) == ("init", "ones") else argument
    with pytest.raises(RequestError, match=named if argument not in ("only", "scope") else r"\w"):
        edge_popup(model, DATA, **(good | {argument: value}))
    assert all(torch.equal(one, before.state_dict()[name]) for name, one in model.state_dict().items())


def test_an_unknown_init_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'signed_constant'"):
        edge_popup(chain(), DATA, density=0.5, generator=source(), optimizer=adam, epochs=1, init="signed_constat")
