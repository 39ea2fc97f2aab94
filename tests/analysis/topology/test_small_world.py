"""Small-worldness: the known kinds of graphs come out as what they are; the lattice is a lattice."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from sparsewire.analysis.topology.small_world import SmallWorldness, ring_lattice, small_worldness
from sparsewire.errors import RequestError


def measured(graph: nx.Graph, seed: int = 0, draws: int = 5):
    return small_worldness(graph, generator=torch.Generator().manual_seed(seed), draws=draws)


def test_lattices_small_worlds_and_random_graphs_are_told_apart():
    lattice, small, random = (
        measured(nx.connected_watts_strogatz_graph(300, 8, rewired, seed=0)) for rewired in (0.0, 0.1, 1.0)
    )
    assert lattice.omega < -0.5 < small.omega < 0.5 < random.omega
    assert small.sigma > 3 * random.sigma
    assert small.sigma > lattice.sigma
    assert small.propensity > max(lattice.propensity, random.propensity)
    assert lattice.clustering == pytest.approx(lattice.lattice_clustering)
    assert lattice.path_length == pytest.approx(lattice.lattice_path_length)
    assert small.clustering_z > 10 > abs(random.clustering_z)


def test_the_same_draws_give_the_same():
    graph = nx.gnm_random_graph(40, 120, seed=0)
    assert measured(graph, 3) == measured(graph, 3)
    assert measured(graph, 3) != measured(graph, 4)


def test_what_would_be_divided_by_nothing_is_nan():
    found = measured(nx.path_graph(8), draws=1)
    assert found.clustering == 0
    assert math.isnan(found.sigma)
    assert math.isnan(found.clustering_z)
    assert math.isnan(measured(nx.empty_graph(4)).propensity)


def test_random_graphs_that_are_all_alike_are_no_measure():
    star = measured(nx.star_graph(4), draws=3)  # the only graph with these degrees
    assert math.isnan(star.path_length_z)
    alike = SmallWorldness(0.1, 2.5, (0.1, 0.1, 0.1), (2.0, 2.0, 2.0), 0.1, 5.0)
    assert math.isnan(alike.clustering_z)
    assert math.isnan(alike.propensity)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 7, 8])
def test_a_ring_lattice_has_any_number_of_edges_of_the_least_lengths(nodes):
    for edges in range(nodes * (nodes - 1) // 2 + 1):
        low, high = ring_lattice(nodes, edges)
        assert len({*zip(low.tolist(), high.tolist(), strict=True)}) == edges == low.size
        assert (low < high).all()
        lengths = np.minimum(high - low, nodes - high + low)
        every = sorted(min(b - a, nodes - b + a) for a in range(nodes) for b in range(a + 1, nodes))
        assert sorted(lengths.tolist()) == every[:edges]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"draws": 0}, "draws: found 0"),
        ({"draws": 1.5}, "draws: found 1.5"),
        ({"generator": None}, "generator: found None"),
        ({"sources": -3}, "sources: found -3"),
    ],
)
def test_mistakes_are_said(more, message):
    with pytest.raises(RequestError, match=message):
        small_worldness(nx.path_graph(5), **{"generator": torch.Generator(), **more})
