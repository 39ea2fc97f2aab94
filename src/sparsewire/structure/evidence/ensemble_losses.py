"""The loss of a network under each of many masks of one layer's units, without running the network for each."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.evidence.ensemble_portions import Portions, portions
from sparsewire.structure.evidence.following_columns import FollowingColumns, following_columns
from sparsewire.structure.evidence.mean_loss import Data, Loss, at_rest, batches_of, checked_loss, wide_type
from sparsewire.structure.evidence.unit_chain import UnitLayer, has_hooks, unit_layer

BUDGET = 256 * 2**20
_BATCH = 1000
# These can run on columns as they are.
_DENSE = (nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout)


def ensemble_losses(
    model: nn.Module, layer: str, masks: Tensor, data: Data, *, loss: Loss | None = None, budget: int = BUDGET
) -> Tensor:
    """The mean loss over the data with each of the masks on the layer's units, behind their activations.

    The inputs h of the following weights W are computed once for each sample. A mask z leaves of their product

        W (z ⊙ h) + b = Σ_{i on} W_i h_i + b = (W h + b) − Σ_{i off} W_i h_i

    so that the smaller one of the two sums is enough, of gathered rows of h and columns of W, and a mask and its
    complement, one behind the other, need one sum for both. What lies behind runs on many masks at once.

    Args:
        model: a chain as for `unit_layer`, on any device; it is evaluated in eval mode and left as it is.
        layer: the name of one of its layers, or of the layer's weight.
        masks: bool (ensembles, units), `True` = used.
        data: (inputs, labels) tensors, or an iterable of such batches.
        loss: (outputs, labels) → the mean loss of a batch; cross-entropy if None.
        budget: bytes that activations and gathered weights may take at a time, beside model, masks and data; the
            smaller it is, the smaller the portions of samples and masks.

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
    chain, loss, budget = unit_layer(model, layer), checked_loss(loss), whole("budget", budget, least=1)
    place = chain.following.weight.device
    masks = _checked(masks, chain).to(place)
    with at_rest(model, ()), torch.no_grad():
        totals, count = torch.zeros(len(masks), dtype=torch.float64, device=place), 0
        size: Portions | None = None
        for inputs, labels in batches_of(data, _BATCH, place):
            if not isinstance(inputs, Tensor) or not labels.dim() or len(inputs) != len(labels):
                raise RequestError("data: found a batch of another form, expected as many labels as inputs, in tensors")
            size = size or portions(chain, inputs, budget)
            for part, own in zip(torch.split(inputs, size.samples), torch.split(labels, size.samples), strict=True):
                seen = following_columns(chain, part)
                rest = torch.mm(seen.weight.flatten(0, 1).T, seen.columns.flatten(0, 1)).add_(2 * seen.bias)
                for start in range(0, len(masks), size.masks):
                    sums = _sums(seen, rest, masks[start : start + size.masks])
                    found = _losses(_run(chain.after, sums, seen.picture), own, loss)
                    totals[start : start + size.masks] += found.double() * own.numel()
                count += own.numel()
    if not bool(totals.isfinite().all()):
        raise RequestError("loss: found one that is not finite for some masks, expected numbers; scale model or data")
    return totals / count


def _checked(masks: object, chain: UnitLayer) -> Tensor:
    found = type(masks).__name__
    if isinstance(masks, Tensor):
        found = f"{masks.dtype} of shape {tuple(masks.shape)}"
        if masks.dtype == torch.bool and masks.dim() == 2 and len(masks) and masks.shape[1] == chain.units:
            return masks
    raise RequestError(f"masks: found {found}, expected torch.bool of shape (ensembles, {chain.units})")


