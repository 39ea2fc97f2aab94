"""Levels equal the longest of all paths, listed one by one."""

import networkx as nx
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.levels import depths, heights
from sparsewire.search.random_genomes import random_genome


@given(st.integers(0, 10_000))
def test_levels_equal_the_longest_of_all_paths(seed):
    genome = random_genome(torch.Generator().manual_seed(seed), depth=(1, 8))
    graph = nx.DiGraph(genome.edges)
    graph.add_nodes_from(range(len(genome)))
    for place in graph:
        before = [path for one in graph for path in nx.all_simple_paths(graph, one, place)]
        behind = [path for one in graph for path in nx.all_simple_paths(graph, place, one)]
        assert depths(genome)[place] == max(map(len, before), default=1)
        assert heights(genome)[place] == max(map(len, behind), default=1)


def test_a_single_vertex_is_one_deep_and_high():
    genome = Genome((Vertex("sum"),), ())
    assert depths(genome) == heights(genome) == (1,)
