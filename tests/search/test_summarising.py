import pytest
from hypothesis import given
from tests.search.genomes import EXAMPLES, genomes

from sparsewire.errors import RequestError
from sparsewire.search.costing import genome_cost
from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.summarising import _size, summary


@given(genome=genomes(most=30))
def test_a_summary_is_a_page_with_every_vertex_and_the_sums(genome):
    lines = summary(genome, (3, 32, 32), 10).splitlines()
    cost = genome_cost(genome, (3, 32, 32), 10)
    assert len(lines) == len(genome) + 7
    for place, vertex in enumerate(genome.vertices):
        words = lines[3 + place].split()
        assert words[0] == str(place)
        assert vertex.operation in words[1:3]
        assert ("→" in words) == (place in genome.sinks)
        assert ("image" in words) == (place in genome.sources)
    assert f"{cost.parameters:,}" in lines[-3]
    assert f"{cost.multiply_adds:,}" in lines[-3]
    assert all(len(line) <= 120 and line == line.rstrip() for line in lines)


def test_a_row_names_eight_vertices_and_counts_the_others():
    genome = Genome((*[Vertex("skip")] * 11, Vertex("sum")), tuple((place, 11) for place in range(11)))
    assert " 0 1 2 3 4 5 6 7 +3 " in summary(genome, (3, 8, 8), 2)


def test_numbers_of_one_are_one():
    assert summary(EXAMPLES["single"], (3, 8, 8), 1).startswith(
        "1 vertex, 0 edges, depth 1; images of 3 × 8 × 8, 1 class\n"
    )


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (2**20, "1 MiB"),
        (1023 * 2**20, "0.999 GiB"),
        (2**41, "2,048 GiB"),
    ],
)
def test_sizes_are_short(count, told):
    assert _size(count) == told


def test_mistakes_are_told():
    with pytest.raises(RequestError, match="genome: found str"):
        summary("conv3", (3, 8, 8), 10)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="classes: found 0"):
        summary(EXAMPLES["single"], (3, 8, 8), 0)
