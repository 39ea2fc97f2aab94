"""One table of optimizers, one of rules, one of schedulers, one of modules: the same laws for every row."""

import copy
import inspect
import io
import subprocess
import sys
from functools import partial

import pytest
import torch
from tests.training.sameness import assert_same
from torch import nn
from torch.optim import lr_scheduler

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.structure.schedules import cubic
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules import gradual, static


@pytest.fixture(autouse=True)
def one_thread():
    """Nets of fifty weights gain nothing from threads, and on a busy machine they wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---------------------------------------------------------------------------------------------------------------------
# The tables
# ---------------------------------------------------------------------------------------------------------------------

OPTIONS = {
    "Adadelta": [{"weight_decay": 0.01}],
    "Adafactor": [{"lr": 0.02, "weight_decay": 0.01}],
    "Adagrad": [{"lr": 0.05}, {"lr": 0.05, "initial_accumulator_value": 0.3, "weight_decay": 0.01}],
    "Adam": [{"lr": 0.02}, {"lr": 0.02, "amsgrad": True, "weight_decay": 0.01}],
    "AdamW": [{"lr": 0.02, "amsgrad": True}],
    "Adamax": [{"lr": 0.02, "weight_decay": 0.01}],
    "ASGD": [{"lr": 0.05, "t0": 20.0, "weight_decay": 0.01}],
    "LBFGS": [{"lr": 0.1, "max_iter": 4}, {"max_iter": 3, "line_search_fn": "strong_wolfe"}],
    "Muon": [{"lr": 0.02, "weight_decay": 0.01}],
    "NAdam": [{"lr": 0.02, "decoupled_weight_decay": True}],
    "RAdam": [{"lr": 0.02, "weight_decay": 0.01}],
    "RMSprop": [{"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.01}],
    "Rprop": [{"lr": 0.01}],
    "SGD": [{"lr": 0.05}, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}],
}
EXCLUDED = {"SparseAdam": "steps sparse gradients only, and the gradient of a weight with a mask is dense"}


def _rows():
    rows = {}
    for name, variants in OPTIONS.items():
        kind = getattr(torch.optim, name)
        ways = [way for way in ("foreach", "fused") if way in inspect.signature(kind).parameters]
        for i, options in enumerate(variants):
            for way in [None, *ways]:
                plain = {"foreach": False} if "foreach" in ways else {}
                rows[f"{name}-{i}-{way or 'loop'}"] = partial(kind, **options, **({way: True} if way else plain))
    return rows


OPTIMIZERS = _rows()


def is_lbfgs(optimizer):
    return isinstance(getattr(optimizer, "inner", optimizer), torch.optim.LBFGS)


def test_every_optimizer_of_torch_has_a_row():
    kinds = {k for k, v in vars(torch.optim).items() if inspect.isclass(v) and issubclass(v, torch.optim.Optimizer)}
    assert kinds - {"Optimizer"} == OPTIONS.keys() | EXCLUDED.keys()


class Wander:
    """Every third step each mask is drawn anew."""

    def __init__(self, seed, when="before", dense=False, density=0.4):
        self.when, self.dense, self.density = when, dense, density
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, step, masks, weights, gradients):
        if step % 3:
            return None
        return Masks({n: torch.rand(m.shape, generator=self.generator) < self.density for n, m in masks.items()})

    def state_dict(self):
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state):
        if "generator" not in state:
            raise RequestError("rule: found no generator")
        self.generator.set_state(state["generator"])


def grow_by_gradient(step, masks, weights, gradients):
    """A plain function: each mask gives up its smallest weight for the largest gradient outside it."""
    new = {}
    for name, mask in masks.items():
        new[name] = mask.clone()
        new[name].view(-1)[weights[name].abs().masked_fill(~mask, torch.inf).argmin()] = False
        new[name].view(-1)[gradients[name].abs().masked_fill(mask, -1.0).argmax()] = True
    return Masks(new)


class BestOf:
    """Dense, after the step: of the masks that it holds, the one with the largest sum of weights; drops the worst."""

    when, dense = "after", True

    def __init__(self, seed, count=4):
        self.seed, self.alive = seed, list(range(count))

    def candidate(self, number, masks):
        generator = torch.Generator().manual_seed(self.seed + number)
        return Masks({name: torch.rand(mask.shape, generator=generator) < 0.4 for name, mask in masks.items()})

    def __call__(self, step, masks, weights, gradients):
        held = {number: self.candidate(number, masks) for number in self.alive}
        fitness = {n: sum(float((weights[k] * m).sum()) for k, m in held[n].items()) for n in self.alive}
        if step % 5 == 4 and len(self.alive) > 1:
            self.alive.remove(min(self.alive, key=fitness.__getitem__))
        return held[max(self.alive, key=fitness.__getitem__)]

    def state_dict(self):
        return {"alive": list(self.alive)}

    def load_state_dict(self, state):
        self.alive = list(state["alive"])


class Gathered:
    """Remembers gradients: prunes, every tenth step, what the loss has pulled at least since the last time."""

    when, dense = "before", False

    def __init__(self):
        self.sums = {}

    def __call__(self, step, masks, weights, gradients):
        for name, gradient in gradients.items():
            self.sums[name] = self.sums.get(name, 0) + gradient
        if step % 10 != 9:
            return None
        sums, self.sums = self.sums, {}
        return Masks({n: m & (sums[n].abs() >= sums[n].abs()[m].quantile(0.1)) for n, m in masks.items()})

    def state_dict(self):
        return {"sums": self.sums}

    def load_state_dict(self, state):
        self.sums = dict(state["sums"])


RULES = {
    "static": lambda seed: static(),
    "gradual": lambda seed: gradual(cubic(0.05, begin=3, until=30, every=3, initial=0.4)),
    "gradual by chance": lambda seed: gradual(
        cubic(0.1, until=30, initial=0.4), score="random", every=2, generator=torch.Generator().manual_seed(seed)
    ),
    "wander": Wander,
    "wander after": partial(Wander, when="after"),
    "wander dense": partial(Wander, dense=True),
    "wander dense after": partial(Wander, dense=True, when="after"),
    "grow by gradient": lambda seed: grow_by_gradient,
    "best of": lambda seed: BestOf(7),
    "gathered": lambda seed: Gathered(),
}


# ---------------------------------------------------------------------------------------------------------------------
# A small training that is the same bits every time
# ---------------------------------------------------------------------------------------------------------------------


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def random_masks(model, density=0.4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return Masks({n: torch.rand(m.shape, generator=generator) < density for n, m in Masks.from_model(model).items()})


def loss_of(model, step):
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(12, 5, generator=generator)
    return (
        (model(inputs) - torch.stack([inputs[:, 0], inputs[:, 1] * 2, inputs[:, 2:].sum(1)], 1).sin()).square().mean()
    )


def owned(make, model):
    """The parameters that the optimizer can take: Muon steps matrices only."""
    muon = make.func is torch.optim.Muon
    return [weight for weight in model.parameters() if weight.dim() == 2 or not muon]


def sparse(make, rule=None, seed=0):
    model = network(seed)
    return model, SparseOptimizer(make(owned(make, model)), model, random_masks(model), rule)


def advance(model, optimizer, step):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        return loss

    if is_lbfgs(optimizer):
        return optimizer.step(closure)
    loss = closure()
    optimizer.step()
    return loss


def memory_of(optimizer, weight):
    """Name and value of all that the inner optimizer keeps in the weight's shape."""
    state = optimizer.state.get(weight, {})
    return {k: v for k, v in state.items() if isinstance(v, torch.Tensor) and v.dim() and v.shape == weight.shape}


