import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo import mlp
from sparsewire.structure import rounds as under_test
from sparsewire.structure.allocation import SCOPES
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.rounds import prune_in_rounds
from sparsewire.structure.schedules import cubic, exponential
from sparsewire.structure.score_contract import ModelScore
from sparsewire.structure.scores import DATA_SCORES, SCORES
from sparsewire.structure.select import prune


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def network(sizes=(8, 12, 4)):
    return made(lambda: mlp(sizes))


def samples(*shape, classes=4, count=12):
    return torch.randn(count, *(shape or (8,)), generator=seeded(1)), torch.arange(count) % classes


def vgg(widths=(16, 16, 32, 32, 64, 64), inputs=3, size=16):
    layers = []
    for place, width in enumerate(widths):
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if place % 2 else []
        inputs = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(*layers)


def is_connected(model, masks, shape):
    """Whether anything that comes in can come out."""
    probe = copy.deepcopy(model).eval()
    masks.apply_(probe)
    with torch.no_grad():
        for name, parameter in probe.named_parameters():
            parameter.zero_() if "bias" in name else parameter.abs_()
        return bool(probe.double()(torch.ones(1, *shape, dtype=torch.float64)).sum() > 0)


DEEP = {
    "vgg": (vgg, (3, 16, 16)),
    "perceptron": (lambda: mlp((256, 128, 128, 128, 64, 64, 10)), (256,)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_synflow_keeps_every_layer_at_a_thousandth_where_magnitude_loses_some(kind):
    build, shape = DEEP[kind]
    model, data = made(build), samples(*shape, count=1)
    asking = {"density": 0.001, "scope": "blind"}
    by_flow = prune_in_rounds(model, score="synflow", rounds=50, data=data, **asking)
    by_size = prune(model, score="magnitude", **asking)
    assert by_flow.count == by_size.count
    assert all(bool(mask.any()) for mask in by_flow.values())
    assert is_connected(model, by_flow, shape)
    assert not all(bool(mask.any()) for mask in by_size.values())
    assert not is_connected(model, by_size, shape)


def test_synflow_ends_at_a_single_path():
    model = network((6, 10, 10, 10, 10, 4))
    masks = prune_in_rounds(model, score="synflow", density=5 / 400, data=samples(6))
    assert [int(mask.sum()) for mask in masks.values()] == [1] * 5
    assert is_connected(model, masks, (6,))


def by_hand(model, score, densities, data, masks=None):
    """Round by round on a model that really loses its weights."""
    own = copy.deepcopy(model)
    for density in densities:
        if masks is not None:
            masks.apply_(own)
        masks = prune(own, score=score, density=density, data=data, masks=masks)
    return masks


@pytest.mark.parametrize("score", ["magnitude", *DATA_SCORES])
@pytest.mark.parametrize("schedule", ["exponential", "linear"])
def test_it_is_pruning_again_and_again(schedule, score):
    model, data = network(), samples()
    densities = [0.1 ** (k / 4) if schedule == "exponential" else 1 - 0.9 * k / 4 for k in range(1, 4)] + [0.1]
    asking = {"score": score, "density": 0.1, "rounds": 4, "schedule": schedule, "data": data}
    assert prune_in_rounds(model, **asking) == by_hand(model, score, densities, data)
    start = Masks({name: torch.rand(w.shape, generator=seeded(2)) < 0.5 for name, w in maskable(model).items()})
    found = prune_in_rounds(model, masks=start, **asking)
    assert found & start == found
    assert found.count == 14
    d0 = start.density
    densities = [
        d0 * (0.1 / d0) ** (k / 4) if schedule == "exponential" else d0 + (0.1 - d0) * k / 4 for k in (1, 2, 3)
    ]
    assert found == by_hand(model, score, [*densities, 0.1], data, start)


@pytest.mark.parametrize("score", ["magnitude", "random", *DATA_SCORES])
def test_the_model_is_left_as_it_was_bit_for_bit(score):
    model = made(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 4))
    )
    inputs, labels = samples(1, 4, 4)
    cross_entropy(model(inputs), labels).backward()
    model[2].eval()
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    grads = [(parameter.grad, parameter.grad.clone()) for parameter in model.parameters()]
    tensors, versions = (
        list(model.state_dict(keep_vars=True).values()),
        [t._version for t in model.state_dict(keep_vars=True).values()],
    )
    seed = torch.get_rng_state()
    asking = {"score": score, "density": 0.1, "rounds": 3, "data": (inputs, labels)}
    first, again = (prune_in_rounds(model, generator=seeded(), **asking) for _ in range(2))
    assert first == again
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    for parameter, (grad, value) in zip(model.parameters(), grads, strict=True):
        assert parameter.grad is grad
        assert torch.equal(grad, value)
    assert all(one is two for one, two in zip(tensors, model.state_dict(keep_vars=True).values(), strict=True))
    # the buffers are looked at on a copy too: not even written with their own values
    assert [tensor._version for tensor in tensors] == versions
    assert torch.equal(torch.get_rng_state(), seed)


