import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models import zoo

# name → (sizes, weights without biases), as the papers print them
PAPERS = {
    "lenet_300_100": ((784, 300, 100, 10), 266_200),
    "wide_lenet": ((784, 3010, 1010, 10), 5_410_040),  # 784·3010 + 3010·1010 + 1010·10
    "single_hidden_100": ((784, 100, 10), 79_400),
    "morse_1024": ((64, 1024, 64), 131_072),
    "autoencoder_128_64": ((784, 128, 64, 128, 784), 217_088),  # 2 · (784·128 + 128·64)
    "classifier_128_100": ((784, 128, 100, 10), 114_152),
    "perceptron": ((784, 10), 7_840),
}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linears(model):
    return [module for module in model if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_networks_have_their_sizes(name):
    sizes, weights = PAPERS[name]
    layers = linears(getattr(zoo, name)())
    assert (layers[0].in_features, *(layer.out_features for layer in layers)) == sizes
    assert sum(layer.weight.numel() for layer in layers) == weights


@pytest.mark.parametrize("name", PAPERS)
def test_a_generator_decides_alone(name):
    make = getattr(zoo, name)
    state = torch.get_rng_state()
    one, same, other = make(generator=generator(1)), make(generator=generator(1)), make(generator=generator(2))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("bias", [True, False])
def test_a_generator_draws_what_pytorch_draws_from_the_same_seed(bias):
    drawn = zoo.mlp((7, 5, 3), "tanh", bias=bias, generator=generator(4))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own = nn.Sequential(nn.Linear(7, 5, bias=bias), nn.Tanh(), nn.Linear(5, 3, bias=bias))
        torch.manual_seed(4)
        without = zoo.mlp((7, 5, 3), "tanh", bias=bias)
    assert drawn.state_dict().keys() == own.state_dict().keys()
    for model in (drawn, without):
        for a, b in zip(model.parameters(), own.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_mlp_has_an_activation_between_each_two_layers(activation):
    model = zoo.mlp((4, 3, 3, 2), activation)
    kind = ACTIVATIONS[activation]
    assert [type(module) for module in model] == [nn.Linear, kind, nn.Linear, kind, nn.Linear]
    assert [name for name, _ in model.named_parameters()][::2] == ["0.weight", "2.weight", "4.weight"]


def test_the_autoencoder_ends_between_zero_and_one():
    outputs = zoo.autoencoder_128_64(generator=generator())(100 * torch.randn(3, 784, generator=generator()))
    assert outputs.shape == (3, 784)
    assert ((outputs >= 0) & (outputs <= 1)).all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((5,), "expected at least two"), ((5, 0), r"sizes\[1\]: found 0"), ((5, 2.5), r"sizes\[1\]: found 2.5")],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(RequestError, match=message):
        zoo.mlp(sizes)


def test_an_unknown_activation_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        zoo.mlp((2, 2), "sigmoidal")
