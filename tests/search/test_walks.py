"""Path lengths: by hand, of all paths one by one, and random walks as often as it takes."""

import random
from collections import defaultdict
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.walks import path_lengths


def drawn(seed: int, size: int) -> Genome:
    """Several sources and sinks, and as many edges again as a tree has."""
    chance = random.Random(seed)
    edges = {(chance.randrange(head), head) for head in range(1, size)}
    while len(edges) < min(2 * size, size * (size - 1) // 2):
        tail, head = sorted(chance.sample(range(size), 2))
        edges.add((tail, head))
    if seed % 2:
        edges = {(size - 1 - head, size - 1 - tail) for tail, head in edges}
    joined = [edge for edge in sorted(edges) if chance.random() < 0.8 or edge[1] - edge[0] == 1]
    graph = nx.Graph(joined)
    graph.add_nodes_from(range(size))
    parts = [min(part) for part in nx.connected_components(graph)]
    joined += [(parts[0], place) for place in parts[1:]]
    return Genome((Vertex("skip"),) * size, tuple(joined))


def by_all_walks(genome: Genome) -> dict[int, Fraction]:
    """The expected length at each vertex, of every walk and its probability, in fractions."""
    weights, lengths = defaultdict(Fraction), defaultdict(Fraction)
    walks = [(source, 0, Fraction(1, len(genome.sources))) for source in genome.sources]
    while walks:
        place, length, probability = walks.pop()
        weights[place] += probability
        lengths[place] += probability * length
        behind = genome.successors[place]
        walks += [(other, length + 1, probability / len(behind)) for other in behind]
    return {place: lengths[place] / weights[place] for place in weights}


def test_two_sources_by_hand():
    #  0 ─► 2 ─► 3 ─► 4      The walk from 0 goes on to 2 or to 4, the one from 1 to 2: by 2 come three of four.
    #  1 ─► 2    0 ─► 4
    genome = Genome((Vertex("skip"),) * 5, ((0, 2), (1, 2), (2, 3), (0, 4), (3, 4)))
    assert path_lengths(genome) == ((0, 0, 1, 2, 1), (0, 0, 1, 2, 3), (0, 0, 1, 2, 2.5))


def test_a_source_beside_a_long_way_by_hand():
    #  0 ─► 1 ─► 2 ─► 4 and 3 ─► 4: of the walks half come by 2 with two steps, half by 3 with none.
    genome = Genome((Vertex("skip"),) * 5, ((0, 1), (1, 2), (2, 4), (3, 4)))
    assert path_lengths(genome) == ((0, 1, 2, 0, 1), (0, 1, 2, 0, 3), (0, 1, 2, 0, 2))


@pytest.mark.parametrize("size", [1, 2, 4, 7, 10])
def test_they_are_those_of_all_paths(size):
    for seed in range(12):
        genome = drawn(seed, size)
        graph = nx.DiGraph(list(genome.edges))
        graph.add_nodes_from(range(size))
        found, walked = path_lengths(genome), by_all_walks(genome)
        for place in range(size):
            lengths = [0] if place in genome.sources else [
                len(path) - 1 for source in genome.sources for path in nx.all_simple_paths(graph, source, place)
            ]  # fmt: skip
            assert (found.shortest[place], found.longest[place]) == (min(lengths), max(lengths))
            assert found.random_walk[place] == pytest.approx(float(walked[place]), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_simulation_finds_the_same_within_its_error(seed):
    genome, walks = drawn(seed, 25), 15_000
    chance = np.random.default_rng(seed)
    steps: dict[int, list[int]] = defaultdict(list)
    for _ in range(walks):
        place, length = int(chance.choice(genome.sources)), 0
        steps[place].append(0)
        while behind := genome.successors[place]:
            place, length = behind[int(chance.random() * len(behind))], length + 1
            steps[place].append(length)
    expected = path_lengths(genome).random_walk
    apart = []
    for place, lengths in steps.items():
        error = np.std(lengths) / np.sqrt(len(lengths))
        assert error > 0 or np.mean(lengths) == pytest.approx(expected[place], rel=1e-12)
        apart += [(np.mean(lengths) - expected[place]) / error] if error > 0 and len(lengths) > 100 else []
    assert len(apart) > 5
    assert np.max(np.abs(apart)) < 4.5
    assert np.sqrt(np.mean(np.square(apart))) < 1.6  # of a wrong form many would be far off


def test_laws():
    for seed in range(30):
        genome = drawn(seed, 18)
        shortest, longest, walk = (np.array(row) for row in path_lengths(genome))
        assert (shortest <= walk + 1e-9).all()
        assert (walk <= longest + 1e-9).all()
        assert max(longest) == genome.depth - 1
        assert all((shortest[place] == 0) == (place in genome.sources) for place in range(18))


def test_probabilities_beyond_what_64_bits_hold():
    # At each of 750 vertices a third of the walks ends at a leaf, a third goes on by a detour of two steps more.
    edges = []
    for stage in range(750):
        own = 4 * stage
        edges += [(own, own + 1), (own, own + 2), (own + 2, own + 3), (own + 3, own + 4), (own, own + 4)]
    genome = Genome((Vertex("skip"),) * 3001, tuple(edges))
    assert path_lengths(genome).random_walk[3000] == pytest.approx(750 * 2, rel=1e-12)
    assert path_lengths(genome).shortest[3000] == 750


def test_what_is_no_genome_is_refused():
    with pytest.raises(RequestError, match="genome: found NoneType, expected a Genome"):
        path_lengths(None)
