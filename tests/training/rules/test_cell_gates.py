import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.rules.cell_gates import selfish_rnn


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def cell(strong=2):
    """An LSTM's weights of density a quarter, alike in all gates, but those of one gate are ten times as large."""
    weights = {}
    for name, columns in (("weight_ih_l0", 30), ("weight_hh_l0", 20)):
        weight = torch.randn(4, 20, columns, generator=draws(columns))
        weight[strong] *= 10
        mask = torch.rand(20 * columns, generator=draws(columns + 1)).argsort() < 5 * columns
        weights[name] = (weight * mask.view(20, columns)).view(80, columns)
    return weights, Masks({name: weight != 0 for name, weight in weights.items()})


def gates(mask):
    return [int(gate.sum()) for gate in mask.split(20)]


def test_strong_gates_win_connections_and_the_weight_keeps_its_density():
    weights, masks = cell()
    new = selfish_rnn(1, 100, 0.5, generator=draws())(1, masks, weights, {})
    for name, mask in new.items():
        assert mask.sum() == masks[name].sum()
        assert len(set(gates(masks[name]))) == 1
        assert gates(mask)[2] == max(gates(mask)) > gates(masks[name])[2] * 1.2


def test_cells_exchange_between_the_two_junctions_too():
    weights, masks = cell()
    weights["weight_hh_l0"] = weights["weight_hh_l0"] * 100
    new = selfish_rnn(1, 100, 0.5, generator=draws(), over="cells")(1, masks, weights, {})
    assert new.count == masks.count
    assert new["weight_hh_l0"].sum() > masks["weight_hh_l0"].sum()
    kept = selfish_rnn(1, 100, 0.5, generator=draws(), over="parts")(1, masks, weights, {})
    assert [gates(mask) for mask in kept.values()] == [gates(mask) for mask in masks.values()]


def test_layers_and_directions_are_cells_of_their_own():
    torch.manual_seed(0)
    model = nn.Sequential(nn.GRU(5, 4, 2, bidirectional=True), nn.Linear(8, 3))
    weights = {name: model.get_parameter(name).detach() for name in Masks.from_model(model)}
    masks = Masks({name: torch.rand(weight.shape, generator=draws()) < 0.4 for name, weight in weights.items()})
    weights = {name: weight * masks[name] * (10 if "reverse" in name else 1) for name, weight in weights.items()}
    new = selfish_rnn(1, 100, 0.6, generator=draws(), over="cells")(1, masks, weights, {})
    assert new != masks
    for end in ("l0", "l0_reverse", "l1", "l1_reverse"):
        names = [f"0.weight_{junction}_{end}" for junction in ("ih", "hh")]
        assert sum(int(new[name].sum()) for name in names) == sum(int(masks[name].sum()) for name in names)
    assert new["1.weight"].sum() == masks["1.weight"].sum()


def test_it_needs_a_generator():
    with pytest.raises(RequestError, match="generator: found None"):
        selfish_rnn(generator=None)
    with pytest.raises(RequestError, match="until: found None"):
        selfish_rnn(until=None, generator=draws())