def start_of(optimizer, key):
    """What the papers of Rprop and Adagrad start from; all others start from zero."""
    group = optimizer.param_groups[0]
    if isinstance(optimizer.inner, torch.optim.Rprop) and key == "step_size":
        return group["lr"]
    if isinstance(optimizer.inner, torch.optim.Adagrad) and key == "sum":
        return group["initial_accumulator_value"]
    return 0.0


def assert_projected(model, masks):
    for name, mask in masks.items():
        outside = model.get_parameter(name).detach()[~mask]
        assert torch.equal(outside, torch.zeros_like(outside)), name
        assert not torch.signbit(outside).any(), f"{name} holds a negative zero"


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# ---------------------------------------------------------------------------------------------------------------------
# Laws over all optimizers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_outside_moving_masks_are_zero_for_200_steps(make):
    model, optimizer = sparse(make, Wander(3))
    keys, first = list(model.state_dict()), loss_of(model, 0).detach()
    for step in range(200):
        advance(model, optimizer, step)
        assert_projected(model, optimizer.masks)
        for name, mask in {} if is_lbfgs(optimizer) else optimizer.masks.items():
            for key, value in memory_of(optimizer, model.get_parameter(name)).items():
                # Adamax adds eps to each |gradient|, so this is what its norm of zero gradients is.
                start = 1e-8 if key == "exp_inf" else start_of(optimizer, key)
                assert torch.equal(value[~mask], torch.full_like(value[~mask], start)), (step, name, key)
    assert optimizer.steps == 200
    assert list(model.state_dict()) == keys
    assert torch.isfinite(loss_of(model, 0))
    assert loss_of(model, 0) != first


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_connection_that_comes_or_goes_has_fresh_memory_and_others_keep_theirs(make):
    model, optimizer = sparse(make, Wander(3, when="after"))
    kept_something = False
    for step in range(13):
        before = optimizer.masks
        advance(model, optimizer, step)  # acts after steps 0, 3, …, so what it cleared is seen before the next step
        for name, changed in (before ^ optimizer.masks).items():
            assert not model.get_parameter(name)[changed].any()  # what comes starts from zero, after Muon's step too
            for key, value in memory_of(optimizer, model.get_parameter(name)).items():
                assert torch.equal(value[changed], torch.full_like(value[changed], start_of(optimizer, key)))
                stayed = value[before[name] & optimizer.masks[name]]
                kept_something |= bool((stayed != start_of(optimizer, key)).any())
    has_memory = any(memory_of(optimizer, weight) for weight in model.parameters() if weight.dim() == 2)
    assert kept_something == has_memory


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_static_mask_equals_the_obvious_loop(make):
    model, optimizer = sparse(make)
    reference = network()
    plain = make(owned(make, reference))
    masks = {reference.get_parameter(name): mask for name, mask in random_masks(reference).items()}

    def project():
        with torch.no_grad():
            for weight, mask in masks.items():
                weight[~mask] = 0

    for step in range(25):

        def closure():
            project()
            plain.zero_grad()
            loss = loss_of(reference, step)  # noqa: B023
            loss.backward()
            for weight, mask in masks.items():
                weight.grad[~mask] = 0
            return loss

        project()
        expected = plain.step(closure)
        project()
        assert torch.equal(advance(model, optimizer, step), expected)
    for name, weight in reference.named_parameters():
        assert torch.equal(weight, model.get_parameter(name)), name


