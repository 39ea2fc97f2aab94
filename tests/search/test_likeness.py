"""Genomes are alike just where networkx finds them isomorphic."""

from itertools import product

import networkx as nx
import pytest
import torch

from sparsewire.search.genotype import Genome, Vertex, ordered
from sparsewire.search.likeness import alike, changed
from sparsewire.search.lots import shuffled
from sparsewire.search.random_genomes import random_genome


def graph_of(genome: Genome) -> nx.DiGraph:
    graph = nx.DiGraph(genome.edges)
    for place, vertex in enumerate(genome.vertices):
        graph.add_node(place, vertex=vertex)
    return graph


def test_alike_is_isomorphic():
    generator = torch.Generator().manual_seed(0)
    pool = [random_genome(generator, depth=(2, 3), branches=(0, 1), channels=(8,)) for _ in range(60)]
    for genome in pool[:30]:  # the same under other numbers
        names = shuffled(range(len(genome)), generator)
        vertices = sorted(range(len(genome)), key=names.__getitem__)
        edges = [(names[tail], names[head]) for tail, head in genome.edges]
        pool.append(ordered([genome.vertices[place] for place in vertices], edges))
    found = 0
    for one, other in product(pool, pool):
        same = nx.is_isomorphic(graph_of(one), graph_of(other), node_match=lambda a, b: a["vertex"] == b["vertex"])
        assert alike(one, other) == same
        found += same
    assert found > len(pool) + 2 * 30  # more than each with itself and its image


@pytest.mark.parametrize(
    ("children", "expected"),
    [("ab", False), ("ba", False), ("aa", True), ("bb", True), ("ac", True), ("ca", True), ("cc", True)],
)
def test_an_exchange_is_no_change(children, expected):
    genomes = {
        "a": Genome((Vertex("skip"),), ()),
        "b": Genome((Vertex("sum"),), ()),
        "c": Genome((Vertex("concat"),), ()),
    }
    assert changed((genomes["a"], genomes["b"]), (genomes[children[0]], genomes[children[1]])) == expected
