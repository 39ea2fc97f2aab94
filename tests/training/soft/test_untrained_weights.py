import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.training.soft.untrained_weights import fan_in, untrained

WEIGHTS = {"w": torch.tensor([[0.5, -2.0], [0.0, 1.0]])}


def test_given_weights_stay():
    assert untrained(WEIGHTS, "given") is None


def test_signs_times_the_deviation_of_kaiming():
    # √(2 / 2) = 1; a zero counts as positive
    assert untrained(WEIGHTS, "signed_constant")["w"].tolist() == [[1.0, -1.0], [1.0, 1.0]]


def test_scaled_weights_keep_the_variance_of_the_whole():
    assert untrained(WEIGHTS, "given", {"w": 0.25})["w"].tolist() == [[1.0, -4.0], [0.0, 2.0]]
    assert torch.equal(untrained(WEIGHTS, "given", {"w": 0.0})["w"], WEIGHTS["w"])


def test_kernels_count_in_the_fan_in():
    assert fan_in(torch.zeros(8, 3, 5, 5)) == 75
    assert fan_in(torch.zeros(8, 0)) == 1


@pytest.mark.parametrize("init", ["kaiming", 3, None, ["given"]])
def test_unknown_inits_are_refused(init):
    with pytest.raises(RequestError, match="init"):
        untrained(WEIGHTS, init)
