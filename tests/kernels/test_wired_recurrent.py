"""Wired recurrent networks in one call: torch's own cells one after another, and their gradients."""

import itertools

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.kernels import native, wired_plain, wired_recurrent
from sparsewire.kernels.wired_plan import WiredPlan

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
LAYERS = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
SIZES = (4, 5, 1, 7)
POST = (((), 0), ((0,), 1), ((0,), 2), ((1,), 2), ((0,), 3), ((1,), 3), ((2,), 3))
PRE = (((), 0), ((0,), 1), ((0, 1), 2), ((0, 1, 2), 3))
needs_library = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plan_of(kind="gru", merge="post", sizes=SIZES):
    return WiredPlan(kind, 3, sizes, POST if merge == "post" else PRE, maps_inputs=merge == "pre")


def drawn(plan, dtype=torch.float64, density=0.5, seed=0):
    """Weights and biases of its cells; those of inputs from other layers are sparse."""
    source, found = torch.Generator().manual_seed(seed), []
    for cell in plan.cells:
        for part, shape in enumerate(cell.shapes):
            numbers = torch.randn(shape, generator=source, dtype=torch.float64) * 0.5
            if part == 0 and cell.layers:
                numbers *= torch.rand(shape, generator=source) < density
            found.append(None if cell.kind == "linear" and part % 2 else numbers.to(dtype).requires_grad_())
    return found


def samples(batch, steps=6, dtype=torch.float64, lengths=False):
    source = torch.Generator().manual_seed(1)
    x = torch.randn(batch, steps, 3, generator=source, dtype=torch.float64).to(dtype).requires_grad_()
    return x, torch.randint(1, steps + 1, (batch,), generator=source) if lengths else None


def by_torch(x, tensors, plan, lengths):
    """The same network made of torch's modules."""
    layers = [x.new_zeros(*x.shape[:2], size) for size in plan.sizes]
    for k, cell in enumerate(plan.cells):
        own = tensors[4 * k : 4 * k + 4]
        fed = torch.cat([layers[layer] for layer in cell.layers] or [x], 2)
        if cell.kind == "linear":
            output = nn.functional.linear(fed, own[0], own[2])
        else:
            options = {"nonlinearity": cell.kind} if cell.kind in ("tanh", "relu") else {}
            module = LAYERS[cell.kind](fed.shape[2], cell.units, batch_first=True, dtype=x.dtype, **options)
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            output = torch.func.functional_call(module, dict(zip(names, own, strict=True)), fed)[0]
        layers[cell.target] = layers[cell.target] + output
    ends = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
    return torch.cat([layer[torch.arange(len(x)), ends - 1] for layer in layers], 1)


def gradients(function, x, tensors, plan, lengths):
    last = function(x, tensors, plan, lengths)
    slope = torch.randn(last.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64).to(last.dtype)
    return last.detach(), *torch.autograd.grad(last, [x, *(t for t in tensors if t is not None)], slope)


def apart(ours, theirs):
    return max(float((p - q).abs().max() / q.abs().max().clamp(min=1e-3)) for p, q in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("kind", LAYERS)
def test_values_and_gradients_are_those_of_torchs_cells(kind, merge, dtype):
    plan = plan_of(kind, merge)
    tensors = drawn(plan, dtype)
    for batch, lengths in ((5, False), (40, True)):
        given = samples(batch, dtype=dtype, lengths=lengths)
        wanted = gradients(by_torch, given[0], tensors, plan, given[1])
        for function in (wired_plain.wired_recurrent, wired_recurrent.wired_recurrent):
            assert apart(gradients(function, given[0], tensors, plan, given[1]), wanted) <= TOLERANCE[dtype]


@pytest.mark.parametrize("batch", [0, 1, 7, 33])
def test_without_gradients_and_with_any_batch(batch):
    plan = plan_of()
    x, _ = samples(batch)
    with torch.no_grad():
        ours = wired_recurrent.wired_recurrent(x, drawn(plan), plan)
        assert ours.shape == (batch, plan.nodes)
        assert torch.allclose(ours, wired_plain.wired_recurrent(x, drawn(plan), plan), atol=1e-12)


def test_one_sequence_does_not_depend_on_its_neighbours():
    plan = plan_of("lstm")
    x, lengths = samples(40, lengths=True)
    whole = wired_recurrent.wired_recurrent(x, drawn(plan), plan, lengths)
    for row in (0, 17, 39):
        alone = wired_recurrent.wired_recurrent(x[row : row + 1, : lengths[row]], drawn(plan), plan)
        assert torch.allclose(whole[row], alone[0], atol=1e-12)


def test_what_pads_a_sequence_is_not_looked_at():
    plan = plan_of(merge="pre")
    x, lengths = samples(8, lengths=True)
    spoilt = torch.where(
        torch.arange(6).view(1, -1, 1) < lengths.view(-1, 1, 1), x.detach(), torch.tensor(torch.nan).double()
    )
    ours, theirs = (wired_recurrent.wired_recurrent(some, drawn(plan), plan, lengths) for some in (spoilt, x))
    assert torch.equal(ours, theirs)


@needs_library
@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_of_gradients_go_through_plain_torch(kind):
    plan = WiredPlan(kind, 3, (2, 2), (((), 0), ((0,), 1)))
    tensors, (x, _) = drawn(plan), samples(2, steps=3)
    found = []
    for function in (wired_recurrent.wired_recurrent, wired_plain.wired_recurrent):
        slopes = torch.autograd.grad(function(x, tensors, plan).square().sum(), [x, *tensors], create_graph=True)
        found.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), [x, *tensors]))
    assert apart(*found) <= 1e-9


