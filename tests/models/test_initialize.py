import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.models import initialize
from sparsewire.models.initialize import lightning_, signed_constant_
from sparsewire.models.zoo import mlp
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks, maskable

# name → variance from (fan_in, fan_out)
SCALED = {
    "glorot_uniform_": lambda i, o: 2 / (i + o),
    "glorot_normal_": lambda i, o: 2 / (i + o),
    "he_uniform_": lambda i, o: 2 / i,
    "he_normal_": lambda i, o: 2 / i,
    "lecun_uniform_": lambda i, o: 1 / i,
    "lecun_normal_": lambda i, o: 1 / i,
}
# layer → (fan_in, fan_out): in and out, times the size of the kernel; groups see only their own inputs
FANS = {
    "linear": (lambda: nn.Linear(300, 100), 300, 100),
    "conv2d": (lambda: nn.Conv2d(16, 32, 5), 400, 800),
    "conv1d": (lambda: nn.Conv1d(40, 60, 7), 280, 420),
    "grouped": (lambda: nn.Conv2d(64, 64, 3, groups=4), 144, 576),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layer", FANS)
@pytest.mark.parametrize("name", SCALED)
def test_the_variance_is_the_formulas(name, layer):
    make, fan_in, fan_out = FANS[layer]
    model = make()
    getattr(initialize, name)(model, generator=generator())
    weight, variance = model.weight.detach().double(), SCALED[name](fan_in, fan_out)
    count = weight.numel()
    # The variance of the sample variance is (kurtosis − 1)/n · σ⁴: 2/n of a normal, 0.8/n of a uniform. Five σ of it.
    assert weight.var().item() == pytest.approx(variance, rel=5 * math.sqrt(2 / count))
    assert weight.mean().abs() < 5 * math.sqrt(variance / count)
    if "uniform" in name:
        bound = math.sqrt(3 * variance)
        assert 0.99 * bound < weight.abs().max() <= bound
    else:
        # A normal one has 4.55 % of its weights beyond two σ; a uniform one has none.
        beyond = (weight.abs() > 2 * math.sqrt(variance)).double().mean().item()
        assert beyond == pytest.approx(0.0455, abs=5 * math.sqrt(0.0455 / count))
    assert (model.bias == 0).all()


@pytest.mark.parametrize("name", [*SCALED, "normal_", "truncated_normal_"])
def test_the_generator_decides_alone_and_every_weight_is_drawn(name):
    def start(seed):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4), nn.LSTM(4, 3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(7)
        state = torch.get_rng_state()
        made = getattr(initialize, name)(model, *(() if name in SCALED else (0.3,)), generator=generator(seed))
        assert made is model
        assert torch.equal(torch.get_rng_state(), state)
        return dict(model.named_parameters())

    one, same, other = start(1), start(1), start(2)
    for key, value in one.items():
        assert torch.equal(value, same[key])
        if key.startswith("1."):
            assert (value == 7).all()  # a normalisation layer keeps what it has, its bias as well
        elif "bias" in key:
            assert (value == 0).all()
        else:
            assert not torch.equal(value, other[key])
            assert (value != 7).all()


@pytest.mark.parametrize("name", SCALED)
def test_a_sparse_layer_starts_as_its_masked_form(name):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 8), nn.Linear(8, 2))
    masks = Masks(
        {key: torch.rand(mask.shape, generator=generator()) < 0.4 for key, mask in Masks.from_model(model).items()}
    )
    start = getattr(initialize, name)
    converted = start(sparsify(model, masks, "sparse"), generator=generator())
    expected = masks.apply_(start(model, generator=generator())).state_dict()
    for key, tensor in densify(converted)[0].state_dict().items():
        assert torch.equal(tensor, expected[key])
    types = {"2.weight": torch.ones(8, 12)}
    assert (signed_constant_(converted, types)[2].weight == 0.1).all()
    with pytest.raises(RequestError, match=r"expected \(8, 12\), the weight's"):
        signed_constant_(converted, {"2.weight": torch.ones(12, 8)})


def test_a_tied_weight_is_drawn_once():
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model[1].weight = model[0].weight
    alone = nn.Linear(5, 5)
    initialize.he_normal_(model, generator=generator())
    initialize.he_normal_(alone, generator=generator())
    assert torch.equal(model[1].weight, alone.weight)
    assert (model[1].bias == 0).all()


def test_normal_has_one_spread_in_all_layers():
    model = initialize.normal_(mlp((784, 300, 100)), 0.1, generator=generator())
    for weight in maskable(model).values():
        assert weight.std().item() == pytest.approx(0.1, rel=5 / math.sqrt(2 * weight.numel()))


