"""What every sparse layer does: one table of layers, the same laws for all. A new kind is a new row."""

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sparse_module import SparseModule, sparse_modules


class Case(NamedTuple):
    dense: Callable[[], nn.Module]
    sparse: type
    x: tuple[int, ...]


CASES = {
    "linear": Case(lambda: nn.Linear(9, 6), SparseLinear, (5, 9)),
    "linear without bias": Case(lambda: nn.Linear(7, 5, bias=False), SparseLinear, (2, 3, 7)),
    "convolution": Case(lambda: nn.Conv2d(3, 5, 3, padding=1, stride=2), SparseConv2d, (2, 3, 6, 7)),
    "1×1 convolution": Case(lambda: nn.Conv2d(6, 5, 1, bias=False), SparseConv2d, (2, 6, 3, 4)),
}
TORCH_OPTIMIZERS = [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD", "Adafactor",
]  # fmt: skip


def drawn(shape: tuple[int, ...], seed: int = 0, density: float = 0.4) -> Tensor:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density
    if len(shape) > 1 and mask.numel():
        mask[0] = False  # an output without inputs
        mask[:, 0] = False  # an input without outputs
    return mask


def pair(
    case: Case, dtype: torch.dtype = torch.float64, density: float = 0.4, seed: int = 0
) -> tuple[nn.Module, SparseModule, Tensor]:
    """A masked dense layer, the same one sparse, and an input."""
    generator = torch.Generator().manual_seed(seed)
    dense = case.dense().to(dtype)
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    mask = drawn(tuple(dense.weight.shape), seed, density)
    with torch.no_grad():
        sparse = case.sparse.from_dense(dense, mask)
        dense.weight.masked_fill_(~mask, 0)
    return dense, sparse, torch.randn(case.x, generator=generator, dtype=dtype)


def assert_same_function(one: nn.Module, other: nn.Module, x: Tensor) -> None:
    tolerance = 1e-10 if x.dtype == torch.float64 else 1e-5
    a, b = one(x), other(x)
    assert a.shape == b.shape
    scale = max(1.0, a.abs().max().item()) if a.numel() else 1.0
    assert (a - b).abs().sum() <= tolerance * scale * max(a.numel(), 1)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_gradients_are_those_of_the_masked_dense_layer(
    case: Case, density: float, dtype: torch.dtype
) -> None:
    dense, sparse, x = pair(case, dtype, density)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    upstream = torch.randn(dense(x).shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    for layer, given in zip((dense, sparse), inputs, strict=True):
        (layer(given) * upstream).sum().backward()
    tolerance = {"rtol": 0.0, "atol": 1e-9 if dtype == torch.float64 else 1e-4}
    assert_same_function(dense, sparse, x)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **tolerance)
    expected = sparse.junction("weight").values_of(dense.weight.grad.flatten(1))
    torch.testing.assert_close(sparse.weight.grad, expected, **tolerance)
    if dense.bias is not None:
        torch.testing.assert_close(sparse.bias.grad, dense.bias.grad, **tolerance)


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(case: Case, batch: int) -> None:
    dense, sparse, x = pair(case)
    assert_same_function(dense, sparse, x[:batch])
    sparse(x[:batch]).sum().backward()
    assert sparse.weight.grad.shape == sparse.weight.shape
    assert batch or not sparse.weight.grad.any()


def test_inputs_need_not_be_contiguous(case: Case) -> None:
    dense, sparse, x = pair(case)
    wide = torch.stack([x, x + 1], dim=-1)[..., 0]
    assert not wide.is_contiguous()
    assert_same_function(dense, sparse, wide)
    assert_same_function(dense, sparse, x[::2])
    assert_same_function(dense, sparse, x.transpose(0, -1).contiguous().transpose(0, -1))


def test_gradcheck(case: Case) -> None:
    _, sparse, x = pair(case)
    parameters = dict(sparse.named_parameters())

    def call(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(sparse, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x.requires_grad_(), *parameters.values()))


def test_copies_and_dtypes(case: Case) -> None:
    dense, sparse, x = pair(case, torch.float32)
    indices = {name: buffer.dtype for name, buffer in sparse.named_buffers()}
    for other in (
        copy.deepcopy(sparse),
        copy.deepcopy(sparse).double().float(),
        copy.deepcopy(sparse).to(torch.float64).to(torch.float32),
        copy.deepcopy(sparse).type(torch.float64).type(torch.float32),
        copy.deepcopy(sparse).to("cpu"),
    ):
        assert {name: buffer.dtype for name, buffer in other.named_buffers()} == indices
        assert other.weight.data_ptr() != sparse.weight.data_ptr() or not sparse.weight.numel()
        assert_same_function(dense, other, x)
    assert sparse.half().weight.dtype == torch.float16
    assert {name: buffer.dtype for name, buffer in sparse.named_buffers()} == indices


