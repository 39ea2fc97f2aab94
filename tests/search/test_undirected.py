"""The measures without directions: networkx's of every vertex and every edge."""

import networkx as nx
import pytest
import torch

from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.joined_genomes import side_by_side
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.undirected import undirected_of


def close(values):
    return pytest.approx(list(values), rel=1e-12, abs=1e-15)


def test_they_are_networkxs():
    genomes = [random_genome(torch.Generator().manual_seed(seed)) for seed in range(20)]
    found, vertex, edge = undirected_of(side_by_side(genomes)), 0, 0
    for genome in genomes:
        graph = nx.Graph(genome.edges)
        own = slice(vertex, vertex + len(genome))
        nodes = range(len(genome))
        assert found.eccentricity[own] == close(nx.eccentricity(graph)[node] for node in nodes)
        assert found.closeness[own] == close(nx.closeness_centrality(graph)[node] for node in nodes)
        assert found.average_neighbour_degree[own] == close(nx.average_neighbor_degree(graph)[node] for node in nodes)
        assert found.degree[own] == close(nx.degree_centrality(graph)[node] for node in nodes)
        by_ends = {frozenset(ends): value for ends, value in nx.edge_betweenness_centrality(graph).items()}
        own_edges = found.edge_betweenness[edge : edge + len(genome.edges)]
        assert own_edges == close(by_ends[frozenset(ends)] for ends in genome.edges)
        vertex, edge = vertex + len(genome), edge + len(genome.edges)
    assert (vertex, edge) == (found.degree.size, found.edge_betweenness.size)


def test_genomes_without_edges_and_no_genomes():
    lone = Genome((Vertex("skip"),), ())
    assert [row.tolist() for row in undirected_of(side_by_side([lone, lone]))] == [[], [0, 0], [0, 0], [0, 0], [1, 1]]
    assert [row.tolist() for row in undirected_of(side_by_side([]))] == [[]] * 5
