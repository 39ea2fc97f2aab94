import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.linear import SparseLinear
from sparsewire.models.zoo import mlp
from sparsewire.structure.initial_scores import Fisher, Grasp, Snip, SynapticFlow
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.score_contract import Question
from sparsewire.structure.select import prune

NAMES = ("snip", "grasp", "synflow", "fisher")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def samples(*shape, classes=3, count=12, dtype=torch.float32):
    source = seeded(1)
    return torch.randn(count, *shape, generator=source, dtype=dtype), torch.arange(count) % classes


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell, self.head = kind(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.cell(inputs)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.layer(inputs).mean(1))


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 2), nn.Tanh(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)),
    )


MODELS = {
    "dense": (lambda: mlp((8, 6, 3)), (8,)),
    "convolution": (convolutional, (1, 8, 8)),
    "rnn": (lambda: Recurrent(nn.RNN), (5, 3)),
    "lstm": (lambda: Recurrent(nn.LSTM), (5, 3)),
    "gru": (lambda: Recurrent(nn.GRU), (5, 3)),
    "attention": (Attentive, (5, 4)),
}


def asked(model, data, **more):
    return Question(maskable(model), {}, {}, model=model, data=data, **more)


def state_of(model):
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    grads = [parameter.grad if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
    return modes, flags, grads, copy.deepcopy(model.state_dict())


def assert_untouched(model, before):
    modes, flags, grads, tensors = before
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert parameter.grad is grad or torch.equal(parameter.grad, grad)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("score", NAMES)
@pytest.mark.parametrize("kind", MODELS)
def test_they_score_every_kind_of_layer_and_leave_the_model_as_it_was(kind, score):
    build, shape = MODELS[kind]
    model, data = made(build), samples(*shape)
    model.train()
    cross_entropy(model(data[0]), data[1]).backward()
    next(model.parameters()).requires_grad_(False)
    before, seed = state_of(model), torch.get_rng_state()
    masks = prune(model, score=score, density=0.5, data=data)
    assert prune(model, score=score, density=0.5, data=data) == masks
    assert masks.count == (masks.total + 1) // 2
    assert_untouched(model, before)
    assert torch.equal(torch.get_rng_state(), seed)


@pytest.mark.parametrize("score", [Snip("stored"), Grasp(statistics="stored"), SynapticFlow(), Fisher()])
@pytest.mark.parametrize("kind", MODELS)
def test_many_batches_say_what_one_says(kind, score):
    build, shape = MODELS[kind]
    model, (inputs, labels) = made(build).double(), samples(*shape, dtype=torch.float64)
    whole = score(asked(model, (inputs, labels)))
    assert all(bool(scores.isfinite().all()) and bool(scores.any()) for scores in whole.values())
    batches = [(inputs[:7], labels[:7]), (inputs[7:8], labels[7:8]), (inputs[8:], labels[8:])]
    for data in (batches, iter(batches)):
        for name, scores in score(asked(model, data)).items():
            torch.testing.assert_close(scores, whole[name], rtol=1e-9, atol=1e-15)


def loss_of(model, data):
    with torch.no_grad():
        return float(cross_entropy(model(data[0]), data[1]))


def test_snip_is_the_connections_sensitivity_by_finite_differences():
    model, data = made(lambda: mlp((5, 4, 3))).double(), samples(5, dtype=torch.float64)
    slow, step = {}, 1e-5
    for name, weight in maskable(model).items():
        slow[name] = torch.zeros_like(weight)
        for place in range(weight.numel()):
            flat, kept = weight.data.view(-1), float(weight.data.view(-1)[place])
            flat[place] = kept * (1 + step)
            up = loss_of(model, data)
            flat[place] = kept * (1 - step)
            slow[name].view(-1)[place] = abs(up - loss_of(model, data)) / (2 * step)
            flat[place] = kept
    total = sum(float(part.sum()) for part in slow.values())
    found = Snip()(asked(model, data))
    for name, scores in found.items():
        torch.testing.assert_close(scores, (slow[name] / total).detach(), rtol=1e-6, atol=1e-9)
    assert sum(float(scores.sum()) for scores in found.values()) == pytest.approx(1)


def test_snip_ranks_as_taylor_and_counts_live_weights_only():
    model, data = made(lambda: mlp((8, 6, 3))), samples(8)
    assert prune(model, score="snip", density=0.3, data=data) == prune(model, score="taylor", density=0.3, data=data)
    live = {name: weight > 0 for name, weight in maskable(model).items()}
    found = Snip()(Question(maskable(model), live, {}, model=model, data=data))
    assert sum(float(found[name][live[name]].sum()) for name in found) == pytest.approx(1, rel=1e-5)


def test_snip_of_a_network_that_feels_nothing_is_zero():
    model, data = made(lambda: mlp((8, 6, 3))), samples(8)
    model[0].weight.data.zero_()
    model[2].weight.data.zero_()
    model[0].bias.data.fill_(-1.0)  # no neuron fires
    assert all(not scores.any() for scores in Snip()(asked(model, data)).values())


def squared_gradient(model, data):
    weights = list(maskable(model).values())
    return sum(float(g.square().sum()) for g in torch.autograd.grad(cross_entropy(model(data[0]), data[1]), weights))


@pytest.mark.parametrize("kind", ["dense", "lstm", "attention"])
def test_grasp_foretells_the_gradient_that_goes_with_a_weight(kind):
    # ‖g(w − t w_i)‖² = ‖g‖² − 2 t w_i (H g)_i + …, by central differences of the gradient's norm alone
    build, shape = MODELS[kind]
    model, data = made(build).double().eval(), samples(*shape, dtype=torch.float64)
    found, step = Grasp()(asked(model, data)), 1e-4
    for name, weight in maskable(model).items():
        for place in range(0, weight.numel(), 7):
            flat, kept = weight.data.view(-1), float(weight.data.view(-1)[place])
            flat[place] = kept * (1 - step)
            less = squared_gradient(model, data)
            flat[place] = kept * (1 + step)
            change = (squared_gradient(model, data) - less) / (4 * step)
            flat[place] = kept
            assert float(found[name].view(-1)[place]) == pytest.approx(change, rel=1e-4, abs=1e-10)


def test_grasp_keeps_more_gradient_than_its_opposite():
    model, data = made(lambda: mlp((8, 12, 3))).double(), samples(8, dtype=torch.float64)
    scores, left = Grasp()(asked(model, data)), {}
    for sign in (1, -1):
        one = copy.deepcopy(model)
        prune(model, score={name: sign * part for name, part in scores.items()}, density=0.9).apply_(one)
        left[sign] = squared_gradient(one, data)
    assert left[1] > squared_gradient(model, data) > left[-1]


def test_grasp_in_the_direction_of_the_paper():
    # L = (w₁² + 4 w₂²) / 2 at w = (1, 1): g = (1, 4), H g = (1, 16): the paper's S(−w) = (−1, −16), the largest goes
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data.fill_(1.0)
    data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)
    assert Grasp()(asked(layer, data, loss=nn.MSELoss()))["weight"].tolist() == [[1.0, 16.0]]
    masks = prune(layer, score="grasp", density=0.5, data=data, loss=nn.MSELoss())
    assert masks["weight"].tolist() == [[False, True]]
    live = {"weight": torch.tensor([[True, False]])}
    only = Grasp()(Question({"weight": layer.weight}, live, {}, model=layer, data=data, loss=nn.MSELoss()))
    assert only["weight"].tolist() == [[1.0, 0.0]]


