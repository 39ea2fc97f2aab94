"""What `wired` makes, from which numbers, and what it refuses; and that it lives like any other module."""

import copy

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.wired import Wire, WiredForward, WiredRecurrent, wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.loop import evaluate, fit
from sparsewire.training.optimizer import SparseOptimizer

CELLS = {"relu": nn.Linear, "tanh": nn.Linear, "rnn_relu": nn.RNN, "rnn_tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
OPTIONS = [(cell, merge) for cell in CELLS for merge in ("pre", "post")]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def graph(seed=3, n=16):
    return NetGraph.from_networkx(nx.connected_watts_strogatz_graph(n, 4, 1.0, seed=seed))


def adam(parameters):
    return torch.optim.Adam(parameters, 0.01)


def inputs(cell, batch=8):
    x = torch.randn(batch, 5, 3, generator=generator(1))
    return x if cell not in ("relu", "tanh") else x[:, 0]


@pytest.mark.parametrize(("cell", "merge"), OPTIONS)
def test_it_is_made_of_torchs_own_layers(cell, merge):
    network, masks = wired(graph(), 3, 2, cell, merge)
    assert type(network) is (WiredForward if cell in ("relu", "tanh") else WiredRecurrent)
    kinds = [type(one) for one in network.cells]
    assert kinds == [nn.Linear if merge == "pre" else CELLS[cell]] + [CELLS[cell]] * (len(kinds) - 1)
    assert [wire.target for wire in network.wiring] == sorted(wire.target for wire in network.wiring)
    own = "weight" if cell in ("relu", "tanh") else "weight_ih_l0"
    assert list(masks) == [f"cells.{place}.{own}" for place in range(1, len(kinds))]
    held = masks.weights_of(network)
    assert all(not weight[~masks[name]].any() for name, weight in held.items())
    assert masks.keys() < Masks.from_model(network).keys()


@pytest.mark.parametrize(("cell", "merge"), OPTIONS)
def test_a_generator_draws_what_pytorch_draws_from_the_same_seed(cell, merge):
    state = torch.get_rng_state()
    drawn, _ = wired(graph(), 3, 2, cell, merge, generator=generator(4))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own, _ = wired(graph(), 3, 2, cell, merge)
    again, _ = wired(graph(), 3, 2, cell, merge, generator=generator(4))
    assert drawn.state_dict().keys() == own.state_dict().keys()
    for weight, other, third in zip(drawn.parameters(), own.parameters(), again.parameters(), strict=True):
        assert torch.equal(weight, other)
        assert torch.equal(weight, third)


def test_the_graphs_values_are_not_looked_at():
    one = graph()
    other = NetGraph(one.sizes, {junction: block * 0.0 for junction, block in one.blocks.items()})
    assert other.edges == one.edges
    drawn = [wired(each, 3, 2, generator=generator())[0] for each in (one, other)]
    assert all(map(torch.equal, *(network.parameters() for network in drawn)))


@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_sequences_of_different_lengths(cell, merge):
    network, _ = wired(graph(), 3, 2, cell, merge, "sinks", generator=generator())
    x, lengths = inputs(cell, batch=4), torch.tensor([5, 2, 1, 3])
    wanted = torch.cat([network(row[None, :length]) for row, length in zip(x, lengths, strict=True)])
    torch.testing.assert_close(network(x, lengths), wanted)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(network(packed), wanted)
    for wrong in (torch.tensor([0, 1, 1, 1]), torch.tensor([6, 1, 1, 1]), torch.ones(4), torch.tensor([1])):
        with pytest.raises(RequestError, match="lengths"):
            network(x, wrong)
    with pytest.raises(RequestError, match="lengths"):
        network(packed, lengths)
    with pytest.raises(RequestError, match=r"input: found shape \(5, 3\), expected \(batch, steps, n_inputs\)"):
        network(x[0])


@pytest.mark.parametrize(("cell", "merge"), OPTIONS)
def test_it_learns_within_its_masks(cell, merge):
    network, masks = wired(graph(), 3, 2, cell, merge, generator=generator())
    x = inputs(cell, batch=64)
    y = (x.reshape(64, -1).sum(1) > 0).long()
    before = copy.deepcopy(network)
    history = fit(network, (x, y), optimizer=adam, epochs=3, batch_size=8, masks=masks)
    assert history.loss[-1] < history.loss[0]
    assert all(not weight[~masks[name]].any() for name, weight in masks.weights_of(network).items())
    changed = [not torch.equal(old, new) for old, new in zip(before.parameters(), network.parameters(), strict=True)]
    assert changed[0]
    assert changed[-1]
    assert 0 <= evaluate(network, (x, y)).accuracy <= 1


@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_it_is_pruned_like_any_other(cell, tmp_path):
    network, masks = wired(graph(), 3, 2, cell, "post", generator=generator())
    fewer = prune(network, score="magnitude", density=0.2, only=list(masks), masks=masks)
    assert not any((fewer[name] & ~mask).any() for name, mask in masks.items())
    SparseOptimizer(torch.optim.SGD(network.parameters(), 0.1), network, fewer)
    assert NetGraph.from_model(network, fewer).edges < graph().edges
    fewer.save(tmp_path / "masks")
    assert Masks.load(tmp_path / "masks") == fewer
    other, _ = wired(graph(), 3, 2, cell, "post")
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(inputs(cell)), network(inputs(cell)))


