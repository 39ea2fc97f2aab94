"""A genome as a plain graph."""

import networkx as nx
import pytest
from hypothesis import given
from tests.search.genomes import EXAMPLES, genomes

from sparsewire.errors import RequestError
from sparsewire.search.genome_graphs import structure_of
from sparsewire.search.genotype import Genome
from sparsewire.structure.graphs import NetGraph


@given(genomes())
def test_it_is_what_networkx_makes_of_the_genome(genome: Genome) -> None:
    assert structure_of(genome) == NetGraph.from_networkx(genome.to_networkx())


@given(genomes())
def test_nothing_but_the_numbers_of_vertices_changes(genome: Genome) -> None:
    graph = structure_of(genome)
    assert (sum(graph.sizes), graph.edges, len(graph.sizes)) == (len(genome), len(genome.edges), genome.depth)
    assert nx.is_isomorphic(graph.to_networkx(), genome.to_networkx())


def test_layers_of_a_graph_small_enough_to_draw() -> None:
    assert structure_of(EXAMPLES["single"]).sizes == (1,)
    assert structure_of(EXAMPLES["crossed"]).sizes == (2, 2, 2)
    assert structure_of(EXAMPLES["deep"]).sizes == (1,) * 8


def test_only_genomes_have_a_structure() -> None:
    with pytest.raises(RequestError, match="genome: found str, expected a Genome"):
        structure_of("conv3")  # type: ignore[arg-type]
