"""The products of `kernels/products.py` on a GPU, by Triton.

Batch-major tensors go in and come out of `linear_forward` and `linear_backward`; between them the activations lie
feature by feature, and who has several layers in a row calls `forward_by_features` and `backward_by_features`, which
take and give that layout and save the transpositions. Nothing here records gradients.

Sums are made in float32, for float64 in float64; TF32 plays no part. The tile, and with it the order of the sums,
follows from the sizes alone and not from a stopwatch, so that a program gives the same bits at every run.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.gpu_order import Lines, lines_of
from sparsewire.kernels.junctions import Junction

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_PRODUCTS = 2048  # that one program adds up side by side: sixteen for each thread of four warps
_MOST_SAMPLES = 128
_WARP_PRODUCTS = 512

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Tile:
    """What one program of a kernel takes at a time.

    Args:
        entries: of a line, a power of two.
        samples: of the batch, a power of two.
        warps: that share it; 1, 2, 4 or 8.
    """

    entries: int
    samples: int
    warps: int


def tile_for(batch: int, mean: float) -> Tile:
    """The tile for so many samples and so many entries a line.

    Samples first, since they lie side by side; what they leave of the registers goes to entries.

    Example:
        >>> tile_for(256, 41.0), tile_for(1, 41.0)
        (Tile(entries=16, samples=128, warps=4), Tile(entries=64, samples=1, warps=1))
    """
    samples = min(_MOST_SAMPLES, _power_of_two(batch))
    entries = min(_PRODUCTS // samples, _power_of_two(mean))
    return Tile(entries, samples, max(1, entries * samples // _WARP_PRODUCTS))


def linear_forward(
    x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction, tile: Tile | None = None
) -> Tensor:
    """The product x Wᵀ + b, contiguous, shape (batch, outputs).

    Args:
        x: shape (batch, inputs), on a GPU, float32, float64, bfloat16 or float16; any strides.
        values: shape (count,), in the junction's order; of x's dtype and device, as are the others.
        bias: shape (outputs,), or None.
        junction: which weights of W exist; its arrays on x's device.
        tile: None: `tile_for`.

    Raises:
        RequestError: Triton is missing, or the tensors do not fit together.
    """
    _check_shape("x", x, (None, junction.inputs))
    return forward_by_features(x.t(), values, bias, junction, tile).t().contiguous()


def linear_backward(
    grad: Tensor,
    x: Tensor,
    values: Tensor,
    junction: Junction,
    needed: tuple[bool, bool, bool] = (True, True, True),
    tile: Tile | None = None,
) -> Gradients:
    """The gradients of x (contiguous), values and bias: G W, Gᵀx at the live weights, and G's sum over the batch.

    Args:
        grad: G, the gradient of the output, shape (batch, outputs).
        x: what `linear_forward` was given, as values and junction.
        values: see x.
        junction: see x.
        needed: which of the three are wanted; the others are None.
        tile: None: `tile_for`.

    Raises:
        RequestError: as `linear_forward`.
    """
    _check_shape("x", x, (None, junction.inputs))
    _check_shape("grad", grad, (len(x), junction.outputs))
    of_x, of_values, of_bias = backward_by_features(grad.t(), x.t(), values, junction, needed, tile)
    return None if of_x is None else of_x.t().contiguous(), of_values, of_bias


def forward_by_features(
    x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction, tile: Tile | None = None
) -> Tensor:
    """W x + b, contiguous, shape (outputs, batch), for x of shape (inputs, batch); see `linear_forward`."""
    _check(x, junction, {"values": (values, (junction.count,)), "bias": (bias, (junction.outputs,))})
    _check_shape("x", x, (junction.inputs, None))
    return _sum_lines(x, values, bias, lines_of(junction), tile)


def backward_by_features(
    grad: Tensor,
    x: Tensor,
    values: Tensor,
    junction: Junction,
    needed: tuple[bool, bool, bool] = (True, True, True),
    tile: Tile | None = None,
) -> Gradients:
    """Wᵀ G (contiguous), G xᵀ at the live weights, and G's sum over the batch, for G of shape (outputs, batch)."""
    _check_shape("x", x, (junction.inputs, None))
    fitting = {"values": (values, (junction.count,)), "grad": (grad, (junction.outputs, x.shape[1]))}
    _check(x, junction, fitting)
    grad = grad.contiguous()  # here, not once for each kernel
    of_x, of_values, of_bias = needed
    return (
        _sum_lines(grad, values, None, lines_of(junction, by_column=True), tile) if of_x else None,
        _multiply_lines(x, grad, values, lines_of(junction), tile) if of_values else None,
        grad.sum(1) if of_bias else None,
    )


