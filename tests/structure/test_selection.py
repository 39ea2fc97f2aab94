import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import SCOPES, count_of
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Block, Heads, Neurons
from sparsewire.structure.select import prune
from sparsewire.structure.selection import rows_of, selected


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "gru": nn.GRU(6, 4),
            "lstm": nn.LSTM(6, 4),
            "output": nn.Linear(6, 4),
            "packed": nn.MultiheadAttention(8, 2),
            "apart": nn.MultiheadAttention(8, 2, kdim=4, vdim=4),
        }
    )


GRU, LSTM = ("reset", "update", "new"), ("input", "forget", "cell", "output")
WISHES = {
    **{
        f"gate:{word}": {f"{kind}.weight_{junction}_l0": (place,) for junction in ("ih", "hh")}
        for kind, words in (("gru", GRU), ("lstm", LSTM))
        for place, word in enumerate(words)
    },
    "h2h:reset": {"gru.weight_hh_l0": (0,)},
    "lstm:i2h:forget": {"lstm.weight_ih_l0": (1,)},
    "*_hh_*:cell": {"lstm.weight_hh_l0": (2,)},
    "gate:h2h": {"gru.weight_hh_l0": None, "lstm.weight_hh_l0": None},
    "output": {"output.weight": None},  # a gate's word by itself is a module's name
    "q_proj": {"packed.in_proj_weight": (0,), "apart.q_proj_weight": None},
    "v_proj": {"packed.in_proj_weight": (2,), "apart.v_proj_weight": None},
    "packed:k_proj": {"packed.in_proj_weight": (1,)},
    "apart:k_proj": {"apart.k_proj_weight": None},
    "out_proj": {"packed.out_proj.weight": None, "apart.out_proj.weight": None},
    "packed:attention": {"packed.in_proj_weight": None, "packed.out_proj.weight": None},
}


@pytest.mark.parametrize(("wish", "expected"), WISHES.items(), ids=WISHES)
def test_what_words_mean(wish, expected):
    weights = {name: weight for name, weight in model().named_parameters() if weight.dim() == 2}
    assert selected(weights, wish) == expected


def test_several_wishes_add_up():
    weights = dict(nn.GRU(6, 4).named_parameters())
    assert selected(weights, ["gate:new", "h2h:reset"]) == {"weight_ih_l0": (2,), "weight_hh_l0": (0, 2)}
    assert selected(weights, ["h2h:reset", "h2h:update", "h2h:new"]) == {"weight_hh_l0": None}
    assert selected(weights, ["gate:new", "i2h"]) == {"weight_ih_l0": None, "weight_hh_l0": (2,)}


def test_rows_by_hand():
    assert rows_of(torch.zeros(6, 1), (1,), stacked=3).tolist() == [2, 3]
    assert rows_of(torch.zeros(6, 1), None, stacked=3) is None


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", ["magnitude", "random"])
@pytest.mark.parametrize("wish", [wish for wish, expected in WISHES.items() if any(expected.values())])
def test_only_the_rows_that_are_meant_are_counted_and_pruned(wish, score, scope):
    whole = model()
    start = prune(whole, score="random", density=0.7, generator=generator(5))
    masks = prune(whole, score=score, density=0.3, scope=scope, only=wish, masks=start, generator=generator())
    assert masks & start == masks
    kept = total = 0
    for name, mask in masks.items():
        parts = WISHES[wish].get(name, ())
        stacked = 4 if "lstm" in name else 3
        every = mask.chunk(stacked) if parts else (mask,)
        theirs = start[name].chunk(stacked) if parts else (start[name],)
        for place, (one, was) in enumerate(zip(every, theirs, strict=True)):
            if parts is None or place in parts:
                kept, total = kept + int(one.sum()), total + one.numel()
            else:
                assert torch.equal(one, was)  # other gates keep what they have
    assert kept == count_of(0.3, total)


@pytest.mark.parametrize("word", GRU)
def test_a_gate_is_pruned_as_a_matrix_of_its_own(word):
    layer, place = model()["gru"], GRU.index(word)
    rows = slice(4 * place, 4 * place + 4)
    for asked in ({"pattern": None}, {"pattern": Neurons()}, {"pattern": Block(2, 2)}, {"scope": "distributed"}):
        mask = prune(layer, score="magnitude", density=0.5, only=f"i2h:{word}", **asked)["weight_ih_l0"]
        alone = prune({"weight": layer.weight_ih_l0[rows]}, score="magnitude", density=0.5, **asked)["weight"]
        assert torch.equal(mask[rows], alone)


