"""Connection changes and weight correlation, by hand and against numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.analysis.change import connection_changes, type_correlation, weight_correlation
from sparsewire.analysis.paths import sparse_graph
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

SEEDS = st.integers(0, 2**32 - 1)
BEFORE = {"0.weight": torch.tensor([[1.0, -2.0], [0.0, 3.0]]), "1.weight": torch.tensor([[-1.0, 1.0]])}


def state(first, second):
    return {"0.weight": torch.tensor(first), "1.weight": torch.tensor(second)}


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


def test_a_network_does_not_differ_from_itself():
    model = network(0)
    assert connection_changes(model, model) == {"0.weight": 0, "2.weight": 0, "all": 0}
    assert weight_correlation(model, model) == pytest.approx({"0.weight": 1, "2.weight": 1, "all": 1})


def test_changes_by_hand():
    # Active: 1, -2, 3 and -1, 1. The first keeps its sign, the second turns, the third becomes 0; what was 0 is not
    # counted. Of the other two the second turns.
    after = state([[9.0, 2.0], [7.0, 0.0]], [[-5.0, -1.0]])
    assert connection_changes(BEFORE, after) == {"0.weight": 2 / 3, "1.weight": 1 / 2, "all": 3 / 5}


def test_changes_at_a_threshold_by_hand():
    # As above, and the first, 9, stays only up to a threshold of 9; of the other two -5 stays up to 5.
    after = state([[9.0, 2.0], [7.0, 0.0]], [[-5.0, -1.0]])
    assert connection_changes(BEFORE, after, 5.0) == {"0.weight": 2 / 3, "1.weight": 1 / 2, "all": 3 / 5}
    assert connection_changes(BEFORE, after, 9.0) == {"0.weight": 2 / 3, "1.weight": 1, "all": 4 / 5}
    assert connection_changes(BEFORE, after, 9.5)["all"] == 1


def test_correlation_of_types_by_hand():
    # Types before: 1, -1, 1; after, at a threshold of 3: 1, 0, 1. And -1, 1 against -1, 0.
    found = type_correlation(BEFORE, state([[9.0, -2.0], [7.0, 3.0]], [[-5.0, 1.0]]), 3.0)
    assert found["0.weight"] == pytest.approx(np.corrcoef([1, -1, 1], [1, 0, 1])[0, 1])
    assert found["1.weight"] == pytest.approx(1)
    assert found["all"] == pytest.approx(np.corrcoef([1, -1, 1, -1, 1], [1, 0, 1, -1, 0])[0, 1])


@settings(deadline=None, max_examples=20)
@given(share=st.floats(0.0, 0.9), edges=st.integers(20, 60))
def test_the_correlation_of_types_is_the_root_of_what_stayed(share, edges):
    before = torch.ones(1, 2 * edges)
    before[0, edges:] = -1
    after, gone = before.clone(), int(share * edges)
    after[0, :gone] = after[0, edges : edges + gone] = 0.01  # as many of each type become inactive
    network = {"weight": before}
    changed = connection_changes(network, {"weight": after}, 0.5)["weight"]
    assert type_correlation(network, {"weight": after}, 0.5)["weight"] == pytest.approx(math.sqrt(1 - changed))


@pytest.mark.parametrize("threshold", [-0.1, math.nan])
def test_a_threshold_that_is_no_magnitude_is_refused(threshold):
    with pytest.raises(RequestError, match="threshold: found"):
        connection_changes(BEFORE, BEFORE, threshold)


def test_correlation_by_hand():
    # (1, -2, 3) with (2, -1, 4) differ by 1: r = 1; (-1, 1) with (5, 3): r = -1.
    found = weight_correlation(BEFORE, state([[2.0, -1.0], [8.0, 4.0]], [[5.0, 3.0]]))
    assert found["0.weight"] == pytest.approx(1)
    assert found["1.weight"] == pytest.approx(-1)
    assert found["all"] == pytest.approx(np.corrcoef([1, -2, 3, -1, 1], [2, -1, 4, 5, 3])[0, 1])


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_both_agree_with_the_plain_computation_on_dense_arrays(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"0.weight": (5, 6), "2.weight": (4, 5)}
    before, after = ({name: torch.randn(s, generator=generator) for name, s in shapes.items()} for _ in range(2))
    before = {name: weight * (torch.rand(weight.shape, generator=generator) < 0.6) for name, weight in before.items()}
    after = {name: weight * (torch.rand(weight.shape, generator=generator) < 0.8) for name, weight in after.items()}
    active = {name: weight != 0 for name, weight in before.items()}
    pairs = {name: (before[name][on], after[name][on]) for name, on in active.items()}
    pairs["all"] = tuple(torch.cat(parts) for parts in zip(*pairs.values(), strict=True))
    changes, correlations = connection_changes(before, after), weight_correlation(before, after)
    assert list(changes) == list(correlations) == list(pairs)
    for name, (one, other) in pairs.items():
        assert changes[name] == pytest.approx((torch.sign(one) != torch.sign(other)).float().mean().item())
        assert correlations[name] == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-9)


def test_the_strongest_edges_of_a_parent_against_its_child():
    parent, child = network(0), network(1)
    strong = sparse_graph(parent, 0.3).graph
    on = {name: types != 0 for name, types in sparse_graph(parent, 0.3).types.items()}
    weights = dict(parent.named_parameters()), dict(child.named_parameters())
    one, other = (torch.cat([own[name][kept] for name, kept in on.items()]).detach() for own in weights)
    assert connection_changes(strong, child)["all"] == pytest.approx((one * other <= 0).float().mean().item())
    assert weight_correlation(strong, child)["all"] == pytest.approx(np.corrcoef(one, other)[0, 1])


def test_names_are_those_of_a_model_if_there_is_one():
    model, graph = network(0), NetGraph.from_model(network(1))
    renamed = {"a.weight": model[0].weight.detach(), "b.weight": model[2].weight.detach()}
    assert list(connection_changes(graph, graph)) == ["0→1", "1→2", "all"]
    assert list(connection_changes(graph, model)) == ["0.weight", "2.weight", "all"]
    assert list(connection_changes(model, graph)) == ["0.weight", "2.weight", "all"]
    assert list(connection_changes(renamed, model)) == ["a.weight", "b.weight", "all"]


def test_graphs_with_skip_connections():
    before = NetGraph((1, 1, 1), {(0, 1): sparse.csr_array([[2.0]]), (0, 2): sparse.csr_array([[-3.0]])})
    after = NetGraph((1, 1, 1), {(0, 2): sparse.csr_array([[-1.0]]), (1, 2): sparse.csr_array([[4.0]])})
    assert connection_changes(before, after) == {"0→1": 1, "0→2": 0, "all": 0.5}  # 0→1 is gone
    assert weight_correlation(before, after)["all"] == pytest.approx(1)  # (2, -3) with (0, -1)


def test_undefined_figures_are_nan():
    nothing = state([[0.0, 0.0], [0.0, 0.0]], [[-1.0, 1.0]])
    changes = connection_changes(nothing, BEFORE)
    assert math.isnan(changes["0.weight"])
    assert changes["all"] == 0
    correlations = weight_correlation(nothing, state([[1.0, 2.0], [3.0, 4.0]], [[7.0, 7.0]]))
    assert all(math.isnan(value) for value in correlations.values())  # no edge; the same weight everywhere after
    assert math.isnan(weight_correlation({"weight": torch.ones(1, 1)}, {"weight": torch.ones(1, 1)})["weight"])


def test_tiny_and_huge_weights_have_a_correlation():
    for scale in (1e-30, 1e30):
        weights = {"weight": torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64) * scale}
        assert weight_correlation(weights, weights)["all"] == pytest.approx(1)


@pytest.mark.parametrize("function", [connection_changes, weight_correlation])
def test_impossible_pairs_are_refused(function):
    with pytest.raises(RequestError, match=r"after: found layers of sizes \(2, 2\), expected \(2, 2, 1\)"):
        function(BEFORE, {"weight": torch.ones(2, 2)})
    with pytest.raises(RequestError, match=r"weights of '1.weight': found NaN or infinity"):
        function(BEFORE, state([[9.0, 2.0], [7.0, 0.0]], [[math.nan, -1.0]]))
    with pytest.raises(RequestError, match="found int, expected"):
        function(BEFORE, 3)