def test_a_copy_is_on_its_own(case: Case) -> None:
    dense, sparse, x = pair(case)
    sparse(x)  # it has made its junction
    other = copy.deepcopy(sparse)
    other.restructure_("weight", torch.ones(sparse.shape_of("weight"), dtype=torch.bool))
    with torch.no_grad():
        other.weight.add_(1)
    assert_same_function(dense, sparse, x)


def test_a_fresh_layer_adopts_the_structure_of_a_state(case: Case, tmp_path: Path) -> None:
    dense, sparse, x = pair(case)
    file = io.BytesIO()
    torch.save(sparse.state_dict(), file)
    file.seek(0)
    save_file(sparse.state_dict(), tmp_path / "state.safetensors")
    for state in (torch.load(file, weights_only=True), load_file(tmp_path / "state.safetensors")):
        for density in (0.0, 0.8):
            _, other, _ = pair(case, density=density, seed=1)
            parameters = list(other.parameters())
            other(x).sum().backward()
            holder = nn.ModuleDict({"layer": other})
            holder.load_state_dict({f"layer.{key}": tensor for key, tensor in state.items()})
            assert all(old is new for old, new in zip(parameters, other.parameters(), strict=True))
            assert other.weight.grad is None or other.weight.grad.shape == other.weight.shape
            assert_same_function(dense, other, x)
            assert torch.equal(other.mask_of("weight"), sparse.mask_of("weight"))


def test_a_layer_without_memory_takes_a_state(case: Case) -> None:
    dense, sparse, x = pair(case)
    empty = copy.deepcopy(sparse).to("meta")
    assigned = copy.deepcopy(empty)
    assigned.load_state_dict(sparse.state_dict(), assign=True)
    assert_same_function(dense, assigned, x)
    made = empty.to_empty(device="cpu")
    assert not made.mask_of("weight").any()  # indices are never what the memory happened to hold
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    assert not made(x).any()
    made.load_state_dict(sparse.state_dict())
    assert_same_function(dense, made, x)


def test_the_dense_form_and_back(case: Case) -> None:
    dense, sparse, x = pair(case)
    sparse.weight.requires_grad_(False)
    back = sparse.eval().to_dense()
    assert type(back) is type(dense)
    assert not back.training
    assert not back.weight.requires_grad
    assert list(back.state_dict()) == list(dense.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(back.parameters(), dense.parameters(), strict=True))
    assert_same_function(dense, back, x)
    again = case.sparse.from_dense(back, sparse.mask_of("weight"))
    assert torch.equal(again.weight, sparse.weight)
    assert not again.training
    assert not again.weight.requires_grad


def test_restructuring_keeps_common_values_and_the_parameter(case: Case) -> None:
    _, sparse, x = pair(case)
    before, old, parameter = sparse.dense_weight("weight"), sparse.weight.detach().clone(), sparse.weight
    sparse(x).sum().backward()
    for seed, density in enumerate([0.7, 0.0, 0.3, 1.0]):
        layer = copy.deepcopy(sparse)
        parameter, mask = layer.weight, drawn(before.shape, seed + 5, density)
        origin = layer.restructure_("weight", mask)
        assert layer.weight is parameter
        assert parameter.grad is None
        assert torch.equal(layer.mask_of("weight"), mask)
        assert torch.equal(layer.dense_weight("weight"), before.masked_fill(~mask, 0))
        assert torch.equal(layer.weight, torch.where(origin >= 0, torch.cat([old, old.new_zeros(1)])[origin], 0))
        layer(x).sum().backward()
        assert parameter.grad.shape == (layer.junctions["weight"].count,)


def test_a_loss_that_is_kept_does_not_hinder_a_new_structure(case: Case) -> None:
    _, sparse, x = pair(case)
    other = pair(case, density=0.8, seed=1)[1]
    kept = [sparse(x).sum()]
    sparse.load_state_dict(other.state_dict())
    kept.append(sparse(x).sum())
    kept[-1].backward()
    assert sparse.weight.grad.shape == other.weight.shape
    sparse.restructure_("weight", drawn(sparse.shape_of("weight"), seed=2))
    sparse(x).sum().backward()
    assert sparse.weight.grad.shape == sparse.weight.shape