def test_temperature_is_what_outputs_are_divided_by():
    model, data = made(lambda: mlp((8, 6, 3))).double(), samples(8, dtype=torch.float64)
    scaled = Grasp()(asked(model, data, loss=lambda outputs, labels: cross_entropy(outputs / 200, labels)))
    found = Grasp(temperature=200)(asked(model, data))
    assert all(torch.equal(found[name], scores) for name, scores in scaled.items())


def test_fisher_by_the_gradients_of_single_samples():
    model, (inputs, labels) = made(lambda: mlp((5, 4, 3))).double(), samples(5, dtype=torch.float64)
    weights = maskable(model)
    slow = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for one in range(len(labels)):
        loss = cross_entropy(model(inputs[one : one + 1]), labels[one : one + 1])
        for total, gradient in zip(slow.values(), torch.autograd.grad(loss, list(weights.values())), strict=True):
            total += gradient.square() / len(labels)
    for name, scores in Fisher()(asked(model, (inputs, labels))).items():
        torch.testing.assert_close(scores, (slow[name] * weights[name].square() / 2).detach())


def test_untrained_batch_normalisation_is_that_of_the_batch():
    model, data = made(convolutional), samples(1, 8, 8)
    for score in (Snip, Grasp):
        chosen = {kind: score(statistics=kind)(asked(model, data))["0.weight"] for kind in ("auto", "stored", "batch")}
        assert torch.equal(chosen["auto"], chosen["batch"])
        assert not torch.allclose(chosen["auto"], chosen["stored"])
    model(data[0])  # in training mode: now something is stored
    found = {kind: Snip(kind)(asked(model, data))["0.weight"] for kind in ("auto", "stored")}
    assert torch.equal(found["auto"], found["stored"])


