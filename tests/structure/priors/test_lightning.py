"""Lightning paths: how many edges they make, and that they make nothing but complete paths."""

import math

import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.priors import lightning_paths

LENET = (784, 300, 100, 10)
DRAWS = 20


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def occupied(places, balls):
    """Mean and variance of the number of occupied places after so many uniform draws (the classical occupancy law)."""
    empty, two_empty = (1 - 1 / places) ** balls, (1 - 2 / places) ** balls
    return places * (1 - empty), places * (places - 1) * two_empty + places * empty - (places * empty) ** 2


@pytest.mark.parametrize(
    ("sizes", "paths", "edges", "touched"),
    [
        (LENET, 100, (100, 100, 95), (85, 64)),
        (LENET, 1000, (998, 984, 630), (290, 100)),
        (LENET, 5000, (4944, 4606, 993), (300, 100)),
        ((400, 120, 84, 10), 100, None, (68, 59)),
        ((400, 120, 84, 10), 1000, None, (120, 84)),
    ],
)
def test_edges_and_touched_neurons_are_as_many_as_expected(sizes, paths, edges, touched):
    graphs = [lightning_paths(sizes, paths, generator=seeded(seed)) for seed in range(DRAWS)]
    for layer, block in enumerate(
        np.mean([[block.nnz for block in graph.blocks.values()] for graph in graphs], axis=0)
    ):
        mean, variance = occupied(sizes[layer] * sizes[layer + 1], paths)
        assert abs(block - mean) <= 4 * math.sqrt(variance / DRAWS) + 0.01
        assert edges is None or abs(edges[layer] - mean) <= 3 * math.sqrt(variance) + 0.5  # these were measured once
    for layer, expected in zip((1, 2), touched, strict=True):
        counts = [np.unique(graph.blocks[layer - 1, layer].nonzero()[0]).size for graph in graphs]
        mean, variance = occupied(sizes[layer], paths)
        assert abs(np.mean(counts) - mean) <= 4 * math.sqrt(variance / DRAWS) + 0.01
        assert abs(expected - mean) <= 3 * math.sqrt(variance) + 0.5


@pytest.mark.parametrize("sizes", [(5, 4), (3, 3, 3, 3), LENET])
def test_every_edge_is_on_a_complete_path_and_has_value_one(sizes):
    graph = lightning_paths(sizes, 7, generator=seeded(3))
    assert graph.sizes == sizes
    assert list(graph.blocks) == [(layer, layer + 1) for layer in range(len(sizes) - 1)]
    forward, backward = graph.forward_reach(), graph.backward_reach()
    for (source, target), block in graph.blocks.items():
        targets, sources = graph.ends((source, target))
        assert forward[source][sources].all()
        assert backward[target][targets].all()
        assert (block.data == 1).all()
        assert block.dtype == np.float32


def test_paths_are_those_of_a_loop_over_the_same_draws():
    sizes, paths = (6, 5, 4), 9
    generator = seeded(5)
    drawn = [torch.randint(size, (paths,), generator=generator).tolist() for size in sizes]
    expected = [np.zeros((n_out, n_in)) for n_in, n_out in ((6, 5), (5, 4))]
    for path in range(paths):
        for layer, block in enumerate(expected):
            block[drawn[layer + 1][path], drawn[layer][path]] = 1
    graph = lightning_paths(sizes, paths, generator=seeded(5))
    for layer, block in enumerate(expected):
        np.testing.assert_array_equal(graph.blocks[layer, layer + 1].toarray(), block)


def test_the_generator_alone_decides():
    before = torch.get_rng_state()
    first = lightning_paths(LENET, 50, generator=seeded(1))
    assert lightning_paths(LENET, 50, generator=seeded(1)) == first
    assert lightning_paths(LENET, 50, generator=seeded(2)) != first
    assert torch.equal(torch.get_rng_state(), before)


def test_a_number_is_no_generator():
    with pytest.raises(RequestError, match=r"generator: found 0, expected one; pass torch.Generator\(\).manual_seed"):
        lightning_paths((3, 2), 1, generator=0)


def test_many_paths_fill_the_network():
    assert lightning_paths((3, 2, 2), 1000, generator=seeded(0)).density == 1


@pytest.mark.parametrize(
    ("sizes", "paths", "message"),
    [
        ((5,), 3, "at least two layers"),
        ((), 3, "sizes: found none"),
        ((5, 0, 2), 3, r"sizes\[1\]: found 0"),
        ((5, 2), 0, "paths: found 0"),
        ((5, 2), 2.5, "paths: found 2.5"),
    ],
)
def test_impossible_requests_are_refused(sizes, paths, message):
    with pytest.raises(RequestError, match=message):
        lightning_paths(sizes, paths, generator=seeded(0))
