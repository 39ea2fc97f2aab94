"""Structure before training: patterns and graphs that are drawn, not learned.

Names load when they are first used, so that asking for one does not import the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.structure.priors.anywhere import random_pattern
    from sparsewire.structure.priors.attachment import barabasi_albert
    from sparsewire.structure.priors.clustered_bands import clustered
    from sparsewire.structure.priors.given_degrees import configuration_model, random_regular
    from sparsewire.structure.priors.interleavers import interleaved
    from sparsewire.structure.priors.lightning import lightning_paths
    from sparsewire.structure.priors.null_models import rewired_graph
    from sparsewire.structure.priors.plain_shapes import grid, random_tree, tree
    from sparsewire.structure.priors.planned_chains import highest_scatter, planned_patterns
    from sparsewire.structure.priors.planned_junctions import planned
    from sparsewire.structure.priors.random_edges import erdos_renyi, stochastic_block
    from sparsewire.structure.priors.regular import fixed_degree, fixed_degree_edges
    from sparsewire.structure.priors.rewiring import rewired
    from sparsewire.structure.priors.sampling import sample_graphs
    from sparsewire.structure.priors.small_worlds import watts_strogatz
    from sparsewire.structure.priors.spatial import kleinberg, random_geometric

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
    "watts_strogatz": "small_worlds",
    "barabasi_albert": "attachment",
    "erdos_renyi": "random_edges",
    "stochastic_block": "random_edges",
    "random_geometric": "spatial",
    "kleinberg": "spatial",
    "random_regular": "given_degrees",
    "configuration_model": "given_degrees",
    "tree": "plain_shapes",
    "random_tree": "plain_shapes",
    "grid": "plain_shapes",
    "sample_graphs": "sampling",
    "rewired_graph": "null_models",
}

__all__ = [
    "barabasi_albert",
    "clustered",
    "configuration_model",
    "erdos_renyi",
    "fixed_degree",
    "fixed_degree_edges",
    "grid",
    "highest_scatter",
    "interleaved",
    "kleinberg",
    "lightning_paths",
    "planned",
    "planned_patterns",
    "random_geometric",
    "random_pattern",
    "random_regular",
    "random_tree",
    "rewired",
    "rewired_graph",
    "sample_graphs",
    "stochastic_block",
    "tree",
    "watts_strogatz",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.structure.priors.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.structure.priors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
