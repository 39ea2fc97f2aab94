"""A network as arrays, small enough to be drawn: what a trial shows while it goes on, and keeps when it ends."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from sparsewire.structure.graphs import NetGraph

NETWORK = "network"
_MOST_EDGES = 4_000  # more cannot be told apart


def network_arrays(graph: "NetGraph") -> "dict[str, np.ndarray[Any, Any]]":
    """`sizes`, and for each pair of connected layers `rows_i_j`, `columns_i_j`, `values_i_j` of the strongest edges.

    Example:
        >>> import torch
        >>> from sparsewire.structure.graphs import NetGraph
        >>> arrays = network_arrays(NetGraph.from_model(torch.nn.Linear(3, 2)))
        >>> arrays["sizes"], len(arrays["values_0_1"])
        (array([3, 2]), 6)
    """
    import numpy as np

    total = sum(block.nnz for block in graph.blocks.values())
    shown = graph if total <= _MOST_EDGES else graph.strongest(_MOST_EDGES)
    arrays: dict[str, np.ndarray[Any, Any]] = {"sizes": np.asarray(graph.sizes, dtype=np.int64)}
    for (source, target), block in shown.blocks.items():
        edges = block.tocoo()
        arrays[f"rows_{source}_{target}"] = edges.row.astype(np.int32)
        arrays[f"columns_{source}_{target}"] = edges.col.astype(np.int32)
        arrays[f"values_{source}_{target}"] = edges.data.astype(np.float32)
    return arrays


def show_live(folder: Path, arrays: "Mapping[str, np.ndarray[Any, Any]]") -> None:
    """Puts the arrays where who watches finds them, whole; where that cannot be, it costs no trial."""
    from safetensors.numpy import save

    aside = folder / f".{NETWORK}.{os.getpid()}.part"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(save(dict(arrays)))
        aside.replace(folder / f"{NETWORK}.safetensors")
