"""Levels: how long the longest paths are that end or start in each vertex of a genome."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsewire.search.genotype import Genome


def depths(genome: "Genome") -> tuple[int, ...]:
    """For each vertex, how many vertices the longest path has that ends in it; 1 where the image enters.

    Example:
        >>> from sparsewire.search.genotype import Genome, Vertex
        >>> depths(Genome((Vertex("skip"),) * 3, ((0, 1), (1, 2), (0, 2))))
        (1, 2, 3)
    """
    longest: list[int] = []
    for before in genome.predecessors:
        longest.append(1 + max((longest[place] for place in before), default=0))
    return tuple(longest)


def heights(genome: "Genome") -> tuple[int, ...]:
    """For each vertex, how many vertices the longest path has that starts in it; 1 where nothing follows.

    Example:
        >>> from sparsewire.search.genotype import Genome, Vertex
        >>> heights(Genome((Vertex("skip"),) * 3, ((0, 1), (1, 2), (0, 2))))
        (3, 2, 1)
    """
    longest = [1] * len(genome)
    for tail, head in reversed(genome.edges):  # sorted by their tails: those of the head came before
        longest[tail] = max(longest[tail], 1 + longest[head])
    return tuple(longest)
