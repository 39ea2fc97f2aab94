"""Recurrent layers in plain torch: what runs without the native library, and what its tests compare with."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

KINDS = ("tanh", "relu", "gru", "lstm")  # their place is their number in the native library
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}  # rows of a weight for each hidden unit


class _Cell(NamedTuple):
    """Of one layer in one direction: weight_ih (gates · hidden, inputs), weight_hh (gates · hidden, hidden), biases."""

    of_inputs: Tensor
    of_states: Tensor
    bias_of_inputs: Tensor | None
    bias_of_states: Tensor | None


def recurrent(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    kind: str,
    lengths: Tensor | None = None,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """What torch.nn.RNN, GRU and LSTM compute, step by step; differentiable any number of times.

    Args:
        x: shape (steps, batch, inputs), or (batch, steps, inputs) if `batch_first`.
        h0: shape (layers · directions, batch, hidden), or None for zeros.
        c0: the same for the cell state of an "lstm".
        weights: for each cell (layer by layer, in a layer forward before backward) weight_ih and weight_hh, dense.
        biases: for each cell bias_ih and bias_hh; or none at all.
        kind: of `KINDS`; "tanh" and "relu" are those of torch.nn.RNN.
        lengths: int64, shape (batch,): the steps of each sequence; None: all of them.
        bidirectional: whether each layer also has a cell that runs from the last step to the first.
        batch_first: whether the batch comes first in x and in the output.

    Returns:
        The outputs of the last layer (steps, batch, directions · hidden), with zeros beyond a sequence's length; the
        state of each cell after a sequence's last step; the same of the cell state, empty but for an "lstm".

    Example:
        >>> ones = torch.ones(1, 1)
        >>> recurrent(torch.ones(3, 1, 1), None, None, [ones, ones], [], "relu")[0].flatten()
        tensor([1., 2., 3.])
    """
    if batch_first:
        x = x.transpose(0, 1)
    cells = [
        _Cell(*weights[k : k + 2], *(biases[k : k + 2] if biases else (None, None))) for k in range(0, len(weights), 2)
    ]
    directions = 2 if bidirectional else 1
    steps, batch = x.shape[:2]
    hidden = cells[0].of_states.shape[1]
    ends = torch.arange(steps).view(-1, 1, 1).to(x.device)
    alive = None if lengths is None else ends < lengths.to(x.device).view(1, -1, 1)
    start = x.new_zeros(len(cells), batch, hidden)
    h0, c0 = start if h0 is None else h0, start if c0 is None else c0
    if alive is not None:
        x = torch.where(alive, x, torch.zeros_like(x))  # what pads a batch may be anything
    last, last_c = [], []
    for layer in range(len(cells) // directions):
        outputs = []
        for number in range(layer * directions, (layer + 1) * directions):
            backward = number % directions == 1
            output, h, c = _run(x, h0[number], c0[number], cells[number], kind, alive, backward)
            outputs.append(output)
            last.append(h)
            last_c.append(c)
        x = torch.cat(outputs, 2)
    output = x.transpose(0, 1) if batch_first else x
    return output, torch.stack(last), torch.stack(last_c) if kind == "lstm" else x.new_empty(0)


def _run(
    x: Tensor, h: Tensor, c: Tensor, cell: _Cell, kind: str, alive: Tensor | None, backward: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One cell over all steps: its outputs, and its state at the end."""
    given = functional.linear(x, cell.of_inputs, cell.bias_of_inputs)
    outputs = []
    for t in reversed(range(len(x))) if backward else range(len(x)):
        own = functional.linear(h, cell.of_states, cell.bias_of_states)
        new, new_c = _step(given[t], own, h, c, kind)
        h, c = (new, new_c) if alive is None else (torch.where(alive[t], new, h), torch.where(alive[t], new_c, c))
        outputs.append(h if alive is None else torch.where(alive[t], h, torch.zeros_like(h)))
    return torch.stack(outputs[::-1] if backward else outputs), h, c


def _step(given: Tensor, own: Tensor, h: Tensor, c: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The state after a step, from what the inputs and the state before it bring."""
    if kind == "gru":
        (r, z, n), (r_own, z_own, n_own) = given.chunk(3, 1), own.chunk(3, 1)
        keep = torch.sigmoid(z + z_own)
        new = torch.tanh(n + torch.sigmoid(r + r_own) * n_own)
        return new + keep * (h - new), c
    if kind == "lstm":
        i, f, g, o = (given + own).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    z = given + own
    return (torch.tanh(z) if kind == "tanh" else torch.relu(z)), c
