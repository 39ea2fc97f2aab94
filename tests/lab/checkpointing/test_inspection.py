"""What is told of a checkpoint: counted again in the obvious way."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsewire.lab.checkpointing import inspection
from sparsewire.lab.checkpointing.inspection import inspect_weights


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 5), min_size=2, max_size=4), st.floats(0, 1))
def test_counts_equal_the_obvious_ones(seed: int, shape: list[int], density: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=generator) * (torch.rand(shape, generator=generator) < density)
    (layer,) = inspect_weights({"weight": weight}).layers
    rows = [[weight[i, j] for j in range(shape[1])] for i in range(shape[0])]
    assert layer.live == sum(bool(number) for number in weight.flatten())
    assert layer.silent == sum(not any(bool(cell.any()) for cell in row) for row in rows)
    assert layer.unread == sum(not any(bool(row[j].any()) for row in rows) for j in range(shape[1]))
    assert layer.density == layer.live / weight.numel()


def test_neurons_and_curve_of_a_network_by_hand() -> None:
    """Strongest first: 5 (0 → 0), 4 (0 → 0 complete), 3 (1 → 1, which nobody reads), 1 (2 → 2, nothing comes in)."""
    first = torch.tensor([[5.0, 0, 0], [0, 3.0, 0], [0, 0, 0]])
    second = torch.tensor([[4.0, 0, 1.0]])
    found = inspect_weights({"a.weight": first, "a.bias": torch.ones(3), "b.weight": second, "steps": torch.tensor(7)})
    assert found.chain == ("a.weight", "b.weight")
    assert [dataclasses.astuple(layer) for layer in found.neurons] == [(3, 0, 2, 1), (3, 1, 1, 1), (1, 0, 0, 1)]
    assert found.curve == ((1, 0.0), (2, 1.0), (4, 0.5))
    assert (found.other_tensors, found.other_numbers, found.multiply_adds) == (2, 4, 4)
    assert found.stored_bytes == 4 * (9 + 3 + 3) + 8


def test_tied_weights_count_once() -> None:
    layer = nn.Linear(3, 3)
    found = inspect_weights(
        {"a.weight": layer.weight.detach(), "b.weight": layer.weight.detach(), "c.weight": torch.ones(3, 3)}
    )
    assert [layer.name for layer in found.layers] == ["a.weight", "c.weight"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_other_precisions_are_understood(dtype: torch.dtype) -> None:
    found = inspect_weights({"weight": torch.tensor([[1.0, 0.0]]).to(dtype)})
    assert (found.live, found.no_chain, found.curve) == (1, None, ((1, 1.0),))


def test_a_network_without_any_edge_has_no_curve() -> None:
    found = inspect_weights({"0.weight": torch.zeros(2, 3), "1.weight": torch.zeros(1, 2)})
    assert (found.live, found.density, found.curve, found.no_chain) == (0, 0.0, (), None)
    assert [layer.alive for layer in found.neurons] == [0, 0, 0]


def test_weights_without_numbers_are_no_trouble() -> None:
    found = inspect_weights({"weight": torch.ones(0, 3), "other": torch.ones(2, 0, 3)})
    assert [(layer.weights, layer.silent, layer.unread) for layer in found.layers] == [(0, 0, 3), (0, 2, 0)]
    assert inspect_weights({}).density == 1.0


def test_why_there_are_no_paths_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no dense layer" in str(inspect_weights({"weight": torch.ones(1, 1, 3, 3)}).no_chain)
    assert "no chain" in str(inspect_weights({"a.weight": torch.ones(2, 3), "b.weight": torch.ones(2, 3)}).no_chain)
    assert "NaN" in str(inspect_weights({"a.weight": torch.full((2, 3), torch.nan)}).no_chain)
    monkeypatch.setattr(inspection, "MOST_EDGES", 5)
    assert "up to 5" in str(inspect_weights({"a.weight": torch.ones(2, 3)}).no_chain)
