"""A chain of sparse layers forward and backward, without autograd: by native code, by Triton or by plain torch."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparsewire.kernels import native, plain, triton_chain
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.plain import ACTIVATIONS

Grads = tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]

_NOTHING = torch.empty(0)  # to make an empty tensor takes longer than a small layer


class Layers(NamedTuple):
    """What is the same for all batches: the junctions of a chain and the activations after them."""

    junctions: tuple[Junction, ...]
    activations: tuple[str, ...]

    @property
    def keeps(self) -> bool:
        """Whether backward needs the activations; not for a single layer without one."""
        return len(self.junctions) > 1 or self.activations[0] != "identity"

    def kept(self, batch: int) -> int:
        """Numbers in `hidden`: whole vectors of the widest kind, so that it does not depend on the machine."""
        return -(-batch // 16) * 16 * sum(junction.outputs for junction in self.junctions)


def compute_forward(
    x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers, keep: bool
) -> tuple[Tensor, Tensor]:
    """What `plain.forward` says; `hidden`, if kept, has `layers.kept(batch)` numbers and is for `compute_backward`.

    Args:
        x: shape (batch, inputs).
        values: of each layer the live weights.
        biases: of each layer, or None.
        layers: the chain.
        keep: whether backward will want the activations.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers = Layers((junction_of(torch.tensor([[True, False]])),), ("relu",))
        >>> compute_forward(torch.ones(1, 2), [torch.tensor([3.0])], [None], layers, keep=False)[0]
        tensor([[3.]])
    """
    if not is_native(x, layers):
        by = triton_chain.forward if x.is_cuda else plain.forward
        y, hidden = by(x, values, biases, *layers, keep)
        missing = layers.kept(len(x)) - hidden.numel() if keep else 0
        return y, pad(hidden, (0, missing)).to(wide(x.dtype))
    x, batch = with_rows(x), x.shape[0]
    y = x.new_empty((batch, layers.junctions[-1].outputs))
    hidden = x.new_empty(layers.kept(batch), dtype=wide(x.dtype)) if keep else _NOTHING
    if keep:  # narrow vectors do not reach its end, which is to be the same each time all the same
        hidden[batch * sum(j.outputs for j in layers.junctions) :] = 0
    values, biases = [in_line(value) for value in values], [b if b is None else in_line(b) for b in biases]
    described = describe(layers, values, biases, None, None)
    native.function("chain_forward", "i" * 9)(
        native.DTYPES[x.dtype],
        len(layers.junctions),
        described.buffer_info()[0],
        x.data_ptr(),
        x.stride()[0],
        batch,
        y.data_ptr(),
        hidden.data_ptr(),
        torch.get_num_threads(),
    )
    return y, hidden


def compute_backward(
    grad: Tensor,
    x: Tensor,
    hidden: Tensor,
    values: Sequence[Tensor],
    layers: Layers,
    need_x: bool,
    need_values: Sequence[bool],
    need_biases: Sequence[bool],
) -> Grads:
    """dL/dx, and dL/dvalues and dL/dbias of every layer, each None where it is not needed.

    Args:
        grad: dL/da_L, shape (batch, outputs).
        x: as for `compute_forward`.
        hidden: what it kept; empty where `layers.keeps` is False.
        values: as for `compute_forward`.
        layers: the chain.
        need_x: whether dL/dx is wanted.
        need_values: for each layer.
        need_biases: for each layer.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers, x = Layers((junction_of(torch.tensor([[True, False]])),), ("identity",)), torch.tensor([[5.0, 7.0]])
        >>> compute_backward(torch.ones(1, 1), x, x[:0], [torch.tensor([3.0])], layers, True, [True], [False])
        (tensor([[3., 0.]]), [tensor([5.])], [None])
    """
    if not is_native(x, layers):
        by = triton_chain.backward if x.is_cuda else plain.backward
        return by(grad, x, hidden.to(x.dtype), values, *layers, need_x, need_values, need_biases)
    x, grad, values = with_rows(x), with_rows(grad), [in_line(value) for value in values]
    dx = x.new_empty(x.shape) if need_x else None
    grads = [torch.empty_like(v) if need else None for v, need in zip(values, need_values, strict=True)]
    bias_grads = [
        x.new_empty(j.outputs) if need else None for j, need in zip(layers.junctions, need_biases, strict=True)
    ]
    described = describe(layers, values, (None,) * len(values), grads, bias_grads)
    native.function("chain_backward", "i" * 11)(
        native.DTYPES[x.dtype],
        len(values),
        described.buffer_info()[0],
        x.data_ptr(),
        x.stride(0),
        len(x),
        hidden.data_ptr(),
        grad.data_ptr(),
        grad.stride(0),
        native.address(dx),
        torch.get_num_threads(),
    )
    return dx, grads, bias_grads


def with_rows(x: Tensor) -> Tensor:
    """The same numbers, those of a row side by side, as the kernels need it.

    Example:
        >>> with_rows(torch.ones(2, 3).t()).stride()
        (2, 1)
    """
    return x if x.stride()[1] == 1 else in_line(x)


def autocast(
    x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor | None]]:
    """As autocast, where it is on, does for a dense layer: to its dtype, but for float64, which is taken to be meant.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     autocast(torch.ones(1), [torch.ones(1).double()], [None])
        (tensor([1.], dtype=torch.bfloat16), [tensor([1.], dtype=torch.float64)], [None])
    """
    if not (x.is_cpu or x.is_cuda) or not torch.is_autocast_enabled(x.device.type):
        return x, values, biases
    wanted = torch.get_autocast_dtype(x.device.type)

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(wanted) if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor

    return cast(x), [cast(value) for value in values], [None if bias is None else cast(bias) for bias in biases]


def in_line(tensor: Tensor) -> Tensor:
    """The same numbers side by side. A view of imaginary parts may be contiguous and yet stand for their negatives.

    Example:
        >>> in_line(torch.ones(2, 3).t()).is_contiguous()
        True
    """
    return tensor if tensor.stride() == (1,) else tensor.contiguous().resolve_neg()


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which activations are kept for what is stored in `dtype`.

    Example:
        >>> wide(torch.bfloat16)
        torch.float32
    """
    return torch.float32 if dtype == torch.bfloat16 else dtype


def describe(
    layers: Layers,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    grads: Sequence[Tensor | None] | None,
    bias_grads: Sequence[Tensor | None] | None,
) -> "array[int]":
    """The `Layer` structs of junctions.hpp, one after the other; good as long as the tensors are.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers = Layers((junction_of(torch.tensor([[True, False]])),), ("relu",))
        >>> describe(layers, [torch.ones(1)], [None], None, None)[:5].tolist()
        [1, 2, 2, 4, 1]
    """
    numbers: list[int] = []
    for place, (j, activation) in enumerate(zip(layers.junctions, layers.activations, strict=True)):
        numbers += j.described
        numbers += (values[place].data_ptr(), native.address(biases[place]), ACTIVATIONS.index(activation))
        numbers.append(0 if grads is None else native.address(grads[place]))
        numbers.append(0 if bias_grads is None else native.address(bias_grads[place]))
    return array("q", numbers)


def is_native(x: Tensor, layers: Layers) -> bool:
    """Whether the native library computes this.

    Example:
        >>> is_native(torch.ones(0, 2), Layers((), ()))  # there is nothing to compute
        False
    """
    empty = not x.shape[0] or any(not j.inputs or not j.outputs for j in layers.junctions)
    return x.is_cpu and not empty and x.dtype in native.DTYPES and native.is_at_hand()