def test_synflow_looks_at_the_shape_alone():
    model, (inputs, labels) = made(convolutional), samples(1, 8, 8)
    found = SynapticFlow()(asked(model, (inputs, labels)))
    for data in ((torch.full_like(inputs, torch.nan), labels), [(inputs[:3], labels[:3])]):
        assert all(torch.equal(found[name], scores) for name, scores in SynapticFlow()(asked(model, data)).items())
    shaped = prune(model, score=SynapticFlow((1, 8, 8)), density=0.5)
    assert shaped == prune(model, score="synflow", density=0.5, data=(inputs, labels))


def test_sparse_layers():
    mask = torch.rand(3, 8, generator=seeded()) < 0.75
    dense, data = made(lambda: nn.Linear(8, 3)), samples(8)
    dense.weight.data.masked_fill_(~mask, 0)
    layer = SparseLinear.from_dense(dense, mask)
    for score in ("snip", "synflow", "fisher"):
        one = prune(layer, score=score, density=0.25, data=data)
        assert one.count == 6
        assert one == prune(dense, score=score, density=0.25, data=data, masks=Masks({"weight": mask}))
    with pytest.raises(RequestError, match=r"model: found the sparse layer of 'weight', .*densify"):
        prune(layer, score="grasp", density=0.25, data=data)


@pytest.mark.parametrize("score", NAMES)
def test_half_precision_is_scored(score):
    model, (inputs, labels) = made(lambda: mlp((8, 6, 3))).bfloat16(), samples(8)
    masks = prune(model, score=score, density=0.5, data=(inputs.bfloat16(), labels))
    assert masks.count == 33


