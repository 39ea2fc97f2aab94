"""Crossover 3 averages channels of matching layers and leaves everything else alone."""

from fractions import Fraction

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.search.genomes import genomes, renumbered

from sparsewire.errors import RequestError
from sparsewire.search.channel_crossing import averaged_channels, conv_layers
from sparsewire.search.genotype import Bounds, Genome, Vertex
from sparsewire.search.likeness import changed
from sparsewire.search.random_genomes import random_genome

POOL = Vertex("max_pool")
SEEDS = st.integers(0, 10_000)


def conv(channels: int) -> Vertex:
    return Vertex("conv3", channels)


def chain(*vertices: Vertex) -> Genome:
    return Genome(vertices, tuple((place, place + 1) for place in range(len(vertices) - 1)))


def pair(seed: int) -> tuple[Genome, Genome]:
    generator = torch.Generator().manual_seed(seed)
    return random_genome(generator, depth=(1, 9)), random_genome(generator, depth=(1, 9))


def reference_layers(genome: Genome) -> list[int]:
    """By all paths that end in each convolution."""
    graph = nx.DiGraph(genome.edges)
    graph.add_nodes_from(range(len(genome)))
    found = []
    for place, vertex in enumerate(genome.vertices):
        paths = [path for one in graph for path in nx.all_simple_paths(graph, one, place)] + [[place]]
        count = max(sum(genome.vertices[one].channels > 0 for one in path) for path in paths)
        found.append(count if vertex.channels else 0)
    return found


@given(SEEDS)
def test_each_layer_gets_the_mean_of_both(seed):
    a, b = pair(seed)
    children = averaged_channels(a, b)
    layers = [reference_layers(a), reference_layers(b)]
    assert [list(conv_layers(genome)) for genome in (a, b)] == layers
    pools = [
        {k: [v.channels for v, own in zip(genome.vertices, of, strict=True) if own == k] for k in set(of) - {0}}
        for genome, of in zip((a, b), layers, strict=True)
    ]
    for parent, child, of in zip((a, b), children, layers, strict=True):
        assert child.edges == parent.edges
        for old, new, layer in zip(parent.vertices, child.vertices, of, strict=True):
            assert old.operation == new.operation
            if layer in pools[0] and layer in pools[1]:
                both = pools[0][layer] + pools[1][layer]
                assert new.channels == int(Fraction(sum(both), len(both)) + Fraction(1, 2))
            else:
                assert new.channels == old.channels
    assert changed((a, b), children) or (children[0] is a and children[1] is b)


@given(SEEDS)
def test_a_second_time_nothing_is_left_to_average(seed):
    children = averaged_channels(*pair(seed))
    assert averaged_channels(*children) == children


@given(genomes(), genomes(), st.randoms())
def test_the_numbers_of_vertices_do_not_matter(a, b, chance):
    keys = [genome.key for genome in averaged_channels(a, b)]
    assert keys == [genome.key for genome in averaged_channels(renumbered(a, chance), renumbered(b, chance))]


def test_half_a_map_is_rounded_up_and_pools_between_do_not_matter():
    a, b = chain(conv(16), POOL, POOL, conv(10), conv(7)), chain(POOL, conv(33), conv(20))
    one, other = averaged_channels(a, b)
    assert [vertex.channels for vertex in one.vertices] == [25, 0, 0, 15, 7]
    assert [vertex.channels for vertex in other.vertices] == [0, 25, 15]


def test_without_channels_to_average_the_parents_come_back():
    for a, b in [(chain(conv(8)), chain(POOL)), (chain(POOL), chain(POOL)), (chain(conv(8)), chain(conv(8), conv(9)))]:
        assert averaged_channels(a, b) == (a, b)


def test_no_draw_is_made():
    a, b = pair(1)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert averaged_channels(a, b, generator) == averaged_channels(a, b)
    assert torch.equal(before, generator.get_state())


def test_mistakes_are_named():
    a = chain(conv(8))
    for argument, call in {
        "a": lambda: averaged_channels(None, a),
        "b": lambda: averaged_channels(a, "b"),
        "generator": lambda: averaged_channels(a, a, 0),
        "bounds": lambda: averaged_channels(a, a, bounds=3),
    }.items():
        with pytest.raises(RequestError, match=f"^{argument}: found"):
            call()
    assert averaged_channels(a, chain(conv(16)), bounds=Bounds((2, 3))) == (a, chain(conv(16)))  # out of bounds
