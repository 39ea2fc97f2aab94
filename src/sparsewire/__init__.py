"""Sparse neural networks in PyTorch: model → structure → training → analysis → execution → report.

The public names, in the order of the flow. Each is loaded when it is first used, so `import sparsewire` costs little;
`__init__.pyi` repeats the list for type checkers, and a test compares the two.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# The room in which each public name lives; a name that stands for a whole module has itself as its only entry.
_ROOMS: dict[str, tuple[str, ...]] = {
    "structure.masks": ("Masks",),
    "structure.select": ("prune",),
    "structure.rounds": ("prune_in_rounds",),
    "structure.graphs": ("NetGraph",),
    "structure.windows": ("Layout",),
    "structure.priors": (
        "fixed_degree",
        "fixed_degree_edges",
        "lightning_paths",
        "watts_strogatz",
        "barabasi_albert",
        "erdos_renyi",
        "stochastic_block",
        "random_geometric",
        "kleinberg",
        "random_regular",
        "configuration_model",
        "sample_graphs",
        "rewired_graph",
    ),
    "structure.graph_files": ("read_graph", "write_graph"),
    "structure.predefined_masks": ("predefined",),
    "structure.gates": ("tiled", "gate_masks"),
    "structure.evidence": ("hessian_diagonal", "mean_gradients", "linear_filter_ensembles"),
    "models.initialize": ("lightning_",),
    "models.wired": ("wired", "WiredSequences"),
    "training.optimizer": ("SparseOptimizer",),
    "training.loop": ("fit", "evaluate"),
    "training.replicas": ("replicate",),
    "training.surgeon": ("surgeon_",),
    "training.iterating": ("iterate",),
    "training.retraining": ("Retraining",),
    "training.dense_supermasks": ("dense_supermask",),
    "analysis.paths": ("sparse_graph", "complete_paths", "complete_path_fraction", "dead_areas"),
    "analysis.scatter_metric": ("scatter", "Scatter"),
    "analysis.window_matrices": ("window_matrix", "equivalent_junction"),
    "analysis.change": ("connection_changes", "type_correlation", "weight_correlation"),
    "analysis.cost": ("cost_table",),
    "analysis.configurations": ("design",),
    "analysis.topology.properties": ("graph_properties",),
    "analysis.topology.small_world": ("small_worldness",),
    "analysis.topology.triangles": ("clustering", "degree_distribution"),
    "analysis.topology.spectrum": ("spectral_gap",),
    "analysis.prediction": ("accuracy_r2", "Predictor"),
    "search.evolving": ("evolve",),
    "execution.planning": ("plan",),
    "execution.plans": ("Plan",),
    "execution.convert": ("sparsify", "densify"),
    "execution.linear": ("SparseLinear",),
    "execution.sequences": ("SparseSequential",),
    "execution.convolution": ("SparseConv2d",),
    "execution.recurrent": ("SparseRNN", "SparseGRU", "SparseLSTM"),
    "execution.shrinking": ("shrink", "shrink_masks", "live_neurons"),
    "execution.compact": ("save_compact", "load_compact"),
    "execution.export": ("export_onnx",),
    "errors": ("SparsewireError",),
}
_MODULES: dict[str, str] = {
    "scores": "structure.scores",
    "patterns": "structure.patterns",
    "schedules": "structure.schedules",
    "priors": "structure.priors",
    "zoo": "models.zoo",
    "initialize": "models.initialize",
    "rules": "training.rules",
    "soft": "training.soft",
    "stop_rules": "training.stop_rules",
    "draw": "analysis.draw",
    "prediction": "analysis.prediction",
    "search": "search",
    "data": "data",
    "errors": "errors",
}

_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"sparsewire.{_MODULES[name]}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
