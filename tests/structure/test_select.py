import copy
import inspect
import itertools
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import SCOPES, count_of
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.pattern_names import pattern_of
from sparsewire.structure.patterns import NM, Block, Channels, FixedFanIn, Heads, Neurons, Pattern, Unstructured
from sparsewire.structure.scores import SCORES
from sparsewire.structure.select import prune


def mlp():
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 4))


def conv():
    return nn.Sequential(nn.Conv2d(4, 8, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))


def lstm():
    return nn.LSTM(8, 4)


def gru():
    return nn.GRU(8, 4)


def attention():
    return nn.MultiheadAttention(8, 2, kdim=4, vdim=4)


def tied():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 4))
    model[2].weight = model[0].weight
    return model


MODELS = {"mlp": mlp, "conv": conv, "lstm": lstm, "gru": gru, "attention": attention, "tied": tied}
GATES = {"lstm": 4, "gru": 3}
# a pattern with a density, and one with half of it that nests in it
PATTERNS = {
    "Unstructured": (Unstructured(), 0.5, Unstructured()),
    "Neurons": (Neurons(), 0.5, Neurons()),
    "Block": (Block(2, 2), 0.5, Block(2, 2)),
    "NM": (NM(2, 4), 0.5, NM(1, 4)),
    "FixedFanIn": (FixedFanIn(), 0.5, FixedFanIn()),
}
ALL_SCOPES = {**{name: name for name in SCOPES}, "mapping": {"*": 0.5}}
CASES = [
    pytest.param(
        MODELS[model], score, scope, *PATTERNS[pattern], GATES.get(model, 1), id=f"{model}-{score}-{name}-{pattern}"
    )
    for model, score, (name, scope), pattern in itertools.product(MODELS, SCORES, ALL_SCOPES.items(), PATTERNS)
    if pattern == "Neurons" or not score.startswith("neuron")
]


