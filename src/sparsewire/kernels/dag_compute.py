"""A network of nodes in layers forward and backward, without autograd: by native code or by plain torch."""

import ctypes

import torch
from torch import Tensor

from sparsewire.kernels import dag_plain, native
from sparsewire.kernels.dag_structure import Dag
from sparsewire.kernels.plain import ACTIVATIONS

_STEP = 16  # samples to which the kept values are rounded up: no vector has more numbers


def compute_forward(
    x: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str, wide: int, keep: bool
) -> tuple[Tensor, Tensor]:
    """The outputs, shape (batch, outputs), and what `compute_backward` wants, if it is to be kept.

    Args:
        x: the values of layer 0, shape (batch, sources), float32 or float64.
        values: of the edges.
        bias: of the units.
        dag: the network.
        activation: of `plain.ACTIVATIONS`.
        wide: samples that are taken at a time, as `tile_width` says.
        keep: whether backward will be wanted.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1]))
        >>> compute_forward(torch.ones(1, 1), torch.tensor([3.0]), torch.zeros(1), dag, "relu", 16, keep=False)
        (tensor([[3.]]), tensor([]))
    """
    batch = len(x)
    if not is_native(x):
        y, nodes = dag_plain.forward(x, values, bias, dag, activation)
        kept = x.new_zeros(kept_numbers(dag, batch) if keep else 0)
        kept[: nodes.numel() if keep else 0] = nodes.flatten() if keep else x.new_empty(0)
        return y, kept
    x, values, bias = (tensor.contiguous() for tensor in (x, values, bias))
    y = x.new_empty(batch, dag.read.numel())
    kept = x.new_empty(kept_numbers(dag, batch) if keep else 0)
    kept[kept_numbers(dag, batch) - dag.nodes * (-batch % _STEP) :] = 0  # narrow vectors do not reach its end
    if batch:
        outputs = (y.data_ptr(), kept.data_ptr() if keep else 0, 0, 0, 0, 0, 0)
        _call(x, values, bias, dag, activation, wide, outputs, back=False)
    return y, kept


def compute_backward(
    grad: Tensor, x: Tensor, kept: Tensor, values: Tensor, bias: Tensor, dag: Dag, activation: str, wide: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, of the values and of the biases.

    Args:
        grad: of the outputs, shape (batch, outputs).
        x: as for `compute_forward`.
        kept: what it kept.
        values: as for it.
        bias: as for it.
        dag: as for it.
        activation: as for it.
        wide: as for it.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> dag = dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1]))
        >>> given = torch.tensor([[2.0]]), torch.tensor([3.0]), torch.zeros(1), dag, "relu", 16
        >>> _, kept = compute_forward(*given, keep=True)
        >>> compute_backward(torch.ones(1, 1), given[0], kept, *given[1:])
        (tensor([[3.]]), tensor([2.]), tensor([1.]))
    """
    batch = len(x)
    if not is_native(x):
        nodes = kept[: dag.nodes * batch].view(dag.nodes, batch)
        return dag_plain.backward(grad, nodes, values, bias, dag, activation)
    grad, x, values, bias = (tensor.contiguous() for tensor in (grad, x, values, bias))
    dx = x.new_empty(x.shape)
    value_grads, bias_grads = torch.empty_like(values), torch.empty_like(bias)
    if not batch:
        return dx, value_grads.zero_(), bias_grads.zero_()
    found = (dx.data_ptr(), value_grads.data_ptr(), bias_grads.data_ptr())
    outputs = (0, kept.data_ptr(), grad.data_ptr(), dag.read.numel(), *found)
    _call(x, values, bias, dag, activation, wide, outputs, back=True)
    return dx, value_grads, bias_grads


def kept_numbers(dag: Dag, batch: int) -> int:
    """Of the values that are kept for backward; the same on all machines.

    Example:
        >>> from sparsewire.kernels.dag_structure import dag_of
        >>> import numpy as np
        >>> kept_numbers(dag_of((1, 1), np.array([1]), np.array([0]), read=np.array([1])), batch=17)
        64
    """
    return -(-batch // _STEP) * _STEP * dag.nodes


def tile_width(batch: int, dtype: torch.dtype) -> int:
    """How many samples a thread is to take through the network at a time.

    Wide tiles read each edge for more samples, narrow ones give more threads something to do: the least
    ⌈tiles / threads⌉ · (vectors + 1) is taken, where 1 stands for what an edge takes beside the numbers.
    """
    lanes = max(1, native.vector_bytes() // dtype.itemsize)
    threads = native.threads()

    def cost(vectors: int) -> int:
        return -(-batch // (vectors * lanes * threads)) * (vectors + 1)

    return lanes * min((1, 2, 3, 4), key=cost)


def is_native(x: Tensor) -> bool:
    """Whether native code can take it."""
    return x.is_cpu and x.dtype in (torch.float32, torch.float64) and native.is_at_hand()


def _call(
    x: Tensor,
    values: Tensor,
    bias: Tensor,
    dag: Dag,
    activation: str,
    wide: int,
    outputs: tuple[int, ...],
    back: bool,
) -> None:
    """One call with the struct `Dag` of native/dag.cpp."""
    numbers = (
        *(dag.sources, dag.nodes, dag.edges, dag.units, dag.read.numel()),
        *(native.address(array) for array in (dag.columns, dag.starts, dag.first, dag.read)),
        *(ACTIVATIONS.index(activation), len(x), wide, native.threads()),
        *(values.data_ptr(), bias.data_ptr(), x.data_ptr(), x.shape[1]),
        *outputs,
    )
    described = (ctypes.c_int64 * len(numbers))(*numbers)
    native.function("dag", "iii")(native.DTYPES[x.dtype], int(back), ctypes.addressof(described))