@pytest.mark.parametrize("merge", ["pre", "post"])
def test_a_compiled_network_is_the_same(merge):
    network, _ = wired(graph(), 3, 2, "tanh", merge, "sinks", generator=generator())
    whole = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(inputs("tanh")), network(inputs("tanh")))
    assert NetGraph.from_model(whole) == NetGraph.from_model(network)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # the compiler's own, around torch's layers
@pytest.mark.parametrize("merge", ["pre", "post"])
def test_a_compiled_recurrent_network_is_the_same(merge):
    network, _ = wired(graph(n=8), 3, 2, "gru", merge, generator=generator())
    torch.testing.assert_close(torch.compile(network, backend="eager")(inputs("gru")), network(inputs("gru")))


def test_other_number_formats_and_more_dimensions():
    network, _ = wired(graph(), 3, 2)
    assert network.double()(torch.zeros(4, 3, dtype=torch.float64)).dtype == torch.float64
    assert network.bfloat16()(torch.zeros(2, 4, 3, dtype=torch.bfloat16)).shape == (2, 4, 2)


def test_a_long_path_and_a_wide_layer():
    path = NetGraph.from_networkx(nx.path_graph(300))
    network, masks = wired(path, 1, 1)
    assert len(network.cells) == 300
    assert NetGraph.from_model(network, masks).edges == 299
    wide = NetGraph((50_000, 50_000), {(0, 1): sparse.eye_array(50_000).tocsr()})
    with pytest.raises(RequestError, match=r"graph: .* 2,500,000,000 weights, expected .* pass sparse=True"):
        wired(wide, 1, 1)


def test_wires_are_plain_values():
    network, _ = wired(graph(), 3, 2)
    assert network.wiring[0] == Wire((), 0)
    assert repr(network).splitlines()[1].strip().endswith("cell='relu', merge='pre', reads='last_layer'")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"graph": nx.path_graph(3)},
            RequestError,
            r"graph: found Graph, expected a NetGraph; .*from_networkx\(graph\)",
        ),
        ({"n_inputs": 0}, RequestError, "n_inputs: found 0, expected a whole number of at least 1"),
        ({"n_inputs": 2.5}, RequestError, "n_inputs: found 2.5"),
        ({"n_inputs": True}, RequestError, "n_inputs: found True"),
        ({"n_outputs": -1}, RequestError, "n_outputs: found -1"),
        ({"n_outputs": float("nan")}, RequestError, "n_outputs: found nan"),
        ({"cell": "rnn"}, UnknownNameError, "no cell is named 'rnn'"),
        ({"cell": None}, UnknownNameError, "no cell is named 'None'"),
        ({"merge": "sum"}, UnknownNameError, "no merge is named 'sum'"),
        ({"readout": "last"}, UnknownNameError, "no readout is named 'last'; did you mean 'last_layer'"),
        ({"gate_masks": "row"}, UnknownNameError, "no order of gate_masks is named 'row'"),
        ({"gate_masks": "rows"}, RequestError, "gate_masks: found 'rows' with the cell 'relu', which has no gates"),
        (
            {"gate_masks": "rows", "sparse": True, "cell": "gru"},
            RequestError,
            "gate_masks: found 'rows' with sparse=True",
        ),
        ({"sparse": 1}, RequestError, "sparse: found 1, expected True or False"),
        ({"generator": 3}, RequestError, "generator: found 3"),
    ],
)
def test_what_cannot_be_is_refused(changed, error, message):
    with pytest.raises(error, match=message):
        wired(**{"graph": graph(), "n_inputs": 3, "n_outputs": 2, **changed})


def test_classes_know_their_cells():
    with pytest.raises(RequestError, match="cell: found 'gru', which reads sequences, expected 'relu' or 'tanh'"):
        WiredForward(graph(), 3, 2, "gru")
    with pytest.raises(RequestError, match="cell: found 'relu', which has no state, expected 'rnn_tanh'"):
        WiredRecurrent(graph(), 3, 2, "relu")


def test_numbers_of_numpy_are_numbers():
    network, _ = wired(graph(), np.int64(3), np.int32(2))
    assert (network.n_inputs, network.n_outputs) == (3, 2)
    assert type(network.n_inputs) is int
