import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.gates import gate_count, gate_masks, stacked_parts, tiled


def test_masks_are_tiled_and_not_repeated_row_by_row():
    mask = torch.tensor([[True, False, True], [False, True, True]])
    assert torch.equal(tiled(mask, 3), torch.cat([mask, mask, mask]))
    assert not torch.equal(tiled(mask, 3), mask.repeat_interleave(3, 0))


@pytest.mark.parametrize("gates", [1, 3, 4])
@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (5, 0), (0, 5)])
def test_gate_masks_are_the_inverse(gates, shape):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    parts = gate_masks(tiled(mask, gates), gates)
    assert len(parts) == gates
    assert all(torch.equal(part, mask) for part in parts)
    stacked = torch.rand(gates * shape[0], shape[1], generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.cat(gate_masks(stacked, gates)), stacked)


def test_a_tiled_mask_gives_every_gate_of_a_gru_the_same_connections():
    # torch's own order of rows: what a cell computes from the pieces by hand equals the layer
    layer, mask = nn.GRU(3, 2), torch.tensor([[True, False, True], [False, False, True]])
    with torch.no_grad():
        layer.weight_ih_l0.mul_(tiled(mask, 3))
        x = torch.rand(1, 3)
        reset, update, new = ((w * mask) @ x[0] for w in gate_masks(layer.weight_ih_l0, 3))
        b_ih, b_hh = layer.bias_ih_l0.view(3, 2), layer.bias_hh_l0.view(3, 2)
        r, z = torch.sigmoid(reset + b_ih[0] + b_hh[0]), torch.sigmoid(update + b_ih[1] + b_hh[1])
        n = torch.tanh(new + b_ih[2] + r * b_hh[2])
        torch.testing.assert_close(layer(x)[0][0], (1 - z) * n)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tiled(torch.ones(3), 3), r"mask: found shape \(3,\), expected a tensor of shape \(neurons, inputs\)"),
        (lambda: tiled([[1]], 3), "mask: found list"),
        (lambda: tiled(torch.ones(3, 2), 0), "gates: found 0"),
        (lambda: tiled(torch.ones(3, 2), 2.0), "gates: found 2.0"),
        (lambda: tiled(torch.ones(3, 2), True), "gates: found True"),
        (lambda: gate_masks(torch.ones(7, 2), 3), "mask: found 7 rows, expected a multiple of the 3 gates"),
        (lambda: gate_masks(torch.ones(6, 2), -1), "gates: found -1"),
    ],
)
def test_what_cannot_be_tiled(call, message):
    with pytest.raises(RequestError, match=message):
        call()


@pytest.mark.parametrize(
    ("module", "count", "parts"),
    [
        (nn.RNN(5, 3), 1, ()),
        (nn.GRU(5, 3, bidirectional=True), 3, ("reset", "update", "new")),
        (nn.GRUCell(5, 3), 3, ("reset", "update", "new")),
        (nn.LSTM(5, 3, num_layers=2), 4, ("input", "forget", "cell", "output")),
        (nn.LSTM(5, 4, proj_size=2), 4, ("input", "forget", "cell", "output")),
        (nn.LSTM(5, 1), 4, ("input", "forget", "cell", "output")),
    ],
)
def test_gates_of_recurrent_layers(module, count, parts):
    weights = dict(module.named_parameters())
    for name in weights:
        if name.startswith(("weight_ih", "weight_hh")):
            assert (gate_count(name, weights), stacked_parts(name, weights)) == (count, parts)


def test_parts_of_other_weights():
    weights = dict(nn.ModuleDict({"a": nn.MultiheadAttention(4, 2), "b": nn.Linear(3, 3)}).named_parameters())
    assert stacked_parts("a.in_proj_weight", weights) == ("q_proj", "k_proj", "v_proj")
    assert stacked_parts("a.out_proj.weight", weights) == stacked_parts("b.weight", weights) == ()


@pytest.mark.parametrize("tied", ["weight_hh_l1", "weight_hh_l0_reverse", "weight_hr_l1"])
def test_gates_of_a_layer_whose_own_weight_bears_the_name_of_another_layer(tied):
    is_projected = "hr" in tied
    module = nn.LSTM(5, 4, num_layers=2, bidirectional="reverse" in tied, proj_size=2 if is_projected else 0)
    setattr(module, tied, getattr(module, "weight_hr_l0" if is_projected else "weight_hh_l0"))
    weights = dict(nn.ModuleDict({"a": module}).named_parameters())
    assert f"a.{tied}" not in weights
    for name in weights:
        if "weight_ih" in name or "weight_hh" in name:
            assert gate_count(name, weights) == 4


def test_a_weight_without_layers_of_its_kind_has_one_gate():
    assert gate_count("a.weight_ih", {"a.weight_ih": torch.ones(6, 2), "b.weight_hh": torch.ones(6, 2)}) == 1
