import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from sparsewire.errors import RequestError
from sparsewire.kernels import native, recurrent_plain
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.recurrent import recurrent
from sparsewire.kernels.recurrent_plain import GATES, KINDS
from sparsewire.kernels.recurrent_stack import Stack

needs_native = pytest.mark.skipif(not native.is_at_hand(), reason="there is no native library")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.02}
LAYOUTS = ({}, {"block": 100, "group": 1}, {"block": 3, "group": 1}, {"block": 4, "group": 4})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Case:
    """A random stack with inputs for it, as leaves."""

    def __init__(
        self, kind, layers=2, hidden=5, inputs=3, batch=4, steps=6, density=0.4, dtype=torch.float64, **options
    ):
        g = generator(options.pop("seed", 0))
        layout, lengths = options.pop("layout", {}), options.pop("lengths", False)
        states, bias = options.pop("states", True), options.pop("bias", True)
        cells = layers * (2 if options.get("bidirectional") else 1)
        below = hidden * (cells // layers)
        rows, first = GATES[kind] * hidden, cells // layers
        columns = [n for cell in range(cells) for n in (inputs if cell < first else below, hidden)]
        junctions = [junction_of(torch.rand(rows, n, generator=g) < density, **layout) for n in columns]
        self.stack = Stack(kind, tuple(junctions), **options)

        def leaf(*shape):
            return torch.randn(*shape, generator=g, dtype=torch.float64).mul(0.5).to(dtype).requires_grad_()

        self.values = [leaf(junction.count) for junction in junctions]
        self.biases = [leaf(rows) for _ in junctions] if bias else []
        self.x = leaf(*((batch, steps, inputs) if options.get("batch_first") else (steps, batch, inputs)))
        self.h0 = leaf(cells, batch, hidden) if states else None
        self.c0 = leaf(cells, batch, hidden) if states and kind == "lstm" else None
        self.lengths = torch.randint(1, steps + 1, (batch,), generator=g) if lengths else None

    @property
    def leaves(self):
        return [t for t in (self.x, self.h0, self.c0, *self.values, *self.biases) if t is not None]

    def run(self):
        return recurrent(self.x, self.h0, self.c0, self.values, self.biases, self.stack, self.lengths)

    def oracle(self):
        # In float where the kernel computes in float what is stored as bfloat16.
        wide = torch.promote_types(self.x.dtype, torch.float32)
        weights = [j.weight_of(v.to(wide)) for j, v in zip(self.stack.junctions, self.values, strict=True)]
        states = [None if state is None else state.to(wide) for state in (self.h0, self.c0)]
        how = self.stack.kind, self.lengths, self.stack.bidirectional, self.stack.batch_first
        biases = [bias.to(wide) for bias in self.biases]
        found = recurrent_plain.recurrent(self.x.to(wide), *states, weights, biases, *how)
        return [result.to(self.x.dtype) for result in found]


def gradients(outputs, leaves):
    g = generator(9)
    weights = [torch.randn(o.shape, generator=g, dtype=torch.float64).to(o.dtype) for o in outputs if o.numel()]
    total = sum((o * w).sum() for o, w in zip((o for o in outputs if o.numel()), weights, strict=True))
    return torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)


def assert_close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    if ours.numel():
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=1e-2)


def assert_equals_oracle(case):
    tolerance = TOLERANCE[case.x.dtype]
    ours, theirs = case.run(), case.oracle()
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, tolerance)
    if case.x.numel():
        for one, other in zip(gradients(ours, case.leaves), gradients(theirs, case.leaves), strict=True):
            assert_close(one, other, tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [False, True])
def test_outputs_states_and_gradients_are_those_of_plain_torch(kind, lengths, dtype):
    assert_equals_oracle(Case(kind, batch=19, lengths=lengths, dtype=dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{"bidirectional": True}, {"batch_first": True}, {"states": False}, {"bias": False}]
)
def test_every_option(kind, options):
    assert_equals_oracle(Case(kind, lengths=True, **options))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout_of_the_weights(layout):
    assert_equals_oracle(Case("gru", hidden=9, layout=layout))


