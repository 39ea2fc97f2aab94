"""NetGraph: a frozen value, its strongest edges and its reach."""

import copy
import dataclasses
import pickle

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

SEEDS = st.integers(0, 2**32 - 1)


def random_graph(seed, sizes=(4, 3, 5, 2), density=0.4, ties=False):
    """Any junctions of the layers, skip connections among them."""
    rng = np.random.default_rng(seed)
    blocks = {}
    for source in range(len(sizes)):
        for target in range(source + 1, len(sizes)):
            shape = (sizes[target], sizes[source])
            values = rng.integers(-2, 3, shape).astype(float) if ties else rng.standard_normal(shape)
            blocks[source, target] = sparse.csr_array(np.where(rng.random(shape) < density, values, 0))
    return NetGraph(sizes, blocks)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_it_is_frozen_all_through():
    graph = random_graph(0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.sizes = (1,)
    with pytest.raises(TypeError):
        graph.blocks[0, 1] = graph.blocks[0, 2]
    with pytest.raises(ValueError, match="read-only"):
        graph.blocks[0, 1].data[0] = 3


def test_it_does_not_follow_what_it_was_made_from():
    block = sparse.csr_array([[1.0, 2.0]])
    graph = NetGraph((2, 1), {(0, 1): block})
    block.data[0] = 9
    assert graph.blocks[0, 1].data.tolist() == [1, 2]


def test_blocks_come_in_the_order_of_source_and_target():
    empty = {(1, 2): sparse.csr_array((1, 1)), (0, 2): sparse.csr_array((1, 1)), (0, 1): sparse.csr_array((1, 1))}
    assert list(NetGraph((1, 1, 1), empty).blocks) == [(0, 1), (0, 2), (1, 2)]


def test_impossible_ones_are_refused():
    with pytest.raises(RequestError, match="sizes"):
        NetGraph((), {})
    with pytest.raises(RequestError, match=r"blocks\[0, 1\]: found shape"):
        NetGraph((2, 1), {(0, 1): sparse.csr_array((2, 1))})


def test_equality_is_by_content():
    graph = random_graph(1)
    assert graph == random_graph(1)
    assert graph != random_graph(2)
    assert graph != NetGraph(graph.sizes, {})
    assert graph != "graph"
    assert NetGraph((1, 2), {}) != NetGraph((2, 1), {})


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda graph: pickle.loads(pickle.dumps(graph))])  # noqa: S301
def test_copies_are_equal(copied):
    graph = random_graph(3)
    assert copied(graph) == graph


def test_edges_and_density():
    graph = NetGraph(
        (2, 3, 1), {(0, 1): sparse.csr_array([[1, 0], [1, 1], [0, 0]]), (0, 2): sparse.csr_array([[0, 1]])}
    )
    assert graph.edges == 4
    assert graph.density == 4 / 8  # 3·2 + 1·2 places; the blocks that do not exist have none
    assert repr(graph) == "NetGraph(2-3-1, 4 edges, density 0.5)"
    assert NetGraph((2, 3), {}).density == 0


def test_from_a_model_and_back_to_masks():
    model = mlp()
    model[0].weight.data[1, 2] = 0
    graph = NetGraph.from_model(model)
    assert graph.sizes == (4, 3, 2)
    assert graph.edges == 17
    for (layer, _), block in graph.blocks.items():
        assert (torch.from_numpy(block.toarray()) == model[2 * layer].weight).all()
    assert graph == NetGraph.from_model(model.state_dict())
    assert graph.to_masks(model) == Masks.from_weights(model)


def test_kept_weights_are_edges_even_if_they_are_zero():
    model = mlp()
    masks = Masks(
        {name: torch.rand_like(weight) < 0.5 for name, weight in model.named_parameters() if weight.ndim == 2}
    )
    masks.apply_(model)
    model[0].weight.data.zero_()
    graph = NetGraph.from_model(model, masks=masks)
    assert graph.edges == masks.count
    assert graph.to_masks(model) == masks


def test_masks_of_another_network_are_refused():
    chain = NetGraph.from_model(mlp())
    with pytest.raises(RequestError, match=r"found sizes \(4, 3, 2\); expected a chain of sizes \(4, 2\)"):
        chain.to_masks(nn.Linear(4, 2))
    skip = NetGraph((4, 3, 2), {(0, 2): sparse.csr_array((2, 4))})
    with pytest.raises(RequestError, match=r"a connection past layers, \(0, 2\)"):
        skip.to_masks(mlp())


