import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.training.layer_inputs import input_moments, places_of

CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "stride": {"kernel_size": 2, "stride": (2, 1), "padding": (1, 0)},
    "same": {"kernel_size": 2, "padding": "same", "dilation": 2},
    "circular": {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    "groups": {"kernel_size": 3, "groups": 2},
}


@pytest.mark.parametrize("own", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_is_its_weight_times_the_places(own):
    torch.manual_seed(0)
    module = nn.Conv2d(4, 6, bias=False, **own)
    images = torch.rand(3, 4, 5, 6)
    places = places_of(module, images)
    products = module.weight.reshape(module.groups, 6 // module.groups, -1) @ places
    outputs = module(images)
    torch.testing.assert_close(products.reshape(6, 3, *outputs.shape[2:]).transpose(0, 1), outputs)
    assert places_of(module, images[0]).shape[2] * 3 == places.shape[2]


def test_moments_are_means_over_samples_in_any_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(), nn.Linear(3, 2)).train()
    inputs = torch.rand(7, 5, 4)  # sequences of five steps
    layers = {"0.weight": [model[0]], "2.weight": [model[2]]}
    found = input_moments(model, (inputs, torch.zeros(7)), layers)
    for size in (1, 3):
        again = input_moments(model, (inputs, torch.zeros(7)), layers, batch_size=size)
        torch.testing.assert_close(again, found)
    for name, seen in (("0.weight", inputs), ("2.weight", model[0](inputs))):
        rows = seen.detach().double().reshape(35, -1)
        torch.testing.assert_close(found[name][0], rows.T @ rows / 7)
    assert model.training
    assert model[1].training
    assert not model[0]._forward_pre_hooks


def test_a_layer_that_is_called_twice_sees_both():
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data.copy_(2 * torch.eye(2))
    model = nn.Sequential(layer, layer)
    inputs = torch.tensor([[1.0, 0.0]])
    assert input_moments(model, (inputs, inputs), {"0.weight": [layer]})["0.weight"].tolist() == [[[5, 0], [0, 0]]]


def test_no_data_and_layers_without_any():
    layer = nn.Linear(2, 2)
    with pytest.raises(RequestError, match="data: found no batch"):
        input_moments(layer, [], {"weight": [layer]})
    with pytest.raises(RequestError, match=r"only: the model did not call the layer of 'a.weight'"):
        input_moments(nn.Identity(), [(torch.ones(1), torch.ones(1))], {"a.weight": [layer]})