@pytest.mark.parametrize("score", ["neuron_l1", "neuron_l2"])
def test_norms_of_neurons_are_those_of_the_gates_that_are_meant(score):
    layer = nn.GRU(1, 4)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor([9.0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 9])[:, None])
    mask = prune(layer, score=score, density=0.5, pattern="neurons", only="i2h:update")["weight_ih_l0"]
    assert mask.flatten().int().tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]
    mask = prune(layer, score=score, density=0.25, pattern="neurons", only=["i2h:reset", "i2h:new"])["weight_ih_l0"]
    assert mask.flatten().int().tolist() == [1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]


def test_a_score_sees_whole_weights_and_only_live_what_is_meant():
    seen = {}

    def score(weight):
        seen[tuple(weight.shape)] = weight
        return weight.abs()

    layer = model()["gru"]
    prune(layer, score=score, density=0.5, only="h2h:new")
    assert seen[12, 4] is layer.weight_hh_l0


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("gate:rest", "no weight to prune is named 'gate:rest'; did you mean 'gate:reset'"),
        ("lstm:reset", "no weight to prune is named 'lstm:reset'"),
        ("reset", "no weight to prune is named 'reset'"),
        ("gate:q_proj", "no weight to prune is named 'gate:q_proj'"),
        ("gru:", "no weight to prune is named 'gru:'"),
        ("", "no weight to prune is named ''"),
    ],
)
def test_words_that_mean_nothing(only, message):
    with pytest.raises(UnknownNameError, match=message):
        prune(model(), score="magnitude", density=0.5, only=only)


def attention(**own):
    torch.manual_seed(0)
    return nn.MultiheadAttention(8, 4, **own)


