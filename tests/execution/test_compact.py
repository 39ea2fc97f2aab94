import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.execution.compact import load_compact, save_compact
from sparsewire.execution.compact_files import FORMAT, _digest
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64]


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 20), nn.Linear(20, 3))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model


def masks_of(model: nn.Module, density: float = 0.3) -> Masks:
    generator = torch.Generator().manual_seed(1)
    return Masks(
        {n: torch.rand(mask.shape, generator=generator) < density for n, mask in Masks.from_model(model).items()}
    )


def assert_same_bits(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        raw = [some.contiguous().reshape(-1).view(torch.uint8) for some in (found[name], tensor)]
        assert torch.equal(*raw), name


def test_a_masked_model_comes_back_with_its_masks_kept_zeros_too(tmp_path):
    model, masks = network(), masks_of(network())
    with torch.no_grad():
        model[3].weight[masks["3.weight"]] *= torch.rand(int(masks["3.weight"].sum())) < 0.5  # zeros that are kept
    save_compact(model, tmp_path / "a", masks)
    state, found = load_compact(tmp_path / "a")
    assert found == masks
    assert_same_bits(state, dict(masks.apply_(model).state_dict()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zeros_are_found_by_their_bits(tmp_path, dtype):
    layer = nn.Linear(6, 2, dtype=dtype)
    layer.weight.data = torch.tensor([[0.0, -0.0, 1, 0, 0, -2], [0, 0, 0, 3, -0.0, 0]]).to(dtype)
    save_compact(layer, tmp_path / "a")
    state, masks = load_compact(tmp_path / "a")
    assert_same_bits(state, dict(layer.state_dict()))
    if dtype != torch.complex64:
        assert masks["weight"].int().tolist() == [[0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]]


def test_not_finite_weights_come_back(tmp_path):
    layer = nn.Linear(3, 1)
    layer.weight.data = torch.tensor([[torch.nan, 0.0, -torch.inf]])
    save_compact(layer, tmp_path / "a")
    assert_same_bits(load_compact(tmp_path / "a")[0], dict(layer.state_dict()))


def test_a_model_without_zeros_is_stored_as_it_is(tmp_path):
    model = network()
    save_compact(model, tmp_path / "a")
    state, masks = load_compact(tmp_path / "a")
    assert not masks
    assert_same_bits(state, dict(model.state_dict()))
    assert_same_bits(load_file(tmp_path / "a"), dict(model.state_dict()))


@pytest.mark.parametrize("density", [0.5, 0.2, 0.1, 0.01])
def test_files_are_small(tmp_path, density):
    model = nn.Linear(1000, 300)
    masks = masks_of(model, density)
    save_compact(model, tmp_path / "a", masks)
    bits = {0.5: 32 + 2.01, 0.2: 32 + 3.9, 0.1: 32 + 5, 0.01: 32 + 8.5}[density] * masks.count
    assert (tmp_path / "a").stat().st_size < bits / 8 + 300 * 4 + 700


def test_the_sparse_form_gives_the_same_file_and_takes_either(tmp_path):
    model, masks = network(), masks_of(network())
    sparse = sparsify(model, masks, "sparse")
    save_compact(model, tmp_path / "dense", masks)
    save_compact(sparse, tmp_path / "sparse")
    assert (tmp_path / "dense").read_bytes() == (tmp_path / "sparse").read_bytes()
    other = sparsify(network(), masks_of(network(), 0.8), "sparse")
    load_compact(tmp_path / "dense", other)
    assert_same_bits(dict(other.state_dict()), dict(sparse.state_dict()))
    dense = network()
    load_compact(tmp_path / "sparse", dense)
    assert_same_bits(dict(dense.state_dict()), dict(masks.apply_(model).state_dict()))


def test_layers_that_the_plan_left_dense_keep_their_masks(tmp_path):
    model, masks = nn.Linear(3, 1), Masks({"weight": torch.tensor([[True, False, True]])})
    model.weight.data = torch.tensor([[0.0, 1.0, 2.0]])
    save_compact(sparsify(model, masks, "dense"), tmp_path / "a")
    assert load_compact(tmp_path / "a")[1] == masks


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.code, self.out = nn.Embedding(50, 40), nn.Linear(40, 50, bias=False)
            self.out.weight = self.code.weight

    model, other = Tied(), Tied()
    masks = Masks({"out.weight": torch.rand(50, 40, generator=torch.Generator().manual_seed(0)) < 0.2})
    save_compact(model, tmp_path / "a", masks)
    state, _ = load_compact(tmp_path / "a", other)
    assert state["code.weight"].data_ptr() == state["out.weight"].data_ptr()
    assert (tmp_path / "a").stat().st_size < 0.35 * 50 * 40 * 4
    masks.apply_(model)
    assert torch.equal(model.out.weight, other.code.weight)


def test_odd_shapes_and_views(tmp_path):
    model = nn.Linear(4, 3)
    model.weight.data = torch.arange(12.0).view(4, 3).t()
    model.register_buffer("count", torch.tensor(7))
    model.register_buffer("flags", torch.tensor([True, False]))
    model.register_buffer("none", torch.empty(0, 2))
    save_compact(model, tmp_path / "a", Masks({"weight": torch.ones(4, 3, dtype=torch.bool).t()}))
    assert_same_bits(load_compact(tmp_path / "a")[0], dict(model.state_dict()))


def test_what_cannot_be_saved_is_refused_and_nothing_is_written(tmp_path):
    model = nn.Linear(2, 2)
    with pytest.raises(RequestError, match="mask of 'weight': found shape"):
        save_compact(model, tmp_path / "a", {"weight": torch.ones(2, 3, dtype=torch.bool)})
    with pytest.raises(RequestError, match="no parameter of the model is named"):
        save_compact(model, tmp_path / "a", {"wait": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(RequestError, match="no dense tensor with data"):
        save_compact(nn.Linear(2, 2, device="meta"), tmp_path / "a")
    model.register_buffer("x#index", torch.ones(1))
    with pytest.raises(RequestError, match="'x#index'"):
        save_compact(model, tmp_path / "a")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        save_compact(nn.Linear(2, 2), tmp_path / "file" / "a")


def test_what_is_no_model_is_refused(tmp_path):
    save_compact(nn.Linear(2, 2), tmp_path / "a")
    with pytest.raises(RequestError, match="model: found dict, expected a torch module or None"):
        load_compact(tmp_path / "a", {})


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "other", [nn.Linear(4, 2), nn.Linear(3, 2, bias=False), nn.Sequential(nn.Linear(3, 2)), nn.Linear(3, 2).double()]
)
def test_a_model_that_does_not_fit_is_left_alone(tmp_path, other, sparse):
    model = nn.Linear(3, 2)
    save_compact(model, tmp_path / "a", Masks({"weight": torch.tensor([[True, False, True]] * 2)}))
    if sparse:
        other = sparsify(other, masks_of(other, 0.5), "sparse")
    if any(parameter.dtype == torch.float64 for parameter in other.parameters()):  # values are converted
        load_compact(tmp_path / "a", other)
        return
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_compact(tmp_path / "a", other)
    assert_same_bits(dict(other.state_dict()), before)


def crafted(path: Path, entry: dict, values: Tensor, index: Tensor, **more) -> None:
    """A file of one weight whose checksum is right, whatever it says."""
    tensors = {"weight": values, "weight#index": index}
    told = json.dumps({"masked": {"weight": entry}, "ties": {}, **more})
    save_file(tensors, path, {FORMAT: json.dumps({"weights": told, "sha256": _digest(tensors, told)})})


ENTRY = {"shape": [2, 8], "count": 2, "coding": "bits", "marks": 0, "width": 0}
INDEX = torch.tensor([0b10000000, 0b00000001], dtype=torch.uint8)
HUGE = {"shape": [10**6, 10**6], "coding": "gaps", "marks": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2, 9]}, {"shape": [2, -8]}, {"shape": [2, 8.0]}, {"shape": "2"}, {"shape": [2**61, 2**61]},
        {"shape": [10**6, 10**6]}, HUGE, {"shape": [1] * 65 + [16]}, {"shape": [True, 16]}, {"shape": [0, 10**18]},
        {"count": 3}, {"count": 1}, {"count": True}, {"count": -2}, {"count": None},
        {"coding": "zip"}, {"coding": "gaps"}, {"coding": "gaps", "marks": 3}, {"coding": "runs", "marks": 2},
        {"coding": "runs", "marks": 10**12}, {"coding": "gaps", "marks": 2, "width": 62}, {"coding": 3},
        {"marks": 1}, {"width": 1}, {"extra": 1},
    ],
    ids=str,
)  # fmt: skip
def test_crafted_headers_are_refused(tmp_path, change):
    crafted(tmp_path / "a", ENTRY, torch.ones(2), INDEX)
    assert load_compact(tmp_path / "a")[1].count == 2
    crafted(tmp_path / "a", {**ENTRY, **change}, torch.ones(2), INDEX)
    for model in (None, nn.Linear(8, 2, bias=False)):
        with pytest.raises(CheckpointError):
            load_compact(tmp_path / "a", model)


def test_other_crafted_files_are_refused(tmp_path):
    for values, index, more in (
        (torch.ones(3), INDEX, {}),
        (torch.ones(2, 1), INDEX, {}),
        (torch.ones(2), INDEX[:1], {}),
        (torch.ones(2), INDEX.short(), {}),
        (torch.ones(2), torch.tensor([255, 1], dtype=torch.uint8), {}),
        (torch.ones(2), INDEX, {"ties": {"bias": "wait"}}),
        (torch.ones(2), INDEX, {"ties": {"weight": "weight"}}),
        (torch.ones(2), INDEX, {"ties": {"bias": "weight#index"}}),
        (torch.ones(2), INDEX, {"ties": {"bias": ["weight"]}}),
        (torch.ones(2), INDEX, {"masked": {}}),
        (torch.ones(2), INDEX, {"masked": []}),
        (torch.ones(2), INDEX, {"more": 1}),
        (torch.ones(2), INDEX, {"ties": [[]] * 10**6}),
    ):
        crafted(tmp_path / "a", ENTRY, values, index, **more)
        with pytest.raises(CheckpointError):
            load_compact(tmp_path / "a")


def test_other_files_are_refused(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "plain")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello " * 9)
    (tmp_path / "long").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    torch.save({"weight": torch.ones(2)}, tmp_path / "torch")
    many = '{"weights": [' + "[]," * 10**6 + '[]], "sha256": ""}'
    for number, about in enumerate(("", "[]", "{}", '{"weights": 1, "sha256": ""}', "[" * 10**5, many)):
        save_file({"weight": torch.ones(2)}, tmp_path / str(number), {FORMAT: about})
    for name in (*"012345", "plain", "empty", "text", "long", "torch", "missing", "."):
        with pytest.raises(CheckpointError, match="cannot read"):
            load_compact(tmp_path / name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, bytes, Masks, dict[str, Tensor]]:
    path = tmp_path_factory.mktemp("saved") / "a"
    model, masks = nn.Linear(30, 4), masks_of(nn.Linear(30, 4))
    save_compact(model, path, masks)
    return path, path.read_bytes(), masks, dict(masks.apply_(model).state_dict())


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_a_changed_or_cut_file_is_refused_or_right(saved, place, change, cut):
    path, content, masks, expected = saved
    place %= len(content)
    damaged = bytearray(content)
    damaged[place] ^= change
    path.write_bytes(damaged[:place] if cut else damaged)
    try:
        state, found = load_compact(path)
    except CheckpointError:
        return
    assert not cut
    assert found == masks
    assert_same_bits(state, expected)