def seeded(make):
    torch.manual_seed(0)
    return make()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_shaped(pattern, mask, gates):
    """The mask has the pattern, said as plainly as possible."""
    rows = mask.flatten(1)
    if isinstance(pattern, Neurons):
        assert torch.equal(rows.any(1), rows.all(1))
        assert (rows[:, 0].view(gates, -1) == rows[: len(rows) // gates, 0]).all()
    elif isinstance(pattern, Block):
        for i, j in itertools.product(range(0, len(rows), pattern.rows), range(0, rows.shape[1], pattern.columns)):
            block = rows[i : i + pattern.rows, j : j + pattern.columns]
            assert block.all() or not block.any()
    elif isinstance(pattern, NM):
        assert (rows.reshape(-1, pattern.m).sum(1) == pattern.n).all()
    elif isinstance(pattern, FixedFanIn):
        assert len(set(rows.sum(1).tolist())) == 1


def units(pattern, masks, gates):
    """How many units are kept, and how many there are."""
    if isinstance(pattern, Neurons):
        rows = [mask.flatten(1)[: len(mask) // gates, 0] for mask in masks.values()]
        return sum(int(row.sum()) for row in rows), sum(len(row) for row in rows)
    size = pattern.rows * pattern.columns if isinstance(pattern, Block) else 1
    return masks.count // size, masks.total // size


def test_every_pattern_and_scope_is_in_the_table():
    elsewhere = {Channels, Heads}  # not for every weight: tests/structure/test_selection.py
    assert {type(pattern) for pattern, *_ in PATTERNS.values()} | elsewhere == set(Pattern.__subclasses__())
    assert set(ALL_SCOPES) == {*SCOPES, "mapping"}


@pytest.mark.parametrize(("make", "score", "scope", "pattern", "density", "finer", "gates"), CASES)
def test_conformance(make, score, scope, pattern, density, finer, gates):
    model = seeded(make)
    before = copy.deepcopy(model.state_dict())
    asked = {"score": score, "scope": scope, "pattern": pattern, "density": density}
    masks = prune(model, **asked, generator=generator())

    assert list(masks) == list(maskable(model))
    for mask in masks.values():
        assert_shaped(pattern, mask, gates)
    if scope != "mapping":
        kept, total = units(pattern, masks, gates)
        assert kept == count_of(density, total)
    assert prune(model, **asked, generator=generator()) == masks  # the same seed, the same masks
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    half = {"*": density / 2} if isinstance(scope, dict) else scope
    asked |= {"density": density / 2, "pattern": finer, "scope": half}
    fewer = prune(model, **asked, masks=masks, generator=generator(1))
    assert fewer & masks == fewer  # they only shrink
    for mask in fewer.values():
        assert_shaped(finer, mask, gates)
    kept, total = units(finer, fewer, gates)
    assert kept == count_of(density / 2, total)


def weights(**rows):
    return {f"{name}.weight": torch.tensor(row) for name, row in rows.items()}


def kept(masks):
    return {name.removesuffix(".weight"): mask.int().tolist() for name, mask in masks.items()}


def test_a_mapping_may_name_modules_and_junctions():
    model = nn.ModuleDict({"cell": nn.GRU(4, 4), "head": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 10))})
    scope = {"head": 0.5, "h2h": 0.25, "head.1.weight": 0.1}  # an exact name comes before a module's
    assert prune(model, score="magnitude", density=1, scope=scope).densities() == {
        "cell.weight_ih_l0": 1.0,
        "cell.weight_hh_l0": 0.25,
        "head.0.weight": 0.5,
        "head.1.weight": 0.1,
    }


def test_a_score_may_look_at_the_gradient():
    model = nn.Linear(3, 1)
    model.weight.data.copy_(torch.tensor([[5.0, 1.0, 3.0]]))
    model(torch.tensor([[1.0, 9.0, 2.0]])).sum().backward()  # w · g = 5, 9, 6
    asked = {"score": lambda weight: (weight * weight.grad).abs(), "density": 1 / 3}
    assert prune(model, **asked)["weight"].tolist() == [[False, True, False]]
    assert prune(dict(model.named_parameters()), **asked)["weight"].tolist() == [[False, True, False]]


def test_ties_go_to_the_lower_index_over_the_concatenated_layers():
    model = weights(a=[[1.0, 5.0]], b=[[-5.0, 5.0, 2.0]])
    assert kept(prune(model, score="magnitude", density=0.4)) == {"a": [[0, 1]], "b": [[1, 0, 0]]}
    assert kept(prune(model, score="magnitude", density=0.8)) == {"a": [[0, 1]], "b": [[1, 1, 1]]}


@pytest.mark.parametrize(
    ("scope", "expected"),
    # 9 weights at density 0.45: 4.05 → 4 are kept
    [
        ("blind", {"a": [[0, 0, 0]], "b": [[0, 0, 1], [1, 1, 1]]}),
        ("uniform", {"a": [[0, 0, 1]], "b": [[0, 0, 0], [1, 1, 1]]}),
        ("uniform_amount", {"a": [[0, 0, 0]], "b": [[0, 0, 1], [1, 1, 1]]}),
        ({"a.*": 1, "b.weight": 0.5}, {"a": [[1, 1, 1]], "b": [[0, 0, 0], [1, 1, 1]]}),
        ({"a.*": 2 / 3}, {"a": [[0, 1, 1]], "b": [[0, 0, 0], [1, 1, 1]]}),
    ],
)
def test_scopes_by_hand(scope, expected):
    model = weights(a=[[0.1, 0.2, 0.3]], b=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert kept(prune(model, score="magnitude", density=0.45, scope=scope)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (Neurons(), [[0, 0, 0, 0], [1, 1, 1, 1]]),  # sums 10 and 11
        (Block(2, 2), [[0, 0, 1, 1], [0, 0, 1, 1]]),  # sums 3 and 18
        (NM(1, 2), [[0, 1, 0, 1], [1, 0, 1, 0]]),
        (FixedFanIn(), [[0, 0, 1, 1], [0, 0, 1, 1]]),
        (Unstructured(), [[0, 0, 1, 1], [0, 0, 1, 1]]),
    ],
)
def test_patterns_by_hand(pattern, expected):
    model = {"weight": torch.tensor([[0.0, 1.0, 4.0, 5.0], [-1.0, 1.0, -5.0, -4.0]])}
    assert kept(prune(model, score="magnitude", density=0.5, pattern=pattern)) == {"weight": expected}


def test_neurons_of_an_lstm_keep_or_lose_all_their_gates():
    model = seeded(lstm)
    with torch.no_grad():
        model.weight_hh_l0.fill_(1.0)
        model.weight_hh_l0[6] = 9.0  # the second gate of neuron 2
    mask = prune(model, score="neuron_l2", density=0.25, pattern=Neurons(), only="h2h")["weight_hh_l0"]
    assert mask.all(1).nonzero().flatten().tolist() == [2, 6, 10, 14]
    assert int(mask.any(1).sum()) == 4


def test_neurons_of_a_projected_lstm_have_four_gates_too():
    model = nn.LSTM(6, 4, proj_size=2)
    mask = prune(model, score="magnitude", density=0.5, pattern=Neurons(), only="i2h")["weight_ih_l0"]
    assert mask.any(1).view(4, 4).sum(1).tolist() == [2, 2, 2, 2]


@st.composite
def some_weights(draw):
    made, source = {}, generator(draw(st.integers(0, 999)))
    for i in range(draw(st.integers(1, 4))):
        shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 6)))
        made[f"{i}.weight"] = torch.randint(-3, 4, shape, generator=source).float()  # few values: many ties
    return made