def heads_alive(name, mask):
    """Which of four heads of a weight are there, all of each or nothing."""
    each = mask.view(-1, 4, mask.shape[1] // 4) if name == "out_proj.weight" else mask.view(-1, 4, 2 * mask.shape[1])
    assert torch.equal(each.any(2).any(0), each.all(2).all(0))
    return each.any(2).any(0).tolist()


@pytest.mark.parametrize("score", ["magnitude", "random", "neuron_l1", "neuron_l2"])
@pytest.mark.parametrize("own", [{}, {"kdim": 8, "vdim": 8}, {"kdim": 6, "vdim": 2}])
def test_heads_live_and_die_whole(own, score):
    layer = attention(**own)
    masks = prune(layer, score=score, density=0.5, pattern="heads:4", generator=generator())
    alive = {tuple(heads_alive(name, mask)) for name, mask in masks.items()}
    assert len(alive) == 1  # the same in all projections
    assert sum(*alive) == 2
    fewer = prune(layer, score=score, density=0.25, pattern=Heads(4), masks=masks, generator=generator(1))
    assert fewer & masks == fewer
    assert {sum(heads_alive(name, mask)) for name, mask in fewer.items()} == {1}


def test_the_weakest_head_goes_by_all_its_weights():
    layer = attention()
    with torch.no_grad():
        layer.in_proj_weight.fill_(1.0)
        layer.out_proj.weight.fill_(1.0)
        layer.in_proj_weight[4:6] = 0.5  # q of head 2
        layer.out_proj.weight[:, 2:4] = 0.25  # the columns of head 1, of less in all
    for score in ("magnitude", "neuron_l1", "neuron_l2"):
        masks = prune(layer, score=score, density=0.75, pattern="heads:4")
        assert heads_alive("out_proj.weight", masks["out_proj.weight"]) == [True, False, True, True]


def test_a_head_that_is_gone_does_not_reach_the_output():
    layer = attention().eval()
    masks = prune(layer, score="magnitude", density=0.5, pattern="heads:4")
    alive = heads_alive("out_proj.weight", masks["out_proj.weight"])
    masks.apply_(layer)
    x = torch.rand(5, 1, 8, generator=generator())
    before = layer(x, x, x)[0]
    with torch.no_grad():
        for head in [head for head, lives in enumerate(alive) if not lives]:
            layer.in_proj_bias.view(3, 4, 2)[:, head] = 9.0
    torch.testing.assert_close(layer(x, x, x)[0], before)


def test_heads_of_separate_linear_layers_and_of_several_attentions():
    def block():
        return nn.ModuleDict({"q_proj": nn.Linear(8, 8), "v_proj": nn.Linear(8, 8), "o_proj": nn.Linear(8, 8)})

    torch.manual_seed(0)
    stack = nn.ModuleDict({"a": block(), "b": block(), "mlp": nn.Linear(8, 8)})
    masks = prune(stack, score="neuron_l2", density=0.375, pattern="heads:4", only="attention")
    assert masks["mlp.weight"].all()
    alive = 0
    for name in "ab":
        heads = [masks[f"{name}.{part}.weight"] for part in ("q_proj", "v_proj", "o_proj")]
        rows, others, columns = heads[0][:, 0], heads[1][:, 0], heads[2][0]
        assert torch.equal(rows, others)
        assert torch.equal(rows, columns)
        alive += int(rows.view(4, 2).all(1).sum())
    assert alive == 3  # of eight
    queries = prune(stack, score="magnitude", density=0.5, pattern="heads:4", only="q_proj")
    assert queries["a.v_proj.weight"].all()
    assert queries["a.q_proj.weight"].all(1).sum() + queries["b.q_proj.weight"].all(1).sum() == 8


@pytest.mark.parametrize("scope", [*SCOPES, {"a": 0.25}])
def test_heads_share_a_budget_by_any_scope(scope):
    torch.manual_seed(0)
    stack = nn.ModuleDict({"a": nn.MultiheadAttention(8, 4), "b": nn.MultiheadAttention(8, 4)})
    masks = prune(stack, score="magnitude", density=0.25, pattern="heads:4", scope=scope)
    alive = [int(masks[f"{name}.out_proj.weight"][0].sum()) // 2 for name in "ab"]
    assert sum(alive) == 2
    if scope not in ("blind", "distributed"):
        assert alive == [1, 1]


def test_a_stacked_part_may_be_pruned_by_heads():
    masks = prune(attention(), score="magnitude", density=0.5, pattern="heads:4", only="k_proj")
    queries, keys, values = masks["in_proj_weight"].chunk(3)
    assert queries.all()
    assert values.all()
    assert sum(heads_alive("k", keys)) == 2


@pytest.mark.parametrize(
    ("make", "pattern", "message"),
    [
        (lambda: nn.Linear(8, 8), "heads:4", r"Heads\(count=4\) is for the projections of attentions, but 'weight'"),
        (lambda: attention(), "heads:2", r"'in_proj_weight' is of an attention of 4 heads; ask for Heads\(4\)"),
        (
            lambda: dict(attention().named_parameters()),
            "heads:3",
            r"does not divide 'in_proj_weight', which has 8 rows",
        ),
        (
            lambda: {"q_proj.weight": torch.ones(8, 8), "k_proj.weight": torch.ones(4, 8)},
            "heads:4",
            "finds heads of 1 in 'k_proj.weight', but of 2 in 'q_proj.weight', of the same attention",
        ),
        (lambda: nn.Linear(8, 8), "channels", r"Channels\(\) is for convolutions, but 'weight' is a matrix"),
    ],
)
def test_patterns_that_do_not_fit(make, pattern, message):
    with pytest.raises(RequestError, match=message):
        prune(make(), score="magnitude", density=0.5, pattern=pattern)


@pytest.mark.parametrize("score", ["magnitude", "neuron_l1", "neuron_l2"])
def test_channels_are_the_neurons_of_convolutions(score):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3, groups=2), nn.Flatten(), nn.Linear(6, 6))
    wish = {"score": score, "density": 0.5, "only": lambda name, weight: weight.dim() > 2}
    masks = prune(network, pattern="channels", **wish)
    assert masks == prune(network, pattern="neurons", **wish)
    assert sum(int(mask.flatten(1).all(1).sum()) for name, mask in masks.items() if name != "3.weight") == 7
    assert masks["3.weight"].all()


def test_tied_attentions_are_pruned_once():
    one = attention()
    stack = nn.ModuleList([one, one])
    masks = prune(stack, score="magnitude", density=0.5, pattern="heads:4", only="attention")
    assert list(masks) == ["0.in_proj_weight", "0.out_proj.weight"]
    assert isinstance(masks, Masks)
    assert sum(heads_alive("in_proj_weight", masks["0.in_proj_weight"])) == 2
