"""Networks made positively homogeneous: what bends, saturates or subtracts is replaced by what only scales and adds.

Of a network of Linear and Conv layers, pooling, sums, ReLU and batch normalisation in eval mode nothing changes. Else

    tanh, sigmoid, GELU, softmax, … (as modules)                →  the identity
    normalisation by a sample's own mean and variance           →  its scale γ alone
    attention softmax(Q Kᵀ / √d) V                              →  (Q Kᵀ / √d) V / keys
    a recurrent cell of gates                                   →  h ← mean over the gates of (W x + U h)
    embedding                                                   →  ones

so that every weight that carries signal has paths on which it is counted: gates that saturate, and queries and keys of
equal positions, would have none. Functions that a forward calls by itself (`torch.tanh`) stay as they are.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

_BENT = (
    *(nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink, nn.Softmax, nn.LogSoftmax, nn.Softmin),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Softmax2d, nn.LocalResponseNorm),
    *(nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink, nn.Softshrink, nn.Threshold),
)


def straighten_(model: nn.Module) -> nn.Module:
    """Gives the model's modules forward hooks that make it positively homogeneous, for good; returns the model.

    Meant for a copy with weights that are not negative.

    Example:
        >>> straighten_(nn.Sequential(nn.Tanh(), nn.Softmax(1)))(torch.tensor([[3.0, 5.0]]))
        tensor([[3., 5.]])
    """
    for module in model.modules():
        if isinstance(module, _BENT):
            if hasattr(module, "inplace"):
                module.inplace = False  # the hook passes on what came in
            # A clone: what comes next may work in place, and what came in may be used elsewhere too.
            module.register_forward_hook(lambda module, args, output: args[0].clone())
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm | nn.GroupNorm | _InstanceNorm) or (
            isinstance(module, _BatchNorm) and module.running_mean is None
        ):
            module.register_forward_hook(_scaled)
        elif isinstance(module, nn.MultiheadAttention):
            module.register_forward_hook(_attention, with_kwargs=True)
        elif isinstance(module, nn.RNNBase):
            module.register_forward_hook(_recurrence, with_kwargs=True)
        elif isinstance(module, nn.RNNCellBase):
            module.register_forward_hook(_cell, with_kwargs=True)
        elif isinstance(module, nn.Embedding):
            module.register_forward_hook(lambda module, args, output: torch.ones_like(output))
    return model


def _scaled(module: Any, args: tuple[Any, ...], output: Tensor) -> Tensor:
    inputs: Tensor = args[0]
    scale: Tensor | None = module.weight
    if scale is None:
        return inputs.clone()
    if not isinstance(module, nn.LayerNorm | nn.RMSNorm):  # of each channel
        scale = scale.view([-1 if axis == 1 else 1 for axis in range(inputs.dim())])
    return inputs * scale


def _attention(
    module: nn.MultiheadAttention, args: tuple[Any, ...], named: Mapping[str, Any], output: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The sum over the keys in place of their softmax, so that R is linear in each of the four projections."""
    names = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask")
    given = {**dict(zip(names, args, strict=False)), **named}
    parts = (
        module.in_proj_weight.chunk(3)
        if module.in_proj_weight is not None
        else (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    )
    heads, size = module.num_heads, module.head_dim
    some = []
    for name, weight in zip(("query", "key", "value"), parts, strict=True):
        rows = given[name][None] if given[name].dim() == 2 else given[name]
        rows = rows if module.batch_first or given[name].dim() == 2 else rows.transpose(0, 1)
        some.append(linear(rows, weight).view(*rows.shape[:2], heads, size).transpose(1, 2))
    query, key, value = some
    product = query @ key.transpose(2, 3) / (math.sqrt(size) * key.shape[2])
    mask = given.get("attn_mask")
    if mask is not None:  # (queries, keys), or one for each head of each sample
        open_ = ~mask if mask.dtype == torch.bool else mask > -math.inf
        product = product * (open_ if open_.dim() == 2 else open_.view_as(product))
    out = linear((product @ value).transpose(1, 2).flatten(2), module.out_proj.weight)
    if given["query"].dim() == 2:
        return out[0], *output[1:]
    return out if module.batch_first else out.transpose(0, 1), *output[1:]


def _recurrence(module: nn.RNNBase, args: tuple[Any, ...], named: Mapping[str, Any], output: Any) -> Any:
    inputs, before = _given(args, named)
    if not isinstance(inputs, Tensor):  # a packed sequence: as it is
        return output
    is_single = inputs.dim() == 2
    steps = inputs[:, None] if is_single else inputs.transpose(0, 1) if module.batch_first else inputs
    if before is not None and before.dim() == 2:
        before = before[:, None]
    hidden, cells = list[Tensor](), list[Tensor]()
    for layer in range(module.num_layers):
        both = []
        for suffix in ("", "_reverse") if module.bidirectional else ("",):
            ordered = steps.flip(0) if suffix else steps
            state = None if before is None else before[len(hidden)]
            found, cell = _one_direction(module, ordered, f"l{layer}{suffix}", state)
            hidden.append(found[-1])
            cells.append(cell)
            both.append(found.flip(0) if suffix else found)
        steps = torch.cat(both, 2)
    out = steps[:, 0] if is_single else steps.transpose(0, 1) if module.batch_first else steps
    last, cell = (torch.stack(some)[:, 0] if is_single else torch.stack(some) for some in (hidden, cells))
    return (out, (last, cell)) if isinstance(module, nn.LSTM) else (out, last)


def _one_direction(module: nn.RNNBase, steps: Tensor, place: str, before: Tensor | None) -> tuple[Tensor, Tensor]:
    """The outputs of all steps from a state on, and the last state before it is projected."""
    across, back = (
        _mean_of_gates(module, getattr(module, name)) for name in (f"weight_ih_{place}", f"weight_hh_{place}")
    )
    projection = getattr(module, f"weight_hr_{place}") if module.proj_size else None
    outputs, state = [], steps.new_zeros(steps.shape[1], back.shape[1]) if before is None else before
    cell = state
    for step in linear(steps, across):
        cell = step + linear(state, back)
        state = cell if projection is None else linear(cell, projection)
        outputs.append(state)
    return torch.stack(outputs), cell


def _cell(module: nn.RNNCellBase, args: tuple[Any, ...], named: Mapping[str, Any], output: Any) -> Any:
    inputs, before = _given(args, named)
    across, back = (_mean_of_gates(module, weight) for weight in (module.weight_ih, module.weight_hh))
    state = linear(inputs, across)
    state = state if before is None else state + linear(before, back)
    return (state, state) if isinstance(module, nn.LSTMCell) else state


def _given(args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, Tensor | None]:
    """The inputs of a recurrent layer, and the hidden state that it starts from; an LSTM's cells are not asked."""
    given = {**dict(zip(("input", "hx"), args, strict=False)), **named}
    before = given.get("hx")
    return given["input"], before[0] if isinstance(before, tuple | list) else before


def _mean_of_gates(module: nn.RNNBase | nn.RNNCellBase, weight: Tensor) -> Tensor:
    return weight.view(-1, module.hidden_size, weight.shape[1]).mean(0)
