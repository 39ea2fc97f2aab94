import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import maskable
from sparsewire.training.rules.chosen_rows import chosen_rows, rows_changed, rows_taken


def test_all_weights_unless_some_are_meant():
    weights = maskable(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)))
    assert chosen_rows(weights, None) == {"0.weight": None, "1.weight": None}
    assert list(chosen_rows(weights, "1.*")) == ["1.weight"]
    with pytest.raises(RequestError, match="no weight to prune is named 'x'"):
        chosen_rows(weights, "x")


def test_gates_are_rows_and_the_others_stay():
    weights = maskable(nn.GRU(2, 2))
    rows = chosen_rows(weights, "h2h:reset")
    assert {name: own.tolist() for name, own in rows.items()} == {"weight_hh_l0": [0, 1]}
    mask = torch.ones(6, 2).bool()
    changed = rows_changed(mask, rows["weight_hh_l0"], torch.zeros(4).bool())
    assert changed.int().tolist() == [[0, 0], [0, 0], [1, 1], [1, 1], [1, 1], [1, 1]]
    assert mask.all()
    assert rows_taken(changed, rows["weight_hh_l0"]).sum() == 0