def run(make, rule, steps, stop=None):
    """The weights, masks and state after some steps, with or without a stop, a file and a new start in between."""
    model, optimizer = sparse(make, rule(5))
    for step in range(steps):
        if step == stop:
            saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
            model, optimizer = sparse(make, rule(99), seed=42)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            assert optimizer.steps == stop
        advance(model, optimizer, step)
    return model.state_dict(), optimizer.state_dict()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_run_that_was_stopped_and_restored_gives_the_same_bits(make):
    assert_same(run(make, Wander, 20, stop=10), run(make, Wander, 20))


@pytest.mark.parametrize("make", ["SGD-1-foreach", "Adam-1-fused", "Muon-0-loop", "Rprop-0-loop"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_is_restored_to_the_same_bits(make, rule):
    make = OPTIMIZERS[make]
    whole = run(make, rule, 40)
    assert_same(run(make, rule, 40, stop=17), whole)


@pytest.mark.parametrize("rule", RULES)
def test_weights_are_projected_under_every_rule(rule):
    model, optimizer = sparse(OPTIMIZERS["Adam-0-loop"], RULES[rule](5))
    first = optimizer.masks
    for step in range(40):
        advance(model, optimizer, step)
        assert_projected(model, optimizer.masks)
    assert (optimizer.masks == first) == (rule == "static")


# ---------------------------------------------------------------------------------------------------------------------
# One step: gradients, closures, rules
# ---------------------------------------------------------------------------------------------------------------------


def linear(mask, rule=None, lr=0.5):
    """Two inputs, one output, weights (1, 2), whose loss is the output for the inputs (3, 4): gradient (3, 4)."""
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0]]))
    return model, SparseOptimizer(torch.optim.SGD(model.parameters(), lr=lr), model, Masks({"weight": mask}), rule)


def backward(model):
    loss = model(torch.tensor([3.0, 4.0])).sum()
    loss.backward()
    return loss


def test_weights_are_projected_when_it_is_made_and_gradients_are_dense_until_the_step():
    model, optimizer = linear(torch.tensor([[True, False]]))
    assert model.weight.tolist() == [[1.0, 0.0]]
    backward(model)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    optimizer.step()
    assert model.weight.grad.tolist() == [[3.0, 0.0]]  # masked in place
    assert model.weight.tolist() == [[1.0 - 0.5 * 3.0, 0.0]]


def test_memory_that_an_optimizer_brings_along_is_cleared_outside_the_masks():
    model = nn.Linear(2, 1, bias=False)
    inner = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    backward(model)
    inner.step()
    SparseOptimizer(inner, model, Masks({"weight": torch.tensor([[True, False]])}))
    assert inner.state[model.weight]["momentum_buffer"].tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_rule_sees(when, dense):
    seen = []

    class Look:
        def __call__(self, step, masks, weights, gradients):
            seen.append((step, masks["weight"].tolist(), weights["weight"].tolist(), gradients["weight"].tolist()))

    Look.when, Look.dense = when, dense
    model, optimizer = linear(torch.tensor([[True, False]]), Look())
    for _ in range(2):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
    mask, gradient = [[True, False]], [[3.0, 4.0]]
    # The kept weight goes 1, −0.5, −2; a dense rule after the step sees 0 − 0.5 · 4 = −2 outside before it is zeroed.
    outside = -2.0 if dense else 0.0
    weights = {"before": [[[1.0, 0.0]], [[-0.5, 0.0]]], "after": [[[-0.5, outside]], [[-2.0, outside]]]}[when]
    assert seen == [(0, mask, weights[0], gradient), (1, mask, weights[1], gradient)]
    assert model.weight.grad.tolist() == ([[3.0, 4.0]] if dense else [[3.0, 0.0]])