def test_an_interrupted_call_leaves_the_model_too():
    class Fails(ModelScore):
        def __call__(self, question):
            question.model[0].weight.data.zero_()  # not even a rude score reaches it
            raise KeyboardInterrupt

    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(KeyboardInterrupt):
        prune_in_rounds(model, score=Fails(), density=0.1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_score_sees_the_masked_network_of_every_round():
    class Seen(ModelScore):
        def __init__(self):
            self.counts = []

        def __call__(self, question):
            for name, weight in question.weights.items():
                assert bool((weight[~question.live[name]] == 0).all())
            self.counts.append(sum(int(live.sum()) for live in question.live.values()))
            return {name: weight.abs() for name, weight in question.weights.items()}

    score = Seen()
    prune_in_rounds(network(), score=score, density=0.0625, rounds=4)
    assert score.counts == [144, 72, 36, 18]


@pytest.mark.parametrize("score", [*SCORES, *DATA_SCORES])
@pytest.mark.parametrize("scope", [*SCOPES, {"0": 0.25, "2": 0.5}])
def test_any_score_with_any_scope(scope, score):
    pattern = "neurons" if score.startswith("neuron") else None
    asking = {"score": score, "scope": scope, "pattern": pattern, "data": samples(), "generator": seeded()}
    masks = prune_in_rounds(network(), density=0.25, rounds=3, **asking)
    if not isinstance(scope, str):
        assert masks.densities() == {"0.weight": 0.25, "2.weight": 0.5}
    elif pattern is None:
        assert masks.count == 36


def test_random_with_erk_is_what_it_is_at_once_in_each_layer():
    model = network((64, 32, 8))
    asking = {"score": "random", "scope": "erk", "density": 0.2}
    first = prune_in_rounds(model, rounds=5, generator=seeded(), **asking)
    once = prune(model, generator=seeded(), **asking)
    assert first.densities() == once.densities()
    assert first.densities()["2.weight"] > first.densities()["0.weight"]


def test_schedules_of_ones_own():
    model, data = network(), samples()
    asking = {"score": "synflow", "density": 0.1, "rounds": 5, "data": data}
    assert prune_in_rounds(model, schedule=lambda k: 0.1 ** ((k + 1) / 5), **asking) == prune_in_rounds(model, **asking)
    for schedule in (cubic(0.1, until=4), exponential(0.1, until=4), lambda _: 0.1):
        assert prune_in_rounds(model, schedule=schedule, **asking).count == 14
    start = prune(model, score="magnitude", density=0.3)
    assert prune_in_rounds(model, schedule=cubic(0.1, until=4), masks=start, **asking).count == 14


def test_one_round_is_prune():
    model, data = network(), samples()
    for score in ("synflow", "grasp", "magnitude"):
        asking = {"score": score, "density": 0.2, "data": data}
        assert prune_in_rounds(model, rounds=1, **asking) == prune(model, **asking)


def test_patterns_and_parts():
    model = made(lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)))
    masks = prune_in_rounds(model, score="synflow", density=0.25, rounds=4, pattern="neurons", data=samples())
    assert sum(int(mask.any(1).sum()) for mask in masks.values()) == 6
    masks = prune_in_rounds(model, score="magnitude", density=0.25, rounds=4, only="2")
    assert masks.densities() == {"0.weight": 1.0, "2.weight": 0.25}

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 4)

        def forward(self, inputs):
            return self.head(self.cell(inputs)[0][:, -1])

    masks = prune_in_rounds(
        made(Recurrent), score="synflow", density=0.25, rounds=3, only="h2h:new", data=samples(3, 2)
    )
    assert masks["cell.weight_hh_l0"].sum() == 48 - 12
    assert masks["cell.weight_hh_l0"][8:].sum() == 4


