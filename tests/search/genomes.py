"""Genomes that tests draw or know by heart."""

import random
from collections.abc import Sequence

from hypothesis import strategies

from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, Genome, Vertex, ordered


def labelled(names: str, *edges: tuple[int, int]) -> Genome:
    """A genome from its vertices in words: "conv3:16 sum skip"."""
    parts = (name.partition(":") for name in names.split())
    return Genome(tuple(Vertex(name, int(channels or 0)) for name, _, channels in parts), edges)  # type: ignore[arg-type]


# Small enough to draw; between them they have every operation, several sources, several sinks, twins and long edges.
EXAMPLES = {
    "single": labelled("conv3:4"),
    "chain": labelled("conv3:4 max_pool conv5:8 skip", (0, 1), (1, 2), (2, 3)),
    "triangle": labelled("conv3:16 max_pool sum", (0, 1), (1, 2), (0, 2)),
    "diamond": labelled("conv3:4 conv5:8 avg_pool concat", (0, 1), (0, 2), (1, 3), (2, 3)),
    "two_sources": labelled("conv7:4 skip sum", (0, 2), (1, 2)),
    "two_sinks": labelled("conv3:4 max_pool conv3:8", (0, 1), (0, 2)),
    "twins": labelled("skip conv3:4 conv3:4 sum", (0, 1), (0, 2), (1, 3), (2, 3)),
    "crossed": labelled(
        "conv3:4 avg_pool conv5:8 max_pool sum concat", (0, 2), (0, 3), (1, 2), (1, 3), (2, 4), (3, 4), (2, 5), (3, 5)
    ),
    "bridged": labelled(
        "conv3:4 conv5:4 sum skip max_pool conv7:8 concat",
        (0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6),
    ),
    "deep": labelled(
        "conv3:16 conv3:16 max_pool conv5:32 sum avg_pool conv7:64 concat",
        (0, 1), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5), (5, 6), (6, 7), (4, 7), (0, 7),
    ),
}  # fmt: skip


@strategies.composite
def genomes(
    draw: strategies.DrawFn,
    *,
    most: int = 10,
    channels: Sequence[int] = (1, 2, 3, 8),
    operations: Sequence[str] = OPERATIONS,
) -> Genome:
    """Any genome of up to `most` vertices."""
    count = draw(strategies.integers(1, most))
    names = draw(strategies.lists(strategies.sampled_from(operations), min_size=count, max_size=count))
    widths = draw(strategies.lists(strategies.sampled_from(channels), min_size=count, max_size=count))
    vertices = tuple(
        Vertex(name, width if name in CONVOLUTIONS else 0)  # type: ignore[arg-type]
        for name, width in zip(names, widths, strict=True)
    )
    # A tree over the vertices in any order connects them, wherever its edges then lead.
    order = draw(strategies.permutations(range(count)))
    joints = [(order[place], order[draw(strategies.integers(0, place - 1))]) for place in range(1, count)]
    pairs = [(tail, head) for head in range(count) for tail in range(head)]
    more = draw(strategies.lists(strategies.sampled_from(pairs), max_size=2 * count)) if pairs else []
    return Genome(vertices, tuple({(min(edge), max(edge)) for edge in (*joints, *more)}))


def renumbered(genome: Genome, chance: random.Random) -> Genome:
    """An isomorphic genome in a random order that suits the edges."""
    places = list(range(len(genome)))
    chance.shuffle(places)
    vertices = [genome.vertices[places.index(number)] for number in range(len(genome))]
    return ordered(vertices, [(places[tail], places[head]) for tail, head in genome.edges])
