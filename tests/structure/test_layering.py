"""Layers of numbered edges, against the sets of edges that went in."""

import numpy as np
import pytest

from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import layers_of_edges, longest_paths, numbered_edges


def edges_of(seed, nodes, density):
    low, high = np.triu_indices(nodes, 1)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.flatnonzero(rng.random(low.size) < density))
    return low[chosen], high[chosen], rng.standard_normal(chosen.size)


def slow_longest_paths(nodes, low, high):
    layer = [0] * nodes
    for node in range(nodes):
        layer[node] = max((layer[one] + 1 for one in low[high == node]), default=0)
    return layer


@pytest.mark.parametrize(("nodes", "density"), [(1, 0.0), (2, 1.0), (12, 0.0), (12, 0.2), (12, 0.7), (40, 0.1)])
def test_edges_and_values_are_found_again(nodes, density):
    for seed in range(5):
        low, high, values = edges_of(seed, nodes, density)
        layer = slow_longest_paths(nodes, low, high)
        assert longest_paths(nodes, low, high).tolist() == layer
        order = sorted(range(nodes), key=lambda node: (layer[node], node))
        sizes, blocks = layers_of_edges(nodes, low, high, values)
        assert NetGraph(sizes, blocks).edges == low.size
        one, other, found = numbered_edges(sizes, blocks)
        back = {(order[a], order[b]): value for a, b, value in zip(one, other, found, strict=True)}
        assert back == dict(zip(zip(low.tolist(), high.tolist(), strict=True), values.tolist(), strict=True))


def test_by_hand():
    sizes, blocks = layers_of_edges(3, np.array([0, 1]), np.array([2, 2]), stated=np.array([1, 0, 2]))
    assert sizes == (1, 1, 1)
    assert {key: block.toarray().tolist() for key, block in blocks.items()} == {(0, 2): [[1]], (1, 2): [[1]]}


def test_a_long_chain_is_no_recursion():
    ends = np.arange(30_000)
    assert longest_paths(30_001, ends, ends + 1)[-1] == 30_000