@settings(deadline=None, max_examples=60)
@given(some_weights(), st.floats(0, 1))
def test_blind_equals_a_sort_of_everything(model, density):
    order = [(-abs(float(w)), i) for i, w in enumerate(torch.cat([w.flatten() for w in model.values()]))]
    best = {i for _, i in sorted(order)[: math.floor(density * len(order) + 0.5)]}
    found = torch.cat([mask.flatten() for mask in prune(model, score="magnitude", density=density).values()])
    assert set(found.nonzero().flatten().tolist()) == best


@settings(deadline=None, max_examples=80)
@given(some_weights(), st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(SCOPES)))
def test_counts_are_exact_and_masks_nest(model, one, other, scope):
    low, high = sorted([one, other])
    size = sum(weight.numel() for weight in model.values())
    more = prune(model, score="magnitude", density=high, scope=scope)
    fewer = prune(model, score="random", density=low, scope=scope, masks=more, generator=generator())
    assert (more.count, fewer.count) == (count_of(high, size), count_of(low, size))
    assert fewer & more == fewer


@settings(deadline=None, max_examples=40)
@given(some_weights(), st.floats(0, 1))
def test_neurons_and_fan_ins_of_any_weights(model, density):
    neurons = prune(model, score="magnitude", density=density, pattern=Neurons())
    rows = torch.cat([mask.any(1) for mask in neurons.values()])
    assert int(rows.sum()) == count_of(density, len(rows))
    fan_ins = prune(model, score="magnitude", density=density, pattern=FixedFanIn(nearest=True))
    for mask in fan_ins.values():
        assert_shaped(FixedFanIn(), mask, 1)
    size = sum(weight.numel() for weight in model.values())
    assert abs(fan_ins.count - density * size) <= max(len(weight) for weight in model.values())


@pytest.mark.parametrize(
    ("only", "selected"),
    [
        ("0.*", ["0.weight"]),
        ("*.weight", ["0.weight", "2.weight"]),
        ("i2h", ["1.weight_ih_l0"]),
        ("h2h", ["1.weight_hh_l0"]),
        (["i2h", "2.weight"], ["1.weight_ih_l0", "2.weight"]),
        (("*l0",), ["1.weight_ih_l0", "1.weight_hh_l0"]),
        (lambda name, weight: weight.shape[0] == 3, ["2.weight"]),
        (lambda name: name.startswith("2"), ["2.weight"]),
        (re.compile("_hh").search, ["1.weight_hh_l0"]),
        ({"1.weight_hh_l0"}.__contains__, ["1.weight_hh_l0"]),
        ("1", ["1.weight_ih_l0", "1.weight_hh_l0"]),  # a module
        ({"0", "2.weight"}, ["0.weight", "2.weight"]),
    ],
)
def test_only_what_is_selected_is_pruned_and_counted(only, selected):
    model = nn.Sequential(nn.Linear(5, 4), nn.GRU(4, 4), nn.Linear(4, 3))
    masks = prune(model, score="magnitude", density=0.5, only=only)
    size = sum(masks[name].numel() for name in selected)
    assert sum(int(masks[name].sum()) for name in selected) == count_of(0.5, size)
    assert all(mask.all() for name, mask in masks.items() if name not in selected)
    # what is not selected stays as it was in masks
    fewer = prune(model, score="random", density=0.2, masks=masks, only="2.*", generator=generator())
    assert all(torch.equal(fewer[name], masks[name]) for name in masks if name != "2.weight")


