import math

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.training.history import Evaluation
from sparsewire.training.retraining import Retraining


@pytest.mark.parametrize(
    ("gain", "accuracies", "enough"),
    [
        (None, [0.5], False),
        (0.125, [], False),
        (0.125, [0.625], False),  # exactly so much is not less
        (0.1, [0.8, 0.9], False),  # nor as a binary fraction, where 0.9 - 0.8 < 0.1
        (0.125, [0.6], True),
        (0.125, [0.75, 0.8], True),
        (0.125, [0.5, 0.75], False),
        (-1.0, [0.1], False),
        (0.1, [math.nan], False),
    ],
)
def test_a_gain_below_the_least_is_enough(gain, accuracies, enough):
    assert Retraining(10, gain=gain).has_enough(Evaluation(0.5, 0.5, 10), accuracies) is enough


def test_rates_are_set_in_every_group():
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD([{"params": first.parameters()}, {"params": second.parameters(), "lr": 5.0}], lr=1.0)
    Retraining().set_rate_(optimizer, 3)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 5.0]
    Retraining(rate=lambda epoch: 0.5**epoch).set_rate_(optimizer, 3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retraining(-1), "epochs: found -1"),
        (lambda: Retraining(True), "epochs: found True"),
        (lambda: Retraining(1.5), "epochs: found 1.5"),
        (lambda: Retraining(gain=math.nan), "gain: found nan"),
        (lambda: Retraining(gain="0.1"), "gain: found '0.1'"),
        (lambda: Retraining(gain=True), "gain: found True"),
        (lambda: Retraining(fresh=1), "fresh: found 1"),
        (lambda: Retraining(rate=0.1), "rate: found 0.1"),
        (lambda: Retraining(rate=lambda epoch: -0.1).rate_of(2), "rate: found -0.1 for epoch 2"),
        (lambda: Retraining(rate=lambda epoch: math.inf).rate_of(0), "rate: found inf"),
        (lambda: Retraining(rate=lambda epoch: "x").rate_of(0), "rate: found 'x'"),
    ],
)
def test_impossible_retraining(make, message):
    with pytest.raises(RequestError, match=message):
        make()
