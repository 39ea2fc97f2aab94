import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks
from sparsewire.training.rules.pools import checked_over, gathered, pools_of, returned, shared


def network():
    return nn.Sequential(nn.LSTM(4, 3, 2, bidirectional=True), nn.Conv2d(2, 3, 3), nn.MultiheadAttention(4, 2))


def weights_of(model):
    return {name: parameter for name, parameter in model.named_parameters() if name in Masks.from_model(model)}


@pytest.mark.parametrize("over", ["parts", "layers", "cells", "all"])
@pytest.mark.parametrize("only", [None, "i2h", ["gate:forget", "1"], "k_proj"])
def test_every_place_is_in_one_pool_and_comes_back(over, only):
    weights = weights_of(network())
    pools = pools_of(weights, only, over)
    numbers = {name: torch.arange(weight.numel()).view(weight.shape) for name, weight in weights.items()}
    parts = {(part.name, part.rows) for parts in pools.values() for part in parts}
    assert len(parts) == sum(map(len, pools.values()))
    rows = gathered(pools, numbers)
    if only is None:
        assert sum(row.numel() for row in rows.values()) == sum(weight.numel() for weight in weights.values())
    masks = Masks({name: torch.rand(weight.shape) < 0.5 for name, weight in weights.items()})
    assert returned(pools, gathered(pools, masks), masks) == masks
    flipped = returned(pools, {pool: ~row for pool, row in gathered(pools, masks).items()}, masks)
    assert (flipped ^ masks).count == sum(row.numel() for row in rows.values())


def test_how_many_pools_there_are():
    weights = weights_of(network())
    counts = {over: len(pools_of(weights, over=over)) for over in ("parts", "layers", "cells", "all")}
    # 2 layers · 2 directions · 2 junctions · 4 gates, a kernel, the 3 projections in one and the one after them, if any
    others = len([name for name in weights if "weight_" not in name]) - 1
    assert counts == {"parts": 32 + 3 + others, "layers": 8 + 1 + others, "cells": 4 + 1 + others, "all": 1}


def test_a_copy_is_made_of_what_comes_back():
    masks = Masks({"w": torch.tensor([True, False])})
    pools = pools_of(masks)
    new = returned(pools, {"w": torch.tensor([True, True])}, masks)
    assert masks["w"].tolist() == [True, False]
    assert new["w"].tolist() == [True, True]


def test_gates_of_a_weight_are_its_rows_in_torchs_order():
    weights = dict(nn.GRU(2, 2, bias=False).named_parameters())
    rows = gathered(pools_of(weights, "gate:update"), {"weight_ih_l0": torch.arange(12).view(6, 2),
                                                       "weight_hh_l0": torch.arange(12).view(6, 2)})  # fmt: skip
    assert {pool: row.tolist() for pool, row in rows.items()} == {
        "weight_ih_l0:1": [4, 5, 6, 7],
        "weight_hh_l0:1": [4, 5, 6, 7],
    }


def test_a_word_that_is_none_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'layers'"):
        checked_over("layer")
    with pytest.raises(RequestError, match="'None'"):
        checked_over(None)
    with pytest.raises(RequestError, match="no weight to prune is named 'nothing'"):
        pools_of({"w": torch.zeros(2)}, "nothing")


ROOMS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.0, 1e-300, 0.3, 1, 7, 1e9])))


@settings(deadline=None)
@given(ROOMS, st.floats(0, 1))
def test_the_total_is_exact_and_no_pool_gets_more_than_it_has_room_for(layers, part):
    kept = {
        str(i): torch.tensor([True] * full + [False] * room, dtype=torch.bool)
        for i, (full, room, _) in enumerate(layers)
    }
    rates = {str(i): rate for i, (_, _, rate) in enumerate(layers)}
    rooms = {pool: int((~mask).sum()) for pool, mask in kept.items()}
    total = int(part * sum(rooms.values()))
    counts = shared(total, rates, kept)
    assert sum(counts.values()) == total
    assert all(0 <= counts[pool] <= rooms[pool] for pool in kept)
    wanting = [pool for pool in kept if rates[pool] > 0]
    if any(counts[pool] for pool in kept if not rates[pool]):  # only when the others are full
        assert all(counts[pool] == rooms[pool] for pool in wanting)


def test_shares_are_in_proportion():
    empty = {name: torch.zeros(100, dtype=torch.bool) for name in "abc"}
    assert shared(10, {"a": 1, "b": 2, "c": 2}, empty) == {"a": 2, "b": 4, "c": 4}
    assert shared(10, {"a": 0, "b": 0, "c": 0}, empty) == {"a": 4, "b": 3, "c": 3}  # ties to the earlier one
