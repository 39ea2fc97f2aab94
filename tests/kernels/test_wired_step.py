"""Native steps of classifiers wired by a graph: gradients, what ends them early, and what is refused."""

import pytest
import torch
from torch.nn.functional import cross_entropy, embedding

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native, wired_plain
from sparsewire.kernels.recurrent_step import Embedding, Sequences
from sparsewire.kernels.whole_steps import Trainee, run_steps
from sparsewire.kernels.wired_plan import WiredPlan
from sparsewire.kernels.wired_step import Masked, WiredStep

needs_library = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
POST = (((), 0), ((0,), 1), ((0,), 2), ((1,), 2))
PLAN = WiredPlan("gru", 3, (2, 3, 4), POST)
SYMBOLS, CLASSES, READ = 5, 3, torch.tensor([5, 1, 8])


def network(update="none", clip_norm=None, masked=True, trained=True, plan=PLAN):
    source = torch.Generator().manual_seed(0)

    def trainee(*shape):
        return Trainee(torch.randn(shape, generator=source, dtype=torch.float64) * 0.5, trained)

    cells = []
    for cell in plan.cells:
        for part, shape in enumerate(cell.shapes):
            one, mask = trainee(*shape), None
            if part == 0 and cell.layers and masked:
                mask = torch.rand(shape, generator=source) < 0.5
                one.numbers.mul_(mask)
            cells.append(Masked(one, mask))
    readout = Masked(trainee(CLASSES, len(READ)))
    step = WiredStep(plan, cells, READ, readout, trainee(CLASSES), Embedding(trainee(SYMBOLS, 3)), update, clip_norm)
    step.settings[:, 0] = 0.1
    return step


def samples(count=40, steps=5):
    source = torch.Generator().manual_seed(1)
    inputs, labels = (
        torch.randint(high, shape, generator=source) for high, shape in ((5, (count, steps)), (3, (count,)))
    )
    lengths = torch.randint(1, steps + 1, (count,), generator=source)
    return Sequences(inputs, labels, torch.arange(count), torch.tensor([0, count]), lengths)


def wanted(step, given):
    """The loss and its gradients by autograd."""
    leaves = [trainee.numbers.clone().requires_grad_() for trainee in step.trainees]
    x = embedding(given.inputs, leaves[0])
    last = wired_plain.wired_recurrent(x, leaves[1:-2], step.plan, given.lengths)
    loss = cross_entropy(last[:, READ] @ leaves[-2].t() + leaves[-1], given.labels)
    return loss.item(), torch.autograd.grad(loss, leaves)


@needs_library
@pytest.mark.parametrize("masked", [True, False])
def test_gradients_are_those_of_autograd_outside_the_masks_too(masked):
    step, given = network(masked=masked), samples()
    loss, gradients = wanted(step, given)
    taken = run_steps([(step, given)], 1)[0]
    assert taken.losses == pytest.approx([loss], rel=1e-10)
    for ours, theirs in zip(step.gradients, gradients, strict=True):
        assert torch.allclose(ours.view_as(theirs), theirs, atol=1e-12)


@needs_library
@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_the_norm_counts_all_and_the_step_moves_what_exists(clip_norm):
    step, given = network("sgd", clip_norm), samples()
    before = [trainee.numbers.clone() for trainee in step.trainees]
    _, gradients = wanted(step, given)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = 1.0 if clip_norm is None else float(clip_norm / (norm + 1e-6))
    masks = [None, *(part.mask for part in step.cells), None, None]
    run_steps([(step, given)], 1)
    for trainee, old, gradient, mask in zip(step.trainees, before, gradients, masks, strict=True):
        moved = gradient if mask is None else gradient * mask
        assert torch.allclose(trainee.numbers, old - 0.1 * scale * moved, atol=1e-12)


@needs_library
def test_what_is_not_trained_stays():
    step = network("sgd", trained=False)
    before = [trainee.numbers.clone() for trainee in step.trainees]
    assert run_steps([(step, samples())], 1)[0].steps == 1
    assert all(torch.equal(trainee.numbers, old) for trainee, old in zip(step.trainees, before, strict=True))
    assert step.gradients == [None] * len(before)


@needs_library
@pytest.mark.parametrize("spoil", ["labels", "inputs"])
def test_a_label_or_symbol_that_is_none_ends_the_steps(spoil):
    step, given = network("sgd"), samples()
    getattr(given, spoil)[25] = 7
    ends = torch.tensor([0, 20, 40])
    taken = run_steps([(step, given._replace(ends=ends))], 1)[0]
    assert (taken.steps, taken.stranger, len(taken.losses)) == (1, True, 1)


@needs_library
def test_networks_of_other_kinds_stand_side_by_side():
    plans = PLAN, WiredPlan("lstm", 3, (2, 3, 4), POST)
    alone = [run_steps([(network("sgd", plan=plan), samples())], 1)[0] for plan in plans]
    together = run_steps([(network("sgd", plan=plan), samples()) for plan in plans], 2)
    assert [one.losses for one in alone] == [one.losses for one in together]


def test_what_does_not_fit_is_refused():
    step = network()
    with pytest.raises(UnknownNameError):
        WiredStep(PLAN, step.cells, READ, step.readout, None, None, "rmsprop")
    with pytest.raises(RequestError, match="cells: found 15 parts, expected 4 of each of 4 cells"):
        WiredStep(PLAN, step.cells[1:], READ, step.readout, None, None, "sgd")
    with pytest.raises(RequestError, match=r"read: found \[9\]"):
        WiredStep(PLAN, step.cells, torch.tensor([9]), step.readout, None, None, "sgd")
    with pytest.raises(RequestError, match="a weight missing"):
        WiredStep(PLAN, [None, *step.cells[1:]], READ, step.readout, None, None, "sgd")
    small = [Masked(Trainee(torch.ones(2, dtype=torch.float64))), *step.cells[1:]]
    with pytest.raises(RequestError, match="expected 18 contiguous numbers"):
        WiredStep(PLAN, small, READ, step.readout, None, None, "sgd")
    given = samples()
    numbers = torch.zeros(1, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(RequestError, match="inputs: found torch"):
        step.record(given._replace(inputs=given.inputs.double()), *numbers)
    with pytest.raises(RequestError, match="rows: found"):
        step.record(given._replace(rows=given.rows + 1), *numbers)
