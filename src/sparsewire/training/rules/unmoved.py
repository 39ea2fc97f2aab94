"""The rule that leaves the masks as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sparsewire.structure.masks import Masks
from sparsewire.training.rule_contract import Moment


@dataclass(frozen=True)
class Static:
    """The rule behind `static`."""

    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False
    grows: ClassVar[bool] = False

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """None: the masks stay."""
        return None

    def acts_at(self, step: int) -> bool:
        """Never."""
        return False


def static() -> Static:
    """The rule that never moves a mask.

    Example:
        >>> static()(0, Masks({}), {}, {}) is None
        True
    """
    return Static()
