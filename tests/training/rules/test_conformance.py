"""What every rule owes, in one table: a rule is a row."""

import copy
import io
from functools import partial

import pytest
import torch
from tests.training.sameness import assert_same
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.recurrent import SparseGRU
from sparsewire.structure.masks import Masks
from sparsewire.structure.schedules import cubic
from sparsewire.training import rules
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rule_contract import acts_at, is_dense, moment_of
from sparsewire.training.rules.cell_gates import selfish_rnn
from sparsewire.training.rules.combination import combined
from sparsewire.training.rules.dissipation import dissipating_gradients
from sparsewire.training.rules.gradient_growth import rigl
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.regeneration import granet
from sparsewire.training.rules.sparse_evolution import set_
from sparsewire.training.rules.sparse_momentum import snfs
from sparsewire.training.rules.starts import k_starts
from sparsewire.training.rules.threshold_reallocation import dsr
from sparsewire.training.rules.unmoved import static

STEPS, HALF, UNTIL = 22, 11, 15
FALLING = cubic(0.2, begin=3, until=15, every=3, initial=0.6)

# Name → the call that makes it, of a function that makes it and a generator; something happens every third step.
ROWS = {
    "static": lambda make, draws: make(),
    "gradual": lambda make, draws: make(FALLING, score="random", generator=draws),
    "set_": lambda make, draws: make(3, UNTIL, 0.4, generator=draws),
    "rigl": lambda make, draws: make(3, UNTIL, 0.4),
    "dsr": lambda make, draws: make(3, UNTIL, 0.1, threshold=0.02, generator=draws),
    "snfs": lambda make, draws: make(3, UNTIL, 0.4),
    "granet": lambda make, draws: make(FALLING, steps=3, fraction=0.4),
    "selfish_rnn": lambda make, draws: make(3, UNTIL, 0.4, generator=draws),
    "k_starts": lambda make, draws: make(0.5, 4, 3, generator=draws),
    "dissipating_gradients": lambda make, draws: make(4, 3, removed=0.5),
    "combined": lambda make, draws: make(k_starts(0.5, 4, 3, generator=draws), dissipating_gradients(4, removed=0.5)),
}
MOVES_NOTHING = {"static"}
DRAWS = {"gradual", "set_", "dsr", "selfish_rnn", "k_starts", "combined"}
FUNCTIONS = {
    one.__name__: one
    for one in (
        static, gradual, set_, rigl, dsr, snfs, granet, selfish_rnn, k_starts, dissipating_gradients, combined
    )
}  # fmt: skip
every_rule = pytest.mark.parametrize("name", ROWS)


def rule(name, seed=5):
    return ROWS[name](FUNCTIONS[name], torch.Generator().manual_seed(seed))


class Last(nn.Module):
    def forward(self, outputs):
        return outputs[0][:, -1]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.there, self.back = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.back.weight = self.there.weight

    def forward(self, inputs):
        return self.back(self.there(inputs).tanh())


NETWORKS = {
    "Linear": (lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 6)), (8, 6)),
    "Conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 6)), (8, 2, 4, 4)),
    "LSTM": (lambda: nn.Sequential(nn.LSTM(4, 3, 2, batch_first=True), Last(), nn.Linear(3, 6)), (8, 3, 4)),
    "GRU": (
        lambda: nn.Sequential(nn.GRU(4, 3, bidirectional=True, batch_first=True), Last(), nn.Linear(6, 6)),
        (8, 3, 4),
    ),
    "tied": (Tied, (8, 6)),
}
every_network = pytest.mark.parametrize("network", NETWORKS)


def build(network="Linear", dtype=torch.float64):
    torch.manual_seed(0)
    return NETWORKS[network][0]().to(dtype)


def masks_of(model, density=0.6):
    draws = torch.Generator().manual_seed(1)
    return Masks({n: torch.rand(m.shape, generator=draws) < density for n, m in Masks.from_model(model).items()})