def test_a_rule_before_the_step_moves_the_step_as_well():
    model, optimizer = linear(
        torch.tensor([[True, False]]), lambda *_: Masks({"weight": torch.tensor([[False, True]])})
    )
    backward(model)
    optimizer.step()
    assert model.weight.tolist() == [[0.0, -0.5 * 4.0]]  # what grows starts from zero and takes its step


def test_a_dense_rule_leaves_gradients_and_memory():
    class Dense:
        when, dense = "before", True

        def __call__(self, step, masks, weights, gradients):
            return Masks({"weight": ~masks["weight"]})

    model = nn.Linear(2, 1, bias=False)
    inner = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    optimizer = SparseOptimizer(inner, model, Masks({"weight": torch.tensor([[True, False]])}), Dense())
    for _ in range(3):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
        assert_projected(model, optimizer.masks)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert inner.state[model.weight]["momentum_buffer"] == pytest.approx(torch.tensor([[3.0, 4.0]]) * (1 + 0.9 + 0.81))


@pytest.mark.parametrize("make", [row for row in OPTIMIZERS if "LBFGS" not in row and row.endswith("loop")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_step_with_a_closure_equals_the_closure_and_then_step(make, when):
    ways = []
    for with_closure in (False, True):
        model, optimizer = sparse(OPTIMIZERS[make], Wander(2, when))
        for step in range(7):

            def closure():
                optimizer.zero_grad()  # noqa: B023
                loss = loss_of(model, step)  # noqa: B023
                loss.backward()
                return loss

            expected = loss_of(model, step)
            if with_closure:
                assert optimizer.step(closure) == expected
            else:
                closure()
                assert optimizer.step() is None
        ways.append((model.state_dict(), optimizer.state_dict()))
    assert_same(*ways)


def test_lbfgs_evaluates_projected_weights_only_and_its_rule_acts_once_a_step():
    calls = []
    model = network()
    inner = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")

    def rule(step, masks, weights, gradients):
        calls.append(step)
        return grow_by_gradient(step, masks, weights, gradients)

    optimizer = SparseOptimizer(inner, model, random_masks(model), rule)
    evaluations = 0

    def closure():
        nonlocal evaluations
        evaluations += 1
        assert torch.is_grad_enabled()
        assert_projected(model, optimizer.masks)
        optimizer.zero_grad()
        loss = loss_of(model, 0)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(8)]
    assert calls == list(range(8))
    assert evaluations > 16
    assert losses[-1] < losses[0]


def test_weights_are_projected_even_if_the_rule_or_the_optimizer_fails():
    class Fails:
        when, dense = "after", True

        def __call__(self, step, masks, weights, gradients):
            raise RuntimeError("no idea")

    model, optimizer = linear(torch.tensor([[True, False]]), Fails())
    backward(model)
    with pytest.raises(RuntimeError, match="no idea"):
        optimizer.step()
    assert model.weight.tolist() == [[-0.5, 0.0]]
    assert optimizer.steps == 0


def test_nan_and_infinite_gradients_outside_do_no_harm():
    model, optimizer = sparse(OPTIMIZERS["Adam-0-loop"])
    loss_of(model, 0).backward()
    for name, mask in optimizer.masks.items():
        gradient = model.get_parameter(name).grad
        gradient[~mask] = torch.where(torch.rand(int((~mask).sum())) < 0.5, torch.nan, -torch.inf)
    optimizer.step()
    assert_projected(model, optimizer.masks)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert all(torch.isfinite(value).all() for state in optimizer.state.values() for value in state.values())


# ---------------------------------------------------------------------------------------------------------------------
# It is an optimizer to everybody
# ---------------------------------------------------------------------------------------------------------------------


def test_it_shows_the_inner_optimizer():
    model = network()
    inner = torch.optim.Adam(model[0].parameters(), lr=0.25)
    optimizer = SparseOptimizer(inner, model, random_masks(model))
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert optimizer.param_groups is inner.param_groups
    assert optimizer.state is inner.state
    assert optimizer.defaults is inner.defaults
    optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.5})
    assert [group["lr"] for group in inner.param_groups] == [0.25, 0.5]
    loss_of(model, 0).backward()
    optimizer.step()
    assert len(optimizer.state) == 4
    assert_projected(model, optimizer.masks)
    optimizer.zero_grad(set_to_none=False)
    assert all(torch.equal(weight.grad, torch.zeros_like(weight)) for weight in model.parameters())
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in model.parameters())
    shown = repr(optimizer)
    assert shown.startswith("SparseOptimizer(Masks(2 weights, ")
    assert "rule=Static(), steps=1) of Adam (" in shown
    assert "lr: 0.25" in shown


