import pytest
import torch
from torch import nn

from sparsewire.analysis.cost import cost_table
from sparsewire.errors import RequestError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.execution.shrinking import shrink
from sparsewire.models import zoo
from sparsewire.models.initialize import lightning_
from sparsewire.structure.chain import dense_chain
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

# name → arguments, input shape, sizes of the connected layers, parameters and multiply-adds of the convolutions
PAPERS = {
    "lenet_5": ((), (3, 32, 32), (400, 120, 84, 10), 2_872, 592_800),
    "conv_mnist": ((), (1, 28, 28), (3136, 784, 10), 52_096, 10_662_400),
    "conv_cifar": ((), (3, 32, 32), (4096, 512, 16), 1_147_200, 152_764_416),
    "cifar-10 3CL": (((512, 256), 16), (3, 32, 32), (4096, 512, 256, 16), 1_147_200, 152_764_416),
    "cifar-100 2CL": (((512,), 128), (3, 32, 32), (4096, 512, 128), 1_147_200, 152_764_416),
    "cifar-100 3CL": (((512, 256), 128), (3, 32, 32), (4096, 512, 256, 128), 1_147_200, 152_764_416),
}
SMALL = {  # the same networks for images on which a test takes no time
    "lenet_5": lambda g: zoo.lenet_5(1, 4, side=16, generator=g),
    "conv_mnist": lambda g: zoo.conv_mnist((8,), 4, side=16, generator=g),
    "conv_cifar": lambda g: zoo.conv_cifar((8, 6), 4, channels=1, filters=(3, 4, 5, 6), side=16, generator=g),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(case):
    return getattr(zoo, case if hasattr(zoo, case) else "conv_cifar")(*PAPERS[case][0], generator=generator())


@pytest.mark.parametrize("case", PAPERS)
def test_the_papers_networks_have_their_sizes(case):
    _, shape, sizes, parameters, multiply_adds = PAPERS[case]
    model, images = made(case), torch.zeros(2, *shape)
    assert model(images).shape == (2, sizes[-1])
    assert NetGraph.from_model(model).sizes == NetGraph.from_model(model.head).sizes == sizes
    layers = [layer for layer in cost_table(model, example=images).layers if layer.name.startswith("features")]
    assert sum(layer.parameters for layer in layers) == parameters
    assert sum(layer.multiply_adds or 0 for layer in layers) == multiply_adds


def test_the_cifar_network_is_the_papers():
    """17 layers (Table 2); 4608 of 2,105,344 weights are left where every neuron has one connection (section 3.1)."""
    model = zoo.conv_cifar()
    counted = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Linear)
    assert sum(isinstance(module, counted) for module in model.modules()) == 17
    junctions = [module for module in model.head if isinstance(module, nn.Linear)]
    assert sum(junction.weight.numel() for junction in junctions) == 2_105_344
    assert sum(junction.in_features for junction in junctions) == 4608
    kinds = [type(module).__name__ for module in model.features]
    pair = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert kinds == [*(3 * pair), "Flatten"]


@pytest.mark.parametrize("name", SMALL)
def test_the_features_are_numbered_channels_first(name):
    model = SMALL[name](generator()).eval()
    images = torch.rand(2, 1, 16, 16, generator=generator())
    maps = model.features[:-1](images)
    count, height, width = maps.shape[1:]
    flat = model.features(images)
    for channel, y, x in ((0, 0, 0), (1, height - 1, 0), (count - 1, 0, width - 1)):
        assert torch.equal(flat[:, (channel * height + y) * width + x], maps[:, channel, y, x])
    assert torch.equal(model.head(flat), model(images))


@pytest.mark.parametrize("name", SMALL)
def test_the_head_is_the_chain_that_everything_finds(name):
    model = SMALL[name](generator())
    heads = [f"head.{key}" for key, _ in model.head.named_parameters() if key.endswith("weight")]
    assert list(dense_chain(model)) == heads
    assert [type(module) for module in model.head] == [*(len(heads) - 1) * [nn.Linear, nn.ReLU], nn.Linear]


@pytest.mark.parametrize("name", SMALL)
def test_lightning_strikes_the_head_only(name):
    model, untouched, by_head = (SMALL[name](generator()) for _ in range(3))
    graph = lightning_(model, paths=3, strength=0.5, generator=generator(1))
    lightning_(by_head.head, paths=3, strength=0.5, generator=generator(1))
    assert graph.sizes == NetGraph.from_model(model).sizes
    for a, b in zip(model.features.parameters(), untouched.features.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(model.parameters(), by_head.parameters(), strict=True):
        assert torch.equal(a, b)
    assert {abs(value) for weight in dense_chain(model).values() for value in weight.unique().tolist()} == {0, 0.5}


@pytest.mark.parametrize("name", SMALL)
def test_a_sparse_head_is_stored_sparsely_and_back(name):
    model = SMALL[name](generator()).eval()
    masks = Masks({key: torch.eye(*weight.shape).bool() for key, weight in dense_chain(model).items()})
    masks.apply_(model)
    images = torch.rand(3, 1, 16, 16, generator=generator())
    sparse = sparsify(model, masks, "sparse")
    assert torch.allclose(sparse(images), model(images), atol=1e-6)
    dense, back = densify(sparse)
    assert torch.equal(dense(images), model(images))
    assert back.keys() == masks.keys()
    head = Masks({key.removeprefix("head."): mask for key, mask in masks.items()})
    features = model.features(images)
    assert torch.allclose(shrink(model.head, head)(features), model.head(features), atol=1e-6)
    with pytest.raises(RequestError, match=r"cannot shrink it because of 'features\.0'"):
        shrink(model, masks)


@pytest.mark.parametrize("name", SMALL)
def test_a_generator_decides_alone_and_draws_what_the_global_seed_draws(name):
    state = torch.get_rng_state()
    drawn, other = SMALL[name](generator(4)), SMALL[name](generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own = SMALL[name](None)
    for (key, a), b in zip(drawn.state_dict().items(), own.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    assert not torch.equal(drawn.head[0].weight, other.head[0].weight)
    assert not torch.equal(drawn.features[0].weight, other.features[0].weight)


def test_a_single_junction_behind_the_features():
    assert NetGraph.from_model(zoo.conv_cifar((), 16)).sizes == (4096, 16)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zoo.lenet_5(0), "channels: found 0"),
        (lambda: zoo.lenet_5(side=15), "side: found 15, expected a whole number of at least 16"),
        (lambda: zoo.lenet_5(classes=0), r"sizes\[3\]: found 0"),
        (lambda: zoo.conv_mnist(side=3), "side: found 3"),
        (lambda: zoo.conv_mnist((0,)), r"sizes\[1\]: found 0"),
        (lambda: zoo.conv_cifar(filters=(64, 64, 128)), "filters: found 3 convolutions, expected pairs"),
        (lambda: zoo.conv_cifar(filters=()), "filters: found 0"),
        (lambda: zoo.conv_cifar(filters=(64, 2.5)), r"filters\[1\]: found 2.5"),
        (lambda: zoo.conv_cifar(side=7), "side: found 7, expected a whole number of at least 8"),
        (lambda: zoo.conv_cifar(momentum=0), "momentum: found 0"),
        (lambda: zoo.conv_cifar(channels=True), "channels: found True"),
    ],
)
def test_impossible_networks_are_refused(make, message):
    with pytest.raises(RequestError, match=message):
        make()
