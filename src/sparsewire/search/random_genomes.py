"""Genomes drawn at random, of a depth that is known beforehand."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, PAPER_INITIAL, Genome, Vertex, checked_range
from sparsewire.structure.blocks import checked_generator, whole

CHANNELS = (16, 32, 64, 128)
_LONGEST_BRANCH = 3
_MOST = 1024  # vertices that a path or the branches may have: more is a mistake


def random_genome(
    generator: torch.Generator,
    *,
    depth: tuple[int, int] = PAPER_INITIAL,
    branches: tuple[int, int] = (1, 4),
    channels: Sequence[int] = CHANNELS,
) -> Genome:
    """A genome with a main path of random length, with branches beside it and edges that skip parts of it.

    The depth d is uniform over its range; the main path has one vertex on each level 1, …, d. Each of a uniform number
    of branches then takes, uniformly, two levels a < b of 0, …, d + 1 that leave a level between them (not 0 and d + 1
    both), and on each a uniform vertex of those that are there. It leads from one to the other through 0 to 3 new
    vertices (uniform, as far as there are levels) on uniform levels between. Through none it is an edge that skips; if
    this is there already, through one. At level 0 it begins with the image, thus in a source of its own, and at d + 1
    it ends in a sink of its own. So all edges lead to higher levels, and the depth is exactly d.

    A vertex with several predecessors is a sum or a concatenation with probability 1/2; otherwise, and with a single
    predecessor or none, each of the eight operations has the same probability. Channels of convolutions are uniform
    over those given.

    Args:
        generator: source of randomness, on the CPU; the same state gives the same genome.
        depth: the fewest and the most vertices of the longest path, at least 1.
        branches: the fewest and the most branches, at least 0; a genome of depth 1 has none.
        channels: what a convolution may have, each at least 1; what stands twice is drawn twice as often.

    Raises:
        RequestError: a range is none, or larger than 1,024, channels are missing or too few, or there is no generator.

    Example:
        >>> genome = random_genome(torch.Generator().manual_seed(1), depth=(6, 6), branches=(2, 2))
        >>> genome.depth, len(genome), len(genome.edges)
        (6, 8, 8)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4, has the operations and the depths. How the graphs are drawn is not
        said; all of the above is ours.
    """
    checked_generator(generator)
    depths, numbers = _within("depth", depth, least=1), _within("branches", branches, least=0)
    widths = checked_channels(channels)
    length = _uniform(generator, *depths)
    levels = list(range(1, length + 1))
    edges = {(place, place + 1) for place in range(length - 1)}
    for _ in range(_uniform(generator, *numbers) if length > 1 else 0):
        _branch(generator, levels, edges, length)
    order = sorted(range(len(levels)), key=levels.__getitem__)
    rank = {place: number for number, place in enumerate(order)}
    numbered = tuple((rank[tail], rank[head]) for tail, head in edges)
    fed = [head for _, head in numbered]
    vertices = (_vertex(generator, fed.count(place), widths) for place in range(len(levels)))
    return Genome(tuple(vertices), numbered)


def most_vertices(depth: tuple[int, int] = PAPER_INITIAL, branches: tuple[int, int] = (1, 4)) -> int:
    """How many vertices a genome of `random_genome` has at most.

    Example:
        >>> most_vertices((6, 12))
        24
    """
    return depth[1] + _LONGEST_BRANCH * branches[1]


def checked_channels(channels: Sequence[int]) -> tuple[int, ...]:
    """The numbers of channels that a convolution may have, as ints.

    Raises:
        RequestError: there is none, or one is not a whole number of at least 1.

    Example:
        >>> checked_channels([8, 16])
        (8, 16)
    """
    if isinstance(channels, str) or not isinstance(channels, Sequence) or not channels:
        raise RequestError(f"channels: found {channels!r:.60}, expected some whole numbers, such as {CHANNELS}")
    return tuple(whole(f"channels[{place}]", number, least=1) for place, number in enumerate(channels))


def _branch(generator: torch.Generator, levels: list[int], edges: set[tuple[int, int]], length: int) -> None:
    """Adds one branch: to the levels its new vertices, to the edges its own."""
    pairs = [
        (low, high)
        for low in range(length + 1)
        for high in range(low + 2, length + 2)
        if (low, high) != (0, length + 1)
    ]
    low, high = pairs[_uniform(generator, 0, len(pairs) - 1)]
    tails = [place for place, level in enumerate(levels) if level == low]
    heads = [place for place, level in enumerate(levels) if level == high]
    ends = [own[_uniform(generator, 0, len(own) - 1)] if own else -1 for own in (tails, heads)]
    has_edge = -1 not in ends and tuple(ends) not in edges
    count = _uniform(generator, 0 if has_edge else 1, min(_LONGEST_BRANCH, high - low - 1))
    between = torch.randperm(high - low - 1, generator=generator)[:count].sort().values.tolist()
    way = [ends[0], *range(len(levels), len(levels) + count), ends[1]]
    levels += [low + 1 + step for step in between]
    edges |= {(tail, head) for tail, head in pairwise(way) if -1 not in (tail, head)}


def _vertex(generator: torch.Generator, inputs: int, channels: Sequence[int]) -> Vertex:
    if inputs > 1 and _uniform(generator, 0, 1):
        return Vertex(("sum", "concat")[_uniform(generator, 0, 1)])
    operation = OPERATIONS[_uniform(generator, 0, len(OPERATIONS) - 1)]
    if operation not in CONVOLUTIONS:
        return Vertex(operation)
    return Vertex(operation, channels[_uniform(generator, 0, len(channels) - 1)])


def _uniform(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _within(name: str, found: object, least: int) -> tuple[int, int]:
    pair = checked_range(name, found, least)
    if pair[1] > _MOST:
        raise RequestError(f"{name}: found up to {pair[1]:,}, expected at most {_MOST:,}")
    return pair