def _sums(seen: FollowingColumns, rest: Tensor, masks: Tensor) -> Tensor:
    """W (z ⊙ h) + b for some masks: (masks, outputs, places).

    Args:
        seen: h and W.
        rest: W h + 2 b, from which a mask's sum leaves that of its complement.
        masks: bool (masks, units).
    """
    # Complements one behind the other need one product for both.
    paired = len(masks) % 2 == 0 and bool((masks[0::2] ^ masks[1::2]).all())
    firsts = masks[0::2] if paired else masks
    counts = firsts.sum(1)
    turned = 2 * counts > firsts.shape[1]  # those of which fewer units are off than on
    chosen = firsts ^ turned[:, None]
    sums = rest.new_empty(len(firsts), 1 + paired, *rest.shape)
    if rest.device.type == "cpu":
        # Gathered into the same memory: fresh pages would take longer than the product.
        most = int(chosen.sum(1).max())
        rooms = [part.new_empty(most, *part.shape[1:]) for part in (seen.weight, seen.columns)]
        for mask, place, is_turned in zip(chosen, sums, turned.tolist(), strict=True):
            own = mask.nonzero()[:, 0]
            weights, columns = (
                torch.index_select(part, 0, own, out=room[: len(own)]).flatten(0, 1)
                for part, room in zip((seen.weight, seen.columns), rooms, strict=True)
            )
            torch.addmm(seen.bias, weights.T, columns, out=place[0])
            if is_turned:
                torch.sub(rest, place[0], out=place[0])
            if paired:
                torch.sub(rest, place[0], out=place[1])
        return sums.flatten(0, 1)
    weights, columns = _gathered(seen, chosen)
    direct = torch.baddbmm(seen.bias, weights.transpose(1, 2), columns)
    sums[:, 0] = torch.where(turned[:, None, None], rest - direct, direct)
    if paired:
        torch.sub(rest, sums[:, 0], out=sums[:, 1])
    return sums.flatten(0, 1)


def _gathered(seen: FollowingColumns, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and columns of the chosen units, of all masks in one tensor: (masks, inputs, outputs or places).

    Where one mask chooses fewer units than another, it is filled up with unchosen ones of weight 0.
    """
    most = max(1, int(chosen.sum(1).max()))
    own = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    weights = seen.weight[own] * chosen.gather(1, own)[:, :, None, None]
    return weights.flatten(1, 2), seen.columns[own].flatten(1, 2)


def _run(after: tuple[nn.Module, ...], sums: Tensor, picture: tuple[int, ...]) -> Tensor:
    """The network behind the following weights: (masks, outputs, places) → (masks, outputs of the network, samples)."""
    if not picture and all(type(module) in _DENSE and not has_hooks(module) for module in after):
        for module in after:
            if isinstance(module, nn.Linear):
                weight = module.weight.expand(len(sums), -1, -1)
                sums = torch.bmm(weight, sums)  # matmul would lay the sums out anew
                sums = sums if module.bias is None else sums.add_(module.bias[:, None])
            else:
                sums = sums.relu_() if type(module) is nn.ReLU else module(sums)
        return sums
    values = sums.reshape(*sums.shape[:2], -1, *picture).transpose(1, 2).flatten(0, 1)
    for module in after:
        values = module(values)
    values = values.reshape(len(sums), -1, *values.shape[1:])
    return (
        values if values.dim() == 2 else values.transpose(1, 2)
    )  # one number a sample, without a dimension of its own


def _losses(outputs: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """The mean loss of each mask."""
    outputs = outputs.to(wide_type(outputs))  # half precision would round away what tells masks apart
    is_classes = labels.dim() == 1 and labels.dtype == torch.int64 and outputs.dim() == 3
    if loss is cross_entropy and is_classes and bool(((labels >= 0) & (labels < outputs.shape[1])).all()):
        # Over a dimension that is not the innermost one: ten times as fast as torch's own for few classes.
        right = outputs.gather(1, labels.expand(len(outputs), 1, -1))[:, 0]
        return (outputs.logsumexp(1) - right).mean(1)
    values = [loss(own if own.dim() == 1 else own.transpose(0, 1), labels) for own in outputs]
    if any(not isinstance(value, Tensor) or value.numel() != 1 for value in values):
        raise RequestError("loss: found more than one number for a batch, expected one, the mean over the batch")
    return torch.stack([value.reshape(()) for value in values])
