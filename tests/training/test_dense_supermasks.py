"""Networks that shrink: the same numbers, smaller layers; which units go, and in which order."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.shrinking import shrink
from sparsewire.models.zoo import lenet_5, mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.dense_supermasks import dense_supermask, lfe


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def setting():
    model = mlp((6, 12, 8, 3), generator=seeded())
    return model, (torch.randn(30, 6, generator=seeded(1)), torch.randint(3, (30,), generator=seeded(2)))


def by_number(model, layer, data, generator):
    """Scores that name the units: the last one goes first."""
    del data, generator
    return -torch.arange(dict(model.named_modules())[layer].weight.shape[0]).double()


SMALL = lfe(ensembles=60)


@pytest.mark.parametrize("score", [SMALL, "l2", "random"])
@pytest.mark.parametrize("one_shot", [False, True])
def test_the_network_really_shrinks(score, one_shot) -> None:
    model, data = setting()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = list(
        dense_supermask(model, data, removed={"0": 3, "2": 2}, score=score, one_shot=one_shot, generator=seeded())
    )
    assert [one.iteration for one in found] == [0, 1, 2, 3]
    assert [(one.model[0].out_features, one.model[2].out_features) for one in found] == [
        (12, 8),
        (9, 6),
        (6, 4),
        (3, 2),
    ]
    assert [one.weights for one in found] == [6 * a + a * b + 3 * b for a, b in ((12, 8), (9, 6), (6, 4), (3, 2))]
    assert [one.size for one in found] == [one.weights / found[0].weights for one in found]
    for one in found:
        first, second = one.kept["0"], one.kept["2"]
        assert torch.equal(one.model[0].weight, model[0].weight[first])
        assert torch.equal(one.model[0].bias, model[0].bias[first])
        assert torch.equal(one.model[2].weight, model[2].weight[second][:, first])
        assert torch.equal(one.model[4].weight, model[4].weight[:, second])
    for one, after in pairwise(found):
        assert set(after.kept["0"].tolist()) < set(one.kept["0"].tolist())
    for kept, parameter in zip(before, model.parameters(), strict=True):
        assert torch.equal(kept, parameter)


def test_it_is_what_shrink_makes_of_the_masks() -> None:
    model, _ = setting()
    *_, found = dense_supermask(model, removed={"0": 5}, score="random", generator=seeded())
    weight = torch.zeros(8, 12, dtype=torch.bool)
    weight[:, found.kept["0"]] = True
    smaller = shrink(model, Masks({"2.weight": weight}))
    assert all(torch.equal(a, b) for a, b in zip(smaller.parameters(), found.model.parameters(), strict=True))


def test_the_lowest_scores_go_and_of_equal_ones_the_last() -> None:
    model, _ = setting()
    model[0].weight.data[:] = 1.0
    model[0].weight.data[4] = 0.5
    found = list(dense_supermask(model, removed={"0": 2}, iterations=2, score="l2", generator=seeded()))
    assert found[1].kept["0"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert found[2].kept["0"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert list(found[0].scores) == []
    assert found[1].scores["0"].shape == (12,)


def test_one_shot_scores_once_and_iterations_score_what_is_left() -> None:
    model, _ = setting()
    asked = []

    def watched(model, layer, data, generator):
        asked.append((layer, len(dict(model.named_modules())[layer].weight)))
        return by_number(model, layer, data, generator)

    options = {"removed": {"2": 2, "0": 3}, "iterations": 2, "score": watched, "generator": seeded()}
    list(dense_supermask(model, one_shot=True, **options))
    assert asked == [("0", 12), ("2", 8)]
    asked.clear()
    list(dense_supermask(model, **options))
    assert asked == [("0", 12), ("2", 8), ("0", 9), ("2", 6)]


def test_in_turn_the_second_layer_sees_the_smaller_first_one() -> None:
    model, _ = setting()
    seen = []

    def watched(model, layer, data, generator):
        seen.append(model[0].out_features)
        return by_number(model, layer, data, generator)

    options = {"removed": {"0": 3, "2": 2}, "iterations": 1, "score": watched, "generator": seeded()}
    *_, together = dense_supermask(model, **options)
    *_, in_turn = dense_supermask(model, order="in_turn", **options)
    assert seen == [12, 12, 12, 9]
    assert torch.equal(together.model[2].weight, in_turn.model[2].weight)


def test_the_same_generator_finds_the_same_networks() -> None:
    model, data = setting()
    runs = [
        [one.kept["0"].tolist() for one in dense_supermask(model, data, removed={"0": 4}, score=s, generator=seeded(g))]
        for s in (SMALL, "random")
        for g in (0, 0, 1)
    ]
    assert runs[0] == runs[1]
    assert runs[3] == runs[4] != runs[5]


def test_channels_go_with_what_normalises_them_and_with_their_part_of_the_dense_layer() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.PReLU(5), nn.Conv2d(5, 4, 3), nn.Tanh(), nn.MaxPool2d(2),
        nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    generator = seeded()
    for tensor in [*model.parameters(), model[1].running_mean, model[7].running_mean]:
        tensor.data.normal_(generator=generator)
    *_, found = dense_supermask(
        model.eval(), removed={"0": 2, "3": 1, "8": 2}, iterations=1, score=by_number, generator=seeded()
    )
    inputs = torch.randn(7, 1, 8, 8, generator=generator)
    with torch.no_grad():
        values = model[2](model[1](model[0](inputs)))
        values[:, 3:] = 0
        values = model[5](model[4](model[3](values)))
        values = model[7](values.flatten(1))
        values[:, 12:] = 0
        values = model[9](model[8](values))
        values[:, 4:] = 0
        torch.testing.assert_close(found.model(inputs), model[10](values))
    assert found.model[1].num_features == 3
    assert found.model[7].num_features == 12


def test_lenet_5_loses_channels_by_ensembles() -> None:
    model = lenet_5(1, 3, side=16, generator=seeded())
    data = torch.rand(20, 1, 16, 16, generator=seeded()), torch.randint(3, (20,), generator=seeded())
    removed = {"features.0": 1, "features.3": 3, "head.0": 20, "head.2": 14}
    for found in dense_supermask(
        model, data, removed=removed, iterations=2, score=lfe(ensembles=30), generator=seeded()
    ):
        assert found.model(data[0]).shape == (20, 3)
    assert [found.model.features[0].out_channels, found.model.features[3].out_channels] == [4, 10]
    assert [layer.out_features for layer in found.model.head if isinstance(layer, nn.Linear)] == [80, 56, 3]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"removed": {}}, "removed: found {}"),
        ({"removed": 3}, "removed: found 3"),
        ({"removed": {"0": 0}}, "removed.'0'.: found 0"),
        ({"removed": {"0": 1.5}}, "removed.'0'.: found 1.5"),
        ({"removed": {"0": True}}, "removed.'0'.: found True"),
        ({"removed": {"4": 1}}, "no layer with units that feed another one is named '4'"),
        ({"iterations": -1}, "iterations: found -1"),
        ({"iterations": 4}, "iterations: found 4, expected at most 3"),
        ({"score": "L2"}, "did you mean 'l2'"),
        ({"score": 3}, "no score of units is named '3'"),
        ({"order": "inturn"}, "did you mean 'in_turn'"),
        ({"order": "in_turn", "one_shot": True}, "order: found 'in_turn' with one_shot"),
        ({"generator": None}, "generator: found None"),
        ({"model": nn.Linear(2, 2)}, "found 1 layers"),
        ({"model": "net"}, "model: found str"),
    ],
)
def test_refusals_come_at_once(change, match) -> None:
    model, data = setting()
    arguments = {"model": model, "data": data, "removed": {"0": 3}, "score": "l2", "generator": seeded()} | change
    with pytest.raises(RequestError, match=match):
        dense_supermask(**arguments)


def test_what_a_score_gives_is_checked() -> None:
    model, data = setting()
    for score, match in (
        (lambda *_: torch.ones(3), "expected a finite score for each of its 12 units"),
        (lambda *_: torch.full((12,), float("nan")), "expected a finite score"),
        (lambda *_: None, "expected a finite score"),
    ):
        with pytest.raises(RequestError, match=match):
            list(dense_supermask(model, data, removed={"0": 3}, score=score, generator=seeded()))
    with pytest.raises(RequestError, match="data: found none"):
        list(dense_supermask(model, removed={"0": 3}, generator=seeded()))


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(UnknownNameError, match="There are: 0, 2"):
        dense_supermask(setting()[0], removed={"1": 3}, generator=seeded())


def test_an_iterator_of_batches_lasts_for_all_iterations() -> None:
    model, data = setting()
    removed = {"0": 4, "2": 3}
    some = dense_supermask(model, iter([data]), removed=removed, generator=seeded(), score=lfe(ensembles=20))
    expected = dense_supermask(model, [data], removed=removed, generator=seeded(), score=lfe(ensembles=20))
    for one, other in zip(some, expected, strict=True):
        assert all(torch.equal(one.kept[name], other.kept[name]) for name in removed)
