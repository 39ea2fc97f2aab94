"""Mutation 2: an edge of a genome becomes a small random graph."""

from collections.abc import Sequence

import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Bounds, Edge, Genome, Vertex, checked_genome
from sparsewire.search.levels import depths, heights
from sparsewire.search.lots import below, checked_bounds, drawn_vertex, one_of
from sparsewire.search.random_genomes import CHANNELS, checked_channels
from sparsewire.structure.blocks import checked_generator, whole

WIDEST = 2
"""How many vertices stand side by side in an inserted graph, at most."""


def inserted(
    genome: Genome,
    generator: torch.Generator,
    *,
    depth: int = 2,
    channels: Sequence[int] = CHANNELS,
    bounds: Bounds | None = None,
) -> Genome:
    """The genome with a small random graph in the place of one edge; as deep as before or deeper.

    The edge u → v is drawn among those that may be replaced, all equally probable. The graph has `depth` layers of 1 or
    2 vertices each, equally probable; a vertex of a later layer is fed by one of the layer before it and, with
    probability ½ each, by every other vertex of earlier layers. Operations and channels are drawn, all equally
    probable. u feeds all its sources and all its sinks feed v; u → v itself goes.

    Args:
        genome: what is changed.
        generator: where the draws come from.
        depth: of the graph: how many vertices its longest path has, at least 1.
        channels: of which each new convolution draws one.
        bounds: what the result has to hold; None for any size. Near the largest number of vertices layers stay narrow.

    Raises:
        RequestError: an argument is none of these, or no edge may be replaced within the bounds.

    Example:
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool")), ((0, 1),))
        >>> other = inserted(genome, torch.Generator().manual_seed(0))
        >>> [vertex.operation for vertex in other.vertices], other.depth
        (['conv3', 'skip', 'conv5', 'sum', 'conv7', 'max_pool'], 4)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4 and Figure 8a, a graph of depth two. How it is drawn the paper does
        not say.
    """
    checked_genome("genome", genome)
    checked_generator(generator)
    depth, choices = whole("depth", depth, least=1), checked_channels(channels)
    bounds = checked_bounds(bounds)
    edges = replaceable_edges(genome, depth, bounds)
    if not edges:
        why = f"that a graph of depth {depth} may replace within {bounds}" if genome.edges else "at all"
        raise RequestError(f"genome: found no edge {why}, expected one")
    edge = one_of(edges, generator)
    room = bounds.vertices - len(genome) if bounds else WIDEST * depth
    layers, inner = _small_graph(depth, room, generator)
    vertices = [drawn_vertex(generator, channels=choices) for _ in range(sum(map(len, layers)))]
    return _replaced(genome, edge, vertices, inner)


def replaceable_edges(genome: Genome, depth: int, bounds: Bounds | None) -> list[Edge]:
    """The edges in whose place a graph of this depth leaves the genome within bounds.

    Example:
        >>> genome = Genome((Vertex("skip"),) * 3, ((0, 1), (1, 2), (0, 2)))
        >>> replaceable_edges(genome, 2, Bounds(depth=(1, 4)))
        [(0, 2)]
    """
    if bounds is None:
        return list(genome.edges)
    if len(genome) + depth > bounds.vertices:
        return []
    to, onward = depths(genome), heights(genome)
    return [(tail, head) for tail, head in genome.edges if to[tail] + depth + onward[head] <= bounds.depth[1]]


def _small_graph(depth: int, room: int, generator: torch.Generator) -> tuple[list[list[int]], list[Edge]]:
    """Layers of vertices, numbered through, and their edges; at most `room` vertices in all."""
    layers: list[list[int]] = []
    edges: list[Edge] = []
    for layer in range(depth):
        first = layers[-1][-1] + 1 if layers else 0
        widest = min(WIDEST, room - first - (depth - layer - 1))  # every later layer has one at least
        layers.append(list(range(first, first + 1 + below(widest, generator))))
        for place in layers[-1] if layer else []:
            feeder = one_of(layers[-2], generator)
            edges += [(one, place) for one in range(first) if one == feeder or below(2, generator)]
    return layers, edges


def _replaced(genome: Genome, edge: Edge, vertices: Sequence[Vertex], inner: Sequence[Edge]) -> Genome:
    """The new vertices come right behind the tail of the edge, so that all edges still lead up."""
    tail, head = edge
    count, first = len(vertices), tail + 1
    rank = [place if place <= tail else place + count for place in range(len(genome))]
    kept = [(rank[one], rank[other]) for one, other in genome.edges if (one, other) != edge]
    fed, feeding = {other for _, other in inner}, {one for one, _ in inner}
    edges = [
        *kept,
        *((first + one, first + other) for one, other in inner),
        *((tail, first + place) for place in range(count) if place not in fed),
        *((first + place, rank[head]) for place in range(count) if place not in feeding),
    ]
    return Genome((*genome.vertices[:first], *vertices, *genome.vertices[first:]), tuple(edges))