def start(rule, network="Linear", model=None):
    """A model and its optimizer. Rules that draw their own masks and those that prune have all weights to draw from."""
    model = build(network) if model is None else model
    masks = Masks.from_model(model) if is_dense(rule) else masks_of(build(network))
    inner = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    return model, SparseOptimizer(inner, model, masks, rule)


def loss_of(model, step, network="Linear"):
    draws = torch.Generator().manual_seed(step)
    inputs = torch.randn(NETWORKS[network][1], generator=draws, dtype=torch.float64).to(next(model.parameters()).dtype)
    wished = inputs.flatten(1)[:, :6].sin()
    return (model(inputs) - wished).square().mean()


def train(model, optimizer, first=0, last=STEPS, network="Linear", after=None):
    for step in range(first, last):
        optimizer.zero_grad()
        loss_of(model, step, network).backward()
        optimizer.step()
        if after is not None:
            after(step)


def assert_same_state(one, other):
    for a, b in zip(one, other, strict=True):
        assert_same(dict(a.state_dict()), dict(b.state_dict()))


def test_every_rule_of_the_library_has_a_row():
    assert {name for name in rules.__all__ if name.islower()} - {"bernoulli_masks"} <= ROWS.keys()


@every_network
@every_rule
def test_weights_outside_the_masks_are_zero_and_masks_keep_their_names_and_shapes(name, network):
    model, optimizer = start(rule(name), network)
    first, moved = optimizer.masks, False

    def check(step):
        nonlocal moved
        masks = optimizer.masks
        moved = moved or masks != first
        assert {one: mask.shape for one, mask in masks.items()} == {one: mask.shape for one, mask in first.items()}
        for one, mask in masks.items():
            assert not model.get_parameter(one)[~mask].count_nonzero()

    train(model, optimizer, network=network, after=check)
    assert moved == (name not in MOVES_NOTHING)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@every_rule
def test_the_state_of_the_generator_decides(name):
    ends = []
    for seed in (5, 5, 6):
        model, optimizer = start(rule(name, seed))
        train(model, optimizer)
        ends.append((optimizer.masks, model.state_dict()))
    assert_same(dict(ends[0][0]), dict(ends[1][0]))
    assert_same(dict(ends[0][1]), dict(ends[1][1]))
    if name in DRAWS:
        assert ends[0][0] != ends[2][0]


@every_rule
def test_the_global_seed_is_not_touched(name):
    model, optimizer = start(rule(name))
    torch.manual_seed(3)
    expected = torch.get_rng_state()
    train(model, optimizer, last=8)
    assert torch.equal(torch.get_rng_state(), expected)


@pytest.mark.parametrize(("network", "stop"), [("Linear", 1), ("Linear", 7), ("Linear", 19), ("LSTM", 7)])
@every_rule
def test_stopped_and_resumed_it_gives_the_same_bits(name, network, stop):
    whole = start(rule(name), network)
    train(*whole, network=network)
    halved = start(rule(name), network)
    train(*halved, last=stop, network=network)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in halved], file)
    file.seek(0)
    resumed = start(rule(name, seed=77), network)  # another seed: the saved one counts
    for part, state in zip(resumed, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    assert_same_state(resumed, halved)
    train(*resumed, first=stop, network=network)
    assert_same_state(resumed, whole)


@every_rule
def test_a_copy_goes_its_own_way(name):
    whole = start(rule(name))
    train(*whole)
    halved = start(rule(name))
    train(*halved, last=HALF)
    copied = copy.deepcopy(halved)
    train(*copied, first=HALF)
    train(*halved, first=HALF)  # the copy's steps have changed nothing here
    assert_same_state(copied, whole)
    assert_same_state(halved, whole)


@every_rule
def test_a_closure_and_a_scaler_change_nothing(name):
    plain = start(rule(name))
    train(*plain)
    model, optimizer = start(rule(name))
    for step in range(STEPS):

        def closure(step=step, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()
            return loss

        optimizer.step(closure)
    assert_same_state((model, optimizer), plain)

    model, optimizer = start(rule(name))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)  # a power of two rounds nothing
    for step in range(STEPS):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, step)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert optimizer.steps == STEPS
    assert_same(dict(optimizer.masks), dict(plain[1].masks))
    assert_same(model.state_dict(), plain[0].state_dict())


