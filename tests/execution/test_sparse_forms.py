"""The sparse forms of torch's layers compute what the layers do under their masks."""

import pytest
import torch
from torch import nn

from sparsewire.execution.sparse_forms import SPARSE_FORMS
from sparsewire.execution.sparse_module import SparseModule

MADE = {
    nn.Linear: (lambda: nn.Linear(5, 3), (2, 5)),
    nn.Conv2d: (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 4)),
    nn.RNN: (lambda: nn.RNN(5, 3, 2), (4, 2, 5)),
    nn.GRU: (lambda: nn.GRU(5, 3), (4, 2, 5)),
    nn.LSTM: (lambda: nn.LSTM(5, 3), (4, 2, 5)),
}


def test_every_form_is_tried() -> None:
    assert set(SPARSE_FORMS) == set(MADE)


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_a_form_computes_what_the_masked_layer_does(kind: type[nn.Module]) -> None:
    make, shape = MADE[kind]
    source = torch.Generator().manual_seed(0)
    dense = make()
    weights = {name: weight for name, weight in dense.named_parameters() if name.startswith("weight")}
    masks = {name: torch.rand(weight.shape, generator=source) < 0.5 for name, weight in weights.items()}
    sparse = SPARSE_FORMS[kind](dense, masks)
    assert isinstance(sparse, SparseModule)
    assert set(sparse.junctions) == set(masks)
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask)
    x = torch.randn(shape, generator=source)
    found, expected = sparse(x), dense(x)
    if isinstance(expected, tuple):
        found, expected = found[0], expected[0]
    torch.testing.assert_close(found, expected)
