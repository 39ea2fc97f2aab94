"""The cells of a wired recurrent network as the kernels see them, and what keeps them from being run so."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from sparsewire.kernels.wired_plan import WiredPlan, plan_of
from sparsewire.kernels.wired_recurrent import is_native, wired_recurrent
from sparsewire.models.wired.wires import Wire

_KINDS = {"rnn_tanh": "tanh", "rnn_relu": "relu", "gru": "gru", "lstm": "lstm"}
_LAYERS: tuple[type[nn.Module], ...] = (nn.RNN, nn.GRU, nn.LSTM)
_PARTS = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
# Weights of all cells, those outside masks too, up to which one thread is faster than torch's layers.
SMALL = 250_000


class Cells(Protocol):
    """What is looked at of a `WiredRecurrent`."""

    n_inputs: int
    graph_sizes: tuple[int, ...]
    cell: str
    merge: str
    wiring: tuple[Wire, ...]
    cells: nn.ModuleList


def against_cells(network: Cells) -> Iterator[str]:
    """What makes a cell another than torch's own with one layer in one direction; nothing if all are such.

    Example:
        >>> from scipy.sparse import csr_array
        >>> from sparsewire.models.wired import wired
        >>> from sparsewire.structure.graphs import NetGraph
        >>> network, _ = wired(NetGraph((1, 1), {(0, 1): csr_array([[1.0]])}), 3, 2, cell="gru")
        >>> list(against_cells(network))
        []
    """
    for place, (wire, cell) in enumerate(zip(network.wiring, network.cells, strict=True)):
        linear = not wire.sources and network.merge == "pre"
        if (type(cell) is not nn.Linear) if linear else (type(cell) not in _LAYERS):
            yield f"cell {place} is a {type(cell).__name__}, not the usual one"
        elif not linear and _is_special(cell):
            yield f"cell {place} has several layers or directions, projections or dropout, or is not batch_first"


def _is_special(cell: nn.Module) -> bool:
    assert isinstance(cell, nn.RNNBase)
    return bool(cell.num_layers > 1 or cell.bidirectional or cell.proj_size or cell.dropout or not cell.batch_first)


def plan_for(network: Cells) -> WiredPlan:
    """The plan of its cells; the same object each time.

    Example:
        >>> from scipy.sparse import csr_array
        >>> from sparsewire.models.wired import wired
        >>> from sparsewire.structure.graphs import NetGraph
        >>> network, _ = wired(NetGraph((2, 1), {(0, 1): csr_array([[1.0, 0.0]])}), 3, 2, cell="gru")
        >>> [cell.kind for cell in plan_for(network).cells]
        ['linear', 'gru']
    """
    wiring = tuple((tuple(wire.sources), wire.target) for wire in network.wiring)
    return plan_of(_KINDS[network.cell], network.n_inputs, network.graph_sizes, wiring, network.merge == "pre")


def tensors_of(network: Cells) -> list[Tensor | None]:
    """The weights and biases of its cells as `wired_recurrent` wants them: four of each, None where there is none."""
    found: list[Tensor | None] = []
    for cell in network.cells:
        if isinstance(cell, nn.Linear):
            found += [cell.weight, None, cell.bias, None]
        else:
            found += [getattr(cell, part, None) for part in _PARTS]
    return found


def last_states(network: Cells, input: Tensor, lengths: Tensor | None) -> Tensor | None:
    """The outputs of all layers after each sequence's last step, shape (batch, nodes), in one native call.

    None where that cannot be, or does not pay: hooks, cells of another kind, large weights, no native library, an
    input that is not on the CPU or of another dtype than the weights.

    Args:
        network: a `WiredRecurrent`.
        input: shape (batch, steps, n_inputs).
        lengths: int64 (batch,), from 1 to steps; None: all steps count.
    """
    if not is_native(input) or input.dim() != 3 or not input.shape[1] or input.shape[2] != network.n_inputs:
        return None
    if any(_is_watched(cell) for cell in network.cells) or nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]
        return None
    if next(against_cells(network), None) is not None:
        return None
    plan, tensors = plan_for(network), tensors_of(network)
    if plan.weights * torch.get_num_threads() > SMALL or any(
        tensor is not None and not (tensor.is_cpu and tensor.dtype == input.dtype) for tensor in tensors
    ):
        return None
    return wired_recurrent(input, tensors, plan, lengths)


def _is_watched(module: nn.Module) -> bool:
    """Whether a call of it is more than its own computation."""
    return (
        any(getattr(module, hooks) for hooks in _HOOKS)
        or "forward" in vars(module)
        or getattr(module, "_compiled_call_impl", None) is not None
    )