@pytest.mark.parametrize("batch", [0, 1, 15, 16, 17, 32, 33, 70])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_way_to_cut_a_batch(batch, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_equals_oracle(Case("lstm", layers=3, hidden=20, batch=batch, steps=9, lengths=True, dtype=torch.float32))
    finally:
        torch.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    *(st.integers(1, most) for most in (3, 18, 18, 40, 7)),
    *(st.booleans(),) * 5,
    st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from(LAYOUTS),
    st.integers(0, 99),
)
def test_any_shape(
    kind, layers, hidden, inputs, batch, steps, first, both, lengths, states, bias, density, layout, seed
):
    options = {"batch_first": first, "bidirectional": both, "lengths": lengths, "states": states, "bias": bias}
    assert_equals_oracle(Case(kind, layers, hidden, inputs, batch, steps, density, layout=layout, seed=seed, **options))


def test_a_sum_worked_out_by_hand():
    # h ← relu(2 x + h): from 1 with x = 1, −5, 1: 3, 0, 2. The state before the last is 0, so dL/dw_ih = x_3 = 1.
    stack = Stack("relu", (junction_of(torch.tensor([[True]])),) * 2)
    w, u = torch.tensor([2.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    x = torch.tensor([1.0, -5.0, 1.0]).view(3, 1, 1)
    output, hn, _ = recurrent(x, torch.ones(1, 1, 1), None, [w, u], [], stack)
    assert output.flatten().tolist() == [3.0, 0.0, 2.0]
    hn.sum().backward()
    assert (w.grad.item(), u.grad.item()) == (1.0, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_does_not_depend_on_its_neighbours(kind):
    case = Case(kind, batch=37, hidden=11, lengths=True, dtype=torch.float32, bidirectional=True)
    output, hn, _ = case.run()
    for b in (0, 17, 36):
        states = [None if state is None else state[:, b : b + 1] for state in (case.h0, case.c0)]
        given = case.values, case.biases, case.stack, case.lengths[b : b + 1]
        alone = recurrent(case.x[:, b : b + 1], *states, *given)
        assert torch.equal(alone[0][:, 0], output[:, b])
        assert torch.equal(alone[1][:, 0], hn[:, b])


def test_what_pads_a_batch_is_not_looked_at():
    case = Case("lstm", lengths=True)
    expected = case.run()[0]
    padding = torch.arange(6).view(-1, 1) >= case.lengths
    case.x = case.x.detach().masked_fill(padding[:, :, None], torch.nan)
    assert torch.equal(case.run()[0], expected)
    assert (expected[padding] == 0).all()


def test_results_are_the_same_every_time():
    case = Case("gru", batch=50, steps=9, lengths=True, dtype=torch.float32)
    assert all(map(torch.equal, *(gradients(case.run(), case.leaves) for _ in range(2))))


@pytest.mark.parametrize("strides", ["transposed", "sliced", "expanded"])
def test_inputs_of_any_strides(strides):
    case = Case("gru", inputs=4, batch=6, steps=6)
    x = case.x.detach()
    case.x = {
        "transposed": x.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        "sliced": torch.stack([x, x], 3)[..., 0],
        "expanded": x[:, :1].expand(6, 6, 4),
    }[strides].requires_grad_()
    case.values = [torch.stack([v.detach(), v.detach()], 1)[:, 0].requires_grad_() for v in case.values]
    assert_equals_oracle(case)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_of_one_result_alone(which):
    case = Case("lstm", lengths=True)
    ours, theirs = (gradients(run()[which : which + 1], case.leaves) for run in (case.run, case.oracle))
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, 1e-10)


def test_only_what_learns_gets_a_gradient():
    case = Case("gru")
    frozen = [case.x, case.h0, case.values[1], case.biases[2]]
    for leaf in frozen:
        leaf.requires_grad_(False)
    case.run()[0].sum().backward()
    assert all((leaf.grad is None) == any(leaf is one for one in frozen) for leaf in case.leaves)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm"])
def test_gradcheck(kind, both):
    case = Case(kind, hidden=3, inputs=2, batch=2, steps=3, density=0.6, bidirectional=both, lengths=True)

    def run(*leaves):
        x, h0, *rest = leaves
        c0, *rest = rest if kind == "lstm" else (None, *rest)
        count = len(case.values)
        result = recurrent(x, h0, c0, rest[:count], rest[count:], case.stack, case.lengths)
        return result if kind == "lstm" else result[:2]

    assert gradcheck(run, case.leaves)


@needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_opcheck(kind):
    case = Case(kind, batch=3, lengths=True)
    junctions = case.stack.junctions
    columns, starts = [j.columns for j in junctions], [j.starts for j in junctions]
    shapes = [n for j in junctions for n in (j.outputs, j.inputs, j.block, j.group, j.count)]
    given = case.x, case.h0, case.c0, case.lengths, case.values, case.biases
    # The workspace has parts that nothing is written to, so that two runs need not be alike in it.
    tests = "test_schema", "test_autograd_registration", "test_faketensor"
    operator = torch.ops.sparsewire.recurrent.default
    torch.library.opcheck(operator, (*given, columns, starts, shapes, kind, False, False, True), test_utils=tests)


@needs_native
@pytest.mark.parametrize("kind", ["tanh", "lstm"])
def test_compiled_and_eager_are_equal(kind):
    case = Case(kind, batch=5, lengths=True)
    eager = case.run()
    compiled = torch.compile(recurrent, backend="aot_eager", fullgraph=True)
    found = compiled(case.x, case.h0, case.c0, case.values, case.biases, case.stack, case.lengths)
    assert all(map(torch.equal, found, eager))
    assert all(map(torch.equal, gradients(found, case.leaves), gradients(eager, case.leaves)))


def test_under_autocast_everything_is_bfloat16():
    case = Case("lstm", dtype=torch.float32)
    expected = case.oracle()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = case.run()
    assert found[0].dtype == torch.bfloat16
    assert_close(found[0].float(), expected[0], 0.05)


@needs_native
def test_gradients_of_gradients_are_refused():
    case = Case("tanh")
    with pytest.raises(RequestError, match="a gradient of a gradient"):
        torch.autograd.grad(case.run()[0].sum(), case.x, create_graph=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(6, 4, 7)}, r"x: found shape \(6, 4, 7\), expected \(steps ≥ 1, batch, 3\)"),
        ({"x": torch.zeros(0, 4, 3)}, "steps ≥ 1"),
        ({"h0": torch.zeros(2, 4, 6)}, r"h0: found torch.float32 of shape \(2, 4, 6\)"),
        ({"c0": torch.zeros(2, 5, 5).double()}, r"c0: found .* expected torch.float64 of shape \(2, 4, 5\)"),
        ({"values": []}, "values, biases: found 0 and 4; expected 4"),
        ({"biases": [torch.zeros(20).double()] * 3 + [torch.zeros(1).double()]}, r"biases\[3\]: found"),
        ({"lengths": torch.ones(3).long()}, r"lengths: found torch.int64 of shape \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    case = Case("lstm")
    for name, value in change.items():
        setattr(case, name, value)
    with pytest.raises(RequestError, match=message):
        case.run()


@needs_native
@pytest.mark.parametrize("setting", ["VECTOR_BYTES=16", "VECTOR_BYTES=32", "NATIVE=0"])
def test_narrower_vectors_and_none(setting):
    file = Path(__file__)
    program = (
        f"import sys; sys.path.insert(0, {str(file.parent)!r})\n"
        f"from {file.stem} import *\n"
        "for kind in KINDS:\n"
        "    for dtype in (torch.float32, torch.float64):\n"
        "        for batch in (1, 9, 40):\n"
        "            assert_equals_oracle(Case(kind, hidden=7, batch=batch, steps=4, lengths=True, dtype=dtype))\n"
    )
    name, value = setting.split("=")
    environment = {**os.environ, f"SPARSEWIRE_{name}": value}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=100)