def test_what_others_write_into_the_index_buffers_is_noticed(case: Case) -> None:
    _, sparse, x = pair(case)
    expected = sparse(x)
    for made in (sparse, copy.deepcopy(sparse)):  # the copy has not made its junction yet
        for part in ("columns", "starts"):
            made.get_buffer(f"weight_{part}").copy_(made.get_buffer(f"weight_{part}").clone())
        assert torch.equal(made(x), expected)
        # An average in floats, such as 0.9 · 7 + 0.1 · 7 = 6.99…, loses one as a whole number.
        made.weight_columns.copy_(made.weight_columns.float() - 0.1 * (made.weight_columns > 0))
        with pytest.raises(RequestError, match="leave these buffers out of averages"):
            made(x)


def test_torch_func_leaves_no_tensors_behind(case: Case) -> None:
    _, sparse, x = pair(case)
    expected = sparse(x)
    fresh = copy.deepcopy(sparse)  # which has not made its junction yet
    torch.func.grad(lambda y: (y * fresh.junction("weight").columns.sum()).sum())(x)
    with FakeTensorMode(allow_non_fake_inputs=True):
        fresh.junction("weight")
    assert torch.equal(fresh(x), expected)


def test_without_memory_the_structure_is_not_known(case: Case) -> None:
    _, sparse, x = pair(case)
    mask = sparse.mask_of("weight")
    sparse.to("meta")
    assert sparse(x.to("meta")).is_meta
    for asked in (sparse.to_dense, lambda: sparse.mask_of("weight"), lambda: sparse.restructure_("weight", mask)):
        with pytest.raises(RequestError, match="meta device"):
            asked()
    with pytest.raises(RequestError, match="without content"):
        case.sparse.from_dense(case.dense(), mask.to("meta"))