def test_hooks_see_this_optimizer_and_projected_weights():
    model, optimizer = sparse(OPTIMIZERS["Muon-0-loop"])
    events = []

    def after(opt, args, kwargs):
        assert_projected(model, optimizer.masks)
        events.append(("post", opt))

    optimizer.register_step_pre_hook(lambda opt, args, kwargs: events.append(("pre", opt)))
    handle = optimizer.register_step_post_hook(after)
    loss_of(model, 0).backward()
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert events == [("pre", optimizer), ("post", optimizer), ("pre", optimizer)]


def test_state_dict_hooks_see_and_change_the_whole_state():
    optimizer = sparse(OPTIMIZERS["SGD-1-loop"])[1]
    events = []
    optimizer.register_state_dict_pre_hook(lambda opt: events.append("save"))
    optimizer.register_state_dict_post_hook(lambda opt, state: {**state, "note": sorted(state)})
    optimizer.register_load_state_dict_pre_hook(lambda opt, state: {**state, "steps": state["steps"] + 40})
    optimizer.register_load_state_dict_post_hook(lambda opt: events.append(opt.steps))
    state = optimizer.state_dict()
    assert state.pop("note") == ["masks", "param_groups", "rule", "state", "steps"]
    optimizer.load_state_dict(state)
    assert events == ["save", 40]


SCHEDULERS = {
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.ConstantLR(o, 0.5, 3)]
    ),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 3),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 3),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.2, total_iters=5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=12),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 6),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
}


def test_every_scheduler_of_torch_has_a_row():
    kinds = {name for name in lr_scheduler.__all__ if name != "LRScheduler"}
    assert kinds == SCHEDULERS.keys()