def test_truncated_normal_is_cut_at_two_sigma():
    weight = initialize.truncated_normal_(nn.Linear(300, 300), 0.1, generator=generator()).weight.detach()
    assert 0.199 < weight.abs().max() <= 0.2
    # The variance of a standard normal between −2 and 2: 1 − 2·2φ(2)/(2Φ(2) − 1) = 0.7737; its root is 0.8796.
    assert weight.std().item() == pytest.approx(0.08796, rel=0.01)
    assert (initialize.truncated_normal_(nn.Linear(3, 3), 0.0, generator=generator()).weight == 0).all()


@pytest.mark.parametrize("std", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["normal_", "truncated_normal_"])
def test_an_impossible_spread_is_refused(name, std):
    with pytest.raises(RequestError, match="std: found"):
        getattr(initialize, name)(nn.Linear(2, 2), std, generator=generator())


# ---- signed constant ----


def test_signs_become_constants():
    model = mlp((3, 2, 2))
    kept = model[2].weight.clone(), model[2].bias.clone()
    types = torch.tensor([[5, -1, 0], [0, 0, -3]])
    assert signed_constant_(model, {"0.weight": types}, 0.25) is model
    assert model[0].weight.tolist() == [[0.25, -0.25, 0.0], [0.0, 0.0, -0.25]]
    assert model[0].bias.tolist() == [0.0, 0.0]
    assert torch.equal(model[2].weight, kept[0])
    assert torch.equal(model[2].bias, kept[1])


def test_a_parents_graph_gives_the_signs_of_its_edges():
    parent = initialize.glorot_uniform_(mlp((8, 6, 4)), generator=generator())
    strongest = NetGraph.from_model(parent).strongest(20)
    child = signed_constant_(mlp((8, 6, 4)), strongest)
    masks = strongest.to_masks(child)
    assert Masks.from_weights(child) == masks
    for name, weight in maskable(child).items():
        expected = torch.where(masks[name], 0.1 * maskable(parent)[name].sign(), 0.0)
        assert torch.equal(weight.detach(), expected.detach())
    assert (child[0].bias == 0).all()


def test_a_graph_leaves_convolutions_alone():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2))
    before = model[0].weight.clone(), model[0].bias.clone()
    signed_constant_(model, NetGraph((2, 2), {(0, 1): sparse.csr_array(np.array([[1.0, 0.0], [0.0, -4.0]]))}))
    assert model[2].weight.tolist() == [[pytest.approx(0.1), 0.0], [0.0, pytest.approx(-0.1)]]
    assert torch.equal(model[0].weight, before[0])
    assert torch.equal(model[0].bias, before[1])


def test_types_that_do_not_fit_are_refused_and_nothing_is_changed():
    model = mlp((3, 2, 2))
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(UnknownNameError, match=r"did you mean '0\.weight'"):
        signed_constant_(model, {"2.weight": torch.ones(2, 2), "0.weigth": torch.ones(2, 3)})
    with pytest.raises(RequestError, match=r"types\['0.weight'\]: found shape \(3, 2\), expected \(2, 3\)"):
        signed_constant_(model, {"2.weight": torch.ones(2, 2), "0.weight": torch.ones(3, 2)})
    with pytest.raises(RequestError, match="expected a chain of sizes"):
        signed_constant_(model, NetGraph((3, 2), {}))
    with pytest.raises(RequestError, match=r"constant: found 0\.0"):
        signed_constant_(model, {}, 0.0)
    assert all(map(torch.equal, model.parameters(), before))


# ---- lightning ----


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), st.integers(1, 40), st.integers(0, 99))
def test_lightning_makes_exactly_the_paths_edges(sizes, paths, seed):
    model = initialize.he_normal_(mlp(sizes), generator=generator())
    graph = lightning_(model, paths, 0.5, generator=generator(seed))
    assert graph.sizes == tuple(sizes)
    assert Masks.from_weights(model) == graph.to_masks(model)
    assert Masks.from_weights(model).count == graph.edges <= paths * (len(sizes) - 1)
    for weight in maskable(model).values():
        assert set(weight.detach().abs().unique().tolist()) <= {0.0, 0.5}  # set once, however many paths share an edge
    assert all((parameter == 0).all() for name, parameter in model.named_parameters() if "bias" in name)
    # Every edge is on a complete path: its source is reached from the inputs, its target reaches the outputs.
    forward, backward = graph.forward_reach(), graph.backward_reach()
    for junction in graph.blocks:
        targets, sources = graph.ends(junction)
        assert forward[junction[0]][sources].all()
        assert backward[junction[1]][targets].all()


