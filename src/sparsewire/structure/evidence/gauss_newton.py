"""The diagonal of the Gauss–Newton form of the Hessian, in as many backward passes as there are outputs.

With z the outputs of a sample, a the inputs of a layer and y = W a + b its outputs, each weight has

    h_ji = mean over samples of  Σ_c (δ^c_j a_i)²,   δ^c = (∂z / ∂y)ᵀ S[:, c],   S Sᵀ = ∂²loss / ∂z²

where a convolution, or a layer that is used at several places of a sample, has Σ_places δ^c_j a_i within the square. Of
cross-entropy with p = softmax(z), S Sᵀ = diag(p) − p pᵀ by the columns S = diag(√p) − p √pᵀ, √p_c (e_c − p) each; of
the mean squared error S = √2 · 1. What is left out of the Hessian is the curvature of z itself, which is zero where z
is piecewise linear in each single weight. All sums are of squares, so nothing cancels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsewire.errors import RequestError
from sparsewire.structure.evidence.mean_loss import Loss, wide_type
from sparsewire.structure.evidence.piecewise import LAYERS

_LARGEST = 1 << 24  # numbers in the products of layers that are used at several places: 64 MiB in float32


class _Use(NamedTuple):
    """One call of a layer: what went in, whether it still is that, and what came out."""

    layer: nn.Module
    inputs: Tensor
    version: int
    outputs: Tensor


Uses = dict[str, list[_Use]]


def why_no_columns(loss: Loss) -> str | None:
    """None where S is known here: cross-entropy or the mean squared error in their plain forms; else what is unusual.

    A negative `ignore_index` (that of cross-entropy is -100 unless told) is no class, and plain.

    Example:
        >>> why_no_columns(functional.cross_entropy), why_no_columns(nn.L1Loss())
        (None, 'the loss is neither plain cross-entropy nor the plain mean squared error')
    """
    if loss in (functional.cross_entropy, functional.mse_loss) or type(loss) is nn.MSELoss:
        return None
    if type(loss) is nn.CrossEntropyLoss and loss.weight is None:  # label smoothing does not change the curvature
        return f"the loss leaves out the label {loss.ignore_index}" if loss.ignore_index >= 0 else None
    return "the loss is neither plain cross-entropy nor the plain mean squared error"


def gauss_newton_diagonal(
    model: nn.Module, loss: Loss, batches: Iterable[tuple[Any, Tensor]], weights: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """The diagonal for each of the weights, of Linear and Conv layers, over all batches.

    Memory: the activations of one batch with their graph; for layers that are used at several places of a sample the
    gradients of all classes beside them, and 64 MiB (or what a single sample needs, if that is more).

    Raises:
        RequestError: a weight belongs to another layer, outputs are no rows of one per sample, or labels do not fit.
    """
    layers = _layers(model, weights)
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    count = 0
    for inputs, labels in batches:
        with _recorded(layers) as uses:
            outputs = model(inputs)
        columns = _columns(loss, outputs, labels)
        _check_rows(uses, len(labels))
        _check_called(uses, outputs, weights)
        for name, part in _of_batch(uses, outputs, columns).items():
            sums[name] += part.view_as(sums[name])
        count += labels.numel()
    return {name: (total / count).to(wide_type(weights[name])) for name, total in sums.items()}


def _layers(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> dict[str, list[nn.Module]]:
    names = {id(weight): name for name, weight in weights.items()}
    layers: dict[str, list[nn.Module]] = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if type(module) in LAYERS and id(weight) in names:  # a subclass may do anything with its weight
            layers.setdefault(names[id(weight)], []).append(module)
    for name in weights:
        if name not in layers:
            raise RequestError(
                f"method: 'gauss_newton' takes weights of Linear and Conv layers, but {name!r} belongs to another; "
                "leave it out with only=, or use method='hutchinson'"
            )
    return layers


@contextmanager
def _recorded(layers: Mapping[str, list[nn.Module]]) -> Iterator[Uses]:
    """Notes each call of the layers while the model runs."""
    uses: Uses = {name: [] for name in layers}

    def hook_of(name: str) -> Callable[..., Tensor]:
        def hook(layer: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor], outputs: Tensor) -> Tensor:
            inputs = given[0] if given else named["input"]
            uses[name].append(_Use(layer, inputs.detach(), inputs._version, outputs))
            return outputs.clone()  # what comes next may work in place, as nn.ReLU(inplace=True) does

        return hook

    with ExitStack() as stack:
        for name, modules in layers.items():
            for module in modules:
                stack.callback(module.register_forward_hook(hook_of(name), with_kwargs=True).remove)
        yield uses


def _check_rows(uses: Uses, rows: int) -> None:
    for name, calls in uses.items():
        for use in calls:
            if use.inputs.dim() < 2 or len(use.inputs) != rows:
                raise RequestError(
                    f"model: found inputs of shape {tuple(use.inputs.shape)} at {name!r} for {rows} samples, expected "
                    "the samples in the first dimension throughout; use method='hutchinson'"
                )
            if use.inputs._version != use.version:
                raise RequestError(f"model: the inputs of {name!r} were changed in place; use method='hutchinson'")


def _check_called(uses: Uses, outputs: Tensor, weights: Mapping[str, nn.Parameter]) -> None:
    aside = [name for name, calls in uses.items() if not calls]
    if not aside or not outputs.requires_grad:
        return
    ends = [weights[name] for name in aside]
    found = torch.autograd.grad(outputs.sum(), ends, retain_graph=True, allow_unused=True)
    for name, gradient in zip(aside, found, strict=True):
        if gradient is not None:
            raise RequestError(
                f"model: uses {name!r} without calling its layer, so its inputs are not known; use method='hutchinson'"
            )


def _columns(loss: Loss, outputs: Any, labels: Tensor) -> Iterator[Tensor]:
    """The columns of S for all samples, (samples, outputs) each."""
    if not isinstance(outputs, Tensor) or outputs.dim() != 2:
        found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise RequestError(f"model: found outputs of {found}, expected (samples, outputs); use method='hutchinson'")
    if loss is functional.mse_loss or isinstance(loss, nn.MSELoss):
        if labels.shape != outputs.shape:
            raise RequestError(f"data: found labels of shape {tuple(labels.shape)}, expected {tuple(outputs.shape)}")
        return (2**0.5 * functional.one_hot(place, outputs.shape[1]).to(outputs).expand_as(outputs)
                for place in torch.arange(outputs.shape[1], device=outputs.device))  # fmt: skip
    whole = not labels.is_floating_point() and labels.shape == outputs.shape[:1]
    if not whole or int(labels.min()) < 0 or int(labels.max()) >= outputs.shape[1]:
        raise RequestError(
            f"data: found labels of shape {tuple(labels.shape)} and type {labels.dtype}, expected one class from 0 to "
            f"{outputs.shape[1] - 1} for each of the {len(outputs)} samples; use method='hutchinson' for others"
        )
    return _softmax_columns(outputs.detach())


def _softmax_columns(outputs: Tensor) -> Iterator[Tensor]:
    """√p_c (e_c − p) for each class c."""
    chances = outputs.double().softmax(1)  # float32 would lose 1 − p where a network is sure
    for place in range(outputs.shape[1]):
        column = -chances
        column[:, place] += 1
        yield (column * chances[:, place : place + 1].sqrt()).to(outputs)


def _of_batch(uses: Uses, outputs: Tensor, columns: Iterable[Tensor]) -> dict[str, Tensor]:
    """Σ over the samples of a batch, for each weight that is used."""
    if not outputs.requires_grad:  # none of the weights matters
        return {}
    # What the model does without gradients is a constant.
    uses = {name: [use for use in calls if use.outputs.requires_grad] for name, calls in uses.items()}
    plain = {name for name, calls in uses.items() if len(calls) == 1 and calls[0].inputs.dim() == 2}
    calls = [(name, use) for name in uses for use in uses[name]]
    ends, squares, deltas = [use.outputs for _, use in calls], dict.fromkeys(plain, 0), [[] for _ in calls]  # type: ignore[var-annotated]
    for column in columns:
        found = torch.autograd.grad(outputs, ends, column, retain_graph=True, materialize_grads=True)
        for (name, _), delta, kept in zip(calls, found, deltas, strict=True):
            if name in plain:
                squares[name] = squares[name] + _wide(delta).square()  # type: ignore[assignment]
            else:
                kept.append(_wide(delta))
    parts = {name: torch.as_tensor(squares[name]).T @ _wide(uses[name][0].inputs).square() for name in plain}
    for name in uses.keys() - plain:
        mine = [(use, torch.stack(kept, 1)) for (owner, use), kept in zip(calls, deltas, strict=True) if owner == name]
        if mine:
            parts[name] = _of_places(mine)
    return parts


def _of_places(uses: list[tuple[_Use, Tensor]]) -> Tensor:
    """Σ over samples and classes of (Σ over places and calls of δ a)²; δ has shape (samples, classes, out, …)."""
    samples = len(uses[0][1])
    step, total, first = 1, torch.zeros(()).to(uses[0][1]), 0
    while first < samples:
        product: Tensor | None = None
        for use, delta in uses:
            patches = _wide(_patches(use.layer, use.inputs[first : first + step]))  # (samples, groups, places, inputs)
            some = _grouped(use.layer, delta[first : first + step], patches)
            part = torch.einsum("bcgol,bgli->bcgoi", some, patches)
            product = part if product is None else product + part
            size = max(1, (patches.numel() + some.numel() + part.numel()) // len(patches))
        assert product is not None
        total = total + product.square().sum((0, 1))
        first, step = first + step, max(1, _LARGEST // size)  # the first sample shows how many fit
    return total


def _wide(tensor: Tensor) -> Tensor:
    """At least float32: squares of small numbers would vanish in half precision."""
    return tensor.to(wide_type(tensor))


def _grouped(layer: nn.Module, delta: Tensor, patches: Tensor) -> Tensor:
    """(samples, classes, groups, outputs of a group, places)"""
    if isinstance(layer, nn.Linear):
        delta = delta.reshape(*delta.shape[:2], -1, delta.shape[-1]).transpose(2, 3)
    return delta.reshape(*delta.shape[:2], patches.shape[1], -1, patches.shape[2])


def _patches(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What the weights of one output are multiplied by at each place: (samples, groups, places, inputs · kernel)."""
    if isinstance(layer, nn.Linear):
        return inputs.reshape(len(inputs), 1, -1, inputs.shape[-1])
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    windows = functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)
    spread = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    for axis, (kernel, stride, dilation) in enumerate(spread, start=2):
        windows = windows.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
    axes = len(layer.kernel_size)  # (samples, channels, *places, *kernel) → groups, places, channels of a group, kernel
    places, kernel_axes = range(2, 2 + axes), range(2 + axes, 2 + 2 * axes)
    moved = windows.permute(0, *places, 1, *kernel_axes).reshape(len(inputs), -1, layer.groups, layer.weight[0].numel())
    return moved.transpose(1, 2)