class Spy:
    """Another rule, and the steps at which it was asked."""

    def __init__(self, rule):
        self.rule, self.asked, self.expected = rule, [], []
        self.when, self.dense = moment_of(rule), is_dense(rule)

    def acts_at(self, step):
        return acts_at(self.rule, step)

    def __call__(self, step, *values):
        self.asked.append(step)
        return self.rule(step, *values)


@every_rule
def test_it_is_asked_where_it_says_that_it_acts_and_nowhere_else(name):
    spy = Spy(rule(name))
    model, optimizer = start(spy)
    for step in range(STEPS):
        expected = [*spy.asked, step] if acts_at(spy.rule, step) else [*spy.asked]
        before = optimizer.masks
        train(model, optimizer, step, step + 1)
        assert spy.asked == expected
        assert optimizer.masks == before or step in spy.asked


@every_rule
def test_where_it_does_not_act_it_answers_none(name):
    made = rule(name)
    model, _ = start(rule(name))
    weights = {one: model.get_parameter(one).detach() for one in masks_of(model)}
    for step in range(STEPS):
        if not acts_at(made, step):
            assert made(step, masks_of(model), weights, weights) is None


@pytest.mark.parametrize("name", ["set_", "rigl", "dsr", "snfs", "granet", "selfish_rnn"])
def test_nothing_moves_after_until(name):
    model, optimizer = start(rule(name))
    train(model, optimizer, last=UNTIL + 1)
    last = optimizer.masks
    train(model, optimizer, UNTIL + 1, UNTIL + 30)
    assert optimizer.masks == last
    assert not any(acts_at(optimizer.rule, step) for step in range(UNTIL + 1, UNTIL + 100))


@every_rule
def test_a_memory_of_another_kind_is_refused(name):
    _, optimizer = start(rule(name))
    state = optimizer.state_dict()
    with pytest.raises(RequestError, match="rule"):
        optimizer.load_state_dict({**state, "rule": {"another's": 1}})
    assert_same(optimizer.state_dict(), state)


# ---- sparse layers ----


def sparse_form(model, masks, network):
    made = copy.deepcopy(model)
    if network == "Linear":
        for layer in (0, 2):
            made[layer] = SparseLinear.from_dense(model[layer], masks[f"{layer}.weight"])
    elif network == "Conv2d":
        made[0] = SparseConv2d.from_dense(model[0], masks["0.weight"])
    else:
        own = {one.removeprefix("0."): mask for one, mask in masks.items() if one.startswith("0.")}
        made[0] = SparseGRU.from_dense(model[0], own)
    return made


@pytest.mark.parametrize("network", ["Linear", "Conv2d", "GRU"])
@every_rule
def test_sparse_layers_get_the_same_masks_or_a_refusal(name, network):
    model = build(network)
    start_sparse = partial(start, network=network, model=sparse_form(model, masks_of(model), network))
    if is_dense(rule(name)):
        with pytest.raises(RequestError, match=r"which is dense: weights outside the masks live on, but the layer of"):
            start_sparse(rule(name))
        return
    masked, sparse = start(rule(name), network), start_sparse(rule(name))
    seen = []
    for step in range(STEPS):
        for one, optimizer in (masked, sparse):
            train(one, optimizer, step, step + 1, network)
        assert masked[1].masks == sparse[1].masks
        seen.append(masked[1].masks.overlap(masks_of(model)))
    assert (min(seen) == 1) == (name in MOVES_NOTHING)


@pytest.mark.parametrize("name", ["set_", "dsr", "selfish_rnn", "static", "gradual"])
def test_what_grows_by_chance_never_makes_sparse_layers_compute_dense_gradients(name):
    model = build()
    sparse, optimizer = start(rule(name), model=sparse_form(model, masks_of(model), "Linear"))
    train(sparse, optimizer, after=lambda step: assert_no_dense_gradients(sparse))


