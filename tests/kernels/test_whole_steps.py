"""Networks of several kinds and dtypes in one call."""

import pytest
import torch

from sparsewire.kernels import native
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.network_step import NetworkStep, Steps
from sparsewire.kernels.recurrent_stack import Stack
from sparsewire.kernels.recurrent_step import RecurrentStep, Sequences
from sparsewire.kernels.whole_steps import StepLayer, Trainee, run_steps

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")


def some(kind, dtype):
    """A chain of one layer, or a recurrent layer with its readout, and what it is trained on."""
    source = torch.Generator().manual_seed(7)

    def layer(outputs, inputs):
        junction = junction_of(torch.rand(outputs, inputs, generator=source) < 0.6)
        return junction, Trainee(torch.randn(junction.count, generator=source).to(dtype))

    labels = torch.randint(3, (40,), generator=source)
    rows, ends = torch.randperm(40, generator=source), torch.tensor([0, 15, 40])
    if kind == "chain":
        step = NetworkStep([StepLayer(*layer(3, 6), None, "identity")], "sgd")
        data = Steps(torch.randn(40, 6, generator=source).to(dtype), labels, rows, ends)
    else:
        pairs = [layer(4, 6), layer(4, 4)]
        stack = Stack("tanh", tuple(junction for junction, _ in pairs))
        step = RecurrentStep(stack, [v for _, v in pairs], [], StepLayer(*layer(3, 4), None, "identity"), None, "sgd")
        data = Sequences(torch.randn(40, 5, 6, generator=source).to(dtype), labels, rows, ends)
    step.settings[:, 0] = 0.1
    return step, data


KINDS = [(kind, dtype) for dtype in (torch.float32, torch.float64) for kind in ("chain", "recurrent")]


@pytest.mark.parametrize("threads", [1, 2])
def test_each_is_trained_as_by_itself(threads):
    found = run_steps([some(*which) for which in KINDS], threads)
    assert [run_steps([some(*which)], 1)[0] for which in KINDS] == found
    assert all(taken.steps == 2 and not taken.stranger for taken in found)


def test_no_networks_are_no_work():
    assert run_steps([], 2) == []