@pytest.mark.parametrize(
    ("score", "more", "error", "message"),
    [
        *((name, {"data": 3}, RequestError, "data: found int, expected") for name in NAMES),
        *((name, {"data": []}, RequestError, "data: found no samples") for name in NAMES),
        *((name, {"loss": 3}, RequestError, "loss: found 3") for name in ("snip", "grasp", "fisher")),
        (Snip("batches"), {}, UnknownNameError, "no batch statistics is named 'batches'; did you mean 'batch'"),
        (Grasp(statistics=None), {}, UnknownNameError, "no batch statistics is named 'None'"),
        (Snip(batch_size=0), {}, RequestError, "batch_size: found 0"),
        (Grasp(batch_size=1.5), {}, RequestError, "batch_size: found 1.5"),
        (Fisher(batch_size=True), {}, RequestError, "batch_size: found True"),
        *((Grasp(t), {}, RequestError, f"temperature: found {t}") for t in (0, -1, True, float("nan"), float("inf"))),
        (Grasp("hot"), {}, RequestError, "temperature: found 'hot', expected a number above 0"),
        (SynapticFlow("8"), {}, RequestError, "shape: found '8', expected that of one sample"),
        (SynapticFlow((0,)), {}, RequestError, "shape: found 0"),
        (SynapticFlow((8.5,)), {}, RequestError, "shape: found 8.5"),
        (SynapticFlow(8), {}, RequestError, "shape: found 8, expected that of one sample"),
        (
            "synflow",
            {"data": [((1, 2), torch.zeros(1))]},
            RequestError,
            "data: found inputs of tuple, expected a tensor",
        ),
        (
            "fisher",
            {"data": [((1, 2), torch.zeros(1))]},
            RequestError,
            "data: found inputs of tuple for labels of shape",
        ),
        (
            "fisher",
            {"data": [(torch.ones(3, 8), torch.zeros(2))]},
            RequestError,
            r"data: found inputs of shape \(3, 8\)",
        ),
        ("synflw", {}, UnknownNameError, "no score is named 'synflw'; did you mean 'synflow'"),
    ],
)
def test_what_cannot_be_is_refused(score, more, error, message):
    with pytest.raises(error, match=message):
        prune(made(lambda: mlp((8, 6, 3))), **{"score": score, "density": 0.5, "data": samples(8), **more})


def test_a_batch_of_one_has_no_statistics():
    model, data = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), samples(4, count=5)
    with pytest.raises(RequestError, match="data: found a batch with a single value for a channel"):
        prune(model, score=Snip(batch_size=4), density=0.5, data=data)
    assert model[1].running_mean is not None


def test_data_is_asked_for():
    with pytest.raises(RequestError, match=r"data: found none, but the score needs the shape .*SynapticFlow\(shape"):
        prune(nn.Linear(2, 2), score="synflow", density=0.5)
    for name in ("snip", "grasp", "fisher"):
        with pytest.raises(RequestError, match="data: found none, but the score looks at the loss"):
            prune(nn.Linear(2, 2), score=name, density=0.5)
        with pytest.raises(RequestError, match="model: found weights by name"):
            prune(nn.Linear(2, 2).state_dict(), score=name, density=0.5, data=samples(2))


class Placed(nn.Module):
    """Its embedding is of places; what comes in are signals."""

    def __init__(self):
        super().__init__()
        self.inner, self.places, self.out = nn.Linear(4, 8), nn.Embedding(5, 8), nn.Linear(8, 3)

    def forward(self, inputs):
        return self.out((self.inner(inputs) + self.places(torch.arange(5))).mean(1))


def test_flow_through_a_model_whose_embedding_is_of_places():
    data = torch.ones(2, 5, 4), torch.arange(2)
    for score in ("synflow", SynapticFlow((5, 4), words=False)):
        assert prune(Placed(), score=score, density=0.5, data=data).count == 28


class Handing(nn.Module):
    """Its decoder starts from the state in which its encoder ends."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(4, 6, batch_first=True), nn.LSTM(4, 6, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, inputs):
        state = self.encoder(inputs)[1]
        return self.out(self.decoder(inputs, (state, torch.zeros_like(state)))[0][:, -1])


def test_flow_reaches_an_encoder_through_its_state():
    model = Handing()
    found = SynapticFlow((5, 4))(Question(maskable(model), {}, {}, model=model))
    assert all(score.gt(0).all() for score in found.values())


@pytest.mark.parametrize("score", ["snip", "grasp", "synflow", "fisher"])
def test_scores_are_the_same_in_inference_mode(score):
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    data = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    first = {"0.weight": torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) < 0.7}
    expected = prune(model, score=score, density=0.4, data=data, masks=first)
    with torch.inference_mode():
        assert prune(model, score=score, density=0.4, data=data, masks=first) == expected
