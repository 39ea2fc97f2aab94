"""Mutants are never their parents, children only if they must be; both are valid and within bounds."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.genomes import EXAMPLES, genomes

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search.genotype import Bounds, Genome, Vertex
from sparsewire.search.likeness import changed
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.variation import CROSSOVERS, crossover, mutate

SEEDS = st.integers(0, 10_000)
BOUNDS = [Bounds(), Bounds((6, 12), 24), Bounds((1, 64), 200), Bounds((6, 9), 12), None]
CHAIN = Genome((Vertex("conv3", 16),) * 6, tuple((place, place + 1) for place in range(5)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(generator: torch.Generator, bounds: Bounds | None) -> Genome:
    while True:
        genome = random_genome(generator, depth=(6, 9))
        if bounds is None or bounds.holds(genome):
            return genome


def assert_valid(genome: Genome, bounds: Bounds | None) -> None:
    graph = nx.DiGraph(genome.edges)
    graph.add_nodes_from(range(len(genome)))
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.is_weakly_connected(graph)
    assert Genome(genome.vertices, genome.edges) == genome
    if bounds:
        assert bounds.depth[0] <= 1 + nx.dag_longest_path_length(graph) <= bounds.depth[1]
        assert len(graph) <= bounds.vertices


@pytest.mark.parametrize("bounds", BOUNDS)
@given(seed=SEEDS)
@settings(max_examples=20)
def test_generations_of_mutants_stay_valid_and_never_the_same(seed, bounds):
    generator = seeded(seed)
    genome = drawn(generator, bounds)
    for _ in range(15):
        mutant = mutate(genome, generator, bounds=bounds)
        assert mutant.key != genome.key
        assert_valid(mutant, bounds)
        assert mutant.depth >= genome.depth
        genome = mutant


@pytest.mark.parametrize("kind", [None, *CROSSOVERS])
@pytest.mark.parametrize("bounds", BOUNDS)
@given(seed=SEEDS)
@settings(max_examples=10)
def test_generations_of_children_stay_valid(seed, kind, bounds):
    generator = seeded(seed)
    pair = drawn(generator, bounds), drawn(generator, bounds)
    for _ in range(5):
        children = crossover(*pair, generator, kind=kind, bounds=bounds)
        for child in children:
            assert_valid(child, bounds)
        assert (children[0] is pair[0] and children[1] is pair[1]) or changed(pair, children)
        pair = children


@given(genomes(), genomes(), SEEDS)
def test_any_two_genomes_vary_without_bounds(a, b, seed):
    generator = seeded(seed)
    mutants = tuple(mutate(genome, generator, bounds=None, share=0.5) for genome in (a, b))
    assert all(mutant.key != genome.key for mutant, genome in zip(mutants, (a, b), strict=True))
    for children in (mutants, *(crossover(a, b, generator, kind=kind, bounds=None) for kind in CROSSOVERS)):
        for child in children:
            assert_valid(child, None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_vary(name):
    genome, generator = EXAMPLES[name], seeded(0)
    for other in EXAMPLES.values():
        for child in (mutate(genome, generator, bounds=None), *crossover(genome, other, generator, bounds=None)):
            assert_valid(child, None)


def test_all_crossovers_are_tried_before_the_parents_come_back():
    # Channels are even and both are one and the same genome: only bridges at different places change anything.
    generator = seeded(0)
    for _ in range(20):
        assert changed((CHAIN, CHAIN), crossover(CHAIN, CHAIN, generator, bounds=None))
    tight = Bounds((6, 6))
    assert crossover(CHAIN, CHAIN, generator, bounds=tight) == (CHAIN, CHAIN)


def test_each_crossover_comes_as_often():
    pool, tail = Vertex("avg_pool"), Vertex("conv5", 64)
    a = Genome((*CHAIN.vertices, pool), (*CHAIN.edges, (2, 6)))
    b = Genome((tail, *[pool] * 5, tail), (*CHAIN.edges, (3, 6)))
    known = {kind: {crossover(a, b, seeded(seed), kind=kind) for seed in range(300)} for kind in CROSSOVERS}
    generator = seeded(0)
    found = [crossover(a, b, generator) for _ in range(600)]
    counts = [sum(children in known[kind] for children in found) for kind in CROSSOVERS]
    assert sum(counts) == 600  # whatever a crossover can do was seen before
    assert sum((count - 200) ** 2 / 200 for count in counts) < 14


def test_mutations_come_with_their_probability():
    generator = seeded(0)
    for probability in (0.0, 0.5, 1.0):
        count = sum(len(mutate(CHAIN, generator, insertion=probability)) > 6 for _ in range(400))
        assert abs(count - 400 * probability) <= 35 * (0 < probability < 1)


def test_where_no_edge_may_be_replaced_vertices_are_relabelled():
    mutant = mutate(CHAIN, seeded(0), bounds=Bounds((6, 6)), insertion=1.0)
    assert mutant.edges == CHAIN.edges
    assert mutant.key != CHAIN.key
    single = Genome((Vertex("skip"),), ())
    assert mutate(single, seeded(0), bounds=None, insertion=1.0).key != single.key


def test_the_same_state_gives_the_same_and_the_global_seed_is_left_alone():
    before = torch.get_rng_state()
    genome = drawn(seeded(1), None)
    assert mutate(genome, seeded(3)) == mutate(genome, seeded(3))
    assert crossover(genome, CHAIN, seeded(3)) == crossover(genome, CHAIN, seeded(3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("insertion", 1.5),
        ("insertion", True),
        ("share", float("nan")),
        ("depth", 0),
        ("depth", 2.0),
        ("channels", (0,)),
        ("bounds", (6, 36)),
    ],
)
@pytest.mark.parametrize("seed", range(4))  # whichever mutation is drawn
def test_every_mistake_in_a_mutation_is_named(argument, value, seed):
    with pytest.raises(RequestError, match=f"^{argument}"):
        mutate(CHAIN, seeded(seed), **{argument: value})


def test_every_mistake_in_a_crossover_is_named():
    with pytest.raises(UnknownNameError, match=r"no crossover is named 'bridge'; did you mean 'bridges'"):
        crossover(CHAIN, CHAIN, seeded(0), kind="bridge")
    with pytest.raises(RequestError, match=r"^b: found depth 6 and 6 vertices, expected depth 7 to 9"):
        crossover(drawn(seeded(0), Bounds((7, 9))), CHAIN, seeded(0), bounds=Bounds((7, 9)))
    with pytest.raises(RequestError, match=r"^a: found str"):
        crossover("conv3", CHAIN, seeded(0))
    for call in (lambda: mutate(CHAIN, 0), lambda: crossover(CHAIN, CHAIN, 0)):
        with pytest.raises(RequestError, match=r"^generator: found 0"):
            call()
    with pytest.raises(RequestError, match=r"^genome: found depth 6"):
        mutate(CHAIN, seeded(0), bounds=Bounds((7, 9)))
