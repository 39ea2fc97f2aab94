import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.linear import SparseLinear
from sparsewire.models.zoo import mlp
from sparsewire.structure.allocation import SCOPES
from sparsewire.structure.data_scores import Gradient, OptimalBrainDamage, Taylor
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.patterns import NM, Block, FixedFanIn, Neurons, Unstructured
from sparsewire.structure.score_contract import Question
from sparsewire.structure.scores import DATA_SCORES
from sparsewire.structure.select import prune


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(sizes=(8, 12, 4), seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return mlp(sizes)


def samples(inputs=8, classes=4, count=60):
    source = seeded(1)
    centres = torch.randn(classes, inputs, generator=source)
    labels = torch.arange(count) % classes
    return centres[labels] + 0.8 * torch.randn(count, inputs, generator=source), labels


def trained(sizes=(4, 5, 3), steps=400):
    model, data = network(sizes), samples(sizes[0], sizes[-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(model(data[0]), data[1]).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model, data


def asked(model, data, **more):
    weights = maskable(model)
    return Question(weights, {}, {}, model=model, data=data, **more)


def loss_without_each(model, data):
    """By how much the loss on all data grows when a weight alone is set to zero: one pass for each."""
    inputs, labels = data
    with torch.no_grad():
        base, grown = cross_entropy(model(inputs), labels), {}
        for name, weight in maskable(model).items():
            grown[name] = torch.zeros_like(weight)
            for place in range(weight.numel()):
                flat = weight.view(-1)
                kept = flat[place].clone()
                flat[place] = 0
                grown[name].view(-1)[place] = cross_entropy(model(inputs), labels) - base
                flat[place] = kept
    return grown


def flat(tensors):
    return torch.cat([tensor.detach().flatten().double() for tensor in tensors.values()])


def ranks(values):
    return values.argsort().argsort().double()


def correlation(one, other):
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


PATTERNS = [Unstructured(), Neurons(), Block(2, 2), NM(2, 4), FixedFanIn()]


@pytest.mark.parametrize("score", DATA_SCORES)
@pytest.mark.parametrize(
    ("scope", "pattern"),
    [*((scope, None) for scope in SCOPES), *(("blind", pattern) for pattern in PATTERNS), ({"0": 0.5, "2": 0.5}, None)],
)
def test_they_go_with_every_scope_and_pattern(score, scope, pattern):
    model, data = network(), samples()
    before = copy.deepcopy(model.state_dict())
    asking = {"score": score, "data": data, "scope": scope, "pattern": pattern}
    masks = prune(model, density=0.5, **asking)
    assert isinstance(pattern, Neurons) or masks.density == 0.5  # of the neurons it is half, with other fan-ins
    assert prune(model, density=0.5, **asking) == masks
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    masks.apply_(model)
    if pattern is None and isinstance(scope, str):
        fewer = prune(model, density=0.25, masks=masks, **asking)
        assert fewer & masks == fewer
        assert fewer.count == 36


def test_optimal_brain_damage_drops_the_weights_of_dead_neurons_first():
    model, data = network((8, 12, 4)), samples()
    with torch.no_grad():
        model[0].bias[3] = -1e3  # it never fires: neither what goes in nor what comes out matters
    masks = prune(model, score="obd", data=data, density=1 - 12 / 144)
    assert not masks["0.weight"][3].any()
    assert not masks["2.weight"][:, 3].any()
    assert masks.count == 132


def test_optimal_brain_damage_foretells_the_growth_of_the_loss():
    model, data = trained()
    grown, found = flat(loss_without_each(model, data)), flat(OptimalBrainDamage()(asked(model, data)))
    sizes = flat({name: weight.abs() for name, weight in maskable(model).items()})
    assert correlation(ranks(found), ranks(grown)) > 0.8
    assert correlation(ranks(found), ranks(grown)) > correlation(ranks(sizes), ranks(grown))
    # small weights obey the second order: the ten least important by the score are among the least harmful
    assert float(grown[found.argsort()[:10]].max()) <= float(grown.median())


def test_taylor_foretells_it_away_from_a_minimum():
    model, data = network((4, 5, 3)), samples(4, 3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.3)  # small steps to zero, large gradients
    grown, found = flat(loss_without_each(model, data)), flat(Taylor(signed=True)(asked(model, data)))
    assert correlation(found, grown) > 0.9
    assert torch.equal(flat(Taylor()(asked(model, data))), found.abs())


def test_by_hand():
    # one weight w = 3 and the mean of (w x - y)²: g = 2 mean(x (w x - y)), h = 2 mean(x²)
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(3.0)
    data = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [5.0]])  # errors 1 and 1: g = 3, h = 5
    question = asked(layer, data, loss=nn.MSELoss())
    assert Gradient()(question)["weight"].item() == pytest.approx(3.0)
    assert Taylor()(question)["weight"].item() == pytest.approx(9.0)
    assert Taylor(signed=True)(question)["weight"].item() == pytest.approx(-9.0)
    assert OptimalBrainDamage()(question)["weight"].item() == pytest.approx(22.5)


def test_they_are_summed_over_the_live_weights_of_a_neuron():
    model, data = network(), samples()
    scores = OptimalBrainDamage()(asked(model, data))
    rows = torch.cat([values.sum(1) for values in scores.values()])
    masks = prune(model, score="obd", data=data, density=0.5, pattern="neurons")
    kept = torch.cat([mask.any(1) for mask in masks.values()])
    assert set(rows.topk(8).indices.tolist()) == set(kept.nonzero().flatten().tolist())


def test_only_what_is_selected_is_looked_at():
    model, data = network(), samples()
    masks = prune(model, score="obd", data=data, density=0.5, only="2")
    assert masks.densities() == {"0.weight": 1.0, "2.weight": 0.5}


def test_what_is_estimated_draws_from_the_generator_of_prune():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 4)

        def forward(self, inputs):
            return self.head(self.cell(inputs.view(len(inputs), 4, 2))[0][:, -1])

    model, data = Recurrent(), samples()
    first, again = (prune(model, score="obd", data=data, density=0.5, generator=seeded()) for _ in range(2))
    assert first == again
    assert first.count == 36  # half of 24 + 36 + 12
    few = OptimalBrainDamage(method="hutchinson", samples=1, batch_size=20)
    assert prune(model, score=few, data=data, density=0.5, only="h2h", generator=seeded()).count == 54
    with pytest.raises(RequestError, match="generator: found None, but the curvature is estimated"):
        prune(model, score="obd", data=data, density=0.5)


