"""How many samples and how many masks go through a network at a time, so that memory stays within a budget."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.evidence.following_columns import following_columns
from sparsewire.structure.evidence.unit_chain import UnitLayer

# What masks that run together may write on a CPU: as much as a core's cache keeps, because more is slower.
_NEAR = 4 * 2**20


class Portions(NamedTuple):
    """Samples and masks at a time."""

    samples: int
    masks: int


def portions(chain: UnitLayer, inputs: Tensor, budget: int) -> Portions:
    """The largest portions that take no more bytes than the budget; as many samples as there are, then masks.

    Counted are the largest activations before the following weights, the columns that these see, both forms of the
    weights, and for each mask what is gathered, the sums, and the largest activations behind; the loss counts as one
    of these, with as many numbers as the outputs.

    Args:
        chain: the layer whose units are masked; in eval mode.
        inputs: of the network, (samples, …); the first one is run.
        budget: bytes.

    Raises:
        RequestError: one sample and one mask take more.

    Example:
        >>> from sparsewire.structure.evidence.unit_chain import unit_layer
        >>> model = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
        >>> portions(unit_layer(model, "0"), torch.zeros(1000, 784), 10 * 2**20)
        Portions(samples=1000, masks=2)
    """
    seen = following_columns(chain, inputs[:1])
    item, outputs = seen.weight.element_size(), seen.weight.shape[2] * seen.columns.shape[2]
    of_sums = torch.zeros(1, seen.weight.shape[2], *seen.picture).to(seen.weight)
    is_near = inputs.device.type == "cpu"
    gathered, gathered_weights = seen.columns.numel() // 2 + 1, seen.weight.numel() // 2 + 1
    # On a CPU masks are gathered one after the other.
    shared = seen.weight.numel() + is_near * gathered_weights
    of_sample = max(_widest(chain.before, inputs[:1]), 2 * seen.columns.numel()) + outputs + is_near * gathered
    of_mask = (not is_near) * gathered_weights
    # Identity stands for the loss: outputs, and as many numbers again.
    of_both = outputs + _widest((*chain.after, nn.Identity()), of_sums) + (not is_near) * gathered
    room = budget // item - shared
    samples = min(len(inputs), (room - of_mask) // (of_sample + of_both))
    if samples < 1:
        least = item * (shared + of_mask + of_sample + of_both)
        raise RequestError(
            f"budget: found {budget}, expected at least {least} bytes, what one sample and one mask take"
        )
    masks = (room - samples * of_sample) // (of_mask + samples * of_both)
    if is_near:
        masks = min(masks, max(2, _NEAR // (samples * of_both * item)))
    return Portions(samples, masks - masks % 2 if masks > 1 else 1)


def _widest(modules: Iterable[nn.Module], values: Tensor) -> int:
    """The most numbers that go into and come out of one of the modules."""
    most = 0
    for module in modules:
        before, values = values.numel(), module(values)
        most = max(most, before + values.numel())
    return most
