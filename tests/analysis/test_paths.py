"""Sparse graphs, complete paths and dead areas: the paper's toy, its Figure 3 in small, and every k afresh."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.analysis.paths import complete_path_fraction, complete_paths, dead_areas, sparse_graph
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.priors import lightning_paths
from sparsewire.structure.select import prune

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)

# Figure 1 of the paper: A is the input; B, C and D are hidden; E is the output. A->B is the weakest; A->D and B->E
# inhibit. It gives no numbers: these are ours.
TOY = {"hidden.weight": torch.tensor([[0.1], [0.7], [-0.9]]), "out.weight": torch.tensor([[-0.8, 0.4, 0.5]])}


def dense_model(sizes, seed, ties=False):
    rng = np.random.default_rng(seed)
    shapes = list(zip(sizes[1:], sizes, strict=False))
    draw = (lambda shape: rng.integers(-2, 3, shape).astype(np.float32)) if ties else rng.standard_normal
    return {f"{layer}.weight": torch.from_numpy(draw(shape)) for layer, shape in enumerate(shapes)}


def all_edges(model):
    """The graph in which zeros are edges too."""
    return NetGraph.from_model(
        model, {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in model.items()}
    )


def skip_graph(sizes, seed, density=0.5):
    rng = np.random.default_rng(seed)
    layers = range(len(sizes))
    shapes = {(s, t): (sizes[t], sizes[s]) for s in layers for t in layers if s < t}
    blocks = {
        junction: sparse.csr_array(np.where(rng.random(shape) < density, rng.integers(1, 9, shape), 0))
        for junction, shape in shapes.items()
    }
    return NetGraph(sizes, blocks)


def afresh(graph, k):
    return complete_paths(graph.strongest(k)).edges / k if k else 0.0


def test_figure_1_the_five_strongest_edges_of_the_toy():
    found = sparse_graph(TOY, active=5 / 6)
    assert found.types["hidden.weight"].tolist() == [[0], [1], [-1]]
    assert found.types["out.weight"].tolist() == [[-1, 1, 1]]
    assert found.types["out.weight"].dtype == torch.int8
    assert found.threshold == pytest.approx(0.4)
    assert dict(found.counts) == {"hidden.weight": (1, 1, 1), "out.weight": (2, 1, 0)}
    # "Node B has no input", so B->E is dead; the other four edges are on complete paths.
    dead = dead_areas(found.graph)
    assert [neurons.tolist() for neurons in dead.constant] == [[False], [True, False, False], [False]]
    assert not any(neurons.any() for neurons in dead.unread)
    assert [neurons.tolist() for neurons in dead.alive] == [[True], [False, True, True], [True]]
    paths = complete_paths(found.graph)
    assert [block.toarray().astype(np.float32).tolist() for block in paths.blocks.values()] == [
        [[0], [np.float32(0.7)], [np.float32(-0.9)]],
        [[0, np.float32(0.4), 0.5]],
    ]
    assert complete_path_fraction(TOY, [5]).tolist() == [4 / 5]


def test_figure_2_three_edges_of_the_toy():
    # |w|: A->D .9, B->E .8, A->C .7 are left: no path from A to E, C and D are unread and B is constant.
    found = sparse_graph(TOY, active=0.5)
    dead = dead_areas(found.graph)
    assert dead.constant[1].tolist() == [True, False, False]
    assert dead.unread[1].tolist() == [False, True, True]
    assert dead.unread[0].tolist() == [True]
    assert dead.constant[2].tolist() == [True]  # B->E comes from a constant, so E is one
    assert complete_paths(found.graph).edges == 0


def test_every_number_of_the_toys_edges():
    # In falling order: A->D, B->E, A->C, D->E completes A-D-E (2 of 4), C->E completes A-C-E (4 of 5), A->B the last.
    assert complete_path_fraction(TOY, range(7)).tolist() == [0, 0, 0, 0, 2 / 4, 4 / 5, 1]


def test_isolated_neurons_have_neither_path():
    graph = NetGraph((1, 2, 1), {(0, 1): sparse.csr_array([[1.0], [0]]), (1, 2): sparse.csr_array([[1.0, 0]])})
    dead = dead_areas(graph)
    assert [neurons.tolist() for neurons in dead.isolated] == [[False], [False, True], [False]]


@settings(deadline=None, max_examples=20)
@given(sizes=SIZES, seed=SEEDS, ties=st.booleans())
def test_shares_of_a_model_are_those_of_each_k_afresh(sizes, seed, ties):
    model = dense_model(sizes, seed, ties)
    graph = all_edges(model)
    every = np.arange(graph.edges + 1)
    expected = [afresh(graph, k) for k in every]
    assert complete_path_fraction(model, every).tolist() == expected
    assert complete_path_fraction(graph, every).tolist() == expected
    for k in every:  # alone, only the k strongest are ranked
        assert complete_path_fraction(model, [k]).tolist() == [expected[k]]


@settings(deadline=None, max_examples=20)
@given(sizes=SIZES, seed=SEEDS, density=st.sampled_from([0.1, 0.5, 1.0]))
def test_shares_of_a_graph_with_skips_are_those_of_each_k_afresh(sizes, seed, density):
    graph = skip_graph(sizes, seed, density)
    every = range(graph.edges + 1)
    assert complete_path_fraction(graph, every).tolist() == [afresh(graph, k) for k in every]


def test_shares_are_the_same_however_many_edges_were_needed_to_tell():
    # The first saturates within a sixth of its edges, the second (one layer far weaker) only at the very end.
    for scale in (1.0, 1e-3):
        model = dense_model((30, 40, 30), seed=0)
        model["1.weight"] = model["1.weight"] * scale
        graph = all_edges(model)
        wanted = np.random.default_rng(0).integers(0, graph.edges + 1, 40)
        shares = complete_path_fraction(model, np.concatenate([wanted, [graph.edges]]))
        assert shares[:-1].tolist() == [afresh(graph, k) for k in wanted]
        assert shares[-1] == 1


def glorot_uniform(seed):
    generator = torch.Generator().manual_seed(seed)
    model = {}
    for layer, (n_in, n_out) in enumerate([(784, 300), (300, 100), (100, 10)]):
        bound = math.sqrt(6 / (n_in + n_out))
        model[f"{layer}.weight"] = torch.empty(n_out, n_in).uniform_(-bound, bound, generator=generator)
    return model


def test_figure_3_in_small():
    wanted = [1000, 10_000, 12_000, 12_500, 13_000, 14_000, 266_200]
    shares = np.stack([complete_path_fraction(glorot_uniform(seed), wanted) for seed in range(10)])
    assert (shares[:, :3] == 0).all()  # "the strongest 10000 edges do not build a sparse graph"
    # Ten draws measured before: .18, .84, .99; a draw of the first spreads by about .1, of the others by .02 and .005.
    np.testing.assert_allclose(shares[:, 3:6].mean(axis=0), [0.18, 0.84, 0.99], atol=0.1)
    assert np.abs(shares[:, 4].mean() - 0.84) < 0.03
    assert np.abs(shares[:, 5].mean() - 0.99) < 0.01
    assert (shares[:, 6] == 1).all()


def test_lightning_is_nothing_but_complete_paths():
    graph = lightning_paths((784, 300, 100, 10), 1000, generator=torch.Generator().manual_seed(0))
    assert complete_paths(graph) == graph
    assert complete_path_fraction(graph, [graph.edges]).tolist() == [1]


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        np.array,
        torch.tensor,
        lambda edges: np.array(edges, np.uint8),
        lambda edges: range(0, 7, 2),
        lambda edges: np.linspace(0, 6, 4),  # whole numbers, though floats
    ],
)
def test_edges_may_come_in_any_form(form):
    shares = complete_path_fraction(TOY, form([0, 2, 4, 6]))
    assert shares.dtype == np.float64
    assert shares.tolist() == [0, 0, 1 / 2, 1]


def test_order_and_repetition_of_edges_are_kept():
    assert complete_path_fraction(TOY, [6, 0, 4, 4]).tolist() == [1, 0, 1 / 2, 1 / 2]
    assert complete_path_fraction(TOY, []).tolist() == []


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([7], "edges: found 7, expected counts from 0 to 6"),
        ([3, -1], "edges: found -1"),
        ([1.5], "float64, expected whole numbers"),
        ([1.0, math.nan], "float64, expected whole numbers"),
        ([math.inf], "float64, expected whole numbers"),
        ([True], "bool, expected whole numbers"),
        (3, "expected a sequence of counts"),
        ([[1]], "expected a sequence of counts"),
        (["1"], "expected whole numbers"),
    ],
)
def test_impossible_edges_are_refused(edges, message):
    with pytest.raises(RequestError, match=message):
        complete_path_fraction(TOY, edges)


def test_a_diverged_model_is_refused():
    with pytest.raises(RequestError, match="edge 1 is NaN"):
        complete_path_fraction({"weight": torch.tensor([[1.0, math.nan]])}, [1])


def test_graphs_without_edges():
    graph = NetGraph((2, 3), {})
    assert complete_path_fraction(graph, [0]).tolist() == [0]
    assert complete_paths(graph) == graph
    assert dead_areas(graph).constant[1].all()


@pytest.mark.parametrize("active", [0.1, 0.25, 0.5, 1])
def test_active_counts_are_exact_and_the_threshold_is_global(active):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4))
    model[0].weight.data *= 3  # so that the layers get unequal shares
    found = sparse_graph(model, active)
    assert found.graph.edges == round(active * 240)
    for name, weight in model.named_parameters():
        if name.endswith("weight"):
            expected = torch.sign(weight) * (weight.abs() >= found.threshold)
            assert torch.equal(found.types[name], expected.to(torch.int8))
            activating, inhibiting, inactive = found.counts[name]
            assert (activating, inhibiting) == (int((expected > 0).sum()), int((expected < 0).sum()))
            assert activating + inhibiting + inactive == weight.numel()
    assert found.masks() == Masks({name: types != 0 for name, types in found.types.items()})
    assert found.masks().count == found.graph.edges
    assert sparse_graph(NetGraph.from_model(model), active).graph == found.graph


@pytest.mark.parametrize("active", [0.01, 0.125, 0.5])
def test_the_active_connections_are_those_that_pruning_by_magnitude_keeps(active):
    model = dense_model((10, 7, 4), seed=0, ties=True)
    layers = nn.Sequential(nn.Linear(10, 7), nn.Linear(7, 4))
    layers.load_state_dict(model, strict=False)
    assert sparse_graph(layers, active).masks() == prune(layers, score="magnitude", density=active)


def test_ties_at_the_threshold_go_to_the_lower_index():
    found = sparse_graph({"0.weight": torch.tensor([[1.0, -1.0]]), "1.weight": torch.tensor([[1.0]])}, 0.67)
    assert [types.tolist() for types in found.types.values()] == [[[1, -1]], [[0]]]


def test_a_weight_of_zero_is_never_active():
    model = {"0.weight": torch.tensor([[0.0, 3.0], [0.0, 0.0]])}
    found = sparse_graph(model, 1)
    assert (found.graph.edges, found.threshold, found.counts["0.weight"]) == (1, 3.0, (1, 0, 3))
    assert sparse_graph(all_edges(model), 1).graph == found.graph
    nothing = sparse_graph({"0.weight": torch.zeros(2, 2)}, 0.5)
    assert (nothing.graph.edges, nothing.threshold) == (0, math.inf)


def test_a_graphs_junctions_are_named_by_their_layers():
    graph = NetGraph((2, 1, 1), {(0, 1): sparse.csr_array([[1.0, 0]]), (0, 2): sparse.csr_array([[-5.0, 2.0]])})
    found = sparse_graph(graph, 0.66)
    assert {name: types.tolist() for name, types in found.types.items()} == {"0→1": [[0, 0]], "0→2": [[-1, 1]]}
    assert dict(found.counts) == {"0→1": (0, 0, 1), "0→2": (1, 1, 0)}


def test_at_least_one_connection_is_active():
    assert sparse_graph(TOY, 0.01).graph.edges == 1


@pytest.mark.parametrize("active", [0, -0.1, 1.1, math.nan, True, "0.5", None])
def test_impossible_shares_are_refused(active):
    with pytest.raises(RequestError, match="active: found"):
        sparse_graph(TOY, active)


def test_results_are_frozen():
    found = sparse_graph(TOY, 0.5)
    with pytest.raises(AttributeError):
        found.threshold = 0
    with pytest.raises(TypeError):
        found.types["out.weight"] = None
