"""The torch operators `sparsewire::chain` and `sparsewire::chain_backward`: what compile, export and autograd see."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import forward_ad

from sparsewire.errors import RequestError
from sparsewire.kernels.chain_compute import Grads, Layers, compute_backward, compute_forward, wide
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.plain import ACTIVATIONS

_NUMBERS = 5  # of a layer in `shapes`: outputs, inputs, block, group, activation

_LIBRARY: Any = torch.library.Library("sparsewire", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define(
    "chain(Tensor x, Tensor[] values, Tensor[] biases, Tensor[] columns, Tensor[] starts, int[] shapes, bool keep)"
    " -> (Tensor, Tensor)"
)
_LIBRARY.define(
    "chain_backward(Tensor grad, Tensor x, Tensor hidden, Tensor[] values, Tensor[] columns, Tensor[] starts,"
    " int[] shapes, bool[] needs) -> Tensor[]"
)


class ChainFunction(torch.autograd.Function):
    """The chain for autograd, around the dispatcher: `ChainFunction.apply(layers, x, *values, *biases)`.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers = Layers((junction_of(torch.tensor([[True, False]])),), ("identity",))
        >>> x, value = torch.tensor([[5.0, 7.0]]), torch.tensor([3.0], requires_grad=True)
        >>> torch.autograd.grad(ChainFunction.apply(layers, x, value, None).sum(), value)
        (tensor([5.]),)
    """

    @staticmethod
    def forward(ctx: Any, layers: Layers, x: Tensor, *tensors: Tensor | None) -> Tensor:
        """What `compute_forward` says."""
        count = len(layers.junctions)
        values, biases = tensors[:count], tensors[count:]
        y, hidden = compute_forward(x, values, biases, layers, keep=layers.keeps)  # type: ignore[arg-type]
        ctx.save_for_backward(x, hidden, *values)
        ctx.layers = layers
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """What `compute_backward` says."""
        x, hidden, *values = ctx.saved_tensors
        needs = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *operate_backward(grad, x, hidden, values, ctx.layers, needs)
        refuse_transforms((grad,))
        count = len(values)
        dx, grads, bias_grads = compute_backward(
            grad, x, hidden, values, ctx.layers, needs[0], needs[1 : 1 + count], needs[1 + count :]
        )
        return None, dx, *grads, *bias_grads


def operate(x: Tensor, values: Sequence[Tensor], biases: Sequence[Tensor | None], layers: Layers) -> Tensor:
    """The chain by way of torch's dispatcher.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers = Layers((junction_of(torch.tensor([[True, False]])),), ("identity",))
        >>> operate(torch.ones(1, 2), [torch.tensor([3.0])], [None], layers)
        tensor([[3.]])
    """
    if not torch.compiler.is_compiling():
        refuse_transforms((x, *values, *(bias for bias in biases if bias is not None)))
    given = [x.new_empty(0) if bias is None else bias for bias in biases]
    keep = layers.keeps and torch.is_grad_enabled()
    y: Tensor = torch.ops.sparsewire.chain(x, list(values), given, *_numbers(layers), keep)[0]
    return y


def operate_backward(
    grad: Tensor, x: Tensor, hidden: Tensor, values: Sequence[Tensor], layers: Layers, needs: Sequence[bool]
) -> list[Tensor | None]:
    """What `compute_backward` says, by way of the dispatcher: its results say so if they are differentiated again.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> layers, x = Layers((junction_of(torch.tensor([[True, False]])),), ("identity",)), torch.tensor([[5.0, 7.0]])
        >>> operate_backward(torch.ones(1, 1), x, x[:0], [torch.tensor([3.0])], layers, [True, True, False])
        [tensor([[3., 0.]]), tensor([5.]), None]
    """
    refuse_transforms((grad,))
    found = torch.ops.sparsewire.chain_backward(grad, x, hidden, list(values), *_numbers(layers), list(needs))
    return [tensor if need else None for tensor, need in zip(found, needs, strict=True)]


def _numbers(layers: Layers) -> tuple[list[Tensor], list[Tensor], list[int]]:
    """Columns, starts and shapes, as the operators take them."""
    shapes: list[int] = []
    for j, activation in zip(layers.junctions, layers.activations, strict=True):
        shapes += (j.outputs, j.inputs, j.block, j.group, ACTIVATIONS.index(activation))
    return [j.columns for j in layers.junctions], [j.starts for j in layers.junctions], shapes


def refuse_transforms(tensors: Sequence[Tensor]) -> None:
    """Nothing, for tensors that the operators can take.

    Raises:
        RequestError: they are of torch.func or of forward-mode differentiation, which would be silently wrong or end
            in an error about torch's own affairs.

    Example:
        >>> refuse_transforms([torch.ones(1)])
        >>> torch.vmap(lambda x: refuse_transforms([x]))(torch.ones(1))
        Traceback (most recent call last):
        ...
        sparsewire.errors.RequestError: x, values, biases: found a tensor of torch.func ...
    """
    functorch, forward = torch._C._functorch, forward_ad._current_level >= 0
    for tensor in tensors:
        wrapped = (
            functorch.is_batchedtensor(tensor)
            or functorch.is_legacy_batchedtensor(tensor)
            or functorch.is_gradtrackingtensor(tensor)
        )
        if wrapped or (forward and forward_ad.unpack_dual(tensor).tangent is not None):  # type: ignore[no-untyped-call]
            raise RequestError(
                "x, values, biases: found a tensor of torch.func (vmap, grad, jvp …) or of forward-mode "
                "differentiation, expected an ordinary one: sparse layers have gradients by backward() and "
                "torch.autograd.grad alone, and no batches of gradients; densify(…) the model for the others"
            )


def _layers(values: list[Tensor], columns: list[Tensor], starts: list[Tensor], shapes: list[int]) -> Layers:
    junctions, activations = [], []
    for place, (value, column, start) in enumerate(zip(values, columns, starts, strict=True)):
        outputs, inputs, block, group, activation = shapes[place * _NUMBERS : (place + 1) * _NUMBERS]
        junctions.append(Junction(outputs, inputs, block, group, column, start, value.numel()))
        activations.append(ACTIVATIONS[activation])
    return Layers(tuple(junctions), tuple(activations))


def _or_none(biases: list[Tensor], layers: Layers) -> list[Tensor | None]:
    """An operator's list holds no None: a bias that is missing is an empty tensor."""
    pairs = zip(biases, layers.junctions, strict=True)
    return [bias if bias.numel() or not junction.outputs else None for bias, junction in pairs]