@pytest.mark.parametrize(
    ("only", "error", "message"),
    [
        ("0.wieght", UnknownNameError, "no weight to prune is named '0.wieght'; did you mean '0.weight'"),
        (["0.*", "9.*"], UnknownNameError, r"no weight to prune is named '9\.\*'"),
        ("h2h", UnknownNameError, "no weight to prune is named 'h2h'"),
        ("0.bias", UnknownNameError, "no weight to prune is named '0.bias'"),
        (lambda name, weight: False, RequestError, "only: the function selects none of 0.weight, 2.weight"),
        ([], RequestError, "only: found no patterns"),
        (3, RequestError, "only: found 3, expected a pattern of names"),
        ([3], RequestError, r"only: found \[3\], expected a pattern of names"),
    ],
)
def test_only_what_exists_can_be_selected(only, error, message):
    with pytest.raises(error, match=message):
        prune(mlp(), score="magnitude", density=0.5, only=only)


@pytest.mark.parametrize("density", [-0.1, 1.1, math.nan, math.inf, True, None, "half"])
def test_impossible_densities(density):
    with pytest.raises(RequestError, match=r"density: found .*, expected a number from 0 to 1"):
        prune(mlp(), score="magnitude", density=density)


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_and_everything(scope):
    model = mlp()
    assert prune(model, score="magnitude", density=0, scope=scope).count == 0
    assert prune(model, score="magnitude", density=1, scope=scope) == Masks.from_model(model)
    empty = prune(model, score="magnitude", density=0)
    assert prune(model, score="magnitude", density=0, scope=scope, masks=empty) == empty


def test_more_than_the_masks_hold_is_refused():
    model = mlp()  # 96 + 48 weights
    masks = prune(model, score="magnitude", density=0.25)
    with pytest.raises(
        RequestError, match=r"density: found 0.5, which is 72 of 144, but the masks hold only 36 .*shrink"
    ):
        prune(model, score="magnitude", density=0.5, masks=masks)
    # of the selected weights there are fewer left than asked for, though of all there are enough
    masks = Masks({"0.weight": torch.zeros(12, 8, dtype=torch.bool), "2.weight": torch.ones(4, 12, dtype=torch.bool)})
    with pytest.raises(RequestError, match=r"24 of 96, but the masks hold only 0"):
        prune(model, score="magnitude", density=0.25, masks=masks, only="0.*")


