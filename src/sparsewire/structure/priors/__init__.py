"""Structure before training: patterns and graphs that are drawn, not learned.

Names load when they are first used, so that asking for one does not import the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.structure.priors.anywhere import random_pattern
    from sparsewire.structure.priors.clustered_bands import clustered
    from sparsewire.structure.priors.interleavers import interleaved
    from sparsewire.structure.priors.lightning import lightning_paths
    from sparsewire.structure.priors.planned_chains import highest_scatter, planned_patterns
    from sparsewire.structure.priors.planned_junctions import planned
    from sparsewire.structure.priors.regular import fixed_degree, fixed_degree_edges
    from sparsewire.structure.priors.rewiring import rewired

_HOMES = {
    "lightning_paths": "lightning",
    "fixed_degree": "regular",
    "fixed_degree_edges": "regular",
    "rewired": "rewiring",
    "random_pattern": "anywhere",
    "interleaved": "interleavers",
    "planned": "planned_junctions",
    "planned_patterns": "planned_chains",
    "highest_scatter": "planned_chains",
    "clustered": "clustered_bands",
}

__all__ = [
    "clustered",
    "fixed_degree",
    "fixed_degree_edges",
    "highest_scatter",
    "interleaved",
    "lightning_paths",
    "planned",
    "planned_patterns",
    "random_pattern",
    "rewired",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.structure.priors.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.structure.priors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
