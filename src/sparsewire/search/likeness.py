"""Whether genomes are alike: the same but for the numbers that their vertices bear."""

from sparsewire.search.genotype import Genome

Pair = tuple[Genome, Genome]


def alike(one: Genome, other: Genome) -> bool:
    """Whether two genomes are isomorphic: have one key.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> skip, pool = Vertex("skip"), Vertex("max_pool")
        >>> alike(Genome((skip, pool, pool), ((0, 2), (1, 2))), Genome((pool, skip, pool), ((0, 2), (1, 2))))
        True
    """
    if len(one.edges) != len(other.edges) or sorted(one.vertices) != sorted(other.vertices):
        return False  # what the key would say, too, at a hundred times the cost
    return one == other or one.key == other.key


def changed(parents: Pair, children: Pair) -> bool:
    """Whether the children are not merely the parents, in whichever order.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> skip, pool = Genome((Vertex("skip"),), ()), Genome((Vertex("max_pool"),), ())
        >>> changed((skip, pool), (pool, skip)), changed((skip, pool), (skip, skip))
        (False, True)
    """
    (a, b), (c, d) = parents, children
    return not (alike(a, c) and alike(b, d)) and not (alike(a, d) and alike(b, c))