def test_a_uniform_request_takes_from_others_what_a_layer_has_lost():
    model = mlp()
    masks = Masks({"0.weight": torch.zeros(12, 8, dtype=torch.bool), "2.weight": torch.ones(4, 12, dtype=torch.bool)})
    assert prune(model, score="magnitude", density=0.25, scope="uniform", masks=masks).densities() == {
        "0.weight": 0.0,
        "2.weight": 0.75,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("pattern", [None, Neurons(), Block(2, 2)])
def test_scores_that_are_not_finite_name_their_parameter(value, pattern):
    model = seeded(mlp)
    model[2].weight.data[1, 1] = value
    with pytest.raises(RequestError, match=r"score: found NaN or infinity for '2.weight'"):
        prune(model, score=lambda weight: weight, density=0.5, pattern=pattern)
    # where the weight does not exist its score is of no account
    masks = Masks({name: weight.isfinite() for name, weight in maskable(model).items()})
    found = prune(model, score=lambda weight: weight, density=0.5, pattern=pattern, masks=masks)
    assert found & masks == found


def test_scores_of_another_shape_are_refused():
    with pytest.raises(RequestError, match=r"score: found shape \(12,\) for '0.weight', expected \(12, 8\)$"):
        prune(mlp(), score=lambda weight: weight.sum(1), density=0.5)
    with pytest.raises(RequestError, match=r"score: found shape \(8,\) for '0.weight', expected \(12, 8\) or \(12,\)"):
        prune(mlp(), score=lambda weight: weight.sum(0), density=0.5, pattern=Neurons())
    with pytest.raises(RequestError, match="score: norms of neurons need the pattern Neurons"):
        prune(mlp(), score="neuron_l1", density=0.5)


def test_scores_may_be_arrays():
    expected = prune(seeded(mlp), score="magnitude", density=0.5)
    assert prune(seeded(mlp), score=lambda weight: weight.abs().numpy(), density=0.5) == expected
    arrays = {name: weight.detach().abs().numpy() for name, weight in maskable(seeded(mlp)).items()}
    assert prune(seeded(mlp), score=arrays, density=0.5) == expected


def test_scores_may_be_one_number_per_neuron():
    model = mlp()
    scores = {"0.weight": torch.arange(12), "2.weight": torch.tensor([0.5, 99.0, 0.1, 0.2])}
    masks = prune(model, score=scores, density=3 / 16, pattern=Neurons())
    assert masks["0.weight"].any(1).nonzero().flatten().tolist() == [10, 11]
    assert masks["2.weight"].any(1).tolist() == [False, True, False, False]


def test_whole_numbers_and_half_precision_are_scores():
    model = {"weight": torch.tensor([[1.0, 3.0, 2.0, 0.0]])}
    for dtype in (torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.float64):
        masks = prune(model, score=lambda weight, dtype=dtype: weight.to(dtype), density=0.5)
        assert kept(masks) == {"weight": [[0, 1, 1, 0]]}


def test_several_dtypes_are_compared_by_value():
    model = nn.Sequential(nn.Linear(2, 2).double(), nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2).half())
    for i, layer in enumerate(model):
        layer.weight.data.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]) + i / 4)
    masks = prune(model, score="magnitude", density=0.5)
    assert [mask.int().tolist() for mask in masks.values()] == [[[0, 0], [1, 1]]] * 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("score", ["magnitude", "random"])
@pytest.mark.parametrize("scope", SCOPES)
def test_several_devices(score, scope):
    model = seeded(mlp)
    expected = prune(model, score=score, density=0.5, scope=scope, generator=generator())
    model[2].cuda()
    masks = prune(model, score=score, density=0.5, scope=scope, generator=generator())
    assert {name: mask.device.type for name, mask in masks.items()} == {"0.weight": "cpu", "2.weight": "cuda"}
    assert masks.to("cpu") == expected


def test_a_state_dict_gives_what_its_model_gives():
    model = nn.ModuleDict({name: seeded(make) for name, make in MODELS.items()})
    masks = prune(model, score="magnitude", density=0.3)
    from_weights = prune(model.state_dict(), score="magnitude", density=0.3)
    assert from_weights == masks


def test_packed_attention_is_pruned_too():
    masks = prune(nn.MultiheadAttention(8, 2), score="magnitude", density=0.5, pattern=FixedFanIn())
    assert list(masks) == ["in_proj_weight", "out_proj.weight"]
    assert masks.count == 128


def test_of_plain_weights_only_matrices_that_are_called_weight_are_pruned():
    tensors = {
        "a.weight": torch.ones(2, 2),
        "a.bias": torch.ones(2, 2),
        "norm.weight": torch.ones(2),
        "cell.weight_ih_l0": torch.ones(2, 2),
        "count.weight": torch.ones(2, 2, dtype=torch.int64),
        "a.weight.alias": torch.ones(2, 2),
    }
    tensors["tied.weight"] = tensors["a.weight"]
    assert list(prune(tensors, score="magnitude", density=0.5)) == ["a.weight", "cell.weight_ih_l0"]


