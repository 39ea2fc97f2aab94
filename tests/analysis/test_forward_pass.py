import pytest
import torch
from torch import nn

from sparsewire.analysis.forward_pass import measured_seconds, uses_of_modules
from sparsewire.errors import RequestError


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.spare = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, inputs):
        return self.inner(self.inner(inputs))


# model, example, uses; the batch of three must not show
USES = {
    "dense": (nn.Linear(4, 2), torch.zeros(3, 4), {"": 1}),
    "dense at every position": (nn.Linear(4, 2), torch.zeros(3, 5, 6, 4), {"": 30}),
    "called twice, and not called": (Twice(), torch.zeros(3, 4), {"inner": 2}),
    "conv2d": (nn.Conv2d(1, 2, 3), torch.zeros(3, 1, 6, 5), {"": 12}),  # (6 − 2) · (5 − 2)
    "conv1d with stride": (nn.Conv1d(1, 2, 3, stride=2), torch.zeros(3, 1, 9), {"": 4}),
    "transposed": (nn.ConvTranspose2d(1, 2, 3), torch.zeros(3, 1, 4, 5), {"": 20}),  # every input position once
    "rnn": (nn.RNN(4, 5), torch.zeros(7, 3, 4), {"": 7}),
    "rnn, batch first": (nn.GRU(4, 5, batch_first=True), torch.zeros(3, 7, 4), {"": 7}),
    "rnn, no batch": (nn.LSTM(4, 5), torch.zeros(7, 4), {"": 7}),
    "cell": (nn.LSTMCell(4, 5), torch.zeros(3, 4), {"": 1}),
    "attention": (nn.MultiheadAttention(4, 2, batch_first=True), (torch.zeros(3, 7, 4),) * 3, {"": 7, "out_proj": 7}),
}


@pytest.mark.parametrize("name", USES)
def test_uses(name):
    model, example, expected = USES[name]
    assert uses_of_modules(model, example) == expected


def test_a_packed_batch_counts_its_mean_length():
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(6, 2, 4), torch.tensor([6, 3]))
    assert uses_of_modules(nn.RNN(4, 5), packed) == {"": 5}  # 4.5, rounded up


def test_nothing_is_left_behind():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    model[1].eval()
    uses_of_modules(model, torch.ones(3, 4))
    measured_seconds(model, torch.ones(3, 4), repeats=1)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert not model[0]._forward_hooks
    assert (model[1].running_mean == 0).all()


def test_seconds_are_in_order():
    seconds = measured_seconds(nn.Linear(50, 50), torch.ones(10, 50), repeats=9)
    assert 0 < seconds.fastest <= seconds.median <= seconds.slowest


def test_no_repeats_are_refused():
    with pytest.raises(RequestError, match="repeats: found 0"):
        measured_seconds(nn.Linear(2, 2), torch.ones(1, 2), repeats=0)
