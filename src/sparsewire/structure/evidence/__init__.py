"""What data says about weights: gradients and curvatures of the mean loss; and about neurons: losses without some.

Names load when they are first used, so that asking for one does not import the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.structure.evidence.curvature import HessianDiagonal, hessian_diagonal
    from sparsewire.structure.evidence.filter_ensembles import linear_filter_ensembles
    from sparsewire.structure.evidence.gradients import mean_gradients

_HOMES = {
    "HessianDiagonal": "curvature",
    "hessian_diagonal": "curvature",
    "linear_filter_ensembles": "filter_ensembles",
    "mean_gradients": "gradients",
}

__all__ = ["HessianDiagonal", "hessian_diagonal", "linear_filter_ensembles", "mean_gradients"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.structure.evidence.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.structure.evidence' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