def test_masks_of_other_parameters_are_handed_through():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    other = torch.tensor([[True, False]] * 3)
    masks = prune(model, score="magnitude", density=0.5, masks=Masks({"0.weight": other}))
    assert torch.equal(masks["0.weight"], other)
    assert int(masks["1.weight"].sum()) == 2


def test_masks_of_another_model_are_refused():
    with pytest.raises(UnknownNameError, match=r"no parameter of the model is named '1.weight'"):
        prune(mlp(), score="magnitude", density=0.5, masks=Masks({"1.weight": torch.ones(2, 2).bool()}))
    with pytest.raises(RequestError, match=r"masks: '0.weight' has shape \(2, 2\), expected \(12, 8\)"):
        prune(mlp(), score="magnitude", density=0.5, masks=Masks({"0.weight": torch.ones(2, 2).bool()}))


def test_masks_given_are_left_alone():
    model = mlp()
    masks = Masks.from_model(model)
    prune(model, score="magnitude", density=0.1, masks=masks)
    assert masks == Masks.from_model(model)


def test_data_and_loss_are_handed_to_whoever_needs_them():
    masks = prune(mlp(), score="magnitude", density=0.5, data=object(), loss=object())
    assert masks.count == 72


@pytest.mark.parametrize("model", [nn.ReLU(), {}, {"bias": torch.ones(3)}])
def test_a_model_without_weights_is_refused(model):
    with pytest.raises(RequestError, match="model: found no weights that can be pruned"):
        prune(model, score="magnitude", density=0.5)


def test_what_is_no_model_is_refused():
    with pytest.raises(RequestError, match="model: found list, expected a torch module or a mapping"):
        prune([torch.ones(2, 2)], score="magnitude", density=0.5)


def test_transposed_convolutions_are_pruned_weight_by_weight_only():
    model = nn.Sequential(nn.ConvTranspose2d(4, 2, 2), nn.Conv2d(2, 4, 2))
    assert prune(model, score="magnitude", density=0.5).count == 32
    assert prune(model, score="magnitude", density=0.5, pattern=Neurons(), only="1.*").count == 32 + 16
    with pytest.raises(RequestError, match=r"cannot shape the transposed convolution '0.weight'"):
        prune(model, score="magnitude", density=0.5, pattern=Neurons())


def test_what_a_pattern_cannot_meet_names_what_it_can():
    with pytest.raises(RequestError, match=r"density: found 12 of 40 weights \(0.3\), .*nearest possible: 0.5$"):
        prune(nn.Linear(8, 5), score="magnitude", density=0.3, pattern=NM(2, 4))
    with pytest.raises(RequestError, match=r"density: found 32 of 40 .*nearest possible: 0.5$"):
        prune(nn.Linear(8, 5), score="magnitude", density=0.8, pattern=NM(2, 4))
    with pytest.raises(RequestError, match=r"nearest possible: 0.25 and 0.375$"):
        prune(nn.Linear(8, 5), score="magnitude", density=0.3, pattern=FixedFanIn())
    with pytest.raises(
        RequestError, match=r"density: found 29 of 96 .*nearest possible: 0.5$"
    ):  # each layer for itself
        prune(mlp(), score="magnitude", density=0.5, pattern=NM(2, 4), scope={"0.*": 0.3})


@pytest.mark.parametrize("name", ["neurons", "2:4", "block:2x2", "fan-in", "weights"])
def test_patterns_have_names(name):
    asked = {"score": "magnitude", "density": 0.5}
    assert prune(seeded(mlp), **asked, pattern=name) == prune(seeded(mlp), **asked, pattern=pattern_of(name))


@pytest.mark.parametrize("pattern", [Neurons, "neuron", (2, 4)])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(RequestError, match=r"pattern: found .*, expected a pattern such as Neurons"):
        prune(mlp(), score="magnitude", density=0.5, pattern=pattern)


def test_the_signature_is_the_one_that_others_call():
    parameters = inspect.signature(prune).parameters
    names = ["model", "score", "density", "scope", "pattern", "only", "data", "loss", "masks", "generator"]
    assert list(parameters) == names
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in names[1:])
    assert parameters["scope"].default == "blind"
