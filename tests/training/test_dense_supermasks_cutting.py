"""Which units can be cut out of which layers."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.models.zoo import mlp
from sparsewire.training.dense_supermasks_cutting import without_units


def test_what_is_kept_may_come_in_any_order() -> None:
    model = mlp((4, 5, 2))
    inputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    found = without_units(model, {"0": torch.tensor([4, 0, 2, 1, 3])})
    torch.testing.assert_close(found(inputs), model(inputs))
    assert found[0].weight.requires_grad


@pytest.mark.parametrize(
    "kept",
    [[0, 1], torch.tensor([0.0]), torch.tensor([[0]]), torch.tensor([0, 0]), torch.tensor([5]), torch.tensor([-1]),
     torch.tensor([], dtype=torch.int64), torch.tensor([True, False, True, False, True])],
)  # fmt: skip
def test_refusals(kept) -> None:
    with pytest.raises(RequestError, match=r"kept\['0'\]: found .* from 0 to 4"):
        without_units(mlp((4, 5, 2)), {"0": kept})


def test_groups_of_channels_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 1, groups=2), nn.Conv2d(4, 1, 1))
    with pytest.raises(RequestError, match="groups=2, expected 1 to lose single channels"):
        without_units(model, {"0": torch.tensor([0])})


def test_a_frozen_layer_stays_frozen() -> None:
    model = mlp((4, 5, 2))
    model[0].weight.requires_grad_(False)
    found = without_units(model, {"0": torch.tensor([1, 2])})
    assert [parameter.requires_grad for parameter in found.parameters()] == [False, True, True, True]


def test_normalised_channels_in_front_of_a_flattened_picture() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.PReLU(6), nn.Flatten(), nn.BatchNorm1d(24), nn.Linear(24, 3)
        ).double()
        inputs = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    model(inputs)  # statistics that differ from channel to channel
    model.eval()
    kept = torch.tensor([1, 4, 5])
    found, off = without_units(model, {"0": kept}), model[:4](inputs)
    off = off * torch.isin(torch.arange(6), kept).repeat_interleave(4)
    # What is off is off behind the activations, so that the normalisation of features does not make it speak again.
    expected = model[5](model[4](off) * torch.isin(torch.arange(6), kept).repeat_interleave(4))
    torch.testing.assert_close(found(inputs), expected)
    assert (found[1].num_features, found[2].num_parameters, found[4].num_features) == (3, 3, 12)


def test_normalisation_that_two_layers_share_is_refused() -> None:
    norm, activation = nn.BatchNorm1d(5), nn.PReLU()
    shared = nn.Sequential(nn.Linear(4, 5), norm, nn.Linear(5, 5), norm, nn.Linear(5, 2))
    with pytest.raises(RequestError, match=r"model: '3' .BatchNorm1d. stands behind two layers; give each its own"):
        without_units(shared, {"0": torch.tensor([0])})
    single = nn.Sequential(nn.Linear(4, 5), activation, nn.Linear(5, 5), activation, nn.Linear(5, 2))
    assert without_units(single, {"0": torch.tensor([0])})[0].out_features == 1
