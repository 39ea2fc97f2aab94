import copy
import math

import pytest
import torch
from tests.training.soft.small_supermasks import DATA, INPUTS, adam, chain, source
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.soft.coins import Coins, zhou
from sparsewire.training.soft.network import SoftNetwork


def test_the_gradient_of_a_drawn_mask_by_hand():
    # p = σ(0) = ½ and σ(log 3) = ¾; dL/dw̃ = (1, 10) as y = w̃ · (1, 10).
    weight = torch.tensor([2.0, 3.0])
    scores = torch.tensor([0.0, math.log(3)], requires_grad=True)
    coins = Coins(rescale=False)
    softened = coins.soften("w", weight, scores, source())
    (softened * torch.tensor([1.0, 10.0])).sum().backward()
    # dL/dw̃ · w · p (1 − p) = (1 · 2 · ¼, 10 · 3 · 3/16), whichever way the coins fell
    assert scores.grad.tolist() == pytest.approx([0.5, 5.625])
    assert all(value in (0.0, kept) for value, kept in zip(softened.tolist(), weight.tolist(), strict=True))


@pytest.mark.parametrize("sampled", [True, False])
def test_rescaling_is_by_all_over_kept_and_a_constant_for_the_gradient(sampled):
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0])
    scores = torch.tensor([50.0, 50.0, -50.0, -50.0], requires_grad=True)  # as good as certain
    softened = Coins(sampled=sampled).soften("w", weight, scores, source())
    assert softened.tolist() == pytest.approx([2.0, 2.0, 0.0, 0.0])
    assert Coins().factor(torch.tensor([True, False, False, False])) == 4.0
    assert Coins().factor(torch.zeros(3, dtype=torch.bool)) == 3.0
    assert Coins(rescale=False).factor(torch.tensor([True, False])) == 1.0
    even = torch.zeros(4, requires_grad=True)
    Coins(sampled=False).soften("w", weight, even, source()).sum().backward()
    assert even.grad.tolist() == [0.5] * 4  # 2 · 1 · ¼; through the factor as well it would be 0


def test_the_expected_network_has_the_expected_weights():
    model = chain()
    network = SoftNetwork(model, Coins(sampled=False, rescale=False, start=math.log(3)), generator=source())
    expected = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in expected.named_parameters():
            if name.endswith("weight"):
                weight.mul_(0.75)
    assert torch.allclose(network(INPUTS), expected(INPUTS))


def test_the_mean_of_drawn_layers_is_the_expected_layer():
    model = nn.Linear(6, 3)
    drawing = SoftNetwork(model, Coins(rescale=False, start=1.0), generator=source())
    expected = SoftNetwork(model, Coins(sampled=False, rescale=False, start=1.0), generator=source())
    with torch.no_grad():
        mean = torch.stack([drawing(INPUTS) for _ in range(500)]).mean(0)
    assert torch.allclose(mean, expected(INPUTS), atol=0.05)


def test_the_masks_keep_what_is_more_probable_than_not_or_are_drawn():
    scores = torch.full((100, 100), -1.0)
    scores[0] = 1e-6
    assert int(Coins().decide("w", scores, source()).sum()) == 100
    assert not Coins().decide("w", torch.zeros(5), source()).any()
    drawn = Coins(draw=True).decide("w", torch.full((100, 100), -1.0), source())
    assert drawn.double().mean() == pytest.approx(1 / (1 + math.e), abs=0.02)


def test_it_finds_the_weights_that_matter():
    # Of a layer of ones only the diagonal tells which input is the largest.
    inputs = torch.rand(200, 4, generator=source())
    model = nn.Linear(4, 4, bias=False)
    nn.init.ones_(model.weight)
    found = zhou(
        model, (inputs, inputs.argmax(1)), generator=source(), epochs=10, optimizer=adam, sampled=False, rescale=False
    )
    assert found.masks == Masks({"weight": torch.eye(4, dtype=torch.bool)})
    assert torch.equal(model.weight, torch.ones(4, 4))


def test_the_rescaled_weights_are_in_the_model_at_the_end():
    model = nn.Sequential(nn.Linear(6, 4, bias=False))
    before = model[0].weight.detach().clone()
    found = zhou(model, DATA, generator=source(), epochs=3, optimizer=adam, init="signed_constant", validation=DATA)
    factor = 24 / found.masks.count
    assert torch.allclose(model[0].weight, before.sign() * (2 / 6) ** 0.5 * factor)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sampled", 1), ("draw", "yes"), ("rescale", None), ("start", True), ("start", float("nan")),
        ("start", float("inf")), ("start", "half"), ("init", "ones"), ("init", None), ("only", "nowhere"),
        ("generator", 7),
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(argument, value):
    good = {"generator": source(), "optimizer": adam, "epochs": 1}
    with pytest.raises(RequestError, match=r"\w" if argument == "only" else argument):
        zhou(chain(), DATA, **(good | {argument: value}))
