"""Wired networks of recurrent cells in plain torch: what runs without the native library, and the tests' oracle."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sparsewire.kernels import recurrent_plain
from sparsewire.kernels.wired_plan import PARTS, Cell, WiredPlan


def wired_recurrent(
    x: Tensor, tensors: Sequence[Tensor | None], plan: WiredPlan, lengths: Tensor | None = None
) -> Tensor:
    """The outputs of all layers after each sequence's last step, step by step; differentiable any number of times.

    Args:
        x: shape (batch, steps, inputs).
        tensors: of each cell weight_ih, weight_hh, bias_ih and bias_hh as torch's cells have them; of a linear map its
            weight, None, its bias, None. Biases may be None.
        plan: the cells.
        lengths: int64, shape (batch,), from 1 to steps; None: all steps count.

    Returns:
        Shape (batch, nodes), layer by layer.

    Example:
        >>> one = torch.ones(1, 1)
        >>> plan = WiredPlan("relu", 1, (1, 1), (((), 0), ((0,), 1)), maps_inputs=True)
        >>> wired_recurrent(torch.ones(1, 3, 1), [one, None, None, None, one, one, None, None], plan)
        tensor([[1., 3.]])
    """
    layers: dict[int, Tensor] = {}
    for k, cell in enumerate(plan.cells):
        fed = [layers[layer] for layer in cell.layers] or [x]
        output = _output(torch.cat(fed, 2), tensors[PARTS * k : PARTS * (k + 1)], cell, lengths)
        layers[cell.target] = layers[cell.target] + output if cell.adds else output
    ends = torch.full((len(x),), x.shape[1]) if lengths is None else lengths.to(x.device)
    rows = torch.arange(len(x), device=x.device)
    empty = (x.new_zeros(*x.shape[:2], size) for size in plan.sizes)
    return torch.cat([layers.get(layer, none)[rows, ends - 1] for layer, none in enumerate(empty)], 1)


def _output(x: Tensor, tensors: Sequence[Tensor | None], cell: Cell, lengths: Tensor | None) -> Tensor:
    weight, states, bias, state_bias = tensors
    assert weight is not None
    if cell.kind == "linear":
        return functional.linear(x, weight, bias)
    assert states is not None
    zeros = weight.new_zeros(len(weight))
    biases = [zeros if one is None else one for one in (bias, state_bias)]
    return recurrent_plain.recurrent(x, None, None, [weight, states], biases, cell.kind, lengths, batch_first=True)[0]
