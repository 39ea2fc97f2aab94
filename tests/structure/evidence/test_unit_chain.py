"""Which models are chains of units, and which are refused."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from sparsewire.errors import RequestError
from sparsewire.execution.shrinking import ELEMENTWISE
from sparsewire.models.zoo import lenet_5, resnet_8d
from sparsewire.structure.evidence.unit_chain import unit_layer, unit_layers


def test_layers_units_and_neighbours() -> None:
    found = unit_layers(lenet_5())
    assert {name: (layer.units, layer.inputs_per_unit, layer.following_name) for name, layer in found.items()} == {
        "features.0": (6, 1, "features.3"),
        "features.3": (16, 25, "head.0"),
        "head.0": (120, 1, "head.2"),
        "head.2": (84, 1, "head.4"),
    }


@pytest.mark.parametrize("activation", ELEMENTWISE, ids=lambda one: one.__name__)
def test_every_activation_that_shrinks_is_known(activation) -> None:
    made = activation(0.1, 0.2) if activation is nn.Threshold else activation()
    assert list(unit_layers(nn.Sequential(nn.Linear(2, 3), made, nn.Linear(3, 1)))) == ["0"]


def hooked():
    layer = nn.Linear(3, 1)
    layer.register_forward_hook(lambda *_: None)
    return layer


def hooked_chain():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model.register_forward_hook(lambda module, args, output: 3 * output)
    return model


def tied():
    layer = nn.Linear(3, 3)
    return layer, layer


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (None, "model: found NoneType"),
        (nn.Linear(2, 3), "found 1 layers"),
        (nn.Sequential(), "found 0 layers"),
        (resnet_8d(), "ResidualBlock. does not fit"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(1), nn.Linear(3, 1)), "'1' .Softmax. does not fit"),
        (nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1)), "'1' .LayerNorm. does not fit"),
        (nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 3), nn.Linear(3, 1)), "'1' .GRU. does not fit"),
        (nn.Sequential(nn.Conv2d(1, 3, 1), nn.Flatten(2), nn.Linear(3, 1)), "'1' .Flatten. does not fit"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)), "found 4 inputs after 3 units"),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(4, 1, 1)), "found 4 inputs after 2 units"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1, groups=2)), "found .* inputs|groups=2, expected 1"),
        (nn.Sequential(nn.Linear(2, 3), hooked()), "has hooks"),
        (nn.Sequential(nn.Linear(3, 3), parametrizations.weight_norm(nn.Linear(3, 3)), nn.Linear(3, 3)), "fit a chain"),
        (nn.Sequential(nn.Linear(2, 3), prune.identity(nn.Linear(3, 1), "weight")), "computed from another"),
        (nn.Sequential(*tied()), "share one weight"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(8, 5)), "'2' .Linear.* expected Flatten between"),
        (nn.Sequential(nn.Linear(8, 3), nn.Conv2d(3, 5, 1)), "no dense layer before a convolution"),
        (nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), hooked())), "has hooks"),
        (hooked_chain(), "it has hooks, which a chain"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(model, match) -> None:
    with pytest.raises(RequestError, match=match):
        unit_layers(model)


def test_flatten_between_dense_layers_changes_nothing() -> None:
    assert list(unit_layers(nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.Linear(3, 1)))) == ["0"]


def test_leaves_of_nested_sequences_have_their_full_names() -> None:
    inner = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model = nn.Sequential(inner, nn.Sequential(nn.Linear(3, 1)))
    [layer] = unit_layers(model).values()
    assert (layer.name, layer.following_name, list(layer.between)) == ("0.0", "1.0", ["0.1"])
    assert torch.equal(layer.module.weight, inner[0].weight)


def test_one_layer_is_asked_for_by_itself() -> None:
    """What lies before it, or after the weights that follow, may be anything that runs."""
    layer = unit_layer(resnet_8d(), "head.3.weight")
    assert (layer.units, layer.following_name) == (84, "head.6")
    with pytest.raises(RequestError, match="ResidualBlock"):
        unit_layer(resnet_8d(), "features.stem.0")
