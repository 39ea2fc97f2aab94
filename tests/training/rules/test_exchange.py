import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.rules.small_training import network, sparse, train

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules.exchange import chances, magnitude, missing, with_strongest, without_weakest
from sparsewire.training.rules.gradient_growth import rigl

LAYERS = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30)  # few scores, hence many ties


@settings(deadline=None)
@given(LAYERS, st.floats(0, 1))
def test_the_weakest_go_and_of_equal_ones_those_with_the_higher_index(layer, fraction):
    mask = torch.tensor([exists for exists, _ in layer], dtype=torch.bool)
    scores = torch.tensor([float(score) for _, score in layer])
    live = [place for place, (exists, _) in enumerate(layer) if exists]
    ranked = sorted(live, key=lambda place: (-layer[place][1], place))
    left = ranked[: len(live) - math.floor(fraction * len(live) + 0.5)]
    kept = without_weakest({"w": mask}, {"w": scores}, fraction)
    assert kept["w"].nonzero().flatten().tolist() == sorted(left)
    assert missing(kept, {"w": mask}) == {"w": len(live) - len(left)}


@settings(deadline=None)
@given(LAYERS, st.floats(0, 1))
def test_the_strongest_come_and_of_equal_ones_those_with_the_lower_index(layer, part):
    mask = torch.tensor([exists for exists, _ in layer], dtype=torch.bool)
    scores = torch.tensor([float(score) for _, score in layer])
    absent = [place for place, (exists, _) in enumerate(layer) if not exists]
    count = int(part * len(absent))
    come = sorted(absent, key=lambda place: (-layer[place][1], place))[:count]
    grown = with_strongest({"w": mask}, {"w": scores}, {"w": count})["w"]
    assert (grown & ~mask).nonzero().flatten().tolist() == sorted(come)
    assert (grown & mask).equal(mask)


def test_chance_gives_every_absent_place_alike():
    mask = torch.zeros(40, dtype=torch.bool)
    mask[:20] = True
    draws, counts = torch.Generator().manual_seed(0), torch.zeros(40)
    for _ in range(2000):
        counts += with_strongest({"w": mask}, chances({"w": mask}, draws), {"w": 5})["w"]
    assert (counts[:20] == 2000).all()
    # 500 of each on average, deviation √(2000 · ¼ · ¾) = 19.4
    assert (counts[20:] - 500).abs().max() < 4 * 19.4


def test_what_is_no_number_is_refused_by_the_name_of_its_weight():
    rows = {"0.weight": torch.tensor([True, True])}
    with pytest.raises(RequestError, match=r"weights or gradients of '0.weight': found NaN"):
        without_weakest(rows, {"0.weight": torch.tensor([1.0, math.nan])}, 0.5)
    with pytest.raises(RequestError, match=r"weights or gradients of '0.weight': found NaN"):
        with_strongest(rows, {"0.weight": torch.tensor([math.nan, 0])}, {"0.weight": 0})
    assert without_weakest(rows, {"0.weight": torch.tensor([1.0, math.inf])}, 0.5)["0.weight"].tolist() == [False, True]


def test_an_empty_layer_and_one_without_connections_exchange_nothing():
    weights = {"none": torch.zeros(0, 3), "off": torch.zeros(2, 2), "on": torch.tensor([[1.0, 0.0]])}
    masks = Masks({name: weight != 0 for name, weight in weights.items()})
    gradients = {name: torch.ones_like(weight) for name, weight in weights.items()}
    rule = rigl(1, 9, 0.99)
    assert rule(1, masks, weights, gradients).densities() == masks.densities()


def test_magnitude_is_the_absolute_value():
    assert magnitude(torch.tensor([-2.0, 1.0]), torch.tensor([True, True])).tolist() == [2, 1]


def test_what_comes_starts_from_zero_with_fresh_memory_and_what_comes_back_keeps_both():
    model, optimizer = sparse(rigl(6, 100, 0.5), density=0.5)
    before = optimizer.masks
    train(model, optimizer, 6)  # the seventh step, number 6, exchanges
    weights = {name: model.get_parameter(name).detach().clone() for name in before}
    memory = {name: optimizer.state[model.get_parameter(name)]["exp_avg"].clone() for name in before}
    optimizer.zero_grad()
    inputs = torch.randn(16, 10, generator=torch.Generator().manual_seed(6))
    (model(inputs) - inputs[:, :5].sin()).square().mean().backward()
    gradients = {name: model.get_parameter(name).grad.clone() for name in before}
    optimizer.step()
    again = 0
    for name, old in before.items():
        new = optimizer.masks[name]
        grown, stayed = new & ~old, new & old
        assert grown.any()
        average = optimizer.state[model.get_parameter(name)]["exp_avg"]
        # Adam: m ← 0.9 m + 0.1 g, with m = 0 where the connection is new
        torch.testing.assert_close(average[grown], 0.1 * gradients[name][grown])
        torch.testing.assert_close(average[stayed], 0.9 * memory[name][stayed] + 0.1 * gradients[name][stayed])
        assert (average[~new] == 0).all()
        weakest = weights[name].abs().masked_fill(~old, math.inf).flatten().argsort()[: int(old.sum()) // 3]
        again += int(new.flatten()[weakest].sum())
        assert (model.get_parameter(name).detach()[grown].abs() < 0.1).all()
    assert again > 0  # some came back at once, and were among those that stayed


def test_only_the_chosen_weights_move():
    model = network()
    masks = Masks({name: torch.rand(mask.shape) < 0.5 for name, mask in Masks.from_model(model).items()})
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model, masks, rigl(2, 9, only="0"))
    train(model, optimizer, 6)
    assert optimizer.masks["2.weight"].equal(masks["2.weight"])
    assert not optimizer.masks["0.weight"].equal(masks["0.weight"])
