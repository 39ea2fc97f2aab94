"""Spectral gaps: those of all eigenvalues, known ones, and 0 exactly where a graph falls into parts."""

import math

import networkx as nx
import numpy as np
import pytest

from sparsewire.analysis.topology import spectrum
from sparsewire.analysis.topology.spectrum import MATRICES, spectral_gap
from sparsewire.errors import RequestError, UnknownNameError


def by_all_eigenvalues(graph: nx.Graph, matrix: str) -> float:
    joined = nx.to_numpy_array(graph, weight=None)
    if matrix == "adjacency":
        values = np.linalg.eigvalsh(joined)
    elif matrix == "laplacian":
        values = np.linalg.eigvalsh(joined - np.diag(joined.sum(0)))
    else:
        values = np.linalg.eigvalsh(joined / np.sqrt(np.outer(joined.sum(0), joined.sum(0))))
    return float(values[-1] - values[-2])


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("dense", [400, 10])
def test_gaps_are_those_of_all_eigenvalues(matrix, dense, monkeypatch):
    monkeypatch.setattr(spectrum, "_DENSE", dense)
    graphs = [nx.barabasi_albert_graph(120, 3, seed=0), nx.path_graph(90), nx.cycle_graph(60), nx.star_graph(50)]
    for graph in graphs:
        assert spectral_gap(graph, matrix) == pytest.approx(by_all_eigenvalues(graph, matrix), abs=1e-9)


def test_a_long_grid_is_found_too():
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(300, 3))
    assert spectral_gap(grid, "laplacian") == pytest.approx(2 - 2 * math.cos(math.pi / 300), rel=1e-6)


def test_graphs_in_parts_have_no_gap():
    parts = nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(4))
    assert [spectral_gap(parts, matrix) for matrix in MATRICES] == pytest.approx([0, 0, 0], abs=1e-12)
    uneven = nx.disjoint_union(nx.complete_graph(5), nx.complete_graph(3))
    assert spectral_gap(uneven, "adjacency") == pytest.approx(4 - 2)
    assert [spectral_gap(nx.empty_graph(1), matrix) for matrix in MATRICES] == [0, 0, 0]
    assert [spectral_gap(nx.empty_graph(3), matrix) for matrix in MATRICES] == [0, 0, 0]


def test_mistakes_are_said():
    with pytest.raises(UnknownNameError, match="did you mean 'laplacian'"):
        spectral_gap(nx.path_graph(3), "laplacien")
    with pytest.raises(UnknownNameError):
        spectral_gap(nx.path_graph(3), 3)
    with pytest.raises(RequestError, match="graph: found str"):
        spectral_gap("graph")