@pytest.mark.parametrize("schedule", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.parametrize("make", ["SGD-1-loop", "Adam-0-fused"])
def test_schedulers_treat_it_like_the_inner_optimizer(schedule, make):
    rates = []
    for wrap in (False, True):
        model, optimizer = sparse(OPTIMIZERS[make])
        optimizer = optimizer if wrap else optimizer.inner
        scheduler = schedule(optimizer)
        rates.append([])
        for step in range(10):
            advance(model, optimizer, step)
            scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
            group = optimizer.param_groups[0]
            rates[-1].append([group["lr"], group.get("momentum"), group.get("betas")])
        if wrap:
            assert_projected(model, optimizer.masks)
    assert rates[0] == rates[1]
    assert len({rate[0] for rate in rates[0]}) > 1


@pytest.mark.parametrize("make", ["SGD-1-loop", "Adam-0-fused", "Adagrad-0-fused"])
def test_a_grad_scaler_shows_true_gradients_and_a_skipped_step_is_no_step(make):
    seen = []

    def rule(step, masks, weights, gradients):
        seen.append((step, float(gradients["0.weight"].abs().sum())))

    model, optimizer = sparse(OPTIMIZERS[make], rule)
    plain, reference = sparse(OPTIMIZERS[make])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for step in range(4):
        overflows = step == 2
        optimizer.zero_grad()
        before = copy.deepcopy(model.state_dict())
        scaler.scale(loss_of(model, step) * (torch.inf if overflows else 1)).backward()
        scaler.step(optimizer)
        scaler.update()
        if overflows:
            assert_same(model.state_dict(), before)
        else:
            advance(plain, reference, step)
            assert torch.allclose(model[0].weight, plain[0].weight, rtol=1e-5)
            assert seen[-1][1] < 100  # not scaled by 1024
        assert_projected(model, optimizer.masks)
    assert [step for step, _ in seen] == [0, 1, 2]
    assert optimizer.steps == 3


def test_what_a_fused_optimizer_reads_from_itself_reaches_it():
    model, optimizer = sparse(OPTIMIZERS["SGD-0-fused"], Wander(1))
    plain, reference = sparse(OPTIMIZERS["SGD-0-fused"], Wander(1))
    assert getattr(optimizer, "grad_scale", None) is None
    advance(plain, reference, 0)
    (loss_of(model, 0) * 8).backward()
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(8.0), torch.tensor(0.0)
    optimizer.step()
    assert torch.allclose(model[0].weight, plain[0].weight)
    optimizer.found_inf = torch.tensor(1.0)
    before = copy.deepcopy(model.state_dict())
    optimizer.step()
    assert_same(model.state_dict(), before)
    assert optimizer.steps == 1
    del optimizer.grad_scale, optimizer.found_inf
    assert not hasattr(optimizer.inner, "grad_scale")


def test_a_copy_of_model_and_optimizer_goes_on_alone_to_the_same_bits():
    model, optimizer = sparse(OPTIMIZERS["Adam-1-loop"], Wander(8))
    for step in range(4):
        advance(model, optimizer, step)
    twin_model, twin = copy.deepcopy((model, optimizer))
    frozen = copy.deepcopy(model.state_dict())
    for step in range(4, 10):
        advance(twin_model, twin, step)
    assert_same(model.state_dict(), frozen)
    assert optimizer.steps == 4
    for step in range(4, 10):
        advance(model, optimizer, step)
    assert_same((model.state_dict(), optimizer.state_dict()), (twin_model.state_dict(), twin.state_dict()))


def test_a_wrapper_that_poses_as_a_subclass_works():
    class Wrapper:  # as Lightning and its Fabric do it
        def __init__(self, optimizer):
            self.__dict__ = {k: v for k, v in optimizer.__dict__.items() if k not in ("state_dict", "step")}
            self.__class__ = type("Wrapped", (Wrapper, type(optimizer)), {})
            self._optimizer = optimizer

        def step(self, closure=None):
            return self._optimizer.step(closure)

    model, optimizer = sparse(OPTIMIZERS["Muon-0-loop"], Wander(1))
    wrapper = Wrapper(optimizer)
    assert isinstance(wrapper, SparseOptimizer)
    for step in range(5):
        wrapper.zero_grad()
        loss_of(model, step).backward()
        wrapper.step()
        assert_projected(model, optimizer.masks)
    assert wrapper.param_groups is optimizer.param_groups
    assert optimizer.steps == 5


# In a process of its own that ends without destructors: gloo's can wait for ever for a thread that wants Python's lock.
DISTRIBUTED = """
import os, sys, torch
from torch import nn
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer

store = torch.distributed.FileStore(sys.argv[1], 1)
torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
ends = []
for distributed in (True, False):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=source)
    masks = Masks({n: torch.rand(m.shape, generator=source) < 0.5 for n, m in Masks.from_model(model).items()})
    moved = Masks({n: ~m for n, m in masks.items()})
    rule = lambda step, masks, weights, gradients: moved if step == 3 else None
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), model, masks, rule)
    used = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True) if distributed else model
    for _ in range(6):
        optimizer.zero_grad(set_to_none=False)
        used(inputs).pow(2).sum().backward()
        optimizer.step()
    assert (Masks.from_weights(model) | moved) == moved  # a new connection may still be zero
    assert optimizer.masks == moved
    ends.append([parameter.detach().clone() for parameter in model.parameters()])
assert all(torch.equal(one, other) for one, other in zip(*ends))
print("equal", flush=True)
os._exit(0)
"""


def test_distributed_data_parallel_with_gradients_in_its_buckets(tmp_path):
    command = [sys.executable, "-c", DISTRIBUTED, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "equal\n", done.stderr


# ---------------------------------------------------------------------------------------------------------------------
# Modules
# ---------------------------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(torch.tanh(self.encode(x)))


MODULES = {
    "linear": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
    "signals": lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.Flatten(), nn.Linear(12, 2)),
    "images": lambda: nn.Sequential(nn.Unflatten(2, (2, 3)), nn.Conv2d(4, 5, 2), nn.Flatten(), nn.Linear(10, 2)),
    "lstm": Recurrent,
    "attention": Attention,
    "tied": Tied,
    "compiled": lambda: torch.compile(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)), backend="eager"),
}


@pytest.mark.parametrize("build", MODULES.values(), ids=MODULES)
def test_modules_train_on_their_masks_under_their_own_keys(build):
    torch.manual_seed(0)
    model = build()
    inputs = torch.randn(3, 4, 6)
    masks = random_masks(model, 0.5)
    keys, first = list(model.state_dict()), copy.deepcopy(model.state_dict())
    optimizer = SparseOptimizer(torch.optim.Adam(model.parameters(), lr=0.01), model, masks, Wander(1))
    for _ in range(7):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
        assert_projected(model, optimizer.masks)
    assert list(model.state_dict()) == keys
    fresh = build()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(inputs), model(inputs))  # the module computes with the very weights that it shows
    for name, mask in optimizer.masks.items():
        assert not torch.equal(first[name][mask], model.state_dict()[name][mask]), name


def test_masks_made_before_and_after_compiling_mean_the_same_weights():
    results = []
    for mask_the_compiled, train_the_compiled in ((False, False), (True, False), (False, True), (True, True)):
        model = network()
        compiled = torch.compile(model, backend="eager")
        masks = random_masks(compiled if mask_the_compiled else model)
        trained = compiled if train_the_compiled else model
        optimizer = SparseOptimizer(torch.optim.Adam(trained.parameters()), trained, masks, Wander(2))
        for step in range(5):
            advance(trained, optimizer, step)
        assert optimizer.masks.keys() == masks.keys()
        results.append((list(model.state_dict().values()), optimizer.state_dict()))
    for result in results[1:]:
        assert_same(result, results[0])


