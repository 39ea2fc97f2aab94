import pytest
import torch
from torch import nn

from sparsewire.analysis.cost import cost_table
from sparsewire.errors import RequestError
from sparsewire.execution.convert import sparsify
from sparsewire.models import zoo
from sparsewire.models.initialize import lightning_
from sparsewire.structure.chain import dense_chain
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

# name → sizes of the dense layers, parameters, of which Keras counts as many for ResNet20 (274,442 with statistics)
PAPERS = {
    "resnet_20": ((64, 10), 273_066, 40_813_184),
    "resnet_14d": ((64, 120, 84, 10), 193_790, 26_675_368),
    "resnet_8d": ((64, 120, 84, 10), 96_350, 12_519_592),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_networks_have_their_sizes(name):
    sizes, parameters, multiply_adds = PAPERS[name]
    model, images = getattr(zoo, name)(generator=generator()), torch.zeros(1, 3, 32, 32)
    table = cost_table(model, example=images)
    assert (table.parameters, table.multiply_adds) == (parameters, multiply_adds)
    assert NetGraph.from_model(model).sizes == NetGraph.from_model(model.head).sizes == sizes
    assert model.features[:-2](images).shape == (1, 64, 8, 8)  # 8 × 8 is what the mean is over
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(one.eps, one.momentum) for one in norms} == {(1e-3, 0.01)}
    assert len(norms) == len([m for m in model.modules() if isinstance(m, nn.Conv2d)]) - 2  # none in the two shortcuts


def keras_same(images, layer):
    """A convolution with Keras' padding "same", from its own formula."""
    pads = []
    for side in reversed(images.shape[2:]):
        total = max((-(-side // layer.stride[0]) - 1) * layer.stride[0] + layer.kernel_size[0] - side, 0)
        pads += [total // 2, total - total // 2]
    return nn.functional.conv2d(nn.functional.pad(images, pads), layer.weight, layer.bias, layer.stride)


@pytest.mark.parametrize("side", [(8, 8), (7, 8), (8, 5), (9, 7), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_is_its_equation_with_keras_padding(side, stride):
    block = zoo.ResidualBlock(3, 3 * stride, stride, generator=generator()).eval()
    images = torch.randn(2, 3, *side, generator=generator(1))
    inner = torch.relu(block.norm_1(keras_same(images, block.conv_1)))
    shortcut = images if stride == 1 else keras_same(images, block.shortcut)
    expected = torch.relu(block.norm_2(keras_same(inner, block.conv_2)) + shortcut)
    assert torch.allclose(block(images), expected, atol=1e-6)
    assert expected.shape[2:] == tuple(-(-each // stride) for each in side)


@pytest.mark.parametrize("depth", [8, 14, 20, 26])
def test_depth_counts_the_layers_on_the_longest_way(depth):
    model = zoo.residual(depth, filters=2)
    outside_shortcuts = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(outside_shortcuts) == depth


def test_dropout_is_after_the_first_two_dense_layers_and_can_be_switched_off():
    with_dropout, without = zoo.resnet_8d(generator=generator()), zoo.resnet_8d(dropout=0, generator=generator())
    kinds = [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(module) for module in with_dropout.head] == kinds
    assert {module.p for module in with_dropout.head if isinstance(module, nn.Dropout)} == {0.3}
    assert with_dropout.state_dict().keys() == without.state_dict().keys()
    features = torch.rand(4, 64, generator=generator())
    with torch.random.fork_rng():
        assert not torch.equal(with_dropout.head(features), with_dropout.head(features))
    assert torch.equal(without.head(features), with_dropout.eval().head(features))


def test_the_dense_layers_alone_can_be_lightning_and_sparse():
    model, untouched = (zoo.residual(8, (6, 5), filters=2, generator=generator()).eval() for _ in range(2))
    graph = lightning_(model, paths=2, strength=0.25, generator=generator(1))
    assert graph.sizes == (8, 6, 5, 10)
    for a, b in zip(model.features.parameters(), untouched.features.parameters(), strict=True):
        assert torch.equal(a, b)
    masks = Masks({name: weight != 0 for name, weight in dense_chain(model).items()})
    images = torch.rand(2, 3, 16, 16, generator=generator())
    assert torch.allclose(sparsify(model, masks, "sparse")(images), model(images), atol=1e-6)


def test_a_generator_decides_alone_and_draws_what_the_global_seed_draws():
    def make(source):
        return zoo.residual(14, (6,), filters=2, generator=source)

    state = torch.get_rng_state()
    drawn, other = make(generator(4)), make(generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own = make(None)
    for (key, a), b in zip(drawn.state_dict().items(), own.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    assert not torch.equal(drawn.features.stem[0].weight, other.features.stem[0].weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zoo.residual(18), "depth: found 18, expected 6n \\+ 2; the nearest are 14 and 20"),
        (lambda: zoo.residual(2), "depth: found 2, expected a whole number of at least 8"),
        (lambda: zoo.residual(8.0), "depth: found 8.0"),
        (lambda: zoo.residual(8, (0,)), r"dense\[0\]: found 0"),
        (lambda: zoo.residual(8, classes=0), "classes: found 0"),
        (lambda: zoo.residual(8, dropout=1.0), "dropout: found 1.0"),
        (lambda: zoo.residual(8, dropout=float("nan")), "dropout: found nan"),
        (lambda: zoo.residual(8, filters=0), "filters: found 0"),
        (lambda: zoo.residual(8, channels=-1), "channels: found -1"),
        (lambda: zoo.residual(8, momentum=2), "momentum: found 2"),
    ],
)
def test_impossible_networks_are_refused(make, message):
    with pytest.raises(RequestError, match=message):
        make()
