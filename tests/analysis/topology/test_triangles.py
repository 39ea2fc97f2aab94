"""Clustering and degrees: networkx's."""

import networkx as nx
import numpy as np
import pytest

from sparsewire.analysis.topology.triangles import clustering, degree_distribution
from sparsewire.errors import RequestError

GRAPHS = [
    nx.empty_graph(3),
    nx.star_graph(5),
    nx.complete_graph(6),
    nx.gnm_random_graph(40, 150, seed=0),
    nx.barabasi_albert_graph(80, 4, seed=0),
    nx.watts_strogatz_graph(50, 6, 0.1, seed=0),
]


@pytest.mark.parametrize("graph", GRAPHS)
def test_clustering_is_networkxs(graph):
    found = clustering(graph)
    assert found.average == pytest.approx(nx.average_clustering(graph), rel=1e-12, abs=1e-15)
    assert found.transitivity == pytest.approx(nx.transitivity(graph), rel=1e-12, abs=1e-15)
    assert sorted(found.local) == pytest.approx(sorted(nx.clustering(graph).values()))


@pytest.mark.parametrize("graph", GRAPHS)
def test_degrees_are_counted(graph):
    found = degree_distribution(graph)
    assert found.tolist() == nx.degree_histogram(graph)
    assert np.dot(found, np.arange(found.size)) == 2 * graph.number_of_edges()


@pytest.mark.parametrize("measure", [clustering, degree_distribution])
def test_what_is_no_graph_is_refused(measure):
    with pytest.raises(RequestError, match="graph: found list"):
        measure([1])