def test_signs_are_balanced_and_independent_of_each_other():
    model = mlp((784, 300, 100, 10))
    graph = lightning_(model, 5000, 0.25, generator=generator(5))
    weights = torch.cat([weight.detach().flatten() for weight in maskable(model).values()])
    edges = graph.edges
    assert (weights != 0).sum() == edges
    assert weights.sum().abs() / 0.25 < 5 * math.sqrt(edges)  # a sum of ±1 has variance n
    # If a path had one sign, the products of signs along it would be positive far more often than not.
    first, second = (maskable(model)[name].detach().sign() for name in ("0.weight", "2.weight"))
    assert (second @ first).sum().abs() < 5 * math.sqrt((second.abs() @ first.abs()).sum().item())


def test_the_number_of_edges_is_that_of_the_paper():
    # 784-300-100-10 with 1000 paths: 998, 984 and 630 distinct edges, all 100 neurons of the second layer.
    counts = []
    for seed in range(20):
        model = mlp((784, 300, 100, 10))
        lightning_(model, 1000, 0.5, generator=generator(seed))
        counts.append([(weight != 0).sum().item() for weight in maskable(model).values()])
    assert np.mean(counts, axis=0) == pytest.approx([998, 984, 632], abs=6)


def test_noise_is_relative_to_the_strength_and_keeps_signs_and_edges():
    plain, noisy = mlp((784, 300, 100)), mlp((784, 300, 100))
    graph = lightning_(plain, 20_000, 0.5, generator=generator(1))
    assert lightning_(noisy, 20_000, 0.5, noise=0.1, generator=generator(1)) == graph
    # The first layer's paths and signs are the same draws; only the magnitudes differ.
    ratios = (noisy[0].weight / plain[0].weight)[plain[0].weight != 0].detach()
    assert (ratios > 0).all()
    assert ratios.mean().item() == pytest.approx(1, abs=0.005)
    assert ratios.std().item() == pytest.approx(0.1, rel=0.05)


def test_noise_larger_than_the_strength_gives_magnitudes_all_the_same():
    model = mlp((50, 40))
    lightning_(model, 5000, 0.5, noise=3.0, generator=generator())
    positive = (model[0].weight > 0).sum() / (model[0].weight != 0).sum()
    assert positive.item() == pytest.approx(0.5, abs=0.1)


def test_lightning_leaves_convolutions_alone():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)
    )
    before = [parameter.clone() for parameter in (*model[0].parameters(), *model[1].parameters())]
    graph = lightning_(model, 3, 0.5, generator=generator())
    assert graph.sizes == (8, 4, 2)
    assert all(map(torch.equal, (*model[0].parameters(), *model[1].parameters()), before))


def test_lightning_can_be_repeated_and_leaves_the_global_seed_alone():
    models = [mlp((9, 8, 7), generator=generator(seed)) for seed in range(2)]
    state = torch.get_rng_state()
    graphs = [lightning_(model, 12, 0.5, noise=0.2, generator=generator(3)) for model in models]
    assert graphs[0] == graphs[1]
    assert all(map(torch.equal, models[0].parameters(), models[1].parameters()))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"paths": 0, "strength": 0.5}, "paths: found 0"),
        ({"paths": 3, "strength": 0.0}, "strength: found 0.0"),
        ({"paths": 3, "strength": math.nan}, "strength: found nan"),
        ({"paths": 3, "strength": 0.5, "noise": -1.0}, "noise: found -1.0"),
    ],
)
def test_impossible_lightnings_are_refused(arguments, message):
    model = mlp((3, 2))
    before = model[0].weight.clone()
    with pytest.raises(RequestError, match=message):
        lightning_(model, **arguments, generator=generator())
    assert torch.equal(model[0].weight, before)


def test_lightning_refuses_weights_that_are_computed_from_others():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RequestError, match=r"model: '2.weight' is computed from other parameters"):
        lightning_(model, 3, 0.5, generator=generator())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SCALED)
def test_one_seed_is_one_start_on_every_device(name):
    here, there = (
        getattr(initialize, name)(mlp((6, 4, 2)).to(place), generator=generator()) for place in ("cpu", "cuda")
    )
    assert all(torch.equal(one, other.cpu()) for one, other in zip(here.parameters(), there.parameters(), strict=True))


@pytest.mark.parametrize("name", SCALED)
def test_nothing_is_drawn_from_the_global_seed(name):
    with pytest.raises(RequestError, match="generator: found None, expected one"):
        getattr(initialize, name)(mlp((4, 2)), generator=None)


def test_lightning_needs_a_chain():
    with pytest.raises(RequestError, match="no chain"):
        lightning_(nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)]), 2, 0.5, generator=generator())
