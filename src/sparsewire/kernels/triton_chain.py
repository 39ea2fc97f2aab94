"""Chains of layers on a GPU: as `kernels/plain.py`, with the products of Triton.

Between the layers the activations stay feature by feature, as the kernels read and write them; they are transposed on
the way in and out only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.plain import activate, slope
from sparsewire.kernels.triton_products import backward_by_features, forward_by_features

Grads = tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]


def forward(
    x: Tensor,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    junctions: Sequence[Junction],
    activations: Sequence[str],
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """a_L of a_l = act_l(a_{l−1} W_lᵀ + b_l), and, if they are to be kept, all a_l as one flat tensor.

    Args:
        x: shape (batch, inputs), on a GPU; any strides.
        values: of each layer, in its junction's order.
        biases: of each layer, or None.
        junctions: of each layer, on x's device.
        activations: of each layer, of `plain.ACTIVATIONS`.
        keep: whether `backward` will need the activations. What is kept is laid out feature by feature, unlike
            `plain.forward`'s.

    Raises:
        RequestError: Triton is missing, or the tensors do not fit together.
    """
    a, hidden = x.t(), []
    for value, bias, junction, activation in zip(values, biases, junctions, activations, strict=True):
        a = activate(forward_by_features(a, value, bias, junction), activation)
        hidden.append(a.reshape(-1))
    return a.t().contiguous(), torch.cat(hidden) if keep else x.new_empty(0)


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
) -> Grads:
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
    """
    below = [x.t(), *_activations(hidden, len(x), junctions, activations)]
    grads: list[Tensor | None] = [None] * len(values)
    bias_grads: list[Tensor | None] = [None] * len(values)
    above = grad.t()
    for layer in reversed(range(len(values))):
        if activations[layer] != "identity":
            above = slope(above, below[layer + 1], activations[layer])
        further = need_x or any(need_values[:layer]) or any(need_biases[:layer])
        needed = further, need_values[layer], need_biases[layer]
        da, grads[layer], bias_grads[layer] = backward_by_features(
            above, below[layer], values[layer], junctions[layer], needed
        )
        if da is None:
            return None, grads, bias_grads
        above = da
    return above.t().contiguous() if need_x else None, grads, bias_grads


def _activations(hidden: Tensor, batch: int, junctions: Sequence[Junction], activations: Sequence[str]) -> list[Tensor]:
    if len(junctions) == 1 and activations[0] == "identity":
        return []
    sizes = [batch * junction.outputs for junction in junctions]
    parts = hidden[: sum(sizes)].split_with_sizes(sizes)
    return [part.view(junction.outputs, batch) for part, junction in zip(parts, junctions, strict=True)]
