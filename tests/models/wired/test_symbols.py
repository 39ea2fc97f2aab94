"""Sequences of symbols before a wired network: padding counts as in `SequenceClassifier`."""

import copy

import networkx as nx
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from sparsewire.errors import RequestError
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.models.wired import WiredSequences, wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.training.loop import fit

LENGTHS = torch.tensor([4, 1, 6, 3])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(cell="gru", merge="post", inputs=5):
    graph = NetGraph.from_networkx(nx.connected_watts_strogatz_graph(12, 4, 1.0, seed=1))
    return wired(graph, inputs, 3, cell, merge, generator=generator())[0]


def words():
    """Of the lengths above, padded with 0 to one step more than the longest."""
    return torch.randint(1, 8, (4, 7), generator=generator(1)) * (torch.arange(7) < LENGTHS[:, None])


@pytest.mark.parametrize("cell", ["rnn_relu", "rnn_tanh", "gru", "lstm"])
def test_padding_is_not_looked_at(cell):
    model = WiredSequences(network(cell), 8, padding=0, generator=generator(2))
    rows = [model.network(model.embedding(row[:length])[None]) for row, length in zip(words(), LENGTHS, strict=True)]
    wanted = torch.cat(rows)
    torch.testing.assert_close(model(words()), wanted)
    everything = WiredSequences(model.network, 8, generator=generator(2))
    torch.testing.assert_close(everything(words(), LENGTHS), wanted)
    packed = pack_padded_sequence(words(), LENGTHS, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(model(packed), wanted)


def test_padding_is_read_to_the_longest_of_the_batch():
    model = WiredSequences(network(), 8, padding=0, reads_padding=True, generator=generator(2))
    torch.testing.assert_close(model(words()), model.network(model.embedding(words()[:, :6])))
    everything = WiredSequences(network(), 8, generator=generator(2))
    torch.testing.assert_close(everything(words()), model.network(model.embedding(words())))


def test_lengths_are_those_of_the_classifier():
    one = WiredSequences(network(), 8, padding=0)
    other = SequenceClassifier("gru", 5, symbols=8, padding=0)
    rows = torch.randint(0, 2, (20, 6), generator=generator(3))
    assert torch.equal(one.lengths(rows), other.lengths(rows))
    assert WiredSequences(network(), 8).lengths(rows).tolist() == [6] * 20


def test_vectors_are_drawn_as_pytorch_draws_them():
    own = network()
    state = torch.get_rng_state()
    drawn = WiredSequences(own, 8, generator=generator(4))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        wanted = nn.Embedding(8, 5)
    assert torch.equal(drawn.embedding.weight, wanted.weight)
    assert drawn.network is own


def test_it_learns_within_its_masks():
    graph = NetGraph.from_networkx(nx.barabasi_albert_graph(12, 2, seed=1))
    inner, masks = wired(graph, graph.sizes[0], 2, "gru", "post", generator=generator())
    model = WiredSequences(inner, 8, padding=0, generator=generator(2))
    own = Masks({f"network.{name}": mask for name, mask in masks.items()})
    x = torch.randint(1, 8, (64, 6), generator=generator(3))
    before = copy.deepcopy(model.embedding.weight)
    history = fit(model, (x, (x[:, -1] > 4).long()), optimizer=torch.optim.Adam, epochs=4, masks=own)
    assert history.loss[-1] < history.loss[0]
    assert not torch.equal(before, model.embedding.weight)
    assert NetGraph.from_model(model, own).edges == graph.edges


def test_inputs_that_are_no_sequences_are_refused_and_none_at_all_are_taken():
    model = WiredSequences(network(), 8, padding=0)
    for shape in ((3,), (2, 0), (2, 3, 4)):
        with pytest.raises(RequestError, match=r"input: found shape .*, expected \(batch, steps ≥ 1\) of symbols"):
            model(torch.zeros(shape, dtype=torch.long))
    assert model(torch.zeros(0, 5, dtype=torch.long)).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": nn.Linear(3, 2)}, "network: found Linear, expected a recurrent one of `wired`"),
        ({"network": network("gru").readout}, "network: found Linear"),
        ({"symbols": 0}, "symbols: found 0, expected a whole number of at least 1"),
        ({"symbols": 2.5}, "symbols: found 2.5"),
        ({"padding": 8}, "padding: found 8, expected None or one of the symbols, 0 to 7"),
        ({"padding": -1}, "padding: found -1"),
        ({"padding": True}, "padding: found True"),
        ({"reads_padding": True}, "reads_padding: found True without padding"),
        ({"generator": 1}, "generator: found 1"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        WiredSequences(**{"network": network(), "symbols": 8, **arguments})


def test_a_feed_forward_network_is_refused():
    with pytest.raises(RequestError, match="network: found WiredForward, expected a recurrent one"):
        WiredSequences(network("relu"), 8)
