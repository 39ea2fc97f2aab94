import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks
from sparsewire.structure.predefined_masks import predefined


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(*sizes):
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):  # noqa: RUF007
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv():
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
        nn.Flatten(),
        nn.Sequential(nn.Linear(16, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 4))),
    )


@pytest.mark.parametrize(("fan_outs", "densities"), [((2, 2), (0.25, 0.5)), ((8, 1), (1, 0.25)), ((1, 4), (0.125, 1))])
def test_fan_outs_are_exact_and_convolutions_are_left_alone(fan_outs, densities):
    masks = predefined(conv(), fan_outs=fan_outs, generator=seeded())
    assert masks.densities() == dict(zip(("2.0.weight", "2.1.1.weight"), densities, strict=True))
    for mask, fan_out in zip(masks.values(), fan_outs, strict=True):
        assert set(mask.sum(0).tolist()) == {fan_out}
        assert len(set(mask.sum(1).tolist())) == 1
    masks.apply_(conv())


def test_the_three_ways_to_ask_are_one():
    model = mlp(64, 1024, 64)
    by_fan_outs = predefined(model, fan_outs=(256, 48), generator=seeded())
    assert by_fan_outs == predefined(model, densities=(0.25, 0.75), generator=seeded())
    assert by_fan_outs == predefined(model, density=0.5, later_denser=True, generator=seeded())
    assert by_fan_outs != predefined(model, density=0.5, generator=seeded())
    assert predefined(model, density=0.5, generator=seeded()).density == 0.5


def test_fan_outs_by_name():
    model, expected = conv(), predefined(conv(), fan_outs=(2, 4), generator=seeded())
    for names in ({"2.1.1.weight": 4, "2.0.weight": 2}, {"2.1": 4, "2.0": 2}, {"2.*": 2, "2.1.1.weight": 4}):
        assert predefined(model, fan_outs=names, generator=seeded()) == expected
    assert predefined(model, densities={"2.0": 0.25, "2.1": 1.0}, generator=seeded()) == expected


def test_only_chooses_the_layers():
    model = nn.ModuleDict({"left": mlp(8, 4, 2), "right": mlp(6, 3)})
    assert list(predefined(model, fan_outs=(2, 1), only="left", generator=seeded())) == [
        "left.0.weight",
        "left.2.weight",
    ]
    masks = predefined(model, fan_outs=(1,), only=["right.*"], generator=seeded())
    assert masks.densities() == {"right.0.weight": 1 / 3}


def test_uneven_requests_are_met_as_evenly_as_possible():
    masks = predefined(mlp(784, 100, 10), density=0.1, uneven=True, generator=seeded())
    first, second = masks.values()
    assert set(first.sum(0).tolist()) == {10}
    assert set(first.sum(1).tolist()) == {78, 79}
    assert set(second.sum(0).tolist()) == {1}
    masks = predefined(mlp(8, 3), fan_outs=[2], uneven=True, generator=seeded())
    assert sorted(masks["0.weight"].sum(1).tolist()) == [5, 5, 6]


def test_random_patterns_have_any_density():
    masks = predefined(mlp(784, 100, 10), density=0.1, pattern="random", generator=seeded())
    assert [int(mask.sum()) for mask in masks.values()] == [7840, 100]
    masks = predefined(mlp(10, 10, 10), densities=(0.07, 0.5), pattern="random", generator=seeded())
    assert [int(mask.sum()) for mask in masks.values()] == [7, 50]


def test_the_nearest_on_request():
    masks = predefined(mlp(784, 100, 10), density=0.1, nearest=True, generator=seeded())
    assert list(masks.densities().values()) == [0.25, 0.1]


def test_neither_the_model_nor_the_global_seed_is_touched():
    model = mlp(8, 4, 2)
    before, state = [weight.clone() for weight in model.parameters()], torch.get_rng_state()
    predefined(model, fan_outs=(2, 1), generator=seeded())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_part_of_the_layers_may_be_masked_further_on():
    model = conv()
    masks = predefined(model, density=0.5, generator=seeded())
    everything = Masks({**Masks.from_model(model), **masks})
    assert "0.0.weight" in everything
    everything.apply_(model)


def tied():
    one = nn.Linear(4, 4)
    two = nn.Linear(4, 4)
    two.weight = one.weight
    return nn.Sequential(one, two)


