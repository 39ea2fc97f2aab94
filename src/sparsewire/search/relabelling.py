"""Mutation 1: vertices of a genome get other operations."""

import math
from collections.abc import Sequence

import torch

from sparsewire.search.genotype import CONVOLUTIONS, Genome, Vertex, checked_genome
from sparsewire.search.likeness import alike
from sparsewire.search.lots import drawn_vertex, shuffled
from sparsewire.search.random_genomes import CHANNELS, checked_channels
from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.priors.random_edges import checked_probability


def relabelled(
    genome: Genome, generator: torch.Generator, *, share: float = 0.1, channels: Sequence[int] = CHANNELS
) -> Genome:
    """The genome with other operations in a share of its vertices; the edges stay, and it is never the same genome.

    Of n vertices max(1, ⌊share·n + ½⌋) are drawn, all sets of so many equally probable, and each gets one of the seven
    other operations, all equally probable. A convolution that becomes one of another size keeps its channels: only the
    operation is remapped. A vertex that was none draws them. What happens to be the same genome as before, for two
    vertices changed places, is drawn again.

    Args:
        genome: what is changed.
        generator: where the draws come from.
        share: of the vertices, 0 to 1; at least one is remapped.
        channels: of which a vertex that becomes a convolution draws one.

    Raises:
        RequestError: an argument is none of these.

    Example:
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2), (0, 2)))
        >>> other = relabelled(genome, torch.Generator().manual_seed(1))
        >>> [vertex.operation for vertex in other.vertices], other.edges == genome.edges
        (['conv3', 'sum', 'sum'], True)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4, "remaps vertex operations in a genotype, e.g. it could replace
        max_pool with an avg_pool". How many vertices, and with which probabilities, the paper does not say.
    """
    checked_genome("genome", genome)
    checked_generator(generator)
    choices = checked_channels(channels)
    count = max(1, math.floor(checked_probability("share", share) * len(genome) + 0.5))
    other = genome
    while alike(genome, other):
        vertices = list(genome.vertices)
        for place in shuffled(range(len(genome)), generator)[:count]:
            vertices[place] = _remapped(vertices[place], choices, generator)
        other = Genome(tuple(vertices), genome.edges)
    return other


def _remapped(vertex: Vertex, channels: Sequence[int], generator: torch.Generator) -> Vertex:
    other = drawn_vertex(generator, channels=channels, besides=vertex.operation)
    both = vertex.operation in CONVOLUTIONS and other.operation in CONVOLUTIONS
    return Vertex(other.operation, vertex.channels) if both else other