def _sum_lines(x: Tensor, values: Tensor, bias: Tensor | None, lines: Lines, tile: Tile | None) -> Tensor:
    batch = x.shape[1]
    y = x.new_empty(lines.count, batch)
    if not y.numel():
        return y
    tile = tile or tile_for(batch, lines.mean)
    x, values, bias = x.contiguous(), values.contiguous(), None if bias is None else bias.contiguous()
    kernels = _kernels()
    with _device_of(x):
        kernels.sum_lines[(lines.count * -(-batch // tile.samples),)](
            x, values, bias, y, lines.starts, lines.others, lines.places, lines.count, batch,
            ACC=_sums_of(x), ENTRIES=tile.entries, SAMPLES=tile.samples, BIAS=bias is not None, num_warps=tile.warps,
        )  # fmt: skip
    return y


def _multiply_lines(x: Tensor, grad: Tensor, values: Tensor, lines: Lines, tile: Tile | None) -> Tensor:
    batch = x.shape[1]
    if not batch or not values.numel():
        return torch.zeros_like(values, memory_format=torch.contiguous_format)
    found = torch.empty_like(values, memory_format=torch.contiguous_format)
    tile = tile or tile_for(batch, lines.mean)
    x, grad = x.contiguous(), grad.contiguous()
    # Programs for a line of mean length; a longer one keeps each of them busy for several rounds.
    parts = max(1, -int(-lines.mean // tile.entries))
    kernels = _kernels()
    with _device_of(x):
        kernels.multiply_lines[(lines.count * parts,)](
            x, grad, found, lines.starts, lines.others, lines.places, lines.count, parts, batch,
            ACC=_sums_of(x), ENTRIES=tile.entries, SAMPLES=tile.samples, num_warps=tile.warps,
        )  # fmt: skip
    return found


def _kernels() -> Any:
    # Not at the top: Triton takes a second to import, and only a GPU needs it.
    from sparsewire.kernels import triton_kernels

    return triton_kernels


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    # Triton launches on the current GPU, which need not be the tensor's.
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _sums_of(x: Tensor) -> Any:
    return _kernels().tl.float64 if x.dtype == torch.float64 else _kernels().tl.float32


def _power_of_two(number: float) -> int:
    """The lowest power of two that is not below the number; at least 1."""
    power = 1
    while power < number:
        power *= 2
    return power


def _check(x: Tensor, junction: Junction, fitting: Mapping[str, tuple[Tensor | None, tuple[int, ...]]]) -> None:
    kernels = _kernels()
    if kernels.triton is None:
        raise RequestError(
            "triton: not installed, but sparse layers need it on a GPU; run `pip install triton` or install a build of "
            'torch for GPUs, which brings it along, or move the model and its inputs to the CPU: model.to("cpu")'
        )
    if not (x.is_cuda or kernels.is_interpreted()):
        raise RequestError(
            f"x: found on {x.device}, expected on a GPU; use kernels.products.linear, which runs anywhere"
        )
    if x.dtype not in DTYPES:
        raise RequestError(f"x: found {x.dtype}, expected one of {', '.join(map(str, DTYPES))}; use x.float()")
    if junction.columns.device != x.device:
        raise RequestError(
            f"junction: found on {junction.columns.device}, expected on {x.device}; use junction.to(x.device)"
        )
    for name, (some, shape) in fitting.items():
        if some is None:
            continue
        _check_shape(name, some, shape)
        if some.dtype != x.dtype or some.device != x.device:
            raise RequestError(
                f"{name}: found {some.dtype} on {some.device}, expected {x.dtype} on {x.device}, as x; use {name}.to(x)"
            )


def _check_shape(name: str, some: Tensor, shape: tuple[int | None, ...]) -> None:
    if some.ndim != len(shape) or any(
        asked not in (None, found) for found, asked in zip(some.shape, shape, strict=True)
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise RequestError(f"{name}: found shape {tuple(some.shape)}, expected ({wanted})")
