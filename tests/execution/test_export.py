import importlib.util

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparsewire.errors import FileError, RequestError
from sparsewire.execution import export
from sparsewire.execution.convert import sparsify
from sparsewire.execution.export import export_onnx
from sparsewire.structure.masks import Masks

NAMES = ("onnx", "onnxscript", "onnxruntime")
needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in NAMES), reason="needs pip install 'sparsewire[export]'"
)


def half(model: nn.Module) -> Masks:
    generator = torch.Generator().manual_seed(1)
    return Masks({n: torch.rand(mask.shape, generator=generator) < 0.5 for n, mask in Masks.from_model(model).items()})


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def run(path, *inputs: Tensor) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {slot.name: some.numpy() for slot, some in zip(session.get_inputs(), inputs, strict=True)})


def assert_close(found: np.ndarray, expected: Tensor) -> None:
    expected = expected.detach()
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@needs_onnx
def test_a_sparse_network_runs_in_onnxruntime_at_any_batch(tmp_path):
    model = mlp()
    masks = half(model)
    sparse = sparsify(model, masks, "sparse")
    assert sparse.training
    difference = export_onnx(sparse, torch.randn(1, 6), tmp_path / "net.onnx")
    assert difference is not None
    assert difference <= 1e-5
    assert sparse.training, "the model was exported in evaluation mode, and left alone"
    masks.apply_(model).eval()
    for size in (1, 2, 7):
        x = torch.randn(size, 6)
        assert_close(run(tmp_path / "net.onnx", x)[0], model(x))


@needs_onnx
def test_convolutions_and_a_fixed_batch(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2))
    sparse = sparsify(model, half(model), "sparse")
    x = torch.randn(2, 1, 6, 6)
    export_onnx(sparse, x, tmp_path / "net.onnx", dynamic_batch=False)
    assert_close(run(tmp_path / "net.onnx", x)[0], half(model).apply_(model).eval()(x))


@needs_onnx
def test_what_onnxruntime_lacks_is_not_written(tmp_path):
    with pytest.raises(FileError, match="nothing was written: onnxruntime cannot run"):
        export_onnx(nn.Conv2d(1, 1, 2).double(), torch.randn(2, 1, 3, 3).double(), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@needs_onnx
def test_recurrent_networks(tmp_path):
    model = nn.LSTM(4, 5)
    sparse = sparsify(model, half(model), "sparse")
    export_onnx(sparse, torch.randn(3, 2, 4), tmp_path / "net.onnx", batch_axis=1)
    x = torch.randn(3, 6, 4)
    assert_close(run(tmp_path / "net.onnx", x)[0], half(model).apply_(model)(x)[0])


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"sum": x + y, "product": x * y}


@needs_onnx
def test_several_inputs_and_outputs(tmp_path):
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    export_onnx(Two(), (x, y), tmp_path / "net.onnx")
    found = run(tmp_path / "net.onnx", x, y)
    assert_close(found[0], x + y)
    assert_close(found[1], x * y)


@needs_onnx
def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_difference", lambda *_: 1e-3)
    (tmp_path / "net.onnx").write_text("before")
    with pytest.raises(FileError, match=r"not written: onnxruntime's outputs differ .* 1.0e-03"):
        export_onnx(mlp(), torch.randn(2, 6), tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@needs_onnx
def test_half_precision_may_differ_more(tmp_path):
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(300, 10, dtype=torch.float16)
    with torch.no_grad():
        layer.weight.uniform_(-1, 1, generator=generator)
    difference = export_onnx(layer, torch.randn(4, 300, generator=generator).half(), tmp_path / "net.onnx")
    assert difference is None or difference <= export.HALF_TOLERANCE


@needs_onnx
def test_what_torch_cannot_export_is_a_request_error(tmp_path):
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(RequestError, match="torch cannot export it"):
        export_onnx(Branching(), torch.randn(2, 6), tmp_path / "net.onnx")


@needs_onnx
@pytest.mark.parametrize(
    ("example", "options"),
    [
        (None, {}),
        ((), {}),
        ("text", {}),
        (torch.ones(0, 6), {}),
        (torch.tensor(1.0), {}),
        (torch.ones(2, 6), {"batch_axis": 2}),
        ((torch.ones(2, 6), torch.ones(3, 6)), {}),
        (torch.ones(2, 6).bfloat16(), {}),
    ],
)
def test_examples_that_are_none_are_refused(tmp_path, example, options):
    with pytest.raises(RequestError, match="example: found"):
        export_onnx(mlp(), example, tmp_path / "net.onnx", **options)


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(RequestError, match=r"needs onnxscript.*pip install 'sparsewire\[export\]'"):
        export_onnx(mlp(), torch.randn(2, 6), tmp_path / "net.onnx")


@needs_onnx
def test_the_difference_is_a_fraction_of_the_scale(tmp_path):
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(100.0)
    export_onnx(layer, torch.ones(2, 1), tmp_path / "net.onnx")
    layer.weight.data.fill_(101.0)
    assert export._difference(layer, (torch.ones(2, 1),), tmp_path / "net.onnx") == pytest.approx(1 / 101)
    layer.weight.data.fill_(float("nan"))
    assert export._difference(layer, (torch.ones(2, 1),), tmp_path / "net.onnx") == float("inf")


@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated")  # torch's own
def test_torch_export_takes_sparse_layers():
    model = mlp().eval()
    sparse = sparsify(model, half(model), "sparse").eval()
    x = torch.randn(5, 6)
    program = torch.export.export(sparse, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for inputs in (x, torch.randn(2, 6)):
        torch.testing.assert_close(program.module()(inputs), sparse(inputs))
