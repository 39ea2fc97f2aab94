"""Lightning paths: a chain of layers with only the edges on randomly drawn complete paths."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import block_of_sorted, checked_generator, checked_sizes, whole
from sparsewire.structure.graphs import NetGraph


def lightning_paths(sizes: Sequence[int], paths: int, *, generator: torch.Generator) -> NetGraph:
    """A chain of layers with only the edges on random complete paths from the inputs to the outputs, of value one.

    Each path takes one neuron of each layer, drawn uniformly, and the edges between consecutive ones; an edge on
    several paths is there once. On average d·e·(1 - (1 - 1/(d·e))ⁿ) edges come to lie between layers of d and e neurons
    for n paths.

    Args:
        sizes: neurons per layer, inputs first; at least two layers.
        paths: how many paths ("lightnings") are drawn, at least 1.
        generator: where the draws come from: all paths' neurons of layer 0, then of layer 1, ….

    Raises:
        RequestError: a size or the number of paths is not a whole number of at least 1, or there is one layer only.

    Example:
        >>> graph = lightning_paths((784, 300, 100, 10), 100, generator=torch.Generator().manual_seed(0))
        >>> graph, graph.blocks[0, 1].nnz
        (NetGraph(784-300-100-10, 291 edges, density 0.001093), 100)

    Reference:
        Pircher, Haspel and Schlücker, "Dense neural networks as sparse graphs and the lightning initialization",
        section 3.
    """
    sizes = checked_sizes(sizes)
    if len(sizes) < 2:
        raise RequestError(f"sizes: found {sizes}, expected at least two layers, or there is no path")
    paths = whole("paths", paths, least=1)
    device = checked_generator(generator).device
    drawn = [torch.randint(size, (paths,), generator=generator, device=device).cpu().numpy() for size in sizes]
    blocks = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        places = np.unique(drawn[layer + 1] * n_in + drawn[layer])
        ones = np.ones(places.size, np.float32)
        blocks[layer, layer + 1] = block_of_sorted(places // n_in, places % n_in, ones, (n_out, n_in))
    return NetGraph(sizes, blocks)