def test_a_block_that_is_not_there_keeps_nothing():
    assert NetGraph((4, 3, 2), {}).to_masks(mlp()).densities() == {"0.weight": 0, "2.weight": 0}


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, ties=st.booleans())
def test_the_strongest_edges_are_exact_nested_and_tie_to_the_lower_index(seed, ties):
    graph = random_graph(seed, ties=ties)
    values = np.concatenate([block.data for block in graph.blocks.values()])
    order = sorted(range(values.size), key=lambda edge: (-abs(values[edge]), edge))
    for edges in range(graph.edges + 1):
        strong = graph.strongest(edges)
        assert strong.edges == edges
        assert strong.sizes == graph.sizes
        assert strong.blocks.keys() == graph.blocks.keys()
        kept = np.concatenate([block.data for block in strong.blocks.values()])
        assert kept.tolist() == values[sorted(order[:edges])].tolist()


def test_subgraphs_keep_what_is_marked_where_it_was():
    graph = random_graph(4)
    flags = {key: np.arange(block.nnz) % 2 == 0 for key, block in graph.blocks.items()}
    part = graph.subgraph(flags)
    for key, block in graph.blocks.items():
        expected = np.zeros(block.shape)
        targets, sources = graph.ends(key)
        expected[targets[flags[key]], sources[flags[key]]] = block.data[flags[key]]
        np.testing.assert_array_equal(part.blocks[key].toarray(), expected)


@pytest.mark.parametrize("kind", [np.int32, np.uint8, torch.tensor])
def test_a_number_of_edges_may_be_any_whole_number(kind):
    assert random_graph(0).strongest(kind(3)) == random_graph(0).strongest(3)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (-1, "edges: found -1"),
        (2.0, "edges: found 2.0"),
        (True, "found True"),
        (10**6, "found 1000000, expected at most"),
    ],
)
def test_impossible_numbers_of_edges_are_refused(edges, message):
    with pytest.raises(RequestError, match=message):
        random_graph(0).strongest(edges)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, density=st.sampled_from([0.05, 0.2, 0.6]))
def test_reach_is_that_of_networkx(seed, density):
    graph = random_graph(seed, density=density)
    directed = graph.to_networkx()
    layer = dict(directed.nodes(data="layer"))
    last = len(graph.sizes) - 1
    inputs = {node for node in directed if layer[node] == 0}
    outputs = {node for node in directed if layer[node] == last}
    forward, backward = np.concatenate(graph.forward_reach()), np.concatenate(graph.backward_reach())
    for node in directed:
        assert forward[node] == bool((nx.ancestors(directed, node) | {node}) & inputs)
        assert backward[node] == bool((nx.descendants(directed, node) | {node}) & outputs)


def test_an_edge_of_weight_zero_carries_a_path():
    zero = sparse.csr_array((np.array([0.0]), np.array([0]), np.array([0, 1])), shape=(1, 1))
    assert NetGraph((1, 1), {(0, 1): zero}).forward_reach()[1].all()


@pytest.mark.parametrize(
    ("sizes", "blocks", "message"),
    [
        (5, {}, r"sizes: found 5, expected the neurons of each layer, such as \(784, 100, 10\)"),
        (None, {}, "sizes: found None"),
        ("ab", {}, "sizes: found 'ab'"),
        (b"ab", {}, "sizes: found b'ab'"),
        ({2: 1}, {}, "sizes: found {2: 1}"),
        (np.array(5), {}, r"sizes: found array\(5\)"),
        (torch.tensor(5), {}, r"sizes: found tensor\(5\)"),
        ((2, 2), None, r"blocks: found NoneType, expected a mapping \(source layer, target layer\)"),
        ((2, 2), [1], "blocks: found list"),
        ((2, 2), "x", "blocks: found str"),
    ],
)
def test_wrong_kinds_of_arguments_are_told(sizes, blocks, message):
    with pytest.raises(RequestError, match=f"^{message}"):
        NetGraph(sizes, blocks)


def test_sizes_may_be_anything_that_gives_whole_numbers():
    for sizes in ([2, 1], np.array([2, 1]), torch.tensor([2, 1]), iter((2, 1))):
        assert NetGraph(sizes, {}).sizes == (2, 1)