@needs_library
def test_the_result_is_the_same_on_any_number_of_threads():
    plan = plan_of(sizes=(20, 20, 20, 20))
    tensors, (x, _) = drawn(plan), samples(70)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(gradients(wired_recurrent.wired_recurrent, x, tensors, plan, None))
    assert torch.equal(found[0][0], found[1][0])
    assert apart(*found) <= 1e-12


def test_strided_inputs_and_missing_biases():
    plan = WiredPlan("gru", 3, (2, 2), (((), 0), ((0,), 1)))
    tensors = [None if k % 4 > 1 else tensor for k, tensor in enumerate(drawn(plan))]
    x = samples(5)[0].detach()
    wanted = wired_plain.wired_recurrent(x, tensors, plan)
    strided = x.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    for some in (x, strided, x.transpose(0, 1).contiguous().transpose(0, 1)):
        assert torch.allclose(wired_recurrent.wired_recurrent(some, tensors, plan), wanted, atol=1e-12)


def test_a_layer_without_cells_is_zero():
    plan = WiredPlan("relu", 3, (2, 2, 1), (((), 0), ((0, 1), 2)))
    x, tensors = samples(3)[0], drawn(plan)
    ours = gradients(wired_recurrent.wired_recurrent, x, tensors, plan, None)
    assert not ours[0][:, 2:4].any()
    assert apart(ours, gradients(by_torch, x, tensors, plan, None)) <= 1e-10


def test_what_does_not_fit_is_refused():
    plan = plan_of()
    x, tensors = samples(4)[0], drawn(plan)
    cases = [
        ((x[..., :2], tensors, plan), "x: found shape"),
        ((x[:, :0], tensors, plan), "x: found shape"),
        ((x, tensors[:-1], plan), "tensors: found 27, expected 4 of each of the 7 cells"),
        ((x, [tensors[0].float(), *tensors[1:]], plan), r"tensors\[0\]: found torch.float32"),
        ((x, [*tensors[:5], None, *tensors[6:]], plan), r"tensors\[5\]: found None"),
        ((x, tensors, plan, torch.ones(3, dtype=torch.int64)), "lengths: found"),
    ]
    for arguments, words in cases:
        with pytest.raises(RequestError, match=words):
            wired_recurrent.wired_recurrent(*arguments)


def test_other_dtypes_and_function_transforms_go_by_plain_torch():
    assert not wired_recurrent.is_native(torch.ones(1, 1, 1, dtype=torch.bfloat16))
    plan = WiredPlan("tanh", 3, (2,), (((), 0),))
    tensors, (x, _) = [tensor.detach() for tensor in drawn(plan)], samples(2)
    mapped = torch.func.vmap(lambda one: wired_recurrent.wired_recurrent(one[None], tensors, plan)[0])(x.detach())
    assert torch.allclose(mapped, wired_recurrent.wired_recurrent(x, tensors, plan), atol=1e-12)
    pairs = itertools.pairwise([torch.float32, torch.float64])
    assert all(wired_recurrent.is_native(torch.ones(1, 1, 1, dtype=one)) == native.is_at_hand() for one, _ in pairs)
