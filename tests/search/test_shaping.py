import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS
from sparsewire.search.shaping import SMALLEST, largest, pooled, read_shapes, shapes, stacked, window

# By hand, for images of 3 × 28 × 9.
BY_HAND = {
    "single": [(4, 28, 9)],
    "chain": [(4, 28, 9), (4, 14, 4), (8, 14, 4), (8, 14, 4)],
    "triangle": [(16, 28, 9), (16, 14, 4), (16, 28, 9)],
    "diamond": [(4, 28, 9), (8, 28, 9), (4, 14, 4), (12, 14, 4)],
    "two_sources": [(4, 28, 9), (3, 28, 9), (4, 28, 9)],
    "two_sinks": [(4, 28, 9), (4, 14, 4), (8, 28, 9)],
    # 4 and 3 channels are read by 2 and by 3: 7 in all
    "crossed": [(4, 28, 9), (3, 14, 4), (8, 14, 4), (7, 7, 4), (8, 14, 4), (15, 7, 4)],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_shapes_are_those_worked_out_by_hand(name):
    assert list(shapes(EXAMPLES[name], (3, 28, 9))) == BY_HAND[name]


def test_sums_take_the_largest_and_concatenations_the_smallest():
    maps = [(3, 8, 4), (5, 4, 4), (2, 4, 8)]
    assert (stacked(maps), largest(maps)) == ((10, 4, 4), (5, 8, 8))
    assert stacked(maps[:1]) == largest(maps[:1]) == maps[0]


def test_what_is_read_is_what_was_made_or_the_image():
    genome = labelled("conv3:4 max_pool sum", (0, 2), (1, 2))
    assert read_shapes(genome, (1, 8, 8)) == (((1, 8, 8),), ((1, 8, 8),), ((4, 8, 8), (1, 4, 4)))


@given(side=st.integers(1, 300), first=st.integers(0, 9), more=st.integers(0, 9))
def test_a_window_pools_a_side_to_any_smaller_one_of_its_chain(side, first, more):
    for _ in range(first):
        side = pooled(side)
    smaller = side
    for _ in range(more):
        smaller = pooled(smaller)
    assert side // window(side, smaller) == smaller
    assert smaller >= min(side, SMALLEST // 2)


@given(genome=genomes(), image=st.tuples(*[st.integers(1, 40)] * 3))
def test_laws_of_shapes(genome, image):
    made, chains = shapes(genome, image), [{image[1]}, {image[2]}]
    for chain in chains:
        side = max(chain)
        while pooled(side) != side:
            chain.add(side := pooled(side))
    for vertex, shape, before in zip(genome.vertices, made, genome.predecessors, strict=True):
        assert shape[1] in chains[0]
        assert shape[2] in chains[1]
        read = sum(made[place][0] for place in before) if before else image[0]
        if vertex.operation in CONVOLUTIONS:
            assert shape[0] == vertex.channels
        elif vertex.operation == "sum":
            assert shape == largest([made[place] for place in before] or [image])
        else:
            assert shape[0] == read


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 32), r"input_shape: found \(3, 32\), expected \(channels, height, width\)"),
        (32, "input_shape: found 32, expected"),
        ((3, 0, 32), r"input_shape\[1\], height: found 0"),
        ((3, 32, 1.5), r"input_shape\[2\], width: found 1\.5"),
        ((True, 32, 32), r"input_shape\[0\], channels: found True"),
        ((3, float("nan"), 32), r"input_shape\[1\], height: found nan"),
    ],
)
def test_a_shape_that_is_none_is_refused(shape, message):
    with pytest.raises(RequestError, match=message):
        shapes(EXAMPLES["chain"], shape)


def test_what_is_no_genome_is_refused():
    with pytest.raises(RequestError, match="genome: found list, expected a Genome"):
        shapes([], (3, 32, 32))  # type: ignore[arg-type]