def broken():
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(5, 2))


def attention():
    return nn.Sequential(nn.Linear(4, 4), nn.MultiheadAttention(4, 2), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("make", "asked", "told"),
    [
        (
            broken,
            {"density": 0.5},
            "no chain: '0.weight' has 8 outputs, but the next one, '1.weight', has 5 inputs; .*only=",
        ),
        (tied, {"density": 0.5}, "'0.weight' is tied, '1' has it too"),
        (attention, {"density": 0.5}, "'1' is an attention, .* only="),
        (lambda: nn.Conv2d(1, 1, 1), {"density": 0.5}, "found no dense layer, expected nn.Linear"),
        (conv, {"density": 0.5, "only": "0"}, "found no dense layer that only= selects"),
        (conv, {"density": 0.5, "only": "3"}, "no weight of the model is named '3'"),
        (conv, {"density": 0.5, "only": []}, r"only: found \[\], expected a name"),
        (conv, {"density": 0.5, "only": 3}, "only: found 3, expected a name"),
        (conv, {}, "found none of them, expected exactly one of fan_outs, densities, density"),
        (conv, {"density": 0.5, "fan_outs": (2, 2)}, "found fan_outs and density, expected exactly one"),
        (conv, {"fan_outs": (2,)}, r"fan_outs: found \(2,\), expected 2, one for each junction of 16-8-4"),
        (conv, {"fan_outs": {"2.0": 2}}, "fan_outs: found none for 2.1.1.weight, expected one for each layer"),
        (conv, {"fan_outs": {"2.0": 2, "2.1": 2, "0": 1}}, "no layer of the chain is named '0'"),
        (conv, {"fan_outs": (2, 5)}, r"fan_outs\[1\]: found 5, expected a whole number up to 4"),
        (conv, {"fan_outs": (2, 0)}, r"fan_outs\[1\]: found 0"),
        (conv, {"fan_outs": (2, 1.5)}, r"fan_outs\[1\]: found 1.5"),
        (conv, {"densities": (0.3, 0.5)}, r"densities\[0\]: found 0.3, .* nearest: 0.25 and 0.375"),
        (conv, {"densities": (0.3,), "uneven": True}, r"densities: found \(0.3,\), expected 2"),
        (conv, {"density": float("nan")}, "density: found nan"),
        (conv, {"density": 0.0, "pattern": "random"}, "density: found 0"),
        (conv, {"density": 0.5, "pattern": "planed"}, "did you mean 'planned'"),
        (conv, {"density": 0.5, "generator": None}, "generator: found None"),
        (lambda: None, {"density": 0.5}, "model: found NoneType"),
        (lambda: nn.Sequential(nn.LazyLinear(4)), {"density": 0.5}, "found a lazy one without shape"),
    ],
)
def test_impossible_requests_are_refused(make, asked, told):
    with pytest.raises(RequestError, match=told):
        predefined(make(), **({"generator": seeded()} | asked))


def test_sparse_layers_are_refused():
    from sparsewire.execution.linear import SparseLinear

    dense = mlp(4, 4, 2)
    dense[0] = SparseLinear.from_dense(dense[0], torch.eye(4).bool())
    with pytest.raises(RequestError, match=r"'0\.weight' is a sparse layer's, expected dense ones; take densify"):
        predefined(dense, density=0.5, generator=seeded())
    assert list(predefined(dense, density=0.5, only="2", generator=seeded())) == ["2.weight"]


def test_an_unknown_layer_is_an_unknown_name():
    with pytest.raises(UnknownNameError, match="no weight of the model is named 'taill'"):
        predefined(conv(), density=0.5, only="taill", generator=seeded())


def test_a_model_without_values_gets_masks_that_have_them():
    masks = predefined(nn.Linear(8, 4, device="meta"), fan_outs=(2,), generator=seeded())
    assert masks["weight"].device.type == "cpu"
    assert masks["weight"].sum(0).tolist() == [2] * 8


@pytest.mark.parametrize(("density", "fan_out"), [(0.4, 2), (0.35, 1), (0.05, 1)])
def test_an_uneven_density_becomes_the_nearest_whole_fan_out(density, fan_out):
    masks = predefined(nn.Linear(7, 4), density=density, uneven=True, generator=seeded())
    assert masks["weight"].sum(0).tolist() == [fan_out] * 7
