"""Networks as ONNX files, which run without Python and torch."""

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import FileError, RequestError
from sparsewire.execution.convert import densify
from sparsewire.files import write_aside

TOLERANCE, HALF_TOLERANCE = 1e-5, 1e-2  # of the outputs' scale; the second where numbers have eleven bits, not 24
_LARGEST = 2**31 - 2**20  # bytes: a protobuf file ends at 2 GiB

# What torch's exporter says about itself, and its user can do nothing about.
_CHATTER = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # copyreg, while torch copies its own description of inputs
    r"_check_is_size will be removed",  # torch's code for shapes that are not known yet
    r"# The axis name: batch will not be used",  # of the second input, which has the same batch
    r"The tensor attributes .*_flat_weights",  # nn.RNN, nn.GRU and nn.LSTM keep their weights in a list as well
)
_ABOUT_TORCHVISION = "torchvision is not installed"  # logged by the module below; nothing here uses it
_LOGGER = "torch.onnx._internal.exporter._registration"


def export_onnx(
    model: nn.Module,
    example: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    dynamic_batch: bool = True,
    batch_axis: int = 0,
) -> float | None:
    """Writes a network as ONNX, in evaluation mode, and checks what onnxruntime computes from it.

    ONNX has no sparse layers that its runtimes would run, so the weights are dense there, with zeros: the file is a
    dense one's size, and compresses well. The file is whole and computes the right numbers, or is not there.

    Args:
        model: with sparse layers or without, on any device; it is not changed.
        example: an input, or all of them in order, for which the network can be computed.
        path: where to.
        dynamic_batch: the file takes batches of any size; else those of the example's only.
        batch_axis: where the batch is in every input: 1 for a recurrent network that is not `batch_first`.

    Returns:
        The largest difference of onnxruntime's outputs from torch's, for the example and, if batches may have any
        size, for its first item alone; in fractions of the outputs' largest number. None if onnxruntime is not there.

    Raises:
        RequestError: onnx and onnxscript are not installed, the example is no tensor with such an axis, or torch cannot
            export the model.
        FileError: the file cannot be written, or computes something else (by more than 1e-5, or 1e-2 in float16);
            nothing was written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.onnx"
        >>> if importlib.util.find_spec("onnxscript"):  # pip install 'sparsewire[export]'
        ...     difference = export_onnx(nn.Linear(3, 2), torch.ones(1, 3), path)
        ...     assert path.exists()
    """
    _check_installed()
    inputs = _checked_inputs(example, batch_axis, dynamic_batch)
    dense = densify(model)[0].cpu().eval().requires_grad_(False)
    state = dense.state_dict().values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in state)
    tolerance = HALF_TOLERANCE if any(some.dtype == torch.float16 for some in (*state, *inputs)) else TOLERANCE
    if size > _LARGEST:
        raise RequestError(f"model: found weights of {size:,} bytes, expected at most {_LARGEST:,} for one ONNX file")
    program = _program(dense, inputs, batch_axis if dynamic_batch else None)
    trials = [inputs]
    if dynamic_batch:
        trials.append(tuple(some.narrow(batch_axis, 0, 1) for some in inputs))
    found: list[float] = []

    def write(aside: Path) -> None:
        program.save(str(aside), external_data=False)
        if importlib.util.find_spec("onnxruntime"):
            found.extend(_difference(dense, trial, aside) for trial in trials)
            if not max(found) <= tolerance:  # NaN neither
                raise FileError(
                    f"{os.fspath(path)} was not written: onnxruntime's outputs differ from torch's by {max(found):.1e} "
                    f"of their scale, expected at most {tolerance}; please report the model"
                )

    write_aside(path, write, FileError)
    return max(found, default=None)


def _check_installed() -> None:
    missing = [name for name in ("onnx", "onnxscript") if not importlib.util.find_spec(name)]
    if missing:
        raise RequestError(
            f"export to ONNX needs {' and '.join(missing)}, found nothing of the name; "
            "pip install 'sparsewire[export]' brings them, and onnxruntime, with which the file is checked"
        )


def _checked_inputs(example: Tensor | Sequence[Tensor], axis: int, dynamic: bool) -> tuple[Tensor, ...]:
    inputs = tuple(example) if isinstance(example, list | tuple) else (example,)
    if not inputs or not all(isinstance(some, Tensor) for some in inputs):
        raise RequestError(f"example: found {type(example).__name__}, expected an input tensor or several")
    if any(some.dtype == torch.bfloat16 for some in inputs):
        raise RequestError("example: found bfloat16, which onnxruntime does not compute; export model.float()")
    if dynamic:
        sizes = {some.shape[axis] if 0 <= axis < some.ndim else 0 for some in inputs}
        if len(sizes) > 1 or 0 in sizes:
            shapes = ", ".join(str(tuple(some.shape)) for some in inputs)
            raise RequestError(
                f"example: found {shapes}, expected one size, at least 1, of axis {axis}, the batch; "
                "name another batch_axis, or set dynamic_batch=False"
            )
        if sizes == {1}:  # torch.export takes a size of 1 for a constant
            inputs = tuple(torch.cat([some, some], axis) for some in inputs)
    return tuple(some.detach().cpu() for some in inputs)


def _program(dense: nn.Module, inputs: tuple[Tensor, ...], axis: int | None) -> Any:
    batch = torch.export.Dim("batch")
    shapes = None if axis is None else tuple({axis: batch} for _ in inputs)
    with _without_chatter():
        try:
            return torch.onnx.export(dense, inputs, dynamo=True, dynamic_shapes=shapes, verbose=False)
        except Exception as cause:  # the exporter's errors have many types
            told = " ".join(str(cause.__cause__ or cause).split())[:300]
            advice = "" if axis is None else "; if it depends on the size of the batch, set dynamic_batch=False"
            raise RequestError(f"model: torch cannot export it: {told}{advice}") from cause


@contextmanager
def _without_chatter() -> Iterator[None]:
    def is_news(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_ABOUT_TORCHVISION)

    logger = logging.getLogger(_LOGGER)
    logger.addFilter(is_news)
    try:
        with warnings.catch_warnings():
            for message in _CHATTER:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.removeFilter(is_news)


@torch.no_grad()
def _difference(dense: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> float:
    """The largest difference of onnxruntime's outputs from torch's, as a fraction of those."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # onnxruntime's errors have no type in common
        told = " ".join(str(cause).split())[:300]
        raise FileError(f"nothing was written: onnxruntime cannot run the network in these dtypes: {told}") from cause
    named = {slot.name: some.numpy() for slot, some in zip(session.get_inputs(), inputs, strict=True)}
    largest = 0.0
    for found, expected in zip(session.run(None, named), _tensors_in(dense(*inputs)), strict=True):
        wanted, got = expected.double(), torch.from_numpy(found).double()
        if wanted.shape != got.shape:
            return float("inf")
        same = (wanted == got) | (wanted.isnan() & got.isnan())
        if not same.all():
            finite = wanted[wanted.isfinite()].abs()
            scale = max(float(finite.max()) if finite.numel() else 0.0, torch.finfo(torch.float32).tiny)
            largest = max(largest, float((wanted - got)[~same].abs().nan_to_num(float("inf")).max()) / scale)
    return largest


def _tensors_in(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    inner = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, list | tuple) else ()
    return [tensor for part in inner for tensor in _tensors_in(part)]