def test_a_part_that_is_compiled_by_itself_is_found():
    model = network()
    masks = random_masks(model)
    model[0] = torch.compile(model[0], backend="eager")
    optimizer = SparseOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), model, masks)
    advance(model, optimizer, 0)
    assert_projected(model[0]._orig_mod, Masks({"weight": masks["0.weight"]}))


def test_a_tied_weight_has_one_mask_under_either_name():
    mask = torch.eye(6, dtype=torch.bool)
    for name in ("encode.weight", "decode.weight"):
        model = Tied()
        SparseOptimizer(torch.optim.SGD(model.parameters()), model, Masks({name: mask}))
        assert not model.encode.weight[~mask].any()
        assert model.decode.weight is model.encode.weight
    both = {"encode.weight": mask, "decode.weight": mask}
    inner = torch.optim.SGD(model.parameters())
    with pytest.raises(RequestError, match=r"'decode.weight' and 'encode.weight' are one tied weight"):
        SparseOptimizer(inner, model, Masks(both))


def test_weights_that_are_frozen_unused_or_of_another_optimizer_are_projected_and_have_gradient_zero():
    gradients = {}

    def rule(step, masks, weights, seen):
        gradients.update(seen)
        return Masks({name: ~mask for name, mask in masks.items()})

    model = nn.ModuleDict({name: nn.Linear(3, 3) for name in ("used", "unused", "frozen", "foreign")})
    model["frozen"].weight.requires_grad_(False)
    inner = torch.optim.SGD([p for n, p in model.named_parameters() if "foreign" not in n], lr=0.1, momentum=0.9)
    optimizer = SparseOptimizer(inner, model, random_masks(model, 0.5), rule)
    before = model["foreign"].weight.clone()
    for _ in range(2):
        optimizer.zero_grad()
        (
            model["used"](torch.ones(3)) + model["frozen"](torch.ones(3)) + model["foreign"](torch.ones(3))
        ).sum().backward()
        optimizer.step()
        assert_projected(model, optimizer.masks)
    assert torch.count_nonzero(before) > 0 == torch.count_nonzero(model["foreign"].weight)  # both halves were zeroed
    assert torch.equal(gradients["unused.weight"], torch.zeros(3, 3))
    assert torch.equal(gradients["frozen.weight"], torch.zeros(3, 3))
    assert torch.count_nonzero(gradients["foreign.weight"]) > 0


def test_no_masks_at_all_leave_the_optimizer_as_it_is():
    model, plain_model = network(), network()
    optimizer = SparseOptimizer(torch.optim.Adam(model.parameters()), model, {})
    plain = torch.optim.Adam(plain_model.parameters())
    for step in range(3):
        advance(model, optimizer, step)
        advance(plain_model, plain, step)
    assert_same(model.state_dict(), plain_model.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_that_changes_its_dtype_between_steps_is_noticed(dtype):
    model, optimizer = sparse(OPTIMIZERS["SGD-0-loop"], Wander(3))
    advance(model, optimizer, 0)
    model.to(dtype)
    for _ in range(6):
        optimizer.zero_grad()
        model(torch.ones(2, 5, dtype=dtype)).square().sum().backward()
        optimizer.step()
        assert_projected(model, optimizer.masks)
        assert model[0].weight.dtype == dtype


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator on this machine")
def test_a_model_that_moves_to_another_device_takes_its_masks_along():
    device = torch.accelerator.current_accelerator()
    model, optimizer = sparse(OPTIMIZERS["SGD-0-loop"], Wander(3))
    model.to(device)
    assert all(mask.device.type == device.type for mask in optimizer.masks.values())
    optimizer.rule = static()
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 5, device=device)).square().sum().backward()
        optimizer.step()
        assert_projected(model, optimizer.masks)


# ---------------------------------------------------------------------------------------------------------------------
# Requests that cannot be
# ---------------------------------------------------------------------------------------------------------------------


