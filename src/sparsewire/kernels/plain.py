"""The products in plain torch: what runs where the native library is missing, and what its tests compare with.

Two formulations, by density (which is faster was measured in both directions, see docs/execution.md):

* the weight matrix is filled in and multiplied by as a dense one: always right, and best where many weights live;
* `torch.sparse` rows, for predictions with at most a tenth of the weights.
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sparsewire.kernels.junctions import Junction

FEW = 0.1  # the density up to which compressed rows predict faster than a dense matrix

ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")  # their place is their number in the native library


def activate(z: Tensor, activation: str) -> Tensor:
    """act(z).

    Example:
        >>> activate(torch.tensor([-1.0, 2.0]), "relu")
        tensor([0., 2.])
    """
    if activation == "relu":
        return torch.relu(z)
    if activation == "tanh":
        return torch.tanh(z)
    return torch.sigmoid(z) if activation == "sigmoid" else z


def slope(grad: Tensor, a: Tensor, activation: str) -> Tensor:
    """dL/dz of dL/da, given a = act(z).

    Example:
        >>> slope(torch.tensor([3.0, 3.0]), torch.tensor([0.0, 2.0]), "relu")
        tensor([0., 3.])
    """
    if activation == "relu":
        return torch.where(a <= 0, torch.zeros_like(grad), grad)
    if activation == "tanh":
        return grad * (1 - a * a)
    return grad * ((1 - a) * a) if activation == "sigmoid" else grad


def forward(
    x: Tensor,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    junctions: Sequence[Junction],
    activations: Sequence[str],
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """a_L of a_l = act_l(a_{l−1} W_lᵀ + b_l), and, if they are to be kept, all a_l as one flat tensor.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction = junction_of(torch.tensor([[True, False]]))
        >>> forward(torch.ones(1, 2), [torch.tensor([3.0])], [None], [junction], ["identity"], keep=False)
        (tensor([[3.]]), tensor([]))
    """
    hidden = []
    for value, bias, junction, activation in zip(values, biases, junctions, activations, strict=True):
        x = activate(_product(x, value, bias, junction, training=keep), activation)
        hidden.append(x)
    return x, torch.cat([a.flatten() for a in hidden]) if keep else x.new_empty(0)


def backward(
    grad: Tensor,
    x: Tensor,
    hidden: Tensor,
    values: Sequence[Tensor],
    junctions: Sequence[Junction],
    activations: Sequence[str],
    need_x: bool,
    need_values: Sequence[bool],
    need_biases: Sequence[bool],
) -> tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]:
    """dL/dx, and dL/dvalues and dL/dbias of every layer, each None where it is not needed.

    Args:
        grad: dL/da_L, shape (batch, outputs).
        x: what `forward` was given.
        hidden: what it kept; not looked at for a single layer without activation.
        values: as for `forward`.
        junctions: as for `forward`.
        activations: as for `forward`.
        need_x: whether dL/dx is wanted.
        need_values: for each layer.
        need_biases: for each layer.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> junction = junction_of(torch.tensor([[True, False]]))
        >>> one, x = torch.ones(1, 1), torch.tensor([[5.0, 7.0]])
        >>> backward(one, x, one, [torch.tensor([3.0])], [junction], ["identity"], True, [True], [True])
        (tensor([[3., 0.]]), [tensor([5.])], [tensor([1.])])
    """
    below = [x, *_activations(hidden, len(x), junctions, activations)]
    grads: list[Tensor | None] = [None] * len(values)
    bias_grads: list[Tensor | None] = [None] * len(values)
    dx: Tensor | None = grad
    for layer in reversed(range(len(values))):
        assert dx is not None
        if activations[layer] != "identity":
            dx = slope(dx, below[layer + 1], activations[layer])
        if need_values[layer]:
            grads[layer] = (dx.t() @ below[layer]).flatten()[junctions[layer].places]
        if need_biases[layer]:
            bias_grads[layer] = dx.sum(0)
        more = need_x or any(need_values[:layer]) or any(need_biases[:layer])
        dx = dx @ _weight(values[layer], junctions[layer]) if more else None
        if dx is None:
            break
    return dx if need_x else None, grads, bias_grads


def _activations(hidden: Tensor, batch: int, junctions: Sequence[Junction], activations: Sequence[str]) -> list[Tensor]:
    if len(junctions) == 1 and activations[0] == "identity":
        return [hidden]
    parts, done = [], 0
    for junction in junctions:
        parts.append(hidden[done : done + batch * junction.outputs].view(batch, junction.outputs))
        done += batch * junction.outputs
    return parts


def _product(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction, training: bool) -> Tensor:
    few = junction.density <= FEW and junction.outputs and junction.inputs and len(x) > 1
    if training or not few or x.dtype not in (torch.float32, torch.float64) or not x.is_cpu:
        return functional.linear(x, _weight(values, junction), bias)
    rows, columns, order = junction.by_rows
    with warnings.catch_warnings():  # torch says once that these tensors are in beta; only their product is used here
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        weight = torch.sparse_csr_tensor(
            rows, columns, values[order], (junction.outputs, junction.inputs), check_invariants=False
        )
    y = (weight @ x.t()).t().contiguous()
    return y if bias is None else y + bias


def _weight(values: Tensor, junction: Junction) -> Tensor:
    """As `junction.weight_of`, whose places are not found again at every batch."""
    flat = values.new_zeros(junction.outputs * junction.inputs)
    return flat.index_copy_(0, junction.places, values).view(junction.outputs, junction.inputs)
