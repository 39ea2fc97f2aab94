"""What dense layers remember of their masks: nothing but kept zeros, and nothing that shows in states."""

import copy

import pytest
import torch
from torch import nn

from sparsewire.execution.kept_masks import forget_masks_, remember_mask_, remembered_masks


@pytest.mark.parametrize("zeros", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 7), (2, 3, 3, 3)])
def test_a_mask_comes_back_from_copies(shape: tuple[int, ...], zeros: float) -> None:
    generator, layer = torch.Generator().manual_seed(0), nn.Module()
    mask = torch.rand(shape, generator=generator) < 0.5
    zero = ~mask | (torch.rand(shape, generator=generator) < zeros)
    layer.weight = nn.Parameter(torch.ones(shape).masked_fill_(zero, 0))
    remember_mask_(layer, "weight", mask)
    assert list(layer.state_dict()) == ["weight"]
    assert torch.equal(remembered_masks(copy.deepcopy(layer))["weight"], mask)
    other = copy.copy(layer)
    forget_masks_(layer)
    assert not remembered_masks(layer)
    assert torch.equal(remembered_masks(other)["weight"], mask)


def test_a_pattern_that_moved_is_seen() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0]]))
        remember_mask_(layer, "weight", torch.tensor([[True, False]]))
        layer.weight.copy_(torch.tensor([[0.0, 1.0]]))
    assert remembered_masks(layer)["weight"].tolist() == [[False, True]]