def test_what_it_cannot_be_made_of():
    model = network()
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    masks = random_masks(model)
    with pytest.raises(RequestError, match="optimizer: found Sequential"):
        SparseOptimizer(model, model, masks)
    with pytest.raises(RequestError, match="optimizer: found SparseOptimizer"):
        SparseOptimizer(SparseOptimizer(inner, model, masks), model, masks)
    with pytest.raises(RequestError, match="rule: found 'rigl', expected a function of"):
        SparseOptimizer(inner, model, masks, "rigl")
    with pytest.raises(RequestError, match=r"no parameter of the model is named '0.weigth'; did you mean '0.weight'\?"):
        SparseOptimizer(inner, model, Masks({"0.weigth": masks["0.weight"]}))
    with pytest.raises(RequestError, match=r"mask of '0.weight': found shape \(5, 7\), expected \(7, 5\)"):
        SparseOptimizer(inner, model, Masks({"0.weight": masks["0.weight"].T}))
    with pytest.raises(RequestError, match=r"mask of '0.weight': found dtype torch.float32"):
        SparseOptimizer(inner, model, {"0.weight": torch.ones(7, 5)})


ANSWERS = {
    "a name that is not there": (lambda m: {**m, "1.weight": m["0.weight"]}, "no mask is named '1.weight'"),
    "a name that is missing": (lambda m: {"0.weight": m["0.weight"]}, "'2.weight' is in one of the two only"),
    "another shape": (lambda m: {**m, "0.weight": m["0.weight"].T}, r"shapes \(5, 7\) and \(7, 5\) differ"),
    "another dtype": (lambda m: {**m, "0.weight": m["0.weight"].float()}, "found dtype torch.float32"),
    "no mapping": (lambda m: list(m.values()), "found list, expected Masks"),
}


@pytest.mark.parametrize(("answer", "message"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_does_not_fit_is_refused_before_anything_changes(answer, message):
    model, optimizer = sparse(OPTIMIZERS["SGD-1-loop"], lambda step, masks, *_: answer(dict(masks)) if step else None)
    advance(model, optimizer, 0)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    with pytest.raises(RequestError, match=f"answer of rule .* at step 1: .*{message}"):
        advance(model, optimizer, 1)
    assert_same((model.state_dict(), optimizer.state_dict()), before)


def test_sparse_gradients_are_refused_only_where_there_is_a_mask():
    model = nn.Embedding(4, 2, sparse=True)
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    mask = {"weight": torch.ones(4, 2, dtype=torch.bool)}
    for masks in ({}, mask):
        optimizer = SparseOptimizer(inner, model, masks)
        optimizer.zero_grad()
        model(torch.tensor([1])).sum().backward()
        if masks:
            with pytest.raises(RequestError, match=r"gradient of 'weight': found layout torch.sparse_coo"):
                optimizer.step()
        else:
            optimizer.step()


def _edit(**changes):
    return lambda state: {**state, **changes}


def _mask(name, change):
    return lambda state: {**state, "masks": {**state["masks"], name: change(state["masks"]["0.weight"])}}


STATES = {
    "of a plain optimizer": (
        lambda state: {key: state[key] for key in ("state", "param_groups")},
        "found no 'masks', expected what SparseOptimizer.state_dict gave; the state of a plain optimizer goes to `.inn",
    ),
    "no dict": (lambda state: {**state, "masks": [1]}, "masks of the state_dict: found list"),
    "another name": (_mask("4.weight", lambda mask: mask), "masks of the state_dict: no mask is named '4.weight'"),
    "a name less": (lambda state: {**state, "masks": {}}, "'0.weight' is in one of the two only"),
    "another shape": (_mask("0.weight", lambda mask: mask.T), r"shapes \(5, 7\) and \(7, 5\) differ"),
    "another dtype": (_mask("0.weight", lambda mask: mask.int()), "found dtype torch.int32"),
    "other groups": (
        lambda state: {**state, "param_groups": state["param_groups"] * 2},
        r"found groups of \[4, 4\] parameters, expected \[4\]",
    ),
    "steps that are none": (_edit(steps=-3), "found -3 steps"),
    "no memory for the rule": (_edit(rule={}), "rule: found no generator"),
    "memory that the inner optimizer cannot take": (_edit(state=3), "'int' object has no attribute 'items'"),
}


@pytest.mark.parametrize(("change", "message"), STATES.values(), ids=STATES)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    model, optimizer = sparse(OPTIMIZERS["Adam-0-loop"], Wander(1))
    advance(model, optimizer, 0)
    state = copy.deepcopy(optimizer.state_dict())
    for step in range(1, 5):
        advance(model, optimizer, step)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    with pytest.raises((RequestError, AttributeError), match=message):
        optimizer.load_state_dict(change(state))
    assert_same((model.state_dict(), optimizer.state_dict()), before)
    optimizer.load_state_dict(state)
    assert optimizer.steps == 1


def test_memory_for_a_rule_that_has_none_is_refused():
    optimizer = sparse(OPTIMIZERS["SGD-0-loop"], Wander(1))[1]
    other = sparse(OPTIMIZERS["SGD-0-loop"])[1]
    with pytest.raises(RequestError, match=r"found a memory of \['generator'\], but Static\(\) remembers nothing"):
        other.load_state_dict(optimizer.state_dict())
