"""Products with sparse matrices (placeholder: plain torch, replaced by the native kernels)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sparsewire.kernels.junctions import Junction


def linear(x: Tensor, values: Tensor, bias: Tensor | None, junction: Junction) -> Tensor:
    """x Wᵀ + b for the weight matrix W with these live values; differentiable in x, values and bias."""
    return functional.linear(x, junction.weight_of(values), bias)


def chain(
    x: Tensor,
    values: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    junctions: Sequence[Junction],
    activations: Sequence[str],
) -> Tensor:
    """a_L of a_l = act_l(a_{l−1} W_lᵀ + b_l), a_0 = x; act_l ∈ relu, tanh, sigmoid, identity; differentiable."""
    acts = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda z: z}
    for value, bias, junction, act in zip(values, biases, junctions, activations, strict=True):
        x = acts[act](linear(x, value, bias, junction))
    return x
