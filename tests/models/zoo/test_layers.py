import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.models.zoo.layers import convolution, linear, norm


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (lambda g: linear(7, 5, generator=g), lambda: nn.Linear(7, 5)),
        (lambda g: linear(7, 5, bias=False, generator=g), lambda: nn.Linear(7, 5, bias=False)),
        (lambda g: convolution(3, 6, 5, generator=g), lambda: nn.Conv2d(3, 6, 5)),
        (
            lambda g: convolution(4, 2, 3, stride=2, padding=1, generator=g),
            lambda: nn.Conv2d(4, 2, 3, stride=2, padding=1),
        ),
    ],
)
def test_a_layer_is_what_pytorchs_constructor_makes_of_the_same_seed(ours, torchs):
    state = torch.get_rng_state()
    drawn = ours(generator(4))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own = torchs()
        torch.manual_seed(4)
        without = ours(None)
    assert repr(drawn) == repr(own) == repr(without)
    for layer in (drawn, without):
        assert layer.state_dict().keys() == own.state_dict().keys()
        for a, b in zip(layer.parameters(), own.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("momentum", [0, -0.1, 1.5, float("nan")])
def test_an_impossible_momentum_is_refused(momentum):
    with pytest.raises(RequestError, match="momentum: found"):
        norm(4, momentum)
