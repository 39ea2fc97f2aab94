"""A network of nodes in layers in plain torch: what runs without the native library, and what its tests compare with.

It goes layer by layer, over as many edges at a time as keeps what it gathers small beside the nodes' own values. On a
GPU its sums are in no fixed order, unless `torch.use_deterministic_algorithms(True)` makes torch keep one.
"""

import torch
from torch import Tensor

from sparsewire.kernels.dag_structure import Dag
from sparsewire.kernels.plain import activate, slope

_GATHERED = 1 << 22  # numbers that are gathered at a time


def forward(x: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str) -> tuple[Tensor, Tensor]:
    """The outputs, shape (batch, outputs), and the values of all nodes, shape (nodes, batch).

    Args:
        x: the values of layer 0, shape (batch, sources).
        values: of the edges.
        bias: of the units.
        dag: the network.
        activation: of `plain.ACTIVATIONS`, after each unit's sum.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1]))
        >>> forward(torch.ones(1, 1), torch.tensor([3.0]), torch.tensor([0.5]), dag, "relu")
        (tensor([[3.5000]]), tensor([[1.0000],
                [3.5000]]))
    """
    nodes = x.new_zeros(dag.nodes, len(x))
    nodes[: dag.sources] = x.t()
    for layer in dag.layers:
        _, _, unit, last, _, _ = layer
        sums = activate(_sums(nodes, values, bias, dag, layer), activation)
        nodes.index_add_(0, dag.node_of_unit[unit:last], sums)
    return nodes[dag.read.long()].t().contiguous(), nodes


def backward(
    grad: Tensor, nodes: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, of the values and of the biases.

    Args:
        grad: of the outputs, shape (batch, outputs).
        nodes: what `forward` gave.
        values: as for it.
        bias: as for it.
        dag: as for it.
        activation: as for it.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1]))
        >>> nodes = torch.tensor([[1.0], [3.5]])
        >>> backward(torch.ones(1, 1), nodes, torch.tensor([3.0]), torch.tensor([0.5]), dag, "relu")
        (tensor([[3.]]), tensor([1.]), tensor([1.]))
    """
    deltas = torch.zeros_like(nodes)
    deltas[dag.read.long()] = grad.t()
    value_grads, bias_grads = torch.zeros_like(values), torch.zeros_like(bias)
    step = max(1, _GATHERED // max(1, nodes.shape[1]))
    for layer in reversed(dag.layers):
        _, _, unit, last, begin, end = layer
        a = activate(_sums(nodes, values, bias, dag, layer), activation)
        dz = slope(deltas[dag.node_of_unit[unit:last]], a, activation)
        bias_grads[unit:last] = dz.sum(1)
        for some in range(begin, end, step):
            part = slice(some, min(some + step, end))
            column, mine = dag.columns[part].long(), dz[dag.unit_of_edge[part] - unit]
            value_grads[part] = (mine * nodes[column]).sum(1)
            deltas.index_add_(0, column, values[part, None] * mine)
    return deltas[: dag.sources].t().contiguous(), value_grads, bias_grads


def _sums(nodes: Tensor, values: Tensor, bias: Tensor, dag: Dag, layer: tuple[int, ...]) -> Tensor:
    """Σ v a + b of the units of a layer, shape (units, batch)."""
    _, _, unit, last, begin, end = layer
    sums = bias[unit:last, None].repeat(1, nodes.shape[1])
    step = max(1, _GATHERED // max(1, nodes.shape[1]))
    for some in range(begin, end, step):
        part = slice(some, min(some + step, end))
        gathered = nodes[dag.columns[part].long()] * values[part, None]
        sums.index_add_(0, dag.unit_of_edge[part] - unit, gathered)
    return sums
