"""Layer masses: how many channels a vertex makes, times how many it reads."""

import numpy as np

from sparsewire.search.genotype import Genome, checked_genome
from sparsewire.search.joined_genomes import KINDS, MOST_CHANNELS, JoinedGenomes, Reals, side_by_side
from sparsewire.structure.blocks import whole

_CONV, _SUM = KINDS.index("conv"), KINDS.index("sum")


def layer_masses(genome: Genome, *, input_channels: int = 3) -> tuple[float, ...]:
    """The mass of each vertex, which for a convolution is how many filters it slides over single feature maps:

        mass(v) = channels(v) · Σ channels(u) over the predecessors u of v

    A source reads the image's channels. A convolution makes as many as its vertex says, a sum as many as the largest of
    what it adds, and pools, concatenations and skips make as many as they read.

    Args:
        genome: the graph.
        input_channels: of the image, at least 1.

    Raises:
        RequestError: there is no genome, or `input_channels` is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2), (0, 2)))
        >>> layer_masses(genome)
        (48.0, 256.0, 512.0)

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.4, which gives the product alone; what has no channels of its own, and sources, are our reading.
    """
    joined = side_by_side([checked_genome("genome", genome)])
    return tuple(masses_of(joined, whole("input_channels", input_channels, least=1)).tolist())


def masses_of(joined: JoinedGenomes, input_channels: int) -> Reals:
    """The same for every vertex of many genomes.

    Channels double along a row of concatenations; from 2⁴⁹ on they are all the same.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> masses_of(side_by_side([Genome((Vertex("conv3", 2), Vertex("skip")), ((0, 1),))]), 1)
        array([2., 4.])
    """
    source = joined.levels == 0
    read = np.where(source, min(input_channels, MOST_CHANNELS), 0.0)
    largest = read.copy()
    made = np.where(joined.kinds == _CONV, joined.channels, read)
    for places, tails, heads in joined.waves():
        np.add.at(read, heads, made[tails])
        np.maximum.at(largest, heads, made[tails])
        read[places] = np.minimum(read[places], MOST_CHANNELS)
        kinds = joined.kinds[places]
        passed = np.where(kinds == _SUM, largest[places], read[places])
        made[places] = np.where(kinds == _CONV, joined.channels[places], passed)
    return made * read
