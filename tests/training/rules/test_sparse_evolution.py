from itertools import pairwise

import pytest
import torch
from tests.training.rules.small_training import sparse, train

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.rules.sparse_evolution import set_, within_signs


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("signs", [True, False])
def test_each_layer_keeps_its_connections_and_exactly_the_fraction_goes(signs):
    rule = set_(1, fraction=0.3, generator=draws(), signs=signs)
    weights = {name: torch.randn(50, 40, generator=draws(i)).double() for i, name in enumerate("ab")}
    masks = Masks({name: torch.rand(50, 40, generator=draws(i + 5)) < 0.1 * (i + 1) for i, name in enumerate("ab")})
    weights = {name: weight * masks[name] for name, weight in weights.items()}
    for name, new in rule(1, masks, weights, {}).items():
        live = int(masks[name].sum())
        assert new.sum() == live
        # What goes may come again: at most the fraction has moved, and of a sparse layer nearly as much.
        assert 0.25 * live < (masks[name] & ~new).sum() <= 0.3 * live + 1
        strongest = weights[name].abs() > weights[name][masks[name]].abs().quantile(0.4)
        assert new[strongest].all()


def test_both_signs_give_up_the_same_fraction():
    weights = {"w": torch.cat([torch.linspace(1, 2, 50), -torch.linspace(0.01, 0.02, 30), torch.zeros(9920)])[None]}
    masks = Masks({"w": weights["w"] != 0})
    new = set_(1, fraction=0.2, generator=draws())(1, masks, weights, {})["w"][0]
    # 10 of the positive ones and 6 of the negative; one or another may have come again
    assert new[10:50].all()
    assert new[56:80].all()
    assert new[:10].sum() + new[50:56].sum() <= 2
    every_negative = set_(1, fraction=0.2, generator=draws(), signs=False)(1, masks, weights, {})["w"][0]
    assert every_negative[:50].all()
    assert every_negative[50:66].sum() <= 2


def test_ranks_within_signs_by_hand():
    weight = torch.tensor([3.0, -0.1, 1.0, 1.0, -0.2, 0.0, 7.0])
    mask = torch.tensor([True, True, True, True, True, True, False])
    # positive, without the one that does not exist: 3, 1, 1 → 1, ⅔, ⅓ (the lower index first); negative: −0.2, −0.1
    expected = torch.tensor([1, 1 / 2, 2 / 3, 1 / 3, 1, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(within_signs(weight, mask), expected)


def test_it_looks_at_no_gradient_and_what_comes_is_zero_after_the_step():
    model, optimizer = sparse(set_(5, generator=draws()), density=0.4)
    before = optimizer.masks
    train(model, optimizer, 6)
    assert optimizer.masks != before
    for name, mask in optimizer.masks.items():
        grown = mask & ~before[name]
        assert (model.get_parameter(name)[grown] == 0).all()
        assert (optimizer.state[model.get_parameter(name)]["exp_avg_sq"][grown] == 0).all()
    rule = set_(5, generator=draws())
    weights = {name: model.get_parameter(name).detach() for name in before}
    assert rule(5, optimizer.masks, weights, {}) is not None


def test_it_goes_on_for_ever_unless_told():
    model, optimizer = sparse(set_(1, generator=draws()), density=0.4)
    masks = []
    train(model, optimizer, 12, lambda step: masks.append(optimizer.masks))
    assert all(a != b for a, b in pairwise(masks))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"generator": None}, "generator: found None, expected one"),
        ({"generator": 3}, "generator: found 3"),
        ({"signs": 1}, "signs: found 1, expected True or False"),
        ({"steps": 0}, "steps: found 0"),
        ({"until": -1}, "until: found -1"),
        ({"fraction": float("nan")}, "fraction: found nan"),
        ({"decay": "cosine"}, "until: found None"),
        ({"over": "gates"}, "is named 'gates'"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(RequestError, match=message):
        set_(**{"generator": draws(), **wrong})
