"""Crossover 3: two genomes share the numbers of feature maps of layers that match."""

from collections import defaultdict

import torch

from sparsewire.search.genotype import CONVOLUTIONS, Bounds, Genome, Vertex, checked_genome
from sparsewire.search.likeness import changed
from sparsewire.search.lots import checked_bounds
from sparsewire.structure.blocks import checked_generator


def averaged_channels(
    a: Genome, b: Genome, generator: torch.Generator | None = None, *, bounds: Bounds | None = None
) -> tuple[Genome, Genome]:
    """Two genomes whose convolutions make as many feature maps as both parents' do on average, layer by layer.

    A convolution's layer is the largest number of convolutions on a path that ends in it, so that pooling, sums and the
    like between them count for nothing. The k-th layers match, whatever their kernels' sizes: there each convolution
    gets ⌊mean + ½⌋ channels, the mean over all of both genomes. All else stays.

    Args:
        a: one parent.
        b: the other.
        generator: unused, nothing is drawn; there, like `bounds`, for all crossovers to be called alike.
        bounds: what both children have to hold; depth and size are the parents'.

    Returns:
        The children, a's graph first; the parents where one has no convolution or all matching layers are even already.

    Raises:
        RequestError: an argument is none of these.

    Example:
        >>> a = Genome((Vertex("conv3", 16), Vertex("conv3", 64)), ((0, 1),))
        >>> b = Genome((Vertex("max_pool"), Vertex("conv5", 33)), ((0, 1),))
        >>> one, other = averaged_channels(a, b)
        >>> [vertex.channels for vertex in one.vertices], [vertex.channels for vertex in other.vertices]
        ([25, 64], [0, 25])

    Source:
        Stier, Darji and Granitzer 2021, section 4.4: "matching layers with feature maps are searched. The number of
        feature maps within all vertices of both genotypes for matching layers are averaged". Which layers match the
        paper does not say.
    """
    parents = checked_genome("a", a), checked_genome("b", b)
    if generator is not None:
        checked_generator(generator)
    bounds = checked_bounds(bounds)
    one, other = _channels_by_layer(a), _channels_by_layer(b)
    means = {layer: _mean([*one[layer], *other[layer]]) for layer in one.keys() & other.keys()}
    children = _with_channels(a, means), _with_channels(b, means)
    fits = bounds is None or all(map(bounds.holds, children))
    return children if fits and changed(parents, children) else parents


def conv_layers(genome: Genome) -> tuple[int, ...]:
    """For each convolution, how many there are on the path to it that has most, it included; 0 for all other vertices.

    Example:
        >>> conv, pool = Vertex("conv3", 8), Vertex("max_pool")
        >>> conv_layers(Genome((conv, pool, conv), ((0, 1), (1, 2))))
        (1, 0, 2)
    """
    passed: list[int] = []
    for vertex, before in zip(genome.vertices, genome.predecessors, strict=True):
        passed.append(max((passed[place] for place in before), default=0) + (vertex.operation in CONVOLUTIONS))
    return tuple(count if vertex.channels else 0 for vertex, count in zip(genome.vertices, passed, strict=True))


def _channels_by_layer(genome: Genome) -> dict[int, list[int]]:
    layers: dict[int, list[int]] = defaultdict(list)
    for vertex, layer in zip(genome.vertices, conv_layers(genome), strict=True):
        if layer:
            layers[layer].append(vertex.channels)
    return dict(layers)


def _mean(channels: list[int]) -> int:
    return (2 * sum(channels) + len(channels)) // (2 * len(channels))  # exact, and half a channel is rounded up


def _with_channels(genome: Genome, channels: dict[int, int]) -> Genome:
    layers = zip(genome.vertices, conv_layers(genome), strict=True)
    vertices = (Vertex(vertex.operation, channels.get(layer, vertex.channels)) for vertex, layer in layers)
    return Genome(tuple(vertices), genome.edges)
