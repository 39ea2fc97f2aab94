import itertools

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo import mlp
from sparsewire.structure.flow import synaptic_flow

CLOSE = {"rel": 1e-9}


def made(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def deep(layers=6, width=9):
    sizes = [5, *[width] * layers, 3]
    return made(lambda: mlp(sizes))


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.LeakyReLU(0.1)),
        *(nn.MaxPool2d(2), nn.Conv2d(6, 6, 2, groups=2), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(6, 3),
    )


def sums(scores):
    return [float(part.sum()) for part in scores.values()]


def slowly(model, shape):
    """R itself, by plain numbers: a ReLU network without biases, each layer a matrix of absolute values."""
    signal = torch.ones(shape, dtype=torch.float64)
    for layer in model:
        if isinstance(layer, nn.Linear):
            signal = layer.weight.detach().double().abs() @ signal
    return float(signal.sum())


def test_each_layer_of_a_chain_has_the_whole_flow():
    model = deep()
    for total in sums(synaptic_flow(model, (5,))):
        assert total == pytest.approx(slowly(model, (5,)), **CLOSE)


@pytest.mark.parametrize("trained", [False, True])
def test_so_it_is_of_convolutions_with_batch_normalisation(trained):
    model = made(convolutional)
    if trained:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2)
                    module.weight.normal_()
                    module.bias.normal_()
    totals = sums(synaptic_flow(model, (2, 9, 9)))
    assert totals == pytest.approx([totals[0]] * len(totals), **CLOSE)
    assert totals[0] > 0


def test_what_flows_into_a_neuron_flows_out():
    model = deep(3)
    scores = list(synaptic_flow(model, (5,)).values())
    for before, after in itertools.pairwise(scores):
        torch.testing.assert_close(before.sum(1), after.sum(0))


def test_channels_too():
    model = made(lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2)))
    first, second = synaptic_flow(model, (2, 8, 8)).values()
    torch.testing.assert_close(first.sum((1, 2, 3)), second.sum((0, 2, 3)))


def test_biases_flow_if_they_are_asked_to():
    model = deep(2)
    scores, without = synaptic_flow(model, (5,), biases=True), synaptic_flow(model, (5,))
    # every layer but the last has biases behind it whose flow it does not carry
    assert sums(scores) == sorted(sums(scores))
    assert sums(scores)[0] == pytest.approx(sums(without)[0], **CLOSE)
    assert sums(scores)[-1] > sums(without)[-1]


def test_residual_sums_share_the_flow():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, inputs):
            return self.head(torch.relu(inputs + self.two(torch.relu(self.one(inputs)))))

    one, two, head = sums(synaptic_flow(made(Residual), (4,)))
    assert one == pytest.approx(two, **CLOSE)
    assert 0 < one < head


def test_tied_weights_are_one():
    layer = nn.Linear(3, 3, bias=False)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(3, 1, bias=False))
    tied, last = sums(synaptic_flow(model, (3,)))
    assert tied == pytest.approx(2 * last, **CLOSE)  # every path goes through it twice


class Recurrent(nn.Module):
    def __init__(self, kind, **more):
        super().__init__()
        self.cell = kind(3, 4, batch_first=True, **more)
        width = (more.get("proj_size") or 4) * (2 if more.get("bidirectional") else 1)
        self.head = nn.Linear(width, 2)

    def forward(self, inputs):
        return self.head(self.cell(inputs)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_of_a_recurrent_layer_every_path_enters_once_and_leaves_once(kind):
    model = made(lambda: Recurrent(kind))
    scores = synaptic_flow(model, (5, 3))
    enters, _, leaves = sums(scores)
    assert enters == pytest.approx(leaves, **CLOSE)
    back = scores["cell.weight_hh_l0"]
    gates = back.shape[0] // 4
    per_gate = back.view(gates, -1).sum(1)
    assert bool((per_gate > 0.2 * per_gate.max()).all())  # no gate starves


@pytest.mark.parametrize(
    "more", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}]
)
def test_recurrent_layers_of_every_form(more):
    model = made(lambda: Recurrent(nn.LSTM, **more))
    scores = synaptic_flow(model, (5, 3))
    firsts = [part for name, part in scores.items() if "weight_ih_l0" in name]
    assert sum(float(part.sum()) for part in firsts) == pytest.approx(float(scores["head.weight"].sum()), **CLOSE)
    assert all(bool((part >= 0).all()) for part in scores.values())
    unreached = {"cell.weight_hh_l0_reverse"} if more == {"bidirectional": True} else set()
    # of the reverse direction the last step is read alone, which has no state before it
    assert {name for name, part in scores.items() if not part.any()} == unreached | (
        {"cell.weight_hh_l1_reverse"} if more == {"num_layers": 2, "bidirectional": True} else set()
    )


def test_a_long_sequence_by_hand():
    # h ← w x + u h with w = −2, u = −3, ones: after three steps 2 (1 + 3 + 9) = 26, of which u has 2 · 3 + 2 · 18
    model = Recurrent(nn.RNN)
    model.cell, model.head = nn.RNN(1, 1, batch_first=True), nn.Linear(1, 1)
    for name, value in (("weight_ih_l0", -2.0), ("weight_hh_l0", -3.0)):
        getattr(model.cell, name).data.fill_(value)
    model.head.weight.data.fill_(1.0)
    assert sums(synaptic_flow(model, (3, 1))) == pytest.approx([26, 42, 26])


