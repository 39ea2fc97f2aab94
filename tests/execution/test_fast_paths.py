"""Encoders whose children are sparse call them; all others are left as they were."""

import torch
from torch import nn

from sparsewire.execution.fast_paths import allow_fast_paths_, avoid_fast_paths_
from sparsewire.execution.linear import SparseLinear


def test_only_encoders_with_sparse_children_change_and_change_back() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, activation="gelu", batch_first=True), 2)
    avoid_fast_paths_(model)
    assert model.use_nested_tensor
    dense = model.layers[1].linear2
    model.layers[1].linear2 = SparseLinear.from_dense(dense, torch.ones_like(dense.weight, dtype=torch.bool))
    for _ in range(2):  # once more changes nothing
        avoid_fast_paths_(model)
        assert [layer.activation_relu_or_gelu for layer in model.layers] == [2, 0]
        assert not model.use_nested_tensor
    allow_fast_paths_(model)
    assert [layer.activation_relu_or_gelu for layer in model.layers] == [2, 2]
    assert model.use_nested_tensor
