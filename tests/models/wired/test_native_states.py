"""The native way through a wired recurrent network: the same logits and gradients as by torch's cells, or none."""

import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from sparsewire.kernels import native
from sparsewire.models.wired import wired
from sparsewire.models.wired.native_states import against_cells, last_states, plan_for, tensors_of
from sparsewire.structure.graphs import NetGraph

needs_library = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
BLOCKS = {(0, 1): csr_array([[1.0, 0.0], [1.0, 1.0]]), (0, 2): csr_array([[0.0, 1.0]]), (1, 2): csr_array([[1.0, 1.0]])}


def network(cell="gru", merge="post", readout="last_layer"):
    source = torch.Generator().manual_seed(0)
    return wired(NetGraph((2, 2, 1), BLOCKS), 3, 2, cell, merge, readout, generator=source)[0].double()


def samples(count=5):
    return torch.randn(count, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def results(model, x, lengths):
    x = x.clone().requires_grad_()
    logits = model(x, lengths)
    return [logits.detach(), *torch.autograd.grad(logits.square().sum(), [x, *model.parameters()])]


@needs_library
@pytest.mark.parametrize("readout", ["last_layer", "sinks"])
@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_logits_and_gradients_are_those_of_torchs_cells(cell, merge, readout):
    model, x = network(cell, merge, readout), samples()
    for lengths in (None, torch.tensor([4, 1, 2, 3, 4])):
        assert last_states(model, x, lengths) is not None
        ours = results(model, x, lengths)
        hook = model.cells[0].register_forward_hook(lambda *_: None)
        assert last_states(model, x, lengths) is None
        theirs = results(model, x, lengths)
        hook.remove()
        assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(ours, theirs, strict=True))


@needs_library
def test_what_goes_by_torchs_cells():
    model, x = network(), samples()
    assert last_states(model, x.float(), None) is None
    assert last_states(model, x[:, :, :2], None) is None
    model.cells[1] = nn.GRU(2, 2, num_layers=2, batch_first=True).double()
    assert list(against_cells(model)) == [
        "cell 1 has several layers or directions, projections or dropout, or is not batch_first"
    ]
    assert last_states(model, x, None) is None
    model.cells[1] = nn.Linear(2, 2).double()
    assert list(against_cells(model)) == ["cell 1 is a Linear, not the usual one"]


@needs_library
def test_gradcheck():
    model, x = network("lstm", "pre"), samples(2).requires_grad_()
    assert torch.autograd.gradcheck(model, (x,))


def test_the_plan_is_that_of_the_cells():
    for merge in ("pre", "post"):
        model = network(merge=merge)
        plan = plan_for(model)
        assert plan is plan_for(model)
        shapes = [shape for cell in plan.cells for shape in cell.shapes]
        for tensor, shape in zip(tensors_of(model), shapes, strict=True):
            assert 0 in shape if tensor is None else tuple(tensor.shape) == shape