def test_sparse_layers_have_gradients_but_no_curvature():
    mask = torch.rand(4, 8, generator=seeded()) < 0.75
    layer = SparseLinear(8, 4, mask, generator=seeded())
    for score in ("gradient", "taylor"):
        found = prune(layer, score=score, data=samples(), density=0.25)
        assert found.count == 8
        assert not (found["weight"] & ~mask).any()
    with pytest.raises(RequestError, match=r"model: found the sparse layer of 'weight', .*densify"):
        prune(layer, score="obd", data=samples(), density=0.25)


def test_masks_say_what_may_go_and_the_weights_what_is():
    model, data = network(), samples()
    masks = Masks({name: weight > 0 for name, weight in maskable(model).items()})
    found = prune(model, score="obd", data=data, density=0.1, masks=masks)
    assert found & masks == found
    masks.apply_(model)
    assert OptimalBrainDamage()(asked(model, data))["0.weight"][~masks["0.weight"]].eq(0).all()


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({}, RequestError, "data: found none, but the score looks at the loss"),
        ({"data": 3}, RequestError, "data: found int, expected"),
        ({"data": samples(), "loss": 3}, RequestError, "loss: found 3"),
        ({"data": samples(), "score": OptimalBrainDamage(method="exactly")}, UnknownNameError, "no method is named"),
        ({"data": samples(), "score": OptimalBrainDamage(samples=-1)}, RequestError, "samples: found -1"),
        ({"data": samples(), "score": Taylor(batch_size=0.5)}, RequestError, "batch_size: found 0.5"),
        ({"data": samples(), "score": "odb"}, UnknownNameError, "no score is named 'odb'; did you mean 'obd'"),
    ],
)
def test_what_cannot_be_is_refused(more, error, message):
    with pytest.raises(error, match=message):
        prune(network(), **{"score": "obd", "density": 0.5, **more})


def test_weights_by_name_cannot_be_scored_on_data():
    with pytest.raises(RequestError, match="model: found weights by name"):
        prune(network().state_dict(), score="obd", density=0.5, data=samples())
