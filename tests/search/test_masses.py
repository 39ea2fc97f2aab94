"""Layer masses: what each operation makes and reads, by hand."""

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.masses import layer_masses
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.shaping import shapes


@pytest.mark.parametrize(
    ("vertex", "makes", "alone"),
    [
        (Vertex("conv3", 7), 7, 7 * 3),
        (Vertex("conv5", 7), 7, 7 * 3),
        (Vertex("conv7", 7), 7, 7 * 3),
        (Vertex("max_pool"), 30, 3 * 3),
        (Vertex("avg_pool"), 30, 3 * 3),
        (Vertex("concat"), 30, 3 * 3),
        (Vertex("skip"), 30, 3 * 3),
        (Vertex("sum"), 20, 3 * 3),
    ],
)
def test_every_operation(vertex, makes, alone):
    assert layer_masses(Genome((vertex,), ())) == (alone,)
    # Two convolutions of the image feed it, and it feeds a third.
    genome = Genome((Vertex("conv3", 10), Vertex("conv3", 20), vertex, Vertex("conv3", 5)), ((0, 2), (1, 2), (2, 3)))
    assert layer_masses(genome, input_channels=1) == (10, 20, makes * 30, 5 * makes)


def test_what_passes_through_several():
    # The image (2) is doubled by a concatenation of two skips, added to a convolution of 9, and pooled.
    genome = Genome(
        (Vertex("skip"), Vertex("skip"), Vertex("concat"), Vertex("conv3", 9), Vertex("sum"), Vertex("avg_pool")),
        ((0, 2), (1, 2), (2, 4), (3, 4), (4, 5)),
    )
    assert layer_masses(genome, input_channels=2) == (4, 4, 4 * 4, 9 * 2, 9 * (4 + 9), 9 * 9)


def test_channels_are_those_of_the_network_that_is_built():
    for seed in range(20):
        genome = random_genome(torch.Generator().manual_seed(seed))
        made = [shape[0] for shape in shapes(genome, (3, 32, 32))]
        read = [sum(made[place] for place in before) or 3 for before in genome.predecessors]
        assert layer_masses(genome) == tuple(one * other for one, other in zip(made, read, strict=True))


def test_channels_that_no_machine_holds_count_as_so_many():
    most = 2.0**49
    doubling = Genome((Vertex("concat"),) * 60, tuple((a, b) for b in range(60) for a in range(b)))
    masses = layer_masses(doubling)
    assert masses[:5] == (9, 9, 6**2, 12**2, 24**2)
    assert masses[-1] == most * most < 1e30  # which regressors still take
    assert layer_masses(Genome((Vertex("conv3", 10**400),), ()), input_channels=10**400) == (most * most,)


@pytest.mark.parametrize("channels", [0, -3, 2.5, True, float("nan"), "3"])
def test_input_channels_are_a_count(channels):
    with pytest.raises(RequestError, match="input_channels: found"):
        layer_masses(Genome((Vertex("skip"),), ()), input_channels=channels)


def test_what_is_no_genome_is_refused():
    with pytest.raises(RequestError, match="genome: found int, expected a Genome"):
        layer_masses(3)