def test_recurrent_cells():
    class Steps(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.cell, self.head = kind(3, 4), nn.Linear(4, 2)

        def forward(self, inputs):
            state = None
            for step in inputs.unbind(1):
                state = self.cell(step, state)
            return self.head(state[0] if isinstance(state, tuple) else state)

    for kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell):
        enters, back, leaves = sums(synaptic_flow(made(lambda kind=kind: Steps(kind)), (5, 3)))
        assert enters == pytest.approx(leaves, **CLOSE)
        assert back > 0


class Attentive(nn.Module):
    def __init__(self, batch_first=True, **more):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, **more)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs):
        rows = inputs if self.attention.batch_first else inputs.transpose(0, 1)
        return self.head(self.attention(rows, rows, rows)[0]).flatten(0, 1)


@pytest.mark.parametrize("more", [{}, {"batch_first": False}, {"kdim": 4, "vdim": 4}])
def test_queries_keys_and_values_have_the_whole_flow_each(more):
    scores = synaptic_flow(made(lambda: Attentive(**more)), (5, 4))
    total = float(scores["head.weight"].sum())
    stacked = scores.get("attention.in_proj_weight")
    parts = stacked.chunk(3) if stacked is not None else [scores[f"attention.{name}_proj_weight"] for name in "qkv"]
    assert [float(part.sum()) for part in parts] == pytest.approx([total] * 3, **CLOSE)
    assert all(bool(part.any()) for part in parts)


def test_masks_of_attention_close_paths():
    class Causal(Attentive):
        def __init__(self, mask):
            super().__init__()
            self.mask = mask

        def forward(self, inputs):
            return self.head(self.attention(inputs, inputs, inputs, attn_mask=self.mask)[0]).flatten(0, 1)

    closed = torch.ones(5, 5).triu(1).bool()
    one = synaptic_flow(made(lambda: Causal(closed)), (5, 4))
    other = synaptic_flow(
        made(lambda: Causal(torch.zeros(5, 5, dtype=torch.float64).masked_fill(closed, -torch.inf))), (5, 4)
    )
    whole = synaptic_flow(made(lambda: Causal(None)), (5, 4))
    assert sums(one) == sums(other)
    assert sums(one)[0] == pytest.approx(sums(whole)[0] * 15 / 25, **CLOSE)  # of equal positions


def test_a_transformer_has_flow_everywhere():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(11, 8)
            layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(8, 4)

        def forward(self, words):
            return self.head(self.encoder(self.words(words)).mean(1))

    scores = synaptic_flow(made(Whole), (6,))
    assert all(bool((part > 0).any()) and bool((part >= 0).all()) for part in scores.values())


@pytest.mark.parametrize("bent", [nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.ReLU6(inplace=True), nn.Softmax(1), nn.SiLU()])
def test_what_bends_is_straight(bent):
    model = made(lambda: nn.Sequential(nn.Linear(4, 5), bent, nn.Linear(5, 3)))
    plain = nn.Sequential(model[0], model[2])
    assert sums(synaptic_flow(model, (4,))) == sums(synaptic_flow(plain, (4,)))
    assert not bent._forward_hooks


@pytest.mark.parametrize("norm", [nn.LayerNorm(5), nn.GroupNorm(1, 5), nn.RMSNorm(5), nn.BatchNorm1d(5)])
def test_normalisations_scale(norm):
    model = made(lambda: nn.Sequential(nn.Linear(4, 5), norm, nn.Linear(5, 3)))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.0, 3.0, 1.0]))
    first, second = synaptic_flow(model, (4,)).values()
    torch.testing.assert_close(first.sum(1), second.sum(0))
    assert not first[2].any()


def test_deep_networks_neither_overflow_nor_vanish():
    for scale in (30.0, 1 / 30):
        model = deep(60, 8)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale)
        signal = torch.ones(5)
        for layer in model:
            signal = layer.weight.detach().abs() @ signal if isinstance(layer, nn.Linear) else signal
        assert signal.sum() == 0 or not signal.isfinite().all()  # float32 cannot hold it
        totals = sums(synaptic_flow(model, (5,)))
        assert totals == pytest.approx([totals[0]] * 61, **CLOSE)
        assert totals[0] > 0


def test_what_float64_cannot_hold_is_said():
    model = deep(20)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e20)
    with pytest.raises(RequestError, match="score: the flow through the network is inf, beyond what float64 can hold"):
        synaptic_flow(model, (5,))


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"shape": None}, RequestError, "shape: found None, expected that of one sample"),
        ({"shape": (-1,)}, RequestError, "shape: found -1"),
        ({"names": ["3.weight"]}, UnknownNameError, "no weight to score is named '3.weight'"),
        ({"model": nn.LSTM(5, 3), "shape": (2, 5)}, RequestError, "model: found outputs of tuple, expected one tensor"),
    ],
)
def test_what_cannot_be_is_refused(more, error, message):
    with pytest.raises(error, match=message):
        synaptic_flow(**{"model": deep(1), "shape": (5,), **more})


def test_outputs_have_to_depend_on_weights():
    class Constant(nn.Linear):
        def forward(self, inputs):
            return inputs

    with pytest.raises(RequestError, match="model: found outputs without gradient"):
        synaptic_flow(Constant(2, 2), (2,))
