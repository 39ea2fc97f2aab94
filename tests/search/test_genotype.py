"""Genomes: what they are made of, and what is refused."""

import copy
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search.genotype import (
    CONVOLUTIONS,
    OPERATIONS,
    PAPER_INITIAL,
    PAPER_RANDOM,
    Bounds,
    Genome,
    Vertex,
    ordered,
)

# name: depth, sources, sinks; by hand
SHAPES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "single": (1, (0,), (0,)),
    "chain": (4, (0,), (3,)),
    "triangle": (3, (0,), (2,)),
    "diamond": (3, (0,), (3,)),
    "two_sources": (2, (0, 1), (2,)),
    "two_sinks": (2, (0,), (1, 2)),
    "twins": (3, (0,), (3,)),
    "crossed": (3, (0, 1), (4, 5)),
    "bridged": (6, (0,), (6,)),
    "deep": (8, (0,), (7,)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_shapes_of_graphs_small_enough_to_draw(name: str) -> None:
    genome = EXAMPLES[name]
    assert (genome.depth, genome.sources, genome.sinks) == SHAPES[name]


def test_the_examples_have_every_operation() -> None:
    found = {vertex.operation for genome in EXAMPLES.values() for vertex in genome.vertices}
    assert found == set(OPERATIONS)


@given(genomes())
def test_a_genome_is_a_connected_graph_without_circles(genome: Genome) -> None:
    graph = genome.to_networkx()
    assert nx.is_weakly_connected(graph)
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph.nodes) == list(range(len(genome)))
    assert set(graph.edges) == set(genome.edges)
    assert genome.depth == 1 + nx.dag_longest_path_length(graph)
    assert genome.predecessors == tuple(tuple(sorted(graph.predecessors(place))) for place in graph)
    assert genome.successors == tuple(tuple(sorted(graph.successors(place))) for place in graph)
    assert [(data["operation"], data["channels"]) for _, data in graph.nodes(data=True)] == list(genome.vertices)


@given(genomes())
def test_genomes_are_values(genome: Genome) -> None:
    assert genome.key
    again = Genome(genome.vertices, tuple(reversed(genome.edges)))
    for other in (again, copy.copy(genome), copy.deepcopy(genome)):
        assert other == genome
        assert hash(other) == hash(genome)
        assert other.key == genome.key


def test_a_genome_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EXAMPLES["chain"].edges = ()  # type: ignore[misc]


def test_plain_pairs_are_taken_as_vertices() -> None:
    genome: Any = Genome((("conv3", 4), ("sum", 0)), ((0, 1),))  # type: ignore[arg-type]
    assert genome.vertices[0].channels == 4


