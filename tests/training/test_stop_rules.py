import math

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import Iteration, Iterations
from sparsewire.training.stop_rules import checked_stop_rules, dropped, empty_layer, few_left, reason_to_stop


def done(accuracy: float = 0.9, **kept: int) -> Iterations:
    masks = Masks({name: torch.arange(10) < count for name, count in kept.items()} or {"w": torch.ones(10).bool()})
    base, after = Evaluation(0.5, 0.9, 100), Evaluation(0.5, accuracy, 100)
    return Iterations(base, (Iteration(0, 0.5, masks, base, base, after, None, 2, 8, 0, 1.0, 0.0, ()),))


@pytest.mark.parametrize(
    ("rules", "so_far", "reason"),
    [
        (few_left(5), done(a=3, b=3), ""),
        (few_left(6), done(a=3, b=3), "6 weights are left, no more than 6"),
        (empty_layer(), done(a=1, b=9), ""),
        (empty_layer(), done(a=1, b=0), "'b' became empty"),
        (dropped(0.125), done(0.775), ""),  # exactly so much is not more
        (dropped(0.125), done(0.75), "the accuracy dropped by 15.00 points, more than 12.5"),
        (dropped(0.01), done(0.89), ""),  # nor as a binary fraction, which 0.9 - 0.89 is a little more than
        (dropped(0.0), done(0.95), ""),
        (dropped(0.0), done(math.nan), ""),
        ([few_left(6), empty_layer()], done(a=3, b=0), "3 weights are left, no more than 6"),
        (lambda so_far: None, done(), ""),
        (lambda so_far: "tired", done(), "tired"),
        (None, done(), ""),
    ],
)
def test_reasons(rules, so_far, reason):
    assert reason_to_stop(rules, so_far) == reason


def test_a_rule_that_says_only_yes_is_named():
    def late(so_far):
        return True

    assert reason_to_stop(late, done()) == "late said so"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: few_left(-1), "weights: found -1"),
        (lambda: few_left(2.5), "weights: found 2.5"),
        (lambda: dropped(2), "by: found 2"),
        (lambda: dropped(math.nan), "by: found nan"),
        (lambda: dropped(True), "by: found True"),
        (lambda: checked_stop_rules("few"), "stop: found 'few'"),
        (lambda: checked_stop_rules([few_left(1), empty_layer]), "stop: found <class"),
    ],
)
def test_impossible_rules(make, message):
    with pytest.raises(RequestError, match=message):
        make()
