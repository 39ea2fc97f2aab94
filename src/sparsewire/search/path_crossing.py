"""Crossover 1: two genomes change their longest paths."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, product
from typing import Final

import torch

from sparsewire.search.genotype import Bounds, Genome, checked_genome, ordered
from sparsewire.search.levels import heights
from sparsewire.search.likeness import changed
from sparsewire.search.lots import checked_bounds, shuffled
from sparsewire.structure.blocks import checked_generator

MOST_PATHS: Final = 8
"""Of how many longest paths of each genome an exchange is tried, before the parents are given back."""


def swapped_paths(
    a: Genome, b: Genome, generator: torch.Generator, *, bounds: Bounds | None = None
) -> tuple[Genome, Genome]:
    """Two genomes that have each other's longest path: its vertices in order, and the edges along it.

    All else stays: what branched off a path p₀ … p_m at p_i branches off the new one q₀ … q_n at q_⌊i·n/m⌋, what joined
    it at p_j joins at q_⌈j·n/m⌉. As i < j gives ⌊i·n/m⌋ < ⌈j·n/m⌉, no circle arises; edges that fall together become
    one. Between paths of one length only the labels are exchanged. The two have the parents' vertices between them.

    Args:
        a: one parent.
        b: the other.
        generator: draws the paths where several are longest, vertex by vertex.
        bounds: what both children have to hold; None for any size.

    Returns:
        The children, a's rest first; the parents where one has a single layer, or where no exchange (of at most 8
        longest paths each) changes anything within the bounds.

    Raises:
        RequestError: an argument is none of these.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> conv, pool, skip = Vertex("conv3", 16), Vertex("max_pool"), Vertex("skip")
        >>> a = Genome((conv, conv, skip, conv), ((0, 1), (1, 3), (2, 3)))
        >>> b = Genome((pool, pool), ((0, 1),))
        >>> one, other = swapped_paths(a, b, torch.Generator())
        >>> [vertex.operation for vertex in one.vertices], one.edges
        (['max_pool', 'skip', 'max_pool'], ((0, 2), (1, 2)))
        >>> [vertex.operation for vertex in other.vertices], other.edges
        (['conv3', 'conv3', 'conv3'], ((0, 1), (1, 2)))

    Source:
        Stier, Darji and Granitzer 2021, section 4.4: "considers the longest simple sub-paths and swaps them". Where the
        rest is fastened the paper does not say; the rule is ours.
    """
    parents = checked_genome("a", a), checked_genome("b", b)
    checked_generator(generator)
    bounds = checked_bounds(bounds)
    if min(a.depth, b.depth) > 1 and _fit(parents, bounds):
        found = (list(islice(longest_paths(parent, generator), MOST_PATHS)) for parent in parents)
        for one, other in product(*found):
            children = _carried(a, one, b, other), _carried(b, other, a, one)
            if (bounds is None or all(map(bounds.holds, children))) and changed(parents, children):
                return children
    return parents


def longest_paths(genome: Genome, generator: torch.Generator) -> Iterator[tuple[int, ...]]:
    """All paths with as many vertices as the genome is deep, in an order that is drawn.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("skip"),) * 3, ((0, 2), (1, 2)))
        >>> sorted(longest_paths(genome, torch.Generator()))
        [(0, 2), (1, 2)]
    """
    height, successors = heights(genome), genome.successors
    tops = [place for place in range(len(genome)) if height[place] == max(height)]
    waiting: list[tuple[int, ...]] = [(place,) for place in shuffled(tops, generator)]
    while waiting:
        path = waiting.pop()
        below = [place for place in successors[path[-1]] if height[place] == height[path[-1]] - 1]
        if not below:
            yield path
        waiting += [(*path, place) for place in shuffled(below, generator)]


def _fit(parents: Sequence[Genome], bounds: Bounds | None) -> bool:
    """Whether the vertices do: all longest paths of a genome have as many."""
    a, b = parents
    longer = b.depth - a.depth
    return bounds is None or max(len(a) + longer, len(b) - longer) <= bounds.vertices


def _carried(host: Genome, path: Sequence[int], guest: Genome, other: Sequence[int]) -> Genome:
    """The host with the guest's path in the place of its own."""
    inner = {place: number for number, place in enumerate(path)}
    rest = [place for place in range(len(host)) if place not in inner]
    outer = {place: len(other) + number for number, place in enumerate(rest)}
    span, new = len(path) - 1, len(other) - 1
    leave = outer | {place: number * new // span for place, number in inner.items()}
    join = outer | {place: -(-number * new // span) for place, number in inner.items()}
    along = set(pairwise(path))
    edges = {(leave[tail], join[head]) for tail, head in host.edges if (tail, head) not in along}
    edges |= {(number, number + 1) for number in range(new)}
    vertices = [guest.vertices[place] for place in other] + [host.vertices[place] for place in rest]
    return ordered(vertices, sorted(edges))
