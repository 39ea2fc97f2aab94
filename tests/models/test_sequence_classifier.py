import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.structure.masks import Masks

CELLS = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LENGTHS = torch.tensor([4, 1, 6, 3])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def classifier(cell="gru", symbols=8, **options):
    return SequenceClassifier(cell, 5, 7, 3, 2, symbols=symbols, generator=generator(), **options).double()


def words():
    """Of the lengths above, padded with 0 to one step more than the longest."""
    return torch.randint(1, 8, (4, 7), generator=generator(1)) * (torch.arange(7) < LENGTHS[:, None])


def features():
    return torch.randn(4, 7, 5, generator=generator(2), dtype=torch.float64)


def one_by_one(model, sequences):
    """The logits from the formula: each sequence by itself, its last outputs read out."""
    rows = []
    for sequence in sequences:
        output, _ = model.recurrent(sequence[None])
        hidden = model.recurrent.hidden_size
        last = [output[0, -1, :hidden], output[0, 0, hidden:]] if model.recurrent.bidirectional else [output[0, -1]]
        rows.append(model.readout(torch.cat(last)))
    return torch.stack(rows)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_not_looked_at(cell, bidirectional):
    model = classifier(cell, padding=0, bidirectional=bidirectional)
    assert type(model.recurrent) is CELLS[cell]
    wanted = one_by_one(model, [model.embedding(w[:n]) for w, n in zip(words(), LENGTHS, strict=True)])
    torch.testing.assert_close(model(words()), wanted)
    torch.testing.assert_close(classifier(cell, bidirectional=bidirectional)(words(), LENGTHS), wanted)
    packed = pack_padded_sequence(words(), LENGTHS, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(model(packed), wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_read_to_the_longest_of_the_batch(cell):
    model = classifier(cell, padding=0, reads_padding=True)
    torch.testing.assert_close(model(words()), one_by_one(model, model.embedding(words()[:, :6])))
    everything = classifier(cell)
    torch.testing.assert_close(everything(words()), one_by_one(everything, everything.embedding(words())))


def test_sequences_of_features():
    model = classifier("lstm", symbols=None)
    assert model.embedding is None
    torch.testing.assert_close(model(features()), one_by_one(model, features()))
    cut = [sequence[:length] for sequence, length in zip(features(), LENGTHS, strict=True)]
    torch.testing.assert_close(model(features(), LENGTHS), one_by_one(model, cut))


@pytest.mark.parametrize("cell", CELLS)
def test_it_becomes_sparse_and_dense_again(cell):
    model = classifier(cell, padding=0)
    masks = {
        name: torch.rand(mask.shape, generator=generator(3)) < 0.3 for name, mask in Masks.from_model(model).items()
    }
    sparse, dense = sparsify(model, masks, "sparse"), Masks(masks).apply_(copy.deepcopy(model))
    torch.testing.assert_close(sparse(words()), dense(words()))
    again, found = densify(sparse)
    assert found == Masks(masks)
    assert all(map(torch.equal, again.parameters(), dense.parameters()))


@pytest.mark.parametrize("symbols", [None, 8])
def test_a_generator_draws_what_pytorch_draws_from_the_same_seed(symbols):
    drawn = SequenceClassifier("gru", 5, 7, 3, 2, symbols=symbols, generator=generator(4))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        own = SequenceClassifier("gru", 5, 7, 3, 2, symbols=symbols)
    state = torch.get_rng_state()
    SequenceClassifier("gru", 5, symbols=symbols, generator=generator(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn.state_dict().keys() == own.state_dict().keys()
    assert all(map(torch.equal, drawn.parameters(), own.parameters()))


def test_lengths_of_sequences_without_padding():
    assert classifier().lengths(words()).tolist() == [7] * 4
    assert classifier(padding=0).lengths(words()).tolist() == LENGTHS.tolist()


def test_what_cannot_be_is_refused():
    with pytest.raises(UnknownNameError, match="cell"):
        classifier("elman")
    for options in ({"padding": 8}, {"symbols": None, "padding": 0}):
        with pytest.raises(RequestError, match="padding"):
            classifier(**options)
    with pytest.raises(RequestError, match="reads_padding"):
        classifier(reads_padding=True)
    with pytest.raises(RequestError, match="hidden"):
        SequenceClassifier("gru", 5, 0)
    packed = pack_padded_sequence(words(), LENGTHS, batch_first=True, enforce_sorted=False)
    with pytest.raises(RequestError, match="lengths"):
        classifier()(packed, LENGTHS)
