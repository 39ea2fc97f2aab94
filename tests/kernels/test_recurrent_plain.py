import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sparsewire.kernels.recurrent_plain import KINDS, recurrent

CLASSES = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_torch(kind, padded, bidirectional):
    g = torch.Generator().manual_seed(0)
    options = {"nonlinearity": kind} if CLASSES[kind] is nn.RNN else {}
    layer = CLASSES[kind](3, 5, 2, bidirectional=bidirectional, dtype=torch.float64, **options)
    for parameter in layer.parameters():
        parameter.data.normal_(generator=g)
    x = torch.randn(6, 4, 3, dtype=torch.float64, generator=g)
    h0, c0 = torch.randn(2, 4 if bidirectional else 2, 4, 5, dtype=torch.float64, generator=g)
    lengths = torch.tensor([2, 6, 1, 4]) if padded else None
    given = pack_padded_sequence(x, lengths, enforce_sorted=False) if padded else x
    expected, states = layer(given, (h0, c0) if kind == "lstm" else h0)
    if padded:
        expected, _ = pad_packed_sequence(expected)
    weights = [p for name, p in layer.named_parameters() if name.startswith("weight")]
    biases = [p for name, p in layer.named_parameters() if name.startswith("bias")]
    output, hn, cn = recurrent(x, h0, c0, weights, biases, kind, lengths, bidirectional)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hn, states[0] if kind == "lstm" else states, rtol=1e-12, atol=1e-12)
    if kind == "lstm":
        torch.testing.assert_close(cn, states[1], rtol=1e-12, atol=1e-12)
