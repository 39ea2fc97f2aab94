import math

import pytest
import torch
from tests.training.rules.small_training import sparse, train

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.rule_contract import recall, remembered
from sparsewire.training.rules.sparse_momentum import snfs

WEIGHTS = {"a": torch.tensor([[1.0, 2.0, 0.0, 0.0]]), "b": torch.tensor([[1.0, 2.0, 0.0, 0.0]])}
MASKS = Masks({name: weight != 0 for name, weight in WEIGHTS.items()})


def asked(rule, *gradients, first=0):
    for step, (a, b) in enumerate(gradients, first):
        answer = rule(step, MASKS, WEIGHTS, {"a": torch.tensor([a]), "b": torch.tensor([b])})
    return answer


def test_the_averages_are_those_of_all_gradients():
    rule = snfs(50, 100, smoothing=0.75)
    draws = torch.Generator().manual_seed(0)
    expected = {name: torch.zeros(1, 4) for name in "ab"}
    for step in range(8):
        gradients = {name: torch.randn(1, 4, generator=draws) for name in "ab"}
        given = {name: gradient.clone() for name, gradient in gradients.items()}
        assert rule(step, MASKS, WEIGHTS, given) is None
        expected = {name: 0.75 * expected[name] + 0.25 * gradients[name] for name in "ab"}
        for name, gradient in given.items():
            assert torch.equal(gradient, gradients[name])  # they are the optimizer's own
            gradient.zero_()  # which it masks afterwards
    for name in "ab":
        torch.testing.assert_close(rule.averages[name], expected[name])


def test_short_numbers_are_averaged_in_long_ones():
    rule, plain = snfs(50, 100, smoothing=0.99), snfs(50, 100, smoothing=0.99)
    draws = torch.Generator().manual_seed(0)
    for step in range(40):
        short = {name: (1 + torch.rand(1, 4, generator=draws)).bfloat16() for name in "ab"}
        rule(step, MASKS, WEIGHTS, short)
        plain(step, MASKS, WEIGHTS, {name: gradient.float() for name, gradient in short.items()})
    assert all(torch.equal(rule.averages[name], plain.averages[name]) for name in "ab")


def test_it_grows_where_the_average_is_largest_not_where_the_last_gradient_is():
    rule = snfs(2, None, 0.5, smoothing=0.5, decay="constant")
    steady, noisy = [1.0, 1.0, 8.0, 8.0], [1.0, 1.0, -8.0, 9.0]
    for step, gradient in enumerate([steady, steady, noisy]):
        new = rule(step, MASKS, WEIGHTS, {name: torch.tensor([gradient]) for name in "ab"})
    # M at the third place: ½ · (−8) + ¼ · 8 + ⅛ · 8 = −1, at the fourth 7.5; the first goes
    assert new["a"].tolist() == [[False, True, False, True]]


def test_layers_of_large_momentum_win_and_the_total_stays():
    rule = snfs(1, None, 0.5, decay="constant")
    # In each layer one of two goes; |M| of those that existed is 9 and 1: 2 · 9 / 10 = 1.8, so a gets both.
    new = asked(rule, ([9.0, 9, 0, 1], [1.0, 1, 50, 0]), ([9.0, 9, 0, 1], [1.0, 1, 50, 0]))
    assert new["a"].sum() == 3
    assert new["b"].tolist() == [[False, True, False, False]]
    assert new.count == MASKS.count


def test_layers_without_gradients_share_alike():
    new = asked(snfs(1, None, 0.5, decay="constant"), *[([0.0] * 4, [0.0] * 4)] * 2)
    assert new.densities() == {"a": 0.5, "b": 0.5}


def test_the_network_keeps_its_connections_and_layers_do_not_and_it_forgets_nothing_after_until():
    rule = snfs(3, 20, 0.5)
    model, optimizer = sparse(rule, density=0.4)
    before, firsts = optimizer.masks, set()

    def check(step):
        assert optimizer.masks.count == before.count
        firsts.add(int(optimizer.masks["0.weight"].sum()))

    train(model, optimizer, 21, check)
    assert len(firsts) > 1
    averages = {name: average.clone() for name, average in rule.averages.items()}
    train(model, optimizer, 5)
    assert all(torch.equal(averages[name], average) for name, average in rule.averages.items())


def test_only_the_chosen_weights_are_remembered():
    rule = snfs(1, 9, only="2")
    model, optimizer = sparse(rule, density=0.4)
    train(model, optimizer, 3)
    assert list(rule.averages) == ["2.weight"]


def test_what_it_is_given_back_is_a_copy_and_has_to_fit():
    rule, other = snfs(5, 9), snfs(5, 9)
    asked(rule, ([1.0] * 4, [2.0] * 4))
    recall(other, remembered(rule))
    asked(other, ([1.0] * 4, [2.0] * 4), first=1)
    assert not torch.equal(rule.averages["a"], other.averages["a"])
    with pytest.raises(RequestError, match="averages of the rule's state: found int"):
        recall(rule, {"averages": 3})
    with pytest.raises(RequestError, match=r"found a memory of nothing, but snfs.* remembers averages"):
        recall(rule, {})
    recall(rule, {"averages": {"a": torch.zeros(3, 3)}})
    with pytest.raises(RequestError, match=r"remembers gradients of shape \(3, 3\) for 'a', found \(1, 4\)"):
        asked(rule, ([1.0] * 4, [2.0] * 4), first=1)


def test_what_is_compiled_is_remembered_by_its_plain_name():
    rule = snfs(5, 9)
    name = "0._orig_mod.weight"
    rule(0, Masks({name: MASKS["a"]}), {name: WEIGHTS["a"]}, {name: torch.ones(1, 4)})
    assert list(remembered(rule)["averages"]) == ["0.weight"]


def test_gradients_that_are_no_numbers_are_refused():
    with pytest.raises(RequestError, match="gradients of 'b': found NaN or infinity in their average"):
        asked(snfs(1, 9), *[([1.0] * 4, [math.inf] * 4)] * 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"smoothing": 1}, "smoothing: found 1, expected a number from 0 to below 1"),
        ({"smoothing": -0.1}, "smoothing: found -0.1"),
        ({"smoothing": math.nan}, "smoothing: found nan"),
        ({"smoothing": False}, "smoothing: found False"),
        ({"until": None}, "until: found None"),
        ({"steps": 0}, "steps: found 0"),
        ({"fraction": -1}, "fraction: found -1"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(RequestError, match=message):
        snfs(**wrong)
