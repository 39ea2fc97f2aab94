import itertools

import pytest
import torch
from torch import nn

from sparsewire.analysis.cost import cost_table
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks


def dense(*sizes):
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(module for pair in pairs for module in (nn.Linear(*pair), nn.ReLU())))


def test_lenet_costs_what_the_papers_say():
    table = cost_table(dense(784, 300, 100, 10), batch=100)
    assert (table.weights, table.live, table.density) == (266_200, 266_200, 1.0)
    assert table.parameters == 266_610  # and 410 biases
    assert table.multiply_adds == table.live_multiply_adds == 26_620_000
    assert table.bytes_dense == 4 * 266_610
    assert [layer.name for layer in table.layers] == ["0", "2", "4"]


def test_live_weights_come_from_the_masks_not_from_the_values():
    model = dense(6, 4, 2)
    with torch.no_grad():
        model[0].weight.zero_()
    masks = Masks({"0.weight": torch.arange(24).view(4, 6) < 5})
    table = cost_table(model, masks, batch=10)
    assert [layer.live for layer in table.layers] == [5, 8]
    assert table.layers[0].density == 5 / 24
    assert (table.multiply_adds, table.live_multiply_adds) == (320, 130)
    # Compressed rows: 5 weights of 4 + 4 bytes, 5 row ends of 4 bytes, 4 biases; then 8 · 8 + 3 · 4 + 2 · 4.
    assert [layer.bytes_csr for layer in table.layers] == [5 * 8 + 5 * 4 + 4 * 4, 8 * 8 + 3 * 4 + 2 * 4]
    assert table.bytes_csr == 76 + 84
    assert cost_table(model).live == 32


def test_bytes_follow_the_dtype():
    assert cost_table(dense(6, 4).half()).bytes_dense == 2 * 28
    assert cost_table(dense(6, 4).double()).bytes_csr == 24 * 12 + 5 * 4 + 4 * 8


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(150, 4)
    )


def test_a_convolution_needs_an_example():
    table = cost_table(convolutional())
    assert (table.layers[0].multiply_adds, table.layers[2].multiply_adds) == (None, 600)
    assert table.multiply_adds is None
    assert (table.parameters, table.weights) == (150 + 6 + 12 + 600 + 4, 750)
    assert "?" in str(table)


def test_with_an_example_a_convolution_counts_every_output_position():
    table = cost_table(convolutional(), {"0.weight": torch.ones(6, 1, 5, 5).bool()}, example=torch.zeros(3, 1, 10, 10))
    assert [layer.multiply_adds for layer in table.layers] == [150 * 100, 0, 600]
    assert table.multiply_adds == 15_600


def test_recurrent_layers_count_per_time_step_or_per_example():
    model = nn.LSTM(8, 50, 3, batch_first=True)
    once = 4 * 50 * (8 + 50) + 2 * 4 * 50 * (50 + 50)
    assert cost_table(model).multiply_adds == once
    assert cost_table(model, example=torch.zeros(2, 30, 8)).multiply_adds == 30 * once


def test_a_tied_weight_is_stored_once_and_used_twice():
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.ReLU(), nn.Linear(5, 5, bias=False))
    model[2].weight = model[0].weight
    table = cost_table(model, {"0.weight": torch.eye(5).bool()})
    assert (table.weights, table.live, table.parameters) == (25, 5, 25)
    assert (table.multiply_adds, table.live_multiply_adds) == (50, 10)


def test_a_sparse_form_costs_what_its_masked_form_costs():
    convolution = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(600, 4))
    recurrent = nn.LSTM(8, 5, 2, batch_first=True)
    for model, example in ((convolution, torch.zeros(3, 1, 10, 10)), (recurrent, torch.zeros(2, 30, 8))):
        generator = torch.Generator().manual_seed(0)
        every = Masks.from_model(model)
        masks = Masks({name: torch.rand(mask.shape, generator=generator) < 0.3 for name, mask in every.items()})
        sparse = sparsify(model, masks, "sparse")
        for batch in (None, example):
            expected, found = cost_table(model, masks, example=batch), cost_table(sparse, example=batch)
            for column in ("weights", "live", "density", "multiply_adds", "live_multiply_adds", "bytes_csr"):
                assert getattr(found, column) == getattr(expected, column)
            assert found.parameters == expected.parameters - masks.total + masks.count
            assert cost_table(sparse, masks, example=batch) == found
        fewer = Masks({name: torch.zeros_like(mask) for name, mask in masks.items()})
        assert cost_table(sparse, fewer).live == 0
        with pytest.raises(RequestError, match="the weight's"):
            cost_table(sparse, {name: mask.flatten() for name, mask in masks.items()})


def test_a_layer_without_masks_and_one_that_is_not_used():
    model = nn.ModuleDict({"words": nn.Embedding(7, 3), "spare": nn.Linear(3, 3)})
    model.forward = lambda indices: model["words"](indices)
    table = cost_table(model, example=torch.tensor([[1, 2]]))
    assert [(layer.weights, layer.multiply_adds) for layer in table.layers] == [(0, 0), (9, 0)]
    assert table.parameters == 33


def test_a_model_without_parameters_costs_nothing():
    table = cost_table(nn.ReLU())
    assert (table.parameters, table.live, table.density, table.multiply_adds, table.bytes_csr) == (0, 0, 1.0, 0, 0)
    assert str(table).splitlines()[-1].startswith("total")


def test_it_prints_aligned():
    lines = str(cost_table(dense(784, 300, 10), batch=10)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "235,200" in lines[1]
    assert "2,382,000" in lines[-1]


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(UnknownNameError, match=r"did you mean '0\.weight'"):
        cost_table(dense(6, 4), {"0.wieght": torch.ones(4, 6).bool()})
    with pytest.raises(RequestError, match=r"masks\['0.weight'\]: found shape \(6, 4\), expected \(4, 6\)"):
        cost_table(dense(6, 4), {"0.weight": torch.ones(6, 4).bool()})
    with pytest.raises(RequestError, match="batch: found 0"):
        cost_table(dense(6, 4), batch=0)
