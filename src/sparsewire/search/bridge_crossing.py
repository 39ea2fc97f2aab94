"""Crossover 2: two genomes change what lies behind a bridge."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch

from sparsewire.search.genotype import Bounds, Edge, Genome, checked_genome
from sparsewire.search.levels import depths, heights
from sparsewire.search.likeness import changed
from sparsewire.search.lots import checked_bounds, shuffled
from sparsewire.structure.blocks import checked_generator


class _Cut(NamedTuple):
    """A genome in two parts, and all that tells how deep it gets with another part behind."""

    edge: Edge
    front: tuple[int, ...]
    behind: tuple[int, ...]
    depth_in_front: int
    depth_behind: int
    depth_to_edge: int
    depth_from_edge: int


def swapped_behind_bridges(
    a: Genome, b: Genome, generator: torch.Generator, *, bounds: Bounds | None = None
) -> tuple[Genome, Genome]:
    """Two genomes that have each other's part behind a bridge: an edge without which a genome falls in two.

    With the bridges u → v of a and s → t of b, the children are a's part with u, an edge u → t, and b's part with t;
    and b's part with s, an edge s → v, and a's part with v. What lies behind is all that hangs on the bridge's head,
    further sources, too. Both children together have the vertices and as many edges as both parents.

    Args:
        a: one parent.
        b: the other.
        generator: draws the pair of bridges, all equally probable of those that lead to children other than the parents
            and within the bounds.
        bounds: what both children have to hold; None for any size.

    Returns:
        The children, a's front first; the parents where no pair of bridges will do.

    Raises:
        RequestError: an argument is none of these.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> conv, pool = Vertex("conv3", 16), Vertex("max_pool")
        >>> a = Genome((conv,) * 4, ((0, 1), (0, 2), (1, 3), (2, 3)))
        >>> b = Genome((pool,) * 3, ((0, 1), (1, 2)))
        >>> a.edges == swapped_behind_bridges(a, b, torch.Generator())[0].edges     # a ring has no bridge
        True
        >>> a = Genome((conv,) * 5, (*a.edges, (3, 4)))
        >>> one, other = swapped_behind_bridges(a, b, torch.Generator().manual_seed(0))
        >>> [vertex.operation for vertex in one.vertices]
        ['conv3', 'conv3', 'conv3', 'conv3', 'max_pool', 'max_pool']

    Source:
        Stier, Darji and Granitzer 2021, section 4.4: "searches for bridges in both parent genotypes and swaps the
        succeeding child graphs after both found bridges".
    """
    parents = checked_genome("a", a), checked_genome("b", b)
    checked_generator(generator)
    bounds = checked_bounds(bounds)
    pairs = list(product(_cuts(a), _cuts(b)))
    for one, other in shuffled(pairs, generator):
        if bounds is None or (_holds(bounds, one, other) and _holds(bounds, other, one)):
            children = _joined(a, one, b, other), _joined(b, other, a, one)
            if changed(parents, children):
                return children
    return parents


def bridges(genome: Genome) -> dict[Edge, frozenset[int]]:
    """The edges without which the genome falls in two, whichever way edges lead; and what lies behind each.

    Along any spanning tree: a tree edge is a bridge just where no other edge leads out of the subtree below it. The
    edges that do are the symmetric difference, over the vertices of the subtree, of the edges that end in each.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> {edge: sorted(behind) for edge, behind in bridges(Genome((Vertex("skip"),) * 3, ((0, 2), (1, 2)))).items()}
        {(0, 2): [1, 2], (1, 2): [0, 2]}
    """
    order, parent = _spanning_tree(genome)
    leaving = [0] * len(genome)  # sets, as the bits of a number
    for bit, (tail, head) in enumerate(genome.edges):
        if parent[head] != tail and parent[tail] != head:
            leaving[tail] ^= 1 << bit
            leaving[head] ^= 1 << bit
    below = [{place} for place in range(len(genome))]
    found: dict[Edge, frozenset[int]] = {}
    for place in reversed(order[1:]):
        above = parent[place]
        if not leaving[place]:
            others = below[place] if place > above else set(order) - below[place]
            found[min(above, place), max(above, place)] = frozenset(others)
        leaving[above] ^= leaving[place]
        below[above] |= below[place]
    return dict(sorted(found.items()))


def _spanning_tree(genome: Genome) -> tuple[list[int], list[int]]:
    """The vertices from the first outwards, and for each the one from which it was met."""
    neighbours = [before + behind for before, behind in zip(genome.predecessors, genome.successors, strict=True)]
    order, parent = [0], [-1] * len(genome)
    for place in order:
        for near in neighbours[place]:
            if near and parent[near] < 0:
                parent[near] = place
                order.append(near)
    return order, parent


def _cuts(genome: Genome) -> Iterator[_Cut]:
    to, onward = depths(genome), heights(genome)
    for (tail, head), others in bridges(genome).items():
        front = tuple(place for place in range(len(genome)) if place not in others)
        behind = tuple(sorted(others))
        # The bridge leads from front to back: whatever leads to a vertex in front is in front, too, and so behind.
        deepest = max(to[place] for place in front), max(onward[place] for place in behind)
        yield _Cut((tail, head), front, behind, *deepest, to[tail], onward[head])


def _holds(bounds: Bounds, front: _Cut, back: _Cut) -> bool:
    """What `bounds.holds` says of the two parts together, without building them."""
    least, most = bounds.depth
    depth = max(front.depth_in_front, back.depth_behind, front.depth_to_edge + back.depth_from_edge)
    return least <= depth <= most and len(front.front) + len(back.behind) <= bounds.vertices


def _joined(genome: Genome, front: _Cut, other: Genome, back: _Cut) -> Genome:
    rank = {place: number for number, place in enumerate(front.front)}
    ranks = {place: len(rank) + number for number, place in enumerate(back.behind)}
    edges = [(rank[tail], rank[head]) for tail, head in genome.edges if tail in rank and head in rank]
    edges += [(ranks[tail], ranks[head]) for tail, head in other.edges if tail in ranks and head in ranks]
    edges.append((rank[front.edge[0]], ranks[back.edge[1]]))
    vertices = [genome.vertices[place] for place in rank] + [other.vertices[place] for place in ranks]
    return Genome(tuple(vertices), tuple(edges))
