"""Graph → network → graph: the same layers and edges, for every family, cell and way of merging."""

import copy

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.models.wired import WiredSequences, wired
from sparsewire.structure.chain import dense_chain
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

CELLS = ("relu", "tanh", "rnn_relu", "rnn_tanh", "gru", "lstm")
OPTIONS = [(cell, merge) for cell in CELLS for merge in ("pre", "post")]
FAMILIES = {
    "watts_strogatz": lambda n, seed: nx.connected_watts_strogatz_graph(n, max(2, n // 5), 1.0, 10, seed),
    "barabasi_albert": lambda n, seed: nx.barabasi_albert_graph(n, max(1, n // 10), seed),
    "erdos_renyi": lambda n, seed: nx.gnp_random_graph(n, 0.2, seed),  # with isolated nodes
    "stochastic_block": lambda n, seed: nx.stochastic_block_model(
        [n // 2, n // 2], [[0.4, 0.1], [0.1, 0.4]], seed=seed
    ),
    "random_geometric": lambda n, seed: nx.random_geometric_graph(n, 0.3, seed=seed),
    "random_regular": lambda n, seed: nx.random_regular_graph(4, n, seed),
    "configuration": lambda n, seed: simple(nx.configuration_model([3] * (n // 2 * 2), seed=seed)),
    "tree": lambda n, seed: nx.balanced_tree(2 + seed % 2, 1 + n % 3),
    "grid": lambda n, seed: nx.convert_node_labels_to_integers(nx.grid_2d_graph(2 + seed % 4, n // 4)),
    "kleinberg": lambda n, seed: simple(nx.navigable_small_world_graph(2 + n // 12, seed=seed)),
}


def simple(graph):
    graph = nx.convert_node_labels_to_integers(nx.Graph(graph))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return graph


def structure(graph):
    return graph.sizes, {
        junction: (block.indptr.tolist(), block.indices.tolist()) for junction, block in graph.blocks.items()
    }


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_world(seed=3):
    return NetGraph.from_networkx(FAMILIES["watts_strogatz"](20, seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_comes_back(family):
    rng = np.random.default_rng(0)
    for seed in range(len(OPTIONS)):
        graph = NetGraph.from_networkx(FAMILIES[family](int(rng.integers(10, 31)), seed))
        cell, merge = OPTIONS[seed]
        network, masks = wired(graph, 3, 2, cell, merge, generator=generator())
        assert structure(NetGraph.from_model(network, masks)) == structure(graph)
        assert structure(NetGraph.from_model(network)) == structure(graph)  # what the masks leave out is zero
        assert masks.count == graph.edges * {"gru": 3, "lstm": 4}.get(cell, 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(OPTIONS), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_any_layers_come_back(seed, options, sizes):
    """With blocks of no edge, layers without a block, and neurons without an edge."""
    rng, blocks = np.random.default_rng(seed), {}
    for source in range(len(sizes)):
        for target in range(source + 1, len(sizes)):
            if rng.random() < 0.5:
                flags = rng.random((sizes[target], sizes[source])) < rng.choice([0, 0.3, 1])
                blocks[source, target] = sparse.csr_array(flags.astype(float))
    graph = NetGraph(tuple(sizes), blocks)
    network, masks = wired(graph, 2, 1, *options)
    assert structure(NetGraph.from_model(network, masks)) == structure(graph)
    assert graph.to_masks(network) == masks


@pytest.mark.parametrize("merge", ["pre", "post"])
def test_values_are_the_weights(merge):
    graph = small_world()
    network, masks = wired(graph, 3, 2, "tanh", merge, generator=generator())
    found = NetGraph.from_model(network, masks)
    for wire, cell in zip(network.wiring[1:], network.cells[1:], strict=True):
        start = 0
        for source in wire.sources:
            part = cell.weight[:, start : (start := start + graph.sizes[source])].detach().numpy()
            assert np.array_equal(found.blocks[source, wire.target].toarray(), part)


@pytest.mark.parametrize("order", ["tiled", "rows"])
@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
def test_gates_are_one_edge(cell, gates, order):
    graph = NetGraph((2, 2), {(0, 1): sparse.csr_array([[1.0, 0.0], [1.0, 1.0]])})
    network, masks = wired(graph, 3, 2, cell, gate_masks=order)
    rows = {"tiled": [[1, 0], [1, 1]] * gates, "rows": [[1, 0]] * gates + [[1, 1]] * gates}[order]
    assert masks["cells.1.weight_ih_l0"].int().tolist() == rows
    with torch.no_grad():
        network.cells[1].weight_ih_l0.copy_(3.0 * torch.tensor(rows))
    norm = 3 * np.sqrt(gates, dtype=np.float32)
    np.testing.assert_allclose(
        NetGraph.from_model(network, masks).blocks[0, 1].toarray(), [[norm, 0], [norm, norm]], rtol=1e-6
    )
    fewer = masks["cells.1.weight_ih_l0"].clone()
    fewer[-1] = False  # one gate of neuron 1 sees nothing: the others still connect it
    pruned = NetGraph.from_model(network, {"cells.1.weight_ih_l0": fewer})
    assert structure(pruned) == structure(graph)
    assert pruned.blocks[0, 1].toarray()[1, 1] == pytest.approx(3 * np.sqrt(gates - 1))


@pytest.mark.parametrize(("cell", "merge"), OPTIONS)
def test_a_converted_network_has_the_graph_too(cell, merge):
    graph = small_world()
    network, masks = wired(graph, 3, 2, cell, merge, generator=generator())
    network.load_state_dict({name: value + 0.01 for name, value in network.state_dict().items()})
    masks.apply_(network)
    light = sparsify(network, masks, "sparse")
    x = torch.randn(4, 5, 3, generator=generator(1))
    x = x if light.cell not in ("relu", "tanh") else x[:, 0]
    torch.testing.assert_close(light(x), network(x))
    again, found = densify(light)
    assert found == masks
    for form, its in ((light, None), (light, masks), (again, found), (copy.deepcopy(network), masks)):
        assert NetGraph.from_model(form, its) == NetGraph.from_model(network, masks)


def test_a_part_of_a_model_is_found():
    graph = small_world()
    network, masks = wired(graph, 4, 2, "gru", "post")
    model = WiredSequences(network, symbols=9)
    own = Masks({f"network.{name}": mask for name, mask in masks.items()})
    assert NetGraph.from_model(model, own) == NetGraph.from_model(network, masks)
    assert graph.to_masks(model) == own
    feed, feed_masks = wired(graph, 4, 2)
    chain = nn.Sequential(nn.Linear(7, 4), feed)
    assert NetGraph.from_model(chain) == NetGraph.from_model(feed, feed_masks)
    with pytest.raises(RequestError, match=r"'' is wired by a graph, so it is no chain; take NetGraph\.from_model"):
        dense_chain(feed)
    with pytest.raises(RequestError, match="'0' and '2' are networks that a graph wired"):
        NetGraph.from_model(nn.Sequential(feed, nn.Linear(2, 4), copy.deepcopy(feed)))


def test_masks_that_moved_are_the_new_graph():
    """Pruned to nothing, a junction stays, empty; grown where the graph has none, it is there."""
    graph = NetGraph((2, 1, 1), {(0, 1): sparse.csr_array([[1.0, 1.0]])})
    network, masks = wired(graph, 3, 2)
    assert network.wiring[2].sources == (1,)  # over no edge
    moved = {name: ~mask for name, mask in masks.items()}
    found = NetGraph.from_model(network, moved)
    assert {junction: block.nnz for junction, block in found.blocks.items()} == {(0, 1): 0, (1, 2): 1}


def test_strongest_edges_and_their_masks():
    graph = small_world()
    network, masks = wired(graph, 3, 2, "gru")
    strong = NetGraph.from_model(network, masks).strongest(graph.edges // 2)
    fewer = strong.to_masks(network)
    assert fewer.count == 3 * (graph.edges // 2)
    assert (fewer & masks) == fewer
    one = sparse.csr_array([[1.0]])
    short, skip = wired(NetGraph((1, 1, 1), {(0, 1): one}), 1, 1)[0], NetGraph((1, 1, 1), {(0, 2): one})
    with pytest.raises(RequestError, match=r"found an edge between the layers \(0, 2\), where the network has no cell"):
        skip.to_masks(short)
    with pytest.raises(RequestError, match=r"found sizes \(2, 1\), expected \("):
        NetGraph((2, 1), {}).to_masks(network)


def test_wrong_masks_are_refused():
    network, masks = wired(small_world(), 3, 2)
    with pytest.raises(UnknownNameError, match="weight of the model"):
        NetGraph.from_model(network, {"cells.99.weight": masks["cells.1.weight"]})
    with pytest.raises(RequestError, match=r"mask of 'cells.1.weight': found torch.bool of shape"):
        NetGraph.from_model(network, {"cells.1.weight": masks["cells.1.weight"].T})