def assert_no_dense_gradients(model):
    for layer in (model[0], model[2]):
        assert not layer.wants_dense_gradients
        assert not layer.dense_gradients


# ---- combinations: no rule of one may see less on sparse layers than on masked ones ----

COMBINED = {
    "gradual, dissipating": lambda draws: (gradual(FALLING), dissipating_gradients(4, 3, removed=0.5)),
    "set, dissipating": lambda draws: (set_(3, UNTIL, 0.4, generator=draws), dissipating_gradients(4, 3, removed=0.5)),
    "set, dissipating below": lambda draws: (set_(3, UNTIL, 0.4, generator=draws), dissipating_gradients(4, 3, 1e-2)),
    "rigl, dissipating": lambda draws: (rigl(3, UNTIL, 0.4), dissipating_gradients(4, 3, removed=0.5)),
    "set, gradual": lambda draws: (set_(3, UNTIL, 0.4, generator=draws), gradual(FALLING)),
}


@pytest.mark.parametrize("network", ["Linear", "GRU"])
@pytest.mark.parametrize("parts", COMBINED.values(), ids=COMBINED)
def test_combinations_get_the_same_masks_on_sparse_layers(parts, network):
    model = build(network)
    forms = model, sparse_form(model, masks_of(model), network)
    rules_of_both = (combined(*parts(torch.Generator().manual_seed(5))) for _ in forms)
    masked, sparse = (start(one, network, form) for one, form in zip(rules_of_both, forms, strict=True))
    for step in range(STEPS):
        for one, optimizer in (masked, sparse):
            train(one, optimizer, step, step + 1, network)
        assert masked[1].masks == sparse[1].masks


# ---- one rule in two trainings, and a model in two forms ----


@pytest.mark.parametrize(
    "name", [name for name in ROWS if name != "dsr"]
)  # its threshold goes on from where it has come
def test_a_rule_begins_anew_with_another_training(name):
    used, ends = rule(name), []
    train(*start(used), last=STEPS - 3)  # in the middle of an epoch of dissipating gradients
    for one in (used, rule(name)):
        for part in (one, *getattr(one, "rules", ())):
            if getattr(part, "generator", None) is not None:
                part.generator.manual_seed(8)
        model, optimizer = start(one)
        train(model, optimizer)
        ends.append((optimizer.masks, model.state_dict()))
    assert_same(dict(ends[0][0]), dict(ends[1][0]))
    assert_same(dict(ends[0][1]), dict(ends[1][1]))


@every_rule
def test_a_run_of_a_compiled_model_goes_on_uncompiled_and_back(name):
    whole = start(rule(name))
    train(*whole)
    states = None
    for first, last in ((0, 7), (7, 13), (13, STEPS)):
        model, made = build(), rule(name, seed=77 if first else 5)
        form = model if first == 7 else torch.compile(model, backend="eager")  # for its names
        masks = Masks.from_model(model) if is_dense(made) else masks_of(model)
        masks = Masks(dict(zip(Masks.from_model(form), masks.values(), strict=True)))
        inner = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        optimizer = SparseOptimizer(inner, form, masks, made)
        for part, state in zip((model, optimizer), states or (), strict=bool(states)):
            part.load_state_dict(state)
        train(model, optimizer, first, last)
        states = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    assert_same(dict(states[0]), dict(whole[0].state_dict()))
    assert all(mask.equal(states[1]["masks"][one]) for one, mask in whole[1].masks.items())


@pytest.mark.parametrize("name", [name for name in ROWS if name not in {"gradual", "granet"}])
def test_single_weights_without_dimensions_may_have_masks(name):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor, self.layer = nn.Parameter(torch.tensor(1.5)), nn.Linear(6, 6)

        def forward(self, inputs):
            return self.factor * self.layer(inputs)

    torch.manual_seed(0)
    model = Scaled().double()
    masks = Masks({"layer.weight": torch.ones(6, 6).bool(), "factor": torch.tensor(True)})
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.05), model, masks, rule(name))
    train(model, optimizer)
    assert not model.factor[~optimizer.masks["factor"]].count_nonzero()
