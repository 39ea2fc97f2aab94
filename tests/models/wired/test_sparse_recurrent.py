import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch.nn.utils.rnn import pack_padded_sequence

from sparsewire.errors import RequestError
from sparsewire.execution.recurrent_module import SparseRecurrent
from sparsewire.models.wired.building import wired
from sparsewire.models.wired.recurrent import WiredRecurrent
from sparsewire.models.wired.sparse_recurrent import SparseWiredRecurrent
from sparsewire.models.wired.symbols import WiredSequences
from sparsewire.structure.graphs import NetGraph

CELLS = ["rnn_tanh", "rnn_relu", "gru", "lstm"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def graph_of(sizes=(4, 3, 1, 5), density=0.4, seed=0):
    random = np.random.default_rng(seed)
    blocks = {}
    for target in range(1, len(sizes)):
        for source in range(target):
            if random.random() < 0.8:
                drawn = random.random((sizes[target], sizes[source])) < density
                blocks[source, target] = csr_array(drawn.astype(np.float64))
    return NetGraph(sizes, blocks)


@torch.no_grad()
def dense_of(network, graph):
    """The dense form with the same weights."""
    how = network.n_inputs, network.n_outputs, network.cell, network.merge, network.reads
    dense = WiredRecurrent(graph, *how).to(network.readout.weight.dtype)
    dense.readout.load_state_dict(network.readout.state_dict())
    for place, (wire, ours, theirs) in enumerate(zip(network.wiring, network.cells, dense.cells, strict=True)):
        if not isinstance(ours, SparseRecurrent):
            theirs.load_state_dict(ours.state_dict())
            continue
        for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            given_ = ours.dense_weight(name) if name == "weight_hh_l0" else ours.get_parameter(name)
            theirs.get_parameter(name).copy_(given_)
        begin, columns = 0, []
        for source in wire.sources:
            columns.append(network.get_buffer(f"taken_{place}_{source}") + begin)
            begin += graph.sizes[source]
        theirs.weight_ih_l0.zero_()
        theirs.weight_ih_l0[:, torch.cat(columns)] = ours.dense_weight("weight_ih_l0")
    return dense


def structure(graph):
    return graph.sizes, {j: (b.indptr.tolist(), b.indices.tolist()) for j, b in graph.blocks.items()}


def check(graph, cell, merge, readout="last_layer", lengths=None):
    network = SparseWiredRecurrent(graph, 5, 3, cell, merge, readout, generator=generator(1)).double()
    dense = dense_of(network, graph)
    x = torch.randn(6, 7, 5, generator=generator(2), dtype=torch.float64)
    ours, theirs = network(x, lengths), dense(x, lengths)
    assert torch.allclose(ours, theirs, atol=1e-10)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    first, other = network.cells[0], dense.cells[0]
    for mine, yours in zip(first.parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine.grad, yours.grad, atol=1e-9)
    assert structure(NetGraph.from_model(network)) == structure(graph)
    for junction, block in NetGraph.from_model(network).blocks.items():
        expected = NetGraph.from_model(dense, dense.graph_masks(graph.sizes, graph.blocks)).blocks[junction]
        assert np.allclose(block.toarray(), expected.toarray(), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("merge", ["pre", "post"])
def test_as_the_dense_form(cell, merge):
    check(graph_of(), cell, merge)


@pytest.mark.parametrize("merge", ["pre", "post"])
def test_sinks_and_lengths(merge):
    check(graph_of(), "gru", merge, "sinks", torch.tensor([7, 1, 3, 3, 7, 2]))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    st.floats(0, 1),
    st.integers(0, 99),
    st.sampled_from(["pre", "post"]),
)
def test_any_graph_as_the_dense_form(sizes, density, seed, merge):
    check(graph_of(sizes, density, seed), "gru", merge, "sinks")


def test_only_what_is_connected_is_read():
    graph = NetGraph((9, 2), {(0, 1): csr_array(np.eye(2, 9, 4))})
    network = SparseWiredRecurrent(graph, 3, 2, generator=generator())
    assert network.cells[1].input_size == 2
    assert network.get_buffer("taken_1_0").tolist() == [4, 5]
    assert network.cells[1].weight_ih_l0.numel() == 3 * 2


def test_it_is_what_wired_gives_and_trains_behind_symbols():
    graph = graph_of((6, 6, 6), 0.5, seed=1)
    network, masks = wired(graph, 4, 2, "gru", "post", sparse=True, generator=generator())
    assert isinstance(network, SparseWiredRecurrent)
    assert not masks
    model = WiredSequences(network, symbols=6, padding=0, generator=generator())
    assert structure(NetGraph.from_model(model)) == structure(graph)
    symbols = torch.randint(1, 6, (64, 5), generator=generator(1))
    labels = (symbols[:, -1] > 3).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(symbols), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_packed_sequences_are_as_lengths():
    network = SparseWiredRecurrent(graph_of(), 5, 3, generator=generator())
    x, lengths = torch.randn(3, 6, 5, generator=generator()), torch.tensor([6, 2, 4])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    assert torch.allclose(network(packed), network(x, lengths), atol=1e-6)
    with pytest.raises(RequestError, match="lengths: found some with a PackedSequence"):
        network(packed, lengths)


def test_states_copies_and_the_generator():
    graph, x = graph_of(), torch.randn(3, 6, 5, generator=generator())
    before = torch.random.get_rng_state()
    network = SparseWiredRecurrent(graph, 5, 3, "lstm", "post", generator=generator())
    assert torch.equal(before, torch.random.get_rng_state())
    other = SparseWiredRecurrent(graph, 5, 3, "lstm", "post", generator=generator(1))
    assert not torch.allclose(other(x), network(x))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))
    assert torch.equal(copy.deepcopy(network)(x), network(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "relu"}, "cell: found 'relu', which has no state"),
        ({"n_inputs": 0}, "n_inputs: found 0"),
        ({"graph": None}, "graph: found NoneType"),
        ({"generator": 1}, "generator: found 1"),
    ],
)
def test_bad_requests(change, message):
    with pytest.raises(RequestError, match=message):
        SparseWiredRecurrent(**{"graph": graph_of(), "n_inputs": 5, "n_outputs": 3} | change)


def test_inputs_without_steps_are_refused():
    with pytest.raises(RequestError, match=r"input: found shape \(4, 5\)"):
        SparseWiredRecurrent(graph_of(), 5, 3)(torch.ones(4, 5))