def test_weights_by_name():
    state = network().state_dict()
    before = copy.deepcopy(state)
    masks = prune_in_rounds(state, score="magnitude", density=0.25, rounds=3)
    assert masks == prune(state, score="magnitude", density=0.25)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.items())
    start = Masks({name: torch.rand(m.shape, generator=seeded()) < 0.6 for name, m in masks.items()})
    found = prune_in_rounds(state, score="magnitude", density=0.25, rounds=3, masks=start)
    assert found == prune(state, score="magnitude", density=0.25, masks=start)


def test_functions_of_weights_see_gradients():
    model, (inputs, labels) = network(), samples()
    cross_entropy(model(inputs), labels).backward()
    asking = {"score": lambda weight: (weight * weight.grad).abs(), "density": 0.25}
    assert prune_in_rounds(model, rounds=3, **asking) == prune(model, **asking)


def test_data_that_can_be_read_once():
    model, (inputs, labels) = network(), samples()
    asking = {"score": "snip", "density": 0.2, "rounds": 3}
    once = prune_in_rounds(model, data=iter([(inputs[:5], labels[:5]), (inputs[5:], labels[5:])]), **asking)
    assert once == prune_in_rounds(model, data=[(inputs[:5], labels[:5]), (inputs[5:], labels[5:])], **asking)


def test_everything_and_nothing():
    model, data = network(), samples()
    assert prune_in_rounds(model, score="synflow", density=1, rounds=3, data=data).density == 1
    for scope in ("blind", {"0": 0.0}):
        masks = prune_in_rounds(model, score="synflow", density=0, rounds=3, schedule="linear", scope=scope, data=data)
        assert masks.count == 0


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        *(({"rounds": bad}, RequestError, f"rounds: found {bad}") for bad in (0, -1, 2.5, True, float("nan"))),
        *(({"density": bad}, RequestError, f"density: found {bad}") for bad in (-0.1, 1.1, float("nan"), True)),
        ({"density": 0}, RequestError, "density: found 0, which no fraction .* take schedule='linear'"),
        ({"scope": {"0": 0.0}}, RequestError, "density: found 0, which no fraction"),
        (
            {"schedule": "exponentail"},
            UnknownNameError,
            "no schedule is named 'exponentail'; did you mean 'exponential'",
        ),
        ({"schedule": 3}, RequestError, "schedule: found 3, expected 'exponential' or 'linear', or a function"),
        ({"schedule": lambda k: 0.5}, RequestError, "schedule: found 0.5 in its last round, 2, expected 0.1"),
        ({"schedule": lambda k: [0.3, 0.5, 0.1][k]}, RequestError, "schedule: found 0.5 in round 1 after 0.3"),
        ({"schedule": lambda k: 1 - k}, RequestError, r"schedule\(2\): found -1, expected a number from 0 to 1"),
        ({"schedule": lambda k: 0.1, "scope": {"0": 0.5}}, RequestError, "schedule: found .* with a density for each"),
        ({"score": "synflw"}, UnknownNameError, "no score is named 'synflw'; did you mean 'synflow'"),
        ({"scope": "blnd"}, UnknownNameError, "no scope is named 'blnd'"),
        ({"only": "3"}, UnknownNameError, "no weight to prune is named '3'"),
        ({"pattern": "2:4"}, RequestError, r"asked for in round 1 of 3\)"),
        ({"pattern": "nm"}, RequestError, "pattern"),
        ({"model": 3}, RequestError, "model: found int"),
        ({"model": nn.ReLU()}, RequestError, "model: found no weights"),
        ({"masks": 3}, RequestError, "masks: found int"),
        ({"score": "random"}, RequestError, "generator: found None"),
        ({"data": None}, RequestError, "data: found none"),
    ],
)
def test_what_cannot_be_is_refused(more, error, message):
    asking = {"model": network(), "score": "synflow", "density": 0.1, "rounds": 3, "data": samples()}
    with pytest.raises(error, match=message):
        prune_in_rounds(**{**asking, **more})


def test_more_than_there_is_is_refused():
    model = network()
    start = prune(model, score="magnitude", density=0.2)
    with pytest.raises(RequestError, match=r"density: found 0\.5, which is 72 of 144, but the masks hold only 29"):
        prune_in_rounds(model, score="magnitude", density=0.5, rounds=3, masks=start)


def test_the_names_of_schedules_are_in_the_documentation():
    assert all(f'"{name}"' in prune_in_rounds.__doc__ for name in under_test.SCHEDULES)
