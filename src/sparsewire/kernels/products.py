"""Products with sparse weight matrices: a layer, or a whole chain of layers, forward and backward.

They are the torch operator `sparsewire::chain`, which compiles, exports and differentiates like any other. Calls with
plain tensors go around torch's dispatcher, whose tens of microseconds are more than a small layer takes; what they
compute is the same. On the CPU it is computed by the native library, on a GPU by Triton, and otherwise by plain torch.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native, plain
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.plain import ACTIVATIONS

_NUMBERS = len(("outputs", "inputs", "block", "group", "count"))  # of a junction, in an operator's `shapes`


class Layers(NamedTuple):
    """What is the same for all batches: the junctions of a chain and the activations after them."""

    junctions: tuple[Junction, ...]
    activations: tuple[str, ...]

    @property
    def keeps(self) -> bool:
        """Whether backward needs the activations; not for a single layer without one."""
        return len(self.junctions) > 1 or self.activations[0] != "identity"


Grads = tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]


def linear(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction) -> Tensor:
    """x Wᵀ + b for the weight matrix W with these live values; differentiable in x, values and bias.

    Args:
        x: shape (…, inputs), float32, float64 or bfloat16, on the CPU or a GPU.
        values: the live weights in the junction's order, shape (count,), of x's dtype.
        bias: shape (outputs,), or None.
        junction: where the weights are.

    Raises:
        RequestError: shapes or dtypes do not fit.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction = junction_of(torch.tensor([[True, False], [False, True]]))
        >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([3.0, 4.0]), None, junction)
        tensor([[3., 8.]])
    """
    return chain(x, (values,), (bias,), (junction,), ("identity",))


def chain(
    x: Tensor,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    junctions: Sequence[Junction],
    activations: Sequence[str],
) -> Tensor:
    """a_L of a_l = act_l(a_{l−1} W_lᵀ + b_l) with a_0 = x; differentiable in x, values and biases.

    Args:
        x: shape (…, inputs of the first layer), float32, float64 or bfloat16.
        values: of each layer the live weights in its junction's order, of x's dtype.
        biases: of each layer, shape (outputs,), or None.
        junctions: of each layer; the outputs of one are the inputs of the next.
        activations: after each layer, of "relu", "tanh", "sigmoid", "identity".

    Raises:
        RequestError: the layers are no chain, or shapes or dtypes do not fit.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction, ones = junction_of(torch.tensor([[True, False], [False, True]])), torch.ones(2)
        >>> chain(torch.tensor([1.0, -2.0]), [ones, ones], [None, ones], [junction] * 2, ["relu", "identity"])
        tensor([2., 1.])
    """
    layers = Layers(tuple(junctions), tuple(activations))
    if torch.is_autocast_enabled(x.device.type):
        x, values, biases = _cast(x, values, biases)
    _check(x, values, biases, layers)
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = _flat_chain(flat, values, biases, layers)
    return y if x.ndim == 2 else y.view(*x.shape[:-1], layers.junctions[-1].outputs)


def _flat_chain(x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers) -> Tensor:
    if torch.compiler.is_compiling() or not _is_plain(x):
        empty = x.new_empty(0)
        indices = [j.columns for j in layers.junctions], [j.starts for j in layers.junctions]
        given = [empty if bias is None else bias for bias in biases]
        keep = layers.keeps and torch.is_grad_enabled()
        y: Tensor = torch.ops.sparsewire.chain(x, list(values), given, *indices, _shapes(layers), keep)[0]
        return y
    tensors = (x, *values, *(bias for bias in biases if bias is not None))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: Tensor = _Chain.apply(layers, x, *values, *biases)
        return result
    return _forward(x, values, biases, layers, keep=False)[0]


def _is_plain(x: Tensor) -> bool:
    """Whether nobody but autograd wants to see the operator."""
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None  # type: ignore[attr-defined]
        and not torch.jit.is_tracing()
    )


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: Layers, x: Tensor, *tensors: Tensor | None) -> Tensor:  # type: ignore[override]
        count = len(layers.junctions)
        values, biases = tensors[:count], tensors[count:]
        y, hidden = _forward(x, values, biases, layers, keep=layers.keeps)  # type: ignore[arg-type]
        ctx.save_for_backward(x, hidden, *values)
        ctx.layers = layers
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, hidden, *values = ctx.saved_tensors
        count = len(values)
        _, need_x, *needs = ctx.needs_input_grad
        dx, grads, bias_grads = _backward(grad, x, hidden, values, ctx.layers, need_x, needs[:count], needs[count:])
        return None, dx, *grads, *bias_grads


def _forward(
    x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers, keep: bool
) -> tuple[Tensor, Tensor]:
    outputs = layers.junctions[-1].outputs
    if x.is_cuda:
        raise NotImplementedError
    if not _is_native(x, layers):
        return plain.forward(x, values, biases, layers.junctions, layers.activations, keep)
    x = _rows(x)
    y = x.new_empty(len(x), outputs)
    hidden = x.new_empty(_kept(len(x), layers) if keep else 0, dtype=_wide(x.dtype))
    described = _describe(layers, values, biases, None, None)
    native.function("chain_forward")(
        native.DTYPES[x.dtype],
        len(layers.junctions),
        ctypes.addressof(described),
        x.data_ptr(),
        x.stride(0),
        len(x),
        y.data_ptr(),
        hidden.data_ptr(),
        torch.get_num_threads(),
    )
    return y, hidden


def _backward(
    grad: Tensor,
    x: Tensor,
    hidden: Tensor,
    values: Sequence[Tensor],
    layers: Layers,
    need_x: bool,
    need_values: Sequence[bool],
    need_biases: Sequence[bool],
) -> Grads:
    if x.is_cuda:
        raise NotImplementedError
    if not _is_native(x, layers):
        return plain.backward(
            grad, x, hidden, values, layers.junctions, layers.activations, need_x, need_values, need_biases
        )
    x, grad = _rows(x), _rows(grad)
    dx = x.new_empty(x.shape) if need_x else None
    grads = [torch.empty_like(v) if need else None for v, need in zip(values, need_values, strict=True)]
    bias_grads = [
        x.new_empty(j.outputs) if need else None for j, need in zip(layers.junctions, need_biases, strict=True)
    ]
    described = _describe(layers, values, (None,) * len(values), grads, bias_grads)
    native.function("chain_backward")(
        native.DTYPES[x.dtype],
        len(values),
        ctypes.addressof(described),
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


def _describe(
    layers: Layers,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    grads: Sequence[Tensor | None] | None,
    bias_grads: Sequence[Tensor | None] | None,
) -> Any:
    """The array of `Layer` structs of junctions.hpp."""
    numbers: list[int] = []
    for place, (j, activation) in enumerate(zip(layers.junctions, layers.activations, strict=True)):
        numbers += (j.outputs, j.inputs, j.block, j.group, j.count, j.columns.data_ptr(), j.starts.data_ptr())
        numbers += (values[place].data_ptr(), native.address(biases[place]), ACTIVATIONS.index(activation))
        numbers.append(0 if grads is None else native.address(grads[place]))
        numbers.append(0 if bias_grads is None else native.address(bias_grads[place]))
    return (ctypes.c_int64 * len(numbers))(*numbers)


def _is_native(x: Tensor, layers: Layers) -> bool:
    empty = not len(x) or any(not j.inputs or not j.outputs for j in layers.junctions)
    return x.is_cpu and not empty and x.dtype in native.DTYPES and native.is_at_hand()


def _rows(x: Tensor) -> Tensor:
    """The same numbers, those of a row side by side."""
    return x if x.stride(1) == 1 or x.shape[1] == 1 else x.contiguous()


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.bfloat16 else dtype


def _kept(batch: int, layers: Layers) -> int:
    """Numbers in `hidden`: whole vectors of the widest kind, so that it does not depend on the machine."""
    return -(-batch // 16) * 16 * sum(junction.outputs for junction in layers.junctions)


def _cast(
    x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    """To the dtype of autocast, where there are kernels for it."""
    wanted = torch.get_autocast_dtype(x.device.type)
    wanted = wanted if wanted in native.DTYPES else torch.float32
    cast = [value.to(wanted) for value in values]
    return x.to(wanted), cast, [None if bias is None else bias.to(wanted) for bias in biases]


def _check(x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers) -> None:
    lengths = {len(part) for part in (values, biases, *layers)}
    if len(lengths) != 1 or not values:
        raise RequestError(f"values, biases, junctions, activations: found {sorted(lengths)}, expected one number ≥ 1")
    width = x.shape[-1] if x.ndim else -1
    for place, junction in enumerate(layers.junctions):
        if layers.activations[place] not in ACTIVATIONS:
            raise UnknownNameError("activation", layers.activations[place], ACTIVATIONS)
        if width != junction.inputs:
            what = f"x: found shape {tuple(x.shape)}" if place == 0 else f"layer {place}: found {width} inputs"
            raise RequestError(f"{what}, expected {junction.inputs} numbers in the last dimension, for {junction}")
        width = junction.outputs
        for name, tensor, shape in (
            ("values", values[place], (junction.count,)),
            ("bias", biases[place], (junction.outputs,)),
        ):
            if tensor is not None and (tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device):
                raise RequestError(
                    f"{name} of layer {place}: found {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, "
                    f"expected {x.dtype} of shape {shape} on {x.device}, as x has"
                )
