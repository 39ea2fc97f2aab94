"""What an optimizer remembers of each weight, how it forgets, and how it follows weights that move."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import LBFGS, Adagrad, Optimizer, Rprop

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


@torch.no_grad()
def carry_(optimizer: Optimizer, values: Tensor, size: torch.Size, origin: Tensor) -> None:
    """Lets an optimizer's memory follow the values of a sparse weight to their new places, in place.

    Every state tensor of the old values' shape is taken along; what is new gets what memory starts with, as in
    `forget_`. LBFGS, whose history is of all parameters together, begins it anew: it is the curvature of a function of
    other variables. What has another shape is left.

    Args:
        optimizer: one that owns the values, or not.
        values: the parameter, which has its new values.
        size: the shape of the old ones.
        origin: int64, for each new value its old position, or −1.

    Example:
        >>> values = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.SGD([values], lr=0.1, momentum=0.9)
        >>> values.grad = torch.tensor([1.0, 2.0])
        >>> optimizer.step()
        >>> values.data = torch.zeros(3)
        >>> carry_(optimizer, values, torch.Size([2]), torch.tensor([1, -1, 0]))
        >>> optimizer.state[values]["momentum_buffer"]
        tensor([2., 0., 1.])
    """
    if isinstance(optimizer, LBFGS) and any(values is owned for owned in optimizer.param_groups[0]["params"]):
        _begin_anew_(optimizer)
        return
    state = optimizer.state.get(values, {})
    for key, value in state.items():
        if isinstance(value, Tensor) and value.dim() and value.shape == size:
            places = origin.to(value.device)
            fresh = value.new_full(places.shape, _start(optimizer, values, key))
            stay = places >= 0
            fresh[stay] = value[places[stay]]
            state[key] = fresh


def _begin_anew_(optimizer: LBFGS) -> None:
    optimizer._numel_cache = None  # the length of the vector of all parameters
    for state in optimizer.state.values():  # changed in place: a step that is under way holds it
        if "n_iter" in state:
            state["n_iter"] = 0  # then it makes everything else anew
        for key in ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss"):
            state.pop(key, None)