class Doubled(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return 2 * values


def test_values_that_are_computed_from_others_have_no_dense_form(case: Case) -> None:
    _, sparse, x = pair(case)
    expected, double = sparse(x), copy.deepcopy(sparse)
    with torch.no_grad():
        double.weight.mul_(2)
    nn.utils.parametrize.register_parametrization(sparse, "weight", Doubled())
    assert torch.equal(sparse(x), double(x))
    assert not torch.equal(sparse(x), expected)
    sparse.double()
    for asked in (sparse.to_dense, lambda: sparse.restructure_("weight", sparse.mask_of("weight"))):
        with pytest.raises(RequestError, match="found it computed from another tensor"):
            asked()
    nn.utils.parametrize.remove_parametrizations(sparse, "weight")
    assert_same_function(sparse.to_dense(), double, x)


def test_a_compiled_layer_can_be_pickled(case: Case) -> None:
    _, sparse, x = pair(case)
    expected = sparse(x)
    sparse.compile(backend="eager")
    assert torch.equal(pickle.loads(pickle.dumps(sparse))(x), expected)  # noqa: S301


def test_dense_gradients(case: Case) -> None:
    dense, sparse, x = pair(case)
    dense(x).square().sum().backward()
    sparse.wants_dense_gradients = True
    for times in (1, 2):
        sparse(x).square().sum().backward()
        torch.testing.assert_close(sparse.dense_gradients["weight"], times * dense.weight.grad)
    with torch.no_grad():
        sparse(x)
    sparse.clear_dense_gradients()
    sparse.wants_dense_gradients = False
    sparse(x).sum().backward()
    assert not sparse.dense_gradients


@pytest.mark.parametrize("name", TORCH_OPTIMIZERS)
def test_every_optimizer_steps_live_values_with_memory_of_their_size(case: Case, name: str) -> None:
    _, sparse, x = pair(case, torch.float32)
    optimizer = getattr(torch.optim, name)(sparse.parameters(), lr=0.01)
    before = sparse.weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        sparse(x).square().sum().backward()
        optimizer.step()
    assert not torch.equal(before, sparse.weight)
    sizes = {tensor.numel() for tensor in optimizer.state[sparse.weight].values() if isinstance(tensor, Tensor)}
    assert sizes <= {1, sparse.weight.numel()}


def test_compiles_and_exports(case: Case) -> None:
    dense, sparse, x = pair(case)
    assert_same_function(dense, torch.compile(sparse, backend="aot_eager", fullgraph=True), x)
    assert_same_function(dense, torch.export.export(sparse, (x,)).module(), x)
    batch = ({0: torch.export.Dim("batch")},)
    assert_same_function(dense, torch.export.export(sparse, (x,), dynamic_shapes=batch).module(), torch.cat([x, x]))
    compiled = torch.compile(copy.deepcopy(sparse), backend="aot_eager", fullgraph=True)
    compiled(x).square().sum().backward()
    dense(x).square().sum().backward()
    expected = sparse.junction("weight").values_of(dense.weight.grad.flatten(1))
    torch.testing.assert_close(dict(compiled.named_parameters())["_orig_mod.weight"].grad, expected)
    assert_same_function(dense, sparse, x)  # no tensor of the traces is left in it


BROKEN = {
    "columns out of range": ("weight_columns", lambda t: torch.full_like(t, 127)),
    "negative columns": ("weight_columns", lambda t: torch.full_like(t, 255)),
    "columns twice": ("weight_columns", torch.zeros_like),
    "columns cut": ("weight_columns", lambda t: t[:-2]),
    "half a column": ("weight_columns", lambda t: t[:-1]),
    "columns of another dtype": ("weight_columns", lambda t: t.long()),
    "columns with two sides": ("weight_columns", lambda t: t.view(-1, 2)),
    "starts too large": ("weight_starts", lambda t: t + 2**30),
    "starts negative": ("weight_starts", lambda t: t - 1),
    "starts all zero": ("weight_starts", torch.zeros_like),
    "starts reversed": ("weight_starts", lambda t: t.flip(-1)),
    "starts cut": ("weight_starts", lambda t: t[..., :-1]),
    "starts of another dtype": ("weight_starts", lambda t: t.long()),
    "starts without content": ("weight_starts", lambda t: t.to("meta")),
    "starts in another layout": ("weight_starts", lambda t: t.to_sparse()),
    "no starts": ("weight_starts", None),
    "another layer": ("weight_layout", lambda t: t + torch.tensor([1, 0, 0, 0])),
    "no block": ("weight_layout", lambda t: t * torch.tensor([1, 1, 0, 1])),
    "a huge block": ("weight_layout", lambda t: t + torch.tensor([0, 0, 2**40, 0])),
    "no group": ("weight_layout", lambda t: t + torch.tensor([0, 0, 0, 7])),
    "a short layout": ("weight_layout", lambda t: t[:3]),
    "values cut": ("weight", lambda t: t[:-1]),
    "whole numbers": ("weight", lambda t: t.long()),
    "a dense weight": ("weight", lambda t: t.new_zeros(4, 4)),
    "values in another layout": ("weight", lambda t: t.to_sparse()),
    "no values": ("weight", None),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("density", [0.2, 0.6])
def test_a_damaged_state_changes_nothing(case: Case, broken: str, density: float) -> None:
    dense, sparse, x = pair(case)
    _, other, _ = pair(case, density=density, seed=3)
    state = other.state_dict()
    key, change = BROKEN[broken]
    if change is None:
        del state[key]
    else:
        state[key] = change(state[key])
    with pytest.raises(RequestError, match="sparse weight 'weight' in the state: found"):
        sparse.load_state_dict(state)
    assert_same_function(dense, sparse, x)


def test_what_a_state_lacks_altogether_is_torchs_to_say() -> None:
    _, sparse, _ = pair(CASES["linear"])
    with pytest.raises(RuntimeError, match="Missing key"):
        sparse.load_state_dict({"bias": torch.zeros(6, dtype=torch.float64)})
    sparse.load_state_dict({"bias": torch.zeros(6, dtype=torch.float64)}, strict=False)
    assert not sparse.bias.any()


def test_names_and_masks_are_checked() -> None:
    _, sparse, _ = pair(CASES["linear"])
    with pytest.raises(UnknownNameError, match="no sparse weight is named 'wait'"):
        sparse.mask_of("wait")
    for wrong in (torch.ones(6, 9), torch.ones(9, 6, dtype=torch.bool), torch.ones(54, dtype=torch.bool), None):
        with pytest.raises(RequestError, match=r"mask of 'weight': .*expected a torch.bool tensor of shape \(6, 9\)"):
            sparse.restructure_("weight", wrong)
    with pytest.raises(RequestError, match="found Tensor, expected a torch module"):
        sparse_modules(torch.ones(1))
    with pytest.raises(NotImplementedError, match="no dense form"):
        SparseModule().to_dense()


def test_shared_sparse_modules_are_listed_once() -> None:
    _, sparse, _ = pair(CASES["linear"])
    assert list(sparse_modules(nn.ModuleDict({"a": sparse, "b": nn.Sequential(sparse), "c": nn.ReLU()}))) == ["a"]
    assert list(sparse_modules(sparse)) == [""]


DISTRIBUTED = """
import sys, torch
import torch.distributed as distributed
from sparsewire.execution.linear import SparseLinear
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
layer = SparseLinear(5, 4, torch.eye(4, 5).bool())
before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
model = torch.nn.parallel.DistributedDataParallel(layer)
for _ in range(2):
    model(torch.ones(3, 5)).sum().backward()
assert layer.weight.grad.tolist() == [6.0] * 4, layer.weight.grad
assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())
distributed.destroy_process_group()
print("done")
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_distributed_data_parallel(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DISTRIBUTED, str(tmp_path / "meeting")],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "done", done.stderr