BAD: dict[str, tuple[Any, Any, str]] = {
    "nothing": ((), (), "vertices: found none, expected at least one"),
    "two parts": ((("skip", 0),) * 3, ((0, 1),), "found 2 parts that nothing connects, expected one graph"),
    "a misspelt operation": ((("conv33", 4),), (), "no operation is named 'conv33'; did you mean 'conv3'"),
    "an operation that is no text": (((3, 4),), (), "vertex: found"),
    "an operation alone": (("conv3",), (), "vertex: found 'conv3', expected Vertex"),
    "three parts of a vertex": ((("conv3", 4, 5),), (), "vertex: found"),
    "no channels of a convolution": ((("conv3", 0),), (), "channels of conv3: found 0, expected a whole number"),
    "negative channels": ((("conv3", -1),), (), "channels of conv3: found -1"),
    "fractional channels": ((("conv3", 1.5),), (), "channels of conv3: found 1.5"),
    "a flag for channels": ((("conv3", True),), (), "channels of conv3: found True"),
    "no number for channels": ((("conv3", float("nan")),), (), "channels of conv3: found nan"),
    "channels of a pool": ((("max_pool", 4),), (), "found 4 for max_pool, expected 0"),
    "an edge down": ((("skip", 0),) * 2, ((1, 0),), "found 1 → 0, expected a lower and a higher number"),
    "an edge to itself": ((("skip", 0),) * 2, ((0, 1), (1, 1)), "found 1 → 1"),
    "an edge to nowhere": ((("skip", 0),) * 2, ((0, 2),), "found 0 → 2, expected numbers below 2"),
    "an edge from before the first": ((("skip", 0),) * 2, ((-1, 1),), "edge: found -1"),
    "an edge twice": ((("skip", 0),) * 2, ((0, 1), (0, 1)), "found 0 → 1 twice"),
    "an edge of one end": ((("skip", 0),) * 2, ((0,),), "edge: found"),
    "an edge that is a number": ((("skip", 0),) * 2, (1,), "edge: found 1, expected a pair"),
    "vertices that are none": (None, (), "vertices: found None, expected several"),
    "edges that are a number": ((("skip", 0),), 3, "edges: found 3, expected several"),
    "a fractional end": ((("skip", 0),) * 2, ((0, 1.0),), "edge: found 1.0"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_genome_is_refused_in_one_line(case: str) -> None:
    vertices, edges, message = BAD[case]
    with pytest.raises(RequestError) as caught:
        Genome(vertices, edges)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_operation_is_a_name_that_nothing_bears() -> None:
    with pytest.raises(UnknownNameError):
        Genome((Vertex("max_pol"),), ())  # type: ignore[arg-type]


@given(genomes())
def test_ordering_leaves_what_is_in_order(genome: Genome) -> None:
    assert ordered(genome.vertices, genome.edges) == genome


@given(genomes())
def test_ordering_mends_any_numbering(genome: Genome) -> None:
    last = len(genome) - 1
    turned = ordered(genome.vertices[::-1], [(last - tail, last - head) for tail, head in genome.edges])
    assert turned.key == genome.key


def test_ordering_takes_the_first_listed_of_those_that_may_come_next() -> None:
    found = ordered([Vertex("sum"), Vertex("conv3", 1), Vertex("skip"), Vertex("concat")], [(2, 0), (1, 0), (0, 3)])
    assert [vertex.operation for vertex in found.vertices] == ["conv3", "skip", "sum", "concat"]
    assert found.edges == ((0, 2), (1, 2), (2, 3))


@pytest.mark.parametrize("edges", [[(0, 1), (1, 0)], [(0, 0)], [(0, 1), (1, 2), (2, 1)]])
def test_circles_are_refused(edges: list[tuple[int, int]]) -> None:
    with pytest.raises(RequestError, match="found a circle"):
        ordered([Vertex("skip")] * 3, edges)


def test_ordering_refuses_ends_that_are_not_there() -> None:
    with pytest.raises(RequestError, match="found 0 → 5, expected numbers below 2"):
        ordered([Vertex("skip")] * 2, [(0, 5)])


def test_convolutions_are_operations() -> None:
    assert set(CONVOLUTIONS) < set(OPERATIONS)


def test_bounds_count_both_ends() -> None:
    chain = {
        length: labelled("skip " * length, *((at, at + 1) for at in range(length - 1))) for length in (5, 6, 36, 37)
    }
    assert [Bounds().holds(chain[length]) for length in chain] == [False, True, True, False]
    assert [Bounds((1, 99), most).holds(chain[6]) for most in (5, 6)] == [False, True]


def test_the_default_bounds_span_the_papers() -> None:
    assert Bounds().depth == (PAPER_INITIAL[0], PAPER_RANDOM[1]) == (6, 36)
    assert Bounds().checked() == Bounds()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds((0, 3)), r"depth\[0\]: found 0"),
        (Bounds((3, 2)), r"depth: found \(3, 2\).*did you mean \(2, 3\)"),
        (Bounds((1, 2.5)), r"depth\[1\]: found 2.5"),  # type: ignore[arg-type]
        (Bounds((True, 2)), r"depth\[0\]: found True"),
        (Bounds(4), "depth: found 4, expected a pair"),  # type: ignore[arg-type]
        (Bounds("12"), "depth: found '12', expected a pair"),  # type: ignore[arg-type]
        (Bounds((1, 2, 3)), "expected a pair"),  # type: ignore[arg-type]
        (Bounds((1, 2), 0), "vertices: found 0"),
        (Bounds((6, 8), 5), "vertices: found 5, expected at least the least depth, 6"),
    ],
)
def test_impossible_bounds_are_refused(bounds: Bounds, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        bounds.checked()
