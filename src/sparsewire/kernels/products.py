"""Products with sparse weight matrices: a layer, or a whole chain of layers, forward and backward.

They are the torch operator `sparsewire::chain`, which compiles, exports and differentiates like any other. Calls with
plain tensors go around torch's dispatcher, whose tens of microseconds are more than a small layer takes; what they
compute is the same. On the CPU it is computed by the native library, on a GPU by Triton, and otherwise by plain torch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C import _is_tracing, _len_torch_dispatch_stack, _len_torch_function_stack
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad
from torch.compiler import is_compiling

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native
from sparsewire.kernels.chain_compute import Layers, autocast, compute_forward, with_rows
from sparsewire.kernels.chain_operator import ChainFunction, operate, operate_backward, refuse_transforms
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.plain import ACTIVATIONS

_PLAIN = frozenset((Tensor, torch.nn.Parameter))  # other kinds of tensors have no numbers that lie somewhere


def linear(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction) -> Tensor:
    """The product x Wᵀ + b for the weight matrix W with these live values; differentiable in x, values and bias.

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
    if not _is_short(x, values, bias, junction):
        return chain(x, (values,), (bias,), (junction,), ("identity",))
    grads = torch.is_grad_enabled() and (
        x.requires_grad or values.requires_grad or (bias is not None and bias.requires_grad)
    )
    if grads:
        y: Tensor = _Linear.apply(junction, x, values, bias)  # type: ignore[no-untyped-call]
        return y
    return _linear_forward(x, values, bias, junction)


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
    x, values, biases = autocast(x, values, biases)
    _check(x, values, biases, layers)
    flat = x if x.ndim == 2 else x.flatten(0, -2) if x.ndim > 2 else x[None]
    y = _flat_chain(flat, values, biases, layers)
    return y if x.ndim == 2 else y.view(*x.shape[:-1], layers.junctions[-1].outputs)


def _flat_chain(x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers) -> Tensor:
    tensors = (x, *values, *(bias for bias in biases if bias is not None))
    if is_compiling() or x.is_meta or not _is_alone() or not _PLAIN.issuperset(map(type, tensors)):
        return operate(x, values, biases, layers)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        y: Tensor = ChainFunction.apply(layers, x, *values, *biases)  # type: ignore[no-untyped-call]
        return y
    return compute_forward(x, values, biases, layers, keep=False)[0]


def _is_short(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction) -> bool:
    """Whether a layer can be computed without any preparation; every condition here is a fraction of a microsecond."""
    if is_compiling() or x.ndim != 2 or not (x.is_cpu and values.is_cpu):
        return False
    dtype, (batch, inputs) = x.dtype, x.shape
    return (
        type(x) in _PLAIN
        and type(values) in _PLAIN
        and _is_alone()
        and native.is_at_hand()
        and dtype in native.DTYPES
        and values.dtype is dtype
        and inputs == junction.inputs
        and batch != 0
        and inputs != 0
        and junction.outputs != 0
        and x.stride()[1] == 1
        and values.stride() == (1,)  # so there is one dimension, and nothing lies between the numbers
        and values.numel() == junction.count
        and (
            bias is None
            or (
                bias.is_cpu
                and type(bias) in _PLAIN
                and bias.dtype is dtype
                and bias.stride() == (1,)
                and bias.numel() == junction.outputs
            )
        )
        and not torch.is_autocast_enabled("cpu")
    )


def _linear_forward(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction) -> Tensor:
    batch = x.shape[0]
    y = x.new_empty((batch, junction.outputs))
    native.function("linear_forward", "i" * 15)(
        native.DTYPES[x.dtype],
        *junction.numbers,  # what `described` says, without another call
        junction.columns.data_ptr(),
        junction.starts.data_ptr(),
        values.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        x.data_ptr(),
        x.stride()[0],
        batch,
        y.data_ptr(),
        torch.get_num_threads(),
    )
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, junction: Junction, x: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, values)
        ctx.junction = junction
        return _linear_forward(x, values, bias, junction)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, values = ctx.saved_tensors
        _, need_x, need_values, need_bias = needs = ctx.needs_input_grad
        if torch.is_grad_enabled():
            layers = Layers((ctx.junction,), ("identity",))
            return None, *operate_backward(grad, x, x.new_empty(0), (values,), layers, needs[1:])
        refuse_transforms((grad,))
        grad = with_rows(grad)
        dx = x.new_empty(x.shape) if need_x else None
        grads = torch.empty_like(values) if need_values else None
        bias_grad = x.new_empty(ctx.junction.outputs) if need_bias else None
        native.function("linear_backward", "i" * 18)(
            native.DTYPES[x.dtype],
            *ctx.junction.described,
            values.data_ptr(),
            native.address(grads),
            native.address(bias_grad),
            x.data_ptr(),
            x.stride(0),
            x.shape[0],
            grad.data_ptr(),
            grad.stride(0),
            native.address(dx),
            torch.get_num_threads(),
        )
        return None, dx, grads, bias_grad


def _is_alone() -> bool:
    """Whether nobody but autograd wants to see what is computed."""
    return (
        _len_torch_dispatch_stack() == 0
        and _len_torch_function_stack() == 0
        and peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and not _is_tracing()
    )


def _check(x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers) -> None:
    lengths = {len(part) for part in (values, biases, *layers)}
    if len(lengths) != 1 or not values:
        raise RequestError(f"values, biases, junctions, activations: found {sorted(lengths)}, expected one number ≥ 1")
    if not x.is_floating_point():
        raise RequestError(f"x: found {x.dtype}, expected a dtype of real numbers as torch.float32")
    width, dtype, device, here = x.shape[-1] if x.ndim else -1, x.dtype, x.device, x.is_cpu
    for place, junction in enumerate(layers.junctions):
        if layers.activations[place] not in ACTIVATIONS:
            raise UnknownNameError("activation", layers.activations[place], ACTIVATIONS)
        if width != junction.inputs:
            what = f"x: found shape {tuple(x.shape)}" if place == 0 else f"layer {place}: found {width} inputs"
            raise RequestError(f"{what}, expected {junction.inputs} numbers in the last dimension, for {junction}")
        if junction.columns.is_cpu != here and not x.is_meta:
            raise RequestError(
                f"layer {place}: found its junction on {junction.columns.device} and x on {device}, expected one "
                "device; junction.to(device) moves it"
            )
        width = junction.outputs
        for name, tensor, count in (
            ("values", values[place], junction.count),
            ("bias", biases[place], junction.outputs),
        ):
            if tensor is None:
                continue
            near = tensor.is_cpu if here else tensor.device == device
            if not near or tensor.ndim != 1 or tensor.numel() != count or tensor.dtype is not dtype:
                raise RequestError(
                    f"{name} of layer {place}: found {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, "
                    f"expected {dtype} of shape {(count,)} on {device}, as x has"
                )
