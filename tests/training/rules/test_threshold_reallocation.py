import math

import pytest
import torch
from tests.training.rules.small_training import sparse, train

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.rule_contract import recall, remembered
from sparsewire.training.rules.threshold_reallocation import dsr


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def layers():
    """Of a all connections are strong, of b all but four are weak."""
    strong, weak = torch.zeros(10, 20), torch.zeros(10, 20)
    strong[:, :6] = torch.linspace(1, 2, 60).view(10, 6)
    weak[:, :6] = torch.linspace(0.01, 0.02, 60).view(10, 6)
    weak[0, :4] = 1.5
    weights = {"a": strong, "b": weak}
    return weights, Masks({name: weight != 0 for name, weight in weights.items()})


def test_all_below_the_threshold_go_and_layers_get_by_what_they_kept():
    weights, masks = layers()
    new = dsr(1, fraction=0.5, threshold=0.1, generator=draws())(1, masks, weights, {})
    # 56 of b go, and 60 and 4 are left: a gets 56 · 60 / 64 = 52.5 and b 3.5, the remainder to the earlier layer
    assert {name: int(mask.sum()) for name, mask in new.items()} == {"a": 60 + 53, "b": 4 + 3}
    assert new.count == masks.count
    assert new["a"][masks["a"]].all()
    assert new["b"][0, :4].all()


def test_a_layer_that_is_full_passes_on_what_it_cannot_take():
    weights, masks = layers()
    weights["a"] = weights["a"][:, :7]
    masks = Masks({name: weight != 0 for name, weight in weights.items()})
    new = dsr(1, fraction=0.5, threshold=0.1, generator=draws())(1, masks, weights, {})
    assert {name: int(mask.sum()) for name, mask in new.items()} == {"a": 70, "b": 50}


def test_every_training_begins_with_the_first_threshold():
    weights, masks = layers()
    rule = dsr(2, fraction=0.6, threshold=0.1, generator=draws())
    for step, after in [(2, 0.2), (4, 0.4), (2, 0.2)]:
        rule(step, masks, weights, {})
        assert rule.threshold == after
    memory = remembered(rule)
    again = dsr(2, fraction=0.6, threshold=0.1, generator=draws(7))
    recall(again, memory)
    again(4, masks, weights, {})
    assert again.threshold == 0.4


def test_the_threshold_is_doubled_or_halved_towards_the_number_that_is_wanted():
    weights, masks = layers()  # 56 of 120 are below 0.1
    for fraction, threshold, then in [
        (0.6, 0.1, 0.2),  # 72 were wanted: too few went
        (56 / 120, 0.1, 0.1),
        (0.2, 0.1, 0.05),  # 24 were wanted
        (0.5, 0.001, 0.002),  # none went
        (0.51, 0.1, 0.1),  # 61 were wanted, a tenth of them missing
    ]:
        rule = dsr(1, fraction=fraction, threshold=threshold, generator=draws())
        rule(1, masks, weights, {})
        assert rule.threshold == then


def test_the_network_keeps_its_connections_and_layers_do_not():
    rule = dsr(2, fraction=0.2, threshold=0.05, generator=draws())
    model, optimizer = sparse(rule, density=0.4)
    before, seen = optimizer.masks, set()
    train(model, optimizer, 40, lambda step: seen.add((optimizer.masks.count, int(optimizer.masks["0.weight"].sum()))))
    assert {count for count, _ in seen} == {before.count}
    assert len({first for _, first in seen}) > 1


def test_a_threshold_that_takes_everything_leaves_the_total_as_it_is():
    weights, masks = layers()
    rule = dsr(1, fraction=0.5, threshold=1e9, generator=draws())
    new = rule(1, masks, weights, {})
    assert new.count == masks.count
    assert rule.threshold == 5e8


def test_it_remembers_the_threshold():
    weights, masks = layers()
    rule, other = (dsr(1, fraction=0.5, threshold=0.001, generator=draws(seed)) for seed in (0, 3))
    rule(1, masks, weights, {})
    recall(other, remembered(rule))
    assert other.threshold == 0.002
    assert other(2, masks, weights, {}) == rule(2, masks, weights, {})
    with pytest.raises(RequestError, match="threshold of the state: found 'x'"):
        recall(rule, {**remembered(rule), "threshold": "x"})
    with pytest.raises(RequestError, match=r"found a memory of generator, but dsr.* remembers threshold, generator"):
        recall(rule, {"generator": draws().get_state()})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": 0}, "threshold: found 0, expected a finite number above 0"),
        ({"threshold": math.nan}, "threshold: found nan"),
        ({"threshold": True}, "threshold: found True"),
        ({"tolerance": -1}, "tolerance: found -1"),
        ({"tolerance": math.inf}, "tolerance: found inf"),
        ({"generator": None}, "generator: found None"),
        ({"fraction": 1.5}, "fraction: found 1.5"),
        ({"steps": 0}, "steps: found 0"),
        ({"until": 0}, "until: found 0"),
        ({"decay": "linear"}, "until: found None"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(RequestError, match=message):
        dsr(**{"generator": draws(), **wrong})


@pytest.mark.parametrize(("value", "least", "most"), [(0.0, 0, 1e-300), (torch.nan, 1e300, math.inf)])
def test_the_threshold_stays_a_number_above_zero_and_can_be_loaded(value, least, most):
    rule = dsr(1, fraction=0.1, generator=draws())
    weights, masks = (
        {"a": torch.full((4, 5), value, dtype=torch.float64)},
        Masks({"a": torch.arange(20).view(4, 5) < 10}),
    )
    for step in range(1, 1200):
        rule(step, masks, weights, {})
    assert least < rule.threshold < most
    recall(dsr(1, fraction=0.1, generator=draws()), remembered(rule))
