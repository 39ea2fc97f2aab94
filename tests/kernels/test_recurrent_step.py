"""Native steps of recurrent classifiers against autograd and torch's optimizers, layer by layer."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, embedding

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native, recurrent_plain
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.recurrent_plain import GATES
from sparsewire.kernels.recurrent_stack import Stack
from sparsewire.kernels.recurrent_step import Embedding, RecurrentStep, Sequences
from sparsewire.kernels.whole_steps import StepLayer, Trainee, run_steps

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
FEATURES, CLASSES, SYMBOLS = 5, 3, 6


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def network(
    kind="gru", hidden=9, layers=2, density=0.4, dtype=torch.float64, group=1, block=None, memory=0, update="none",
    bias=True, symbols=True, bidirectional=False, empty=False, clip_norm=None,
):  # fmt: skip
    """A step with random masks and numbers; with `empty`, the first matrix has no weight."""
    source = drawn(3)

    def trainee(*shape, scale=1.0):
        numbers = (torch.randn(shape, generator=source, dtype=torch.float64) * scale).to(dtype)
        return Trainee(numbers, True, tuple(torch.zeros_like(numbers) for _ in range(memory)))

    rows, directions = GATES[kind] * hidden, 1 + bidirectional
    junctions = []
    for layer in range(layers):
        for columns in (hidden * directions if layer else FEATURES, hidden) * directions:
            mask = torch.rand(rows, columns, generator=source) < density
            junctions.append(junction_of(mask & (not empty or bool(junctions)), block, group))
    values = [trainee(junction.count, scale=0.3) for junction in junctions]
    biases = [trainee(rows, scale=0.2) for _ in junctions] if bias else []
    last = junction_of(torch.rand(CLASSES, hidden * directions, generator=source) < 0.8, None, group)
    readout = StepLayer(last, trainee(last.count), trainee(CLASSES) if bias else None, "identity")
    vectors = Embedding(trainee(SYMBOLS * FEATURES)) if symbols else None
    return RecurrentStep(
        Stack(kind, tuple(junctions), bidirectional), values, biases, readout, vectors, update, clip_norm
    )


def samples(step, count, steps=7, lengths=True, shared=False):
    source = drawn(5)
    if step.embedding is None:
        inputs = torch.randn(count, steps, FEATURES, generator=source, dtype=torch.float64).to(step.dtype)
    else:
        inputs = torch.randint(SYMBOLS, (count, steps), generator=source)
    labels = torch.randint(CLASSES, (count,), generator=source)
    own = torch.randint(1, steps + 1, (count,), generator=source) if lengths else None
    return Sequences(inputs, labels, torch.arange(count), torch.tensor([0, count]), own, shared)


def numbers_of(step):
    return [trainee.numbers for trainee in step.trainees if trainee is not None]


def loss_of(step, parameters, inputs, labels, lengths, shared=False):
    """The same network layer by layer."""
    left = iter(parameters)
    if step.embedding is not None:
        inputs = embedding(inputs, next(left).view(SYMBOLS, FEATURES))
    if shared:
        inputs, lengths = inputs[:, : int(lengths.max())], None
    weights, biases = [], []
    for junction in step.stack.junctions:
        weights.append(junction.weight_of(next(left)))
        biases += [next(left)] if step.biases else []
    how = step.stack.kind, lengths, step.stack.bidirectional, True
    _, states, _ = recurrent_plain.recurrent(inputs, None, None, weights, biases, *how)
    last = states[-step.stack.directions :].transpose(0, 1).flatten(1)
    logits = last @ step.readout.junction.weight_of(next(left)).t()
    return cross_entropy(logits if step.readout.bias is None else logits + next(left), labels)


def leaves(step):
    return [numbers.clone().requires_grad_() for numbers in numbers_of(step)]


def apart(ours, theirs):
    """The largest difference, of the scale of the other."""
    return max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-30)) if one.numel() else 0.0
        for one, other in zip(ours, theirs, strict=True)
    )


CASES = [
    {},
    {"symbols": False},
    {"bias": False},
    {"bidirectional": True},
    {"density": 1.0, "layers": 1},
    {"group": 4, "block": 4},
    {"empty": True, "layers": 3},
    {"hidden": 1, "density": 1.0},
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_those_of_autograd(case, kind, dtype):
    step = network(kind, **case, dtype=dtype)
    for count, lengths, shared in ((1, False, False), (16, True, True), (33, True, False), (70, True, False)):
        given = samples(step, count, lengths=lengths, shared=shared)
        taken = run_steps([(step, given)], 1)[0]
        parameters = leaves(step)
        loss = loss_of(step, parameters, given.inputs, given.labels, given.lengths, shared)
        wanted = torch.autograd.grad(loss, parameters)
        assert taken.losses == pytest.approx([loss.item()], rel=TOLERANCE[dtype])
        assert taken.steps == 1
        assert apart([gradient for gradient in step.gradients if gradient is not None], wanted) <= TOLERANCE[dtype]


UPDATES = {
    "sgd": (1, (0.9, 0.0, 1.0), lambda p: torch.optim.SGD(p, 0.05, 0.9, 0.0, 0.01, nesterov=True)),
    "adam": (2, (0.8, 0.99, 1e-6), lambda p: torch.optim.Adam(p, 0.05, (0.8, 0.99), 1e-6, 0.01)),
    "adamw": (2, (0.8, 0.99, 1e-6), lambda p: torch.optim.AdamW(p, 0.05, (0.8, 0.99), 1e-6, 0.01)),
}


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("update", UPDATES)
def test_updates_are_those_of_torch(update, clip, group):
    memory, own, make = UPDATES[update]
    step = network(memory=memory, update=update, clip_norm=clip, group=group)
    given, ends = samples(step, 60), torch.tensor([0, 20, 21, 45, 60])
    parameters = leaves(step)
    optimizer, losses = make(parameters), []
    for begin, end in itertools.pairwise(ends.tolist()):
        optimizer.zero_grad()
        loss = loss_of(step, parameters, *(part[begin:end] for part in (given.inputs, given.labels, given.lengths)))
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        losses.append(loss.item())
    step.settings[:, :5] = torch.tensor([0.05, 0.01, *own], dtype=torch.float64)
    taken = run_steps([(step, given._replace(ends=ends))], 1)[0]
    assert taken.losses == pytest.approx(losses, rel=1e-10)
    assert apart(numbers_of(step), [parameter.detach() for parameter in parameters]) <= 1e-10


def test_samples_that_do_not_count():
    step = network()
    given = samples(step, 40)
    given.labels[::3] = -100
    run_steps([(step, given)], 1)
    parameters = leaves(step)
    loss_of(step, parameters, *given[:2], given.lengths).backward()
    assert apart(step.gradients, [parameter.grad for parameter in parameters]) <= 1e-12


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("bad", ["NaN", "none counts", "no class", "no symbol"])
def test_a_step_that_cannot_be_taken_changes_nothing(bad, kind):
    def made():
        step = network(kind, symbols=bad != "NaN", update="sgd")
        step.settings[:, 0] = 0.1
        return step, samples(step, 30, lengths=False)

    step, given = made()
    if bad == "NaN":
        given.inputs[15, 2] = torch.nan
    elif bad == "none counts":
        given.labels[10:20] = -100
    elif bad == "no class":
        given.labels[15] = CLASSES
    else:
        given.inputs[15, 2] = -1
    ends = torch.tensor([0, 10, 20, 30])
    taken = run_steps([(step, given._replace(ends=ends))], 1)[0]
    assert (taken.steps, taken.stranger) == (1, bad.startswith("no "))
    other, whole = made()
    run_steps([(other, whole._replace(ends=ends[:2]))], 1)
    assert all(map(torch.equal, numbers_of(step), numbers_of(other)))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_network_is_trained_alike_whoever_runs_beside_it(threads):
    def several():
        steps = [network(kind, dtype=torch.float32, update="sgd") for kind in GATES]
        for step in steps:
            step.settings[:, 0] = 0.1
        return [(step, samples(step, 90)._replace(ends=torch.arange(0, 91, 30))) for step in steps]

    together = several()
    found = run_steps(together, threads)
    for pair, (step, _), taken in zip(several(), together, found, strict=True):
        assert run_steps([pair], 1)[0] == taken
        assert all(map(torch.equal, numbers_of(pair[0]), numbers_of(step)))


def test_what_does_not_fit_is_refused():
    step = network()
    parts = [step.stack, step.values, step.biases, step.readout, step.embedding, "sgd"]
    for place, other, message in [
        (1, step.values[1:], "values, biases"),
        (3, step.readout._replace(activation="relu"), "readout"),
        (4, Embedding(Trainee(torch.zeros(7, dtype=torch.float64))), "contiguous numbers"),
        (2, [Trainee(bias.numbers.float()) for bias in step.biases], "contiguous numbers"),
    ]:
        with pytest.raises(RequestError, match=message):
            RecurrentStep(*parts[:place], other, *parts[place + 1 :])
    with pytest.raises(UnknownNameError, match="update"):
        RecurrentStep(*parts[:5], "rprop")
    given = samples(step, 8)
    for change, message in [
        ({"inputs": given.inputs.double()}, "found torch.float64"),
        ({"inputs": given.inputs[:7].contiguous()}, r"shape \(7, 7\)"),
        ({"inputs": given.inputs[:, :0]}, r"shape \(8, 0\)"),
        ({"rows": torch.tensor([0, 8])}, "found 0 to 8"),
        ({"lengths": given.lengths[:7]}, "lengths"),
        ({"labels": given.labels.int()}, "labels of torch.int32"),
    ]:
        with pytest.raises(RequestError, match=message):
            run_steps([(step, given._replace(**change))], 1)


@pytest.mark.parametrize("width", ["16", "32"])
def test_narrower_vectors_give_the_same(width, tmp_path):
    script = tmp_path / "narrow.py"
    script.write_text(
        "import sys, torch\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_recurrent_step as table\n"
        "for case in table.CASES:\n"
        "    for dtype in table.TOLERANCE:\n"
        "        for kind in ('relu', 'gru', 'lstm'):\n"
        "            table.test_gradients_are_those_of_autograd(case, kind, dtype)\n"
        "print(table.native.vector_bytes())\n"
    )
    environment = os.environ | {"SPARSEWIRE_VECTOR_BYTES": width, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= int(width)