def _chain(
    x: Tensor,
    values: list[Tensor],
    biases: list[Tensor],
    columns: list[Tensor],
    starts: list[Tensor],
    shapes: list[int],
    keep: bool,
) -> tuple[Tensor, Tensor]:
    layers = _layers(values, columns, starts, shapes)
    y, hidden = compute_forward(x, values, _or_none(biases, layers), layers, keep)
    return y, hidden if keep else x.new_empty(0, dtype=wide(x.dtype))  # an operator's results are its own


def _chain_fake(
    x: Tensor,
    values: list[Tensor],
    biases: list[Tensor],
    columns: list[Tensor],
    starts: list[Tensor],
    shapes: list[int],
    keep: bool,
) -> tuple[Tensor, Tensor]:
    layers = _layers(values, columns, starts, shapes)
    hidden = x.new_empty(layers.kept(x.shape[0]) if keep else 0, dtype=wide(x.dtype))
    return x.new_empty(x.shape[0], layers.junctions[-1].outputs), hidden


def _chain_backward(
    grad: Tensor,
    x: Tensor,
    hidden: Tensor,
    values: list[Tensor],
    columns: list[Tensor],
    starts: list[Tensor],
    shapes: list[int],
    needs: list[bool],
) -> list[Tensor]:
    layers, count = _layers(values, columns, starts, shapes), len(values)
    found: Grads = compute_backward(grad, x, hidden, values, layers, needs[0], needs[1 : 1 + count], needs[1 + count :])
    return [x.new_empty(0) if tensor is None else tensor for tensor in (found[0], *found[1], *found[2])]


def _chain_backward_fake(
    grad: Tensor,
    x: Tensor,
    hidden: Tensor,
    values: list[Tensor],
    columns: list[Tensor],
    starts: list[Tensor],
    shapes: list[int],
    needs: list[bool],
) -> list[Tensor]:
    layers = _layers(values, columns, starts, shapes)
    sizes = [x.shape, *(value.shape for value in values), *((j.outputs,) for j in layers.junctions)]
    return [x.new_empty(size if need else (0,)) for size, need in zip(sizes, needs, strict=True)]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, values, biases, columns, starts, shapes, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, output[1], *values, *biases, *columns, *starts)
    ctx.shapes, ctx.count = shapes, len(values)


def _differentiate(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    refuse_transforms((grad,))
    x, hidden, *rest = ctx.saved_tensors
    count = ctx.count
    values, biases, columns, starts = (rest[place * count : (place + 1) * count] for place in range(4))
    needs = [
        ctx.needs_input_grad[0],
        *(value.requires_grad for value in values),
        *(bias.requires_grad and bias.numel() > 0 for bias in biases),
    ]
    found = torch.ops.sparsewire.chain_backward(grad, x, hidden, values, columns, starts, ctx.shapes, needs)
    grads = [tensor if need else None for tensor, need in zip(found, needs, strict=True)]
    none: list[None] = [None] * count
    return grads[0], grads[1 : 1 + count], grads[1 + count :], none, none, None, None


def refuse_twice(*_: Any) -> NoReturn:
    """Raises the RequestError about gradients of gradients."""
    raise RequestError(
        "backward: found a gradient of a gradient, which sparse layers do not have; densify(…) the model"
    )


for _device in ("CPU", "CUDA"):
    _LIBRARY.impl("chain", _chain, _device)
    _LIBRARY.impl("chain_backward", _chain_backward, _device)
torch.library.register_fake("sparsewire::chain", _chain_fake, lib=_LIBRARY)
torch.library.register_fake("sparsewire::chain_backward", _chain_backward_fake, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::chain", _differentiate, setup_context=_remember, lib=_LIBRARY)
torch.library.register_autograd("sparsewire::chain_backward", refuse_twice, lib=_LIBRARY)
