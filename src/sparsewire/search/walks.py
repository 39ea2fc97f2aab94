"""How far a vertex is from the sources: the shortest path, the longest, and a random walk's expected length."""

from typing import NamedTuple

import numpy as np

from sparsewire.search.genotype import Genome, checked_genome
from sparsewire.search.joined_genomes import JoinedGenomes, Reals, side_by_side


class PathLengths(NamedTuple):
    """Lengths in edges from the sources to each vertex; 0 for a source itself.

    Attributes:
        shortest: of the shortest path from any source.
        longest: of the longest path from any source.
        random_walk: the expected number of steps of the random walks that come by; see `path_lengths`.
    """

    shortest: tuple[float, ...]
    longest: tuple[float, ...]
    random_walk: tuple[float, ...]


def path_lengths(genome: Genome) -> PathLengths:
    """How many edges lead from the sources to each vertex: at least, at most, and by a random walk on average.

    A walk begins at a source, each as likely, and at every vertex goes on by one of the outgoing edges, each as likely,
    until a sink. With p(v) the probability that it comes by v, and E(v) the expected number of steps of those that do,

        p(v) = 1 / sources        E(v) = 0                                              of a source v
        p(v) = Σ p(u) / out(u)    E(v) = Σ p(u) / out(u) · (E(u) + 1) / p(v)            of the others

    summed over the predecessors u of v, which have out(u) outgoing edges.

    Args:
        genome: the graph.

    Raises:
        RequestError: it is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2), (0, 2)))
        >>> path_lengths(genome)
        PathLengths(shortest=(0.0, 1.0, 1.0), longest=(0.0, 1.0, 2.0), random_walk=(0.0, 1.0, 1.5))

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.4: "the shortest, longest and expected random walk length from a source to a target vertex". How the
        walk is drawn, and several sources, are our reading.
    """
    return PathLengths(*(tuple(row.tolist()) for row in lengths_of(side_by_side([checked_genome("genome", genome)]))))


def lengths_of(joined: JoinedGenomes) -> Reals:
    """The same for every vertex of many genomes: rows shortest, longest, random walk.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> lengths_of(side_by_side([Genome((Vertex("conv3", 2), Vertex("skip")), ((0, 1),))])).tolist()
        [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    shortest = np.where(joined.levels == 0, 0.0, np.inf)
    for _, tails, heads in joined.waves():
        np.minimum.at(shortest, heads, shortest[tails] + 1)
    return np.stack([shortest, joined.levels.astype(np.float64), _random_walks(joined, shortest)])


def _random_walks(joined: JoinedGenomes, shortest: Reals) -> Reals:
    """E(v), with p(v) as part · 2^power: behind a thousand forks p(v) is no number of 64 bits any more."""
    outgoing = np.bincount(joined.tails, minlength=joined.vertices)
    steps, part = np.zeros(joined.vertices), np.ones(joined.vertices)
    power = np.zeros(joined.vertices, np.int64)
    highest, mass = np.full(joined.vertices, np.iinfo(np.int64).min), np.zeros(joined.vertices)
    # Whether sources begin with 1 or with 1 / sources is a factor in every p(v), which E(v) does not see.
    for places, tails, heads in joined.waves():
        np.maximum.at(highest, heads, power[tails])
        weight = np.ldexp(part[tails] / outgoing[tails], power[tails] - highest[heads])
        np.add.at(mass, heads, weight)
        # What goes beyond the shortest path is averaged: where all paths are as long, nothing is left to round.
        np.add.at(steps, heads, weight * (steps[tails] + 1 - shortest[heads]))
        steps[places] = shortest[places] + steps[places] / mass[places]
        part[places], more = np.frexp(mass[places])
        power[places] = highest[places] + more
    return steps
