"""The loss of a network under each of many masks of one layer's units, without running the network for each."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad, unfold

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.evidence.mean_loss import Data, Loss, at_rest, batches_of, checked_loss
from sparsewire.structure.evidence.unit_chain import UnitLayer, unit_layer

BUDGET = 256 * 2**20
_BATCH = 1000
_CACHE = 4 * 2**20  # on a CPU: what ensembles that run together may write, so that it stays near
_DENSE = (nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout)


class _Seen(NamedTuple):
    """What the following weights see of a batch: their inputs as columns.

    Args:
        columns: (units, inputs of a unit, places), places = samples × positions of a kernel.
        weight: (units, inputs of a unit, outputs), the following weight.
        bias: (outputs, 1).
        shape: of the outputs behind the first two dimensions: () or (height, width).
    """

    columns: Tensor
    weight: Tensor
    bias: Tensor
    shape: tuple[int, ...]


def ensemble_losses(
    model: nn.Module, layer: str, masks: Tensor, data: Data, *, loss: Loss | None = None, budget: int = BUDGET
) -> Tensor:
    """The mean loss over the data with each of the masks on the layer's units, behind their activations.

    Of every batch the inputs h of the following weights W are computed once. A mask then takes away columns of W,

        W (z ⊙ h) + b = Σ_{i on} W_i h_i + b = (W h + b) − Σ_{i off} W_i h_i

    so that only the smaller one of the two sums is multiplied, with the weights and the rows of h gathered, and where
    half of the units are on, a mask and its complement share one product. What lies behind runs on many masks at once.

    Args:
        model: a chain as for `unit_layers`; it is evaluated in eval mode and left as it is.
        layer: the name of a layer of it, or of its weight.
        masks: bool (ensembles, units), `True` = used.
        data: (inputs, labels) tensors, or an iterable of such batches.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        budget: bytes that activations and gathered weights may take at a time, beside model, masks and data; with fewer
            the samples and the ensembles come in smaller portions.

    Returns:
        float64 (ensembles,), on the model's device.

    Raises:
        RequestError: a model, masks, data, a loss or a budget that is none, or a loss that is not finite.
        UnknownNameError: no such layer.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
        >>> for weight in model.parameters():
        ...     _ = weight.data.fill_(1.0)
        >>> masks = torch.tensor([[True, True], [True, False]])
        >>> data = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 1)
        >>> ensemble_losses(model, "0", masks, data, loss=nn.MSELoss())      # (3 + 3)² and 3²
        tensor([36.,  9.], dtype=torch.float64)
    """
    chain, loss = unit_layer(model, layer), checked_loss(loss)
    weight = chain.following.weight
    masks = _checked_masks(masks, chain).to(weight.device)
    budget = whole("budget", budget, least=1)
    totals, count = torch.zeros(len(masks), dtype=torch.float64, device=weight.device), 0
    with at_rest(model, ()), torch.no_grad():
        portions: tuple[int, int] | None = None
        for inputs, labels in batches_of(data, _BATCH, weight.device):
            if not isinstance(inputs, Tensor) or not labels.dim() or len(inputs) != len(labels):
                raise RequestError("data: expected batches with a tensor of as many inputs as labels")
            portions = portions or _portions(chain, inputs, budget)
            for part, own in zip(inputs.split(portions[0]), labels.split(portions[0]), strict=True):
                seen = _seen(chain, part)
                for start, outputs in _outputs(seen, chain.after, masks, portions[1]):
                    found = _losses(outputs, own, loss)
                    totals[start : start + len(found)] += found.double() * own.numel()
                count += own.numel()
    if not bool(totals.isfinite().all()):
        raise RequestError("loss: found one that is not finite for some ensembles; the model's outputs are too large")
    return totals / count


def _checked_masks(masks: Tensor, chain: UnitLayer) -> Tensor:
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool or masks.dim() != 2:
        found = f"{masks.dtype} of shape {tuple(masks.shape)}" if isinstance(masks, Tensor) else type(masks).__name__
        raise RequestError(f"masks: found {found}, expected torch.bool of shape (ensembles, {chain.units})")
    if masks.shape[1] != chain.units or not len(masks):
        raise RequestError(
            f"masks: found shape {tuple(masks.shape)}, expected (ensembles, {chain.units}), the units of {chain.name!r}"
        )
    return masks


def _seen(chain: UnitLayer, inputs: Tensor) -> _Seen:
    values: Any = inputs
    for module in chain.before:
        values = module(values)
    following, shape = chain.following, ()
    weight = following.weight.flatten(1).T.unflatten(0, (chain.units, -1)).contiguous()
    bias = weight.new_zeros(len(following.weight), 1) if following.bias is None else following.bias[:, None]
    if isinstance(following, nn.Conv2d):
        mode = "constant" if following.padding_mode == "zeros" else following.padding_mode
        values = pad(values, following._reversed_padding_repeated_twice, mode=mode)
        shape = tuple(
            (size - step * (kernel - 1) - 1) // stride + 1
            for size, step, kernel, stride in zip(
                values.shape[2:], following.dilation, following.kernel_size, following.stride, strict=True
            )
        )
        values = unfold(values, following.kernel_size, following.dilation, 0, following.stride)
        columns = values.transpose(0, 1).flatten(1)
    elif values.dim() != 2:
        raise RequestError(
            f"data: the inputs of {chain.following_name!r} have shape {tuple(values.shape)}, expected (batch, features)"
        )
    else:
        columns = values.T
    return _Seen(columns.unflatten(0, (chain.units, -1)).contiguous(), weight, bias, shape)


def _outputs(
    seen: _Seen, after: tuple[nn.Module, ...], masks: Tensor, at_once: int
) -> Iterator[tuple[int, Tensor]]:
    """(first mask, outputs (masks, classes, samples) of it and those behind it), portion by portion."""
    flat = seen.columns.flatten(0, 1)
    whole_sum = seen.weight.flatten(0, 1).T @ flat
    rest = whole_sum.add_(2 * seen.bias)  # W h + 2 b, of which one product with its bias leaves the other with its own
    start = 0
    while start < len(masks):
        part = masks[start : start + at_once]
        # A pair of complements needs one product.
        paired = len(part) % 2 == 0 and bool((part[0::2] ^ part[1::2]).all())
        firsts = part[0::2] if paired else part
        counts = firsts.sum(1)
        turned = counts * 2 > firsts.shape[1]  # the units that are off are fewer
        sums = _sums(seen, firsts ^ turned[:, None], torch.where(turned, firsts.shape[1] - counts, counts))
        if paired:
            others = rest - sums
            sums = torch.stack([sums, others], dim=1).flatten(0, 1)
            turned = torch.stack([turned, turned], dim=1).flatten()
            swap = turned.nonzero()[:, 0]
            if len(swap):
                sums[swap] = rest - sums[swap]
        elif bool(turned.all()):
            torch.sub(rest, sums, out=sums)
        elif bool(turned.any()):
            sums[turned] = rest - sums[turned]
        yield start, _run(after, sums, seen.shape)
        start += len(part)


def _sums(seen: _Seen, chosen: Tensor, counts: Tensor) -> Tensor:
    """b + Σ W_i h_i over the chosen units, (masks, outputs, places)."""
    units = seen.columns.shape[0]
    most = max(int(counts.max()), 1)
    # Where counts differ, the rest is filled up with unit 0 times weights of 0.
    order = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    filled = torch.arange(most, device=order.device) >= counts[:, None]
    outputs, places = seen.weight.shape[2], seen.columns.shape[2]
    sums = seen.columns.new_empty(len(chosen), outputs, places)
    if sums.device.type != "cpu":
        columns = seen.columns[order].flatten(1, 2)
        weights = seen.weight[order].masked_fill_(filled[:, :, None, None], 0).flatten(1, 2)
        return torch.baddbmm(seen.bias, weights.transpose(1, 2), columns, out=sums)
    uneven = bool(filled.any())
    del units
    for place, own in enumerate(order):
        own = own[: int(counts[place])] if uneven else own
        weights = seen.weight.index_select(0, own).flatten(0, 1)
        torch.addmm(seen.bias, weights.T, seen.columns.index_select(0, own).flatten(0, 1), out=sums[place])
    return sums


def _run(after: tuple[nn.Module, ...], sums: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The network behind the following weights, on all masks at once: (masks, outputs, places) → the same of classes."""
    masks, outputs, places = sums.shape
    if not shape and all(type(module) in _DENSE for module in after):
        for module in after:
            if isinstance(module, nn.Linear):
                bias = 0 if module.bias is None else module.bias[:, None]
                sums = torch.matmul(module.weight, sums).add_(bias)
            else:
                sums = sums.relu_() if type(module) is nn.ReLU else module(sums)
        return sums
    values = sums.unflatten(2, (-1, *shape, 1)[: 1 + len(shape)]).transpose(1, 2).flatten(0, 1)
    if shape:
        values = sums.unflatten(2, (places // (shape[0] * shape[1]), *shape)).transpose(1, 2).flatten(0, 1)
    for module in after:
        values = module(values)
    return values.unflatten(0, (masks, -1)).transpose(1, 2)


def _losses(outputs: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """The mean loss of each mask; cross-entropy of classes along a dimension that is not the innermost one."""
    is_classes = labels.dim() == 1 and labels.dtype == torch.int64 and outputs.dim() == 3
    if loss is cross_entropy and is_classes and 0 <= int(labels.min()) and int(labels.max()) < outputs.shape[1]:
        right = outputs.gather(1, labels.expand(len(outputs), 1, -1))[:, 0]
        return (outputs.logsumexp(1) - right).mean(1)
    values = [loss(own.transpose(0, 1), labels) for own in outputs]
    if not all(isinstance(value, Tensor) and value.numel() == 1 for value in values):
        raise RequestError("loss: found more than one number for a batch, expected one, the mean over the batch")
    return torch.stack([value.reshape(()) for value in values])
