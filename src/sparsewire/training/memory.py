"""What an optimizer remembers of each weight, and how it forgets."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Adagrad, Optimizer, Rprop

# Memory that does not start at zero: the option of the parameter's group that holds the start.
_STARTS: tuple[tuple[type[Optimizer], str, str], ...] = (
    (Rprop, "step_size", "lr"),
    (Adagrad, "sum", "initial_accumulator_value"),
)


@torch.no_grad()
def forget_(optimizer: Optimizer, weights: Mapping[str, Tensor], where: Mapping[str, Tensor]) -> None:
    """Sets an optimizer's memory of single weights to what it starts with, in place.

    Meant is every state tensor of the weight's shape (momentum, second moments, …). It starts with zero, but for
    Rprop's step sizes (they start with the group's `lr`, here its present one) and Adagrad's sum (the group's
    `initial_accumulator_value`). What has another shape is left: step counts, Adafactor's means of rows and columns,
    LBFGS's flat history; so is the memory of a weight without dimensions, which cannot be told from a step count.
    (What is zero stays zero while the gradient is zero, but for Adamax: its norm is then its own `eps`.)

    Args:
        optimizer: one that owns the weights, or some of them, or none.
        weights: name → parameter.
        where: name → bool tensor of the parameter's shape; `True` = forget.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
        >>> weight.grad = torch.tensor([1.0, 2.0])
        >>> optimizer.step()
        >>> forget_(optimizer, {"w": weight}, {"w": torch.tensor([True, False])})
        >>> optimizer.state[weight]["momentum_buffer"]
        tensor([0., 2.])
    """
    for name, mask in where.items():
        weight = weights[name]
        for key, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, Tensor) and value.dim() and value.shape == weight.shape:
                value.masked_fill_(mask.to(value.device), _start(optimizer, weight, key))


def _start(optimizer: Optimizer, weight: Tensor, key: str) -> float:
    for kind, memory, option in _STARTS:
        if isinstance(optimizer, kind) and key == memory:
            return float(next(g[option] for g in optimizer.param_groups if any(p is weight for p in g["params"])))
    return 0.0
