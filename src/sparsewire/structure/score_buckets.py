"""A bucket that is filled with the least important weights, which then go: how many depends on their scores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole


def bucket(scores: Tensor | Mapping[str, Tensor], size: float) -> int:
    """How many weights are kept when the least important ones fill a bucket: the rest once it can hold no more.

        kept = n − max{k : s₁ + … + s_k ≤ size},   s₁ ≤ s₂ ≤ … ≤ s_n the scores

    Args:
        scores: of the weights that still exist, none negative; a tensor of any shape, or several by name.
        size: the sum of scores that the bucket holds.

    Returns:
        The count; `density=count / total` asks `prune` for it.

    Raises:
        RequestError: a score or the size is negative or not finite.

    Example:
        >>> bucket(torch.tensor([4.0, 1.0, 2.0, 3.0]), 5.0)  # 1 + 2 fit, 1 + 2 + 3 do not
        2

    Reference: Stier, Darji and Granitzer 2021, section 2 (bucket pruning). Their code keeps every score that equals
    the first one that does not fit; here equal scores may part, so that the bucket is filled.
    """
    parts = list(scores.values()) if isinstance(scores, Mapping) else [scores]
    everything = torch.cat([part.detach().flatten().double().cpu() for part in parts]) if parts else torch.empty(0)
    if not (everything.isfinite() & (everything >= 0)).all():
        raise RequestError(
            "scores: found a negative one, NaN or infinity, but a bucket needs finite sums that only grow"
        )
    return int((everything.sort().values.cumsum(0) > _checked_size(size)).sum())


@dataclass(frozen=True)
class buckets:  # noqa: N801
    """A step of a loop that empties a bucket: the least important weights go until their scores fill it.

    It does not know the density by the step but by the scores of what is left, so it is called with these and with
    how many weights there are, kept or not; `training.iterating.iterate` does. See `bucket`.

    Args:
        size: the sum of scores that each pruning may remove.

    Example:
        >>> buckets(5.0)(torch.tensor([4.0, 1.0, 2.0, 3.0]), 8)
        0.25

    Reference: Stier, Darji and Granitzer 2021, section 2 (bucket pruning).
    """

    size: float

    def __post_init__(self) -> None:
        _checked_size(self.size)

    def __call__(self, scores: Tensor | Mapping[str, Tensor], total: int) -> float:
        """The density that is left after one bucket more."""
        return bucket(scores, self.size) / whole("total", total, least=1)


def _checked_size(size: float) -> float:
    if isinstance(size, bool) or not isinstance(size, Real) or not 0 <= size < math.inf:
        raise RequestError(f"size: found {size!r}, expected a finite number from 0 up, the sum of scores to remove")
    return float(size)
