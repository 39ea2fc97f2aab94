"""Native steps of whole networks against autograd and torch's optimizers, over a table of networks."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.network_step import NetworkStep, Steps
from sparsewire.kernels.whole_steps import StepLayer, Trainee, run_steps

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
ACTS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda z: z}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def network(sizes, density, act="relu", dtype=torch.float64, group=1, block=None, memory=0, bias=True, empty=()):
    """Layers with random masks; the rows in `empty` have no weight."""
    source, layers = drawn(3), []
    for place, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        mask = torch.rand(outputs, inputs, generator=source) < density
        mask[[row for row in empty if row < outputs]] = False
        junction = junction_of(mask, block, group)
        values = torch.randn(junction.count, generator=source, dtype=torch.float64) / max(inputs * density, 1) ** 0.5
        shift = torch.randn(outputs, generator=source, dtype=torch.float64) / 4
        trainees = [
            Trainee(numbers.to(dtype), True, tuple(torch.zeros_like(numbers, dtype=dtype) for _ in range(memory)))
            for numbers in (values, shift)
        ]
        last = place == len(sizes) - 2
        layers.append(StepLayer(junction, trainees[0], trainees[1] if bias else None, "identity" if last else act))
    return layers


def samples(count, features, classes, dtype=torch.float64):
    source = drawn(5)
    inputs = torch.randn(count, features, generator=source, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(classes, (count,), generator=source)


def one_batch(inputs, labels, rows=None):
    rows = torch.arange(len(labels)) if rows is None else rows
    return Steps(inputs, labels, rows, torch.tensor([0, len(rows)]))


def numbers_of(layers):
    return [part.numbers for layer in layers for part in (layer.values, layer.bias) if part is not None]


def loss_of(layers, parameters, inputs, labels):
    """The same network layer by layer."""
    left = iter(parameters)
    for layer in layers:
        weight = layer.junction.weight_of(next(left))
        inputs = ACTS[layer.activation](linear(inputs, weight, None if layer.bias is None else next(left)))
    return cross_entropy(inputs, labels)


def apart(ours, theirs):
    """The largest difference, of the scale of the other."""
    return max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-30)) if one.numel() else 0.0
        for one, other in zip(ours, theirs, strict=True)
    )


CASES = [
    {"sizes": sizes, "density": density, "act": act, "group": group, "block": block, "empty": empty}
    for sizes, density, act, group, block, empty in [
        ((13, 7, 5), 1.0, "relu", 1, None, ()),
        ((13, 7, 5), 1.0, "tanh", 4, None, ()),
        ((30, 21, 9, 3), 0.5, "sigmoid", 1, 7, ()),
        ((30, 21, 9, 3), 0.5, "relu", 4, 7, (0, 5)),
        ((40, 33, 2), 0.1, "tanh", 1, 16, (1, 2, 3, 4)),
        ((40, 33, 2), 0.1, "identity", 4, 16, (1, 2, 3, 4)),
        ((5, 1), 0.5, "relu", 1, None, ()),
        ((1, 1, 1, 2), 1.0, "relu", 4, None, ()),
        ((6, 8, 3), 0.0, "relu", 1, None, ()),
        ((6, 8, 3), 0.0, "sigmoid", 4, None, ()),
    ]
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['sizes']} {case['density']} {case['group']}")
def test_gradients_are_those_of_autograd(case, dtype):
    layers = network(**case, dtype=dtype)
    for count in (1, 7, 16, 37, 64, 65, 130):
        inputs, labels = samples(count + 4, case["sizes"][0], case["sizes"][-1], dtype)
        rows = torch.randperm(count + 4, generator=drawn(count))[:count]
        step = NetworkStep(layers, "none")
        taken = run_steps([(step, one_batch(inputs, labels, rows))], 1)[0]
        parameters = [numbers.clone().requires_grad_() for numbers in numbers_of(layers)]
        loss = loss_of(layers, parameters, inputs[rows], labels[rows])
        wanted = torch.autograd.grad(loss, parameters)
        assert taken.losses == pytest.approx([loss.item()], rel=TOLERANCE[dtype])
        assert taken.steps == 1
        assert apart([grad for pair in step.gradients for grad in pair], wanted) <= TOLERANCE[dtype]


UPDATES = {
    "plain": ("sgd", 0, {"lr": 0.1}, lambda p: torch.optim.SGD(p, lr=0.1)),
    "decay": ("sgd", 0, {"lr": 0.1, "decay": 0.2}, lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.2)),
    "adam": ("adam", 2, {"lr": 0.01, "own": (0.8, 0.99, 1e-6)}, lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.99), 1e-6)),
    "adam, decay": (
        "adam", 2, {"lr": 0.01, "decay": 0.1, "own": (0.9, 0.999, 1e-8)},
        lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    ),
    "adamw": (
        "adamw", 2, {"lr": 0.01, "decay": 0.1, "own": (0.9, 0.999, 1e-8)},
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", UPDATES)
def test_updates_are_those_of_torch(name, bias):
    update, memory, settings, make = UPDATES[name]
    layers = network((20, 11, 4), 0.4, "tanh", memory=memory, bias=bias)
    inputs, labels = samples(50, 20, 4)
    ends = torch.tensor([0, 16, 17, 40, 50])
    parameters = [numbers.clone().requires_grad_() for numbers in numbers_of(layers)]
    optimizer, losses = make(parameters), []
    for begin, end in itertools.pairwise(ends.tolist()):
        optimizer.zero_grad()
        loss = loss_of(layers, parameters, inputs[begin:end], labels[begin:end])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    step = NetworkStep(layers, update)
    step.settings[:, 0], step.settings[:, 1] = settings["lr"], settings.get("decay", 0.0)
    step.settings[:, 2:5] = torch.tensor(settings.get("own", (0.0, 0.0, 0.0)), dtype=torch.float64)
    taken = run_steps([(step, Steps(inputs, labels, torch.arange(50), ends))], 1)[0]
    assert taken.losses == pytest.approx(losses, rel=1e-10)
    assert apart(numbers_of(layers), [parameter.detach() for parameter in parameters]) <= 1e-10


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_kept_from_call_to_call(nesterov):
    layers = network((6, 5, 3), 0.7, memory=1)
    inputs, labels = samples(30, 6, 3)
    parameters = [numbers.clone().requires_grad_() for numbers in numbers_of(layers)]
    optimizer = torch.optim.SGD(parameters, 0.1, 0.9, 0.0, 0.01, nesterov)
    step = NetworkStep(layers, "sgd")
    step.settings[:] = torch.tensor([0.1, 0.01, 0.9, 0.0, float(nesterov), 0.0], dtype=torch.float64)
    for _ in range(3):  # without dampening the first step is as if the memory had been zero
        optimizer.zero_grad()
        loss_of(layers, parameters, inputs, labels).backward()
        optimizer.step()
        run_steps([(step, one_batch(inputs, labels))], 1)
    assert apart(numbers_of(layers), [parameter.detach() for parameter in parameters]) <= 1e-12


@pytest.mark.parametrize("frozen", [(0,), (1,), (0, 1), (0, 1, 2), (2,)])
def test_what_is_not_trained_stays(frozen):
    layers = network((6, 5, 4, 3), 0.7)
    layers = [
        layer._replace(values=layer.values._replace(trained=place not in frozen)) for place, layer in enumerate(layers)
    ]
    before = [layer.values.numbers.clone() for layer in layers]
    step = NetworkStep(layers, "sgd")
    step.settings[:, 0] = 0.1
    inputs, labels = samples(20, 6, 3)
    parameters = [numbers.clone().requires_grad_() for numbers in numbers_of(layers)]
    gradients = torch.autograd.grad(loss_of(layers, parameters, inputs, labels), parameters)
    run_steps([(step, one_batch(inputs, labels))], 1)
    for place, layer in enumerate(layers):
        wanted = before[place] - (0 if place in frozen else 0.1) * gradients[2 * place]
        assert apart([layer.values.numbers], [wanted]) <= 1e-12
        assert (step.gradients[place][0] is None) == (place in frozen)


def test_samples_that_do_not_count():
    layers = network((6, 5, 3), 0.7)
    inputs, labels = samples(70, 6, 3)
    labels[::3] = -100
    parameters = [numbers.clone().requires_grad_() for numbers in numbers_of(layers)]
    gradients = torch.autograd.grad(loss_of(layers, parameters, inputs, labels), parameters)
    step = NetworkStep(layers, "none")
    run_steps([(step, one_batch(inputs, labels))], 1)
    assert apart([grad for pair in step.gradients for grad in pair], gradients) <= 1e-12


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, "none counts", "no class"])
def test_a_step_that_cannot_be_taken_changes_nothing(bad, act):
    layers = network((6, 5, 3), 1.0, act)
    inputs, labels = samples(30, 6, 3)
    if bad == "none counts":
        labels[10:20] = -100
    elif bad == "no class":
        labels[15] = 3
    else:
        inputs[15] = bad
    step = NetworkStep(layers, "sgd")
    step.settings[:, 0] = 0.1
    ends = torch.tensor([0, 10, 20, 30])
    taken = run_steps([(step, Steps(inputs, labels, torch.arange(30), ends))], 1)[0]
    if bad is torch.inf and act in ("tanh", "sigmoid"):  # which make a number of it
        assert taken.steps in (1, 3)
        return
    assert (taken.steps, taken.stranger) == (1, bad == "no class")
    assert len(taken.losses) == (1 if taken.stranger else 2)
    assert taken.stranger or not torch.isfinite(torch.tensor(taken.losses[1]))
    after = [numbers.clone() for numbers in numbers_of(layers)]
    again = network((6, 5, 3), 1.0, act)
    other = NetworkStep(again, "sgd")
    other.settings[:, 0] = 0.1
    run_steps([(other, Steps(inputs, labels, torch.arange(30), ends[:2]))], 1)
    assert all(map(torch.equal, after, numbers_of(again)))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_network_is_trained_alike_whoever_runs_beside_it(threads):
    inputs, labels = samples(60, 20, 4, torch.float32)

    def several(count):
        made = [network((20, 11, 4), 0.2 + 0.2 * place, "tanh", torch.float32) for place in range(count)]
        steps = [NetworkStep(layers, "sgd") for layers in made]
        for step in steps:
            step.settings[:, 0] = 0.1
        orders = [torch.randperm(60, generator=drawn(place)) for place in range(count)]
        ends = torch.arange(0, 61, 10)
        data = [(step, Steps(inputs, labels, rows, ends)) for step, rows in zip(steps, orders, strict=True)]
        return made, data

    together, data = several(5)
    losses = run_steps(data, threads)
    alone, others = several(5)
    for place, pair in enumerate(others):
        assert run_steps([pair], 1)[0] == losses[place]
        assert all(map(torch.equal, numbers_of(alone[place]), numbers_of(together[place])))


def test_what_does_not_fit_is_refused():
    layers = network((6, 5, 3), 0.7)
    with pytest.raises(UnknownNameError, match="update"):
        NetworkStep(layers, "rprop")
    with pytest.raises(UnknownNameError, match="activation"):
        NetworkStep([layers[0]._replace(activation="gelu"), layers[1]], "sgd")
    with pytest.raises(RequestError, match="found none"):
        NetworkStep([], "sgd")
    with pytest.raises(RequestError, match="expected 5"):
        NetworkStep([layers[0], layers[0]], "sgd")
    with pytest.raises(RequestError, match="contiguous numbers"):
        NetworkStep([layers[0], layers[1]._replace(bias=Trainee(torch.zeros(3)))], "sgd")
    step, (inputs, labels) = NetworkStep(layers, "none"), samples(8, 6, 3)
    for found, message in [
        (one_batch(inputs.float(), labels), "found inputs of torch.float32"),
        (one_batch(inputs[:, :5].contiguous(), labels), r"shape \(8, 5\)"),
        (one_batch(inputs, labels, torch.tensor([0, 8])), "found 0 to 8"),
        (one_batch(inputs, labels)._replace(ends=torch.tensor([0, 4, 4])), "increasing"),
        (one_batch(inputs, labels)._replace(ends=torch.tensor([0, 9])), "to 8"),
    ]:
        with pytest.raises(RequestError, match=message):
            run_steps([(step, found)], 1)


@pytest.mark.parametrize("width", ["16", "32"])
def test_narrower_vectors_give_the_same(width, tmp_path):
    script = tmp_path / "narrow.py"
    script.write_text(
        "import sys, torch\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_network_step as table\n"
        "for case in table.CASES:\n"
        "    for dtype in table.TOLERANCE:\n"
        "        table.test_gradients_are_those_of_autograd(case, dtype)\n"
        "table.test_what_is_not_trained_stays((1,))\n"
        "print(table.native.vector_bytes())\n"
    )
    environment = os.environ | {"SPARSEWIRE_VECTOR_BYTES": width, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= int(width)


def test_a_dense_layer_takes_part_in_its_own_memory():
    dense = nn.Linear(6, 3).double()
    junction = junction_of(torch.ones(3, 6, dtype=torch.bool), block=6, group=4)
    weight = dense.weight.detach().view(-1)
    step = NetworkStep([StepLayer(junction, Trainee(weight), Trainee(dense.bias.detach()), "identity")], "sgd")
    step.settings[:, 0] = 0.5
    inputs, labels = samples(9, 6, 3)
    loss = cross_entropy(dense(inputs), labels)
    loss.backward()
    wanted = dense.weight.detach() - 0.5 * dense.weight.grad
    run_steps([(step, one_batch(inputs, labels))], 1)
    assert apart([dense.weight.detach()], [wanted]) <= 1e-12
