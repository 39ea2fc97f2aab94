"""The demo's charts of how its networks are connected: complete paths, and how strong the connections are."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from sparsewire.analysis.paths import complete_path_fraction
from sparsewire.lab.reporting.charts import Chart, Series, distributions, series
from sparsewire.structure.graphs import NetGraph

# Dense towards 1, where the large weights are few and tell most.
SHARES = np.concatenate([np.linspace(0.0, 0.98, 99), np.linspace(0.9805, 1.0, 40)])


def connection_charts(graphs: Mapping[str, NetGraph]) -> list[Chart]:
    """Two charts with one line a network: the share of its k strongest edges on complete paths, and |weight| by layer.

    Args:
        graphs: what the reader calls each network → its connections.
    """
    paths: list[Series] = []
    layers: dict[str, dict[str, tuple[ArrayLike, ArrayLike]]] = {}
    for kind, graph in graphs.items():
        counts = np.unique(np.geomspace(min(10, graph.edges), graph.edges, 200).astype(int))
        paths.append(series(kind, [(counts, complete_path_fraction(graph, counts))], log_x=True))
        for (low, high), block in graph.blocks.items():
            title = f"layer {low} to {high}, {block.shape[0]} × {block.shape[1]}"
            layers.setdefault(title, {})[kind] = (np.quantile(np.abs(block.data), SHARES), SHARES)
    return [
        Chart(
            "From pixels to digits",
            "Share of the k strongest edges on complete paths.",
            "strongest edges",
            "share on complete paths",
            tuple(paths),
            log_x=True,
        ),
        Chart(
            "How strong are the connections?",
            "Cumulative distribution of the live weights’ magnitudes.",
            "|weight|",
            "share of the weights up to |weight|",
            distributions(layers),
            kind="steps",
        ),
    ]
