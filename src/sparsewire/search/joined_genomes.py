"""Many genomes side by side as one graph: the arrays on which all are measured at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, Genome, checked_genome
from sparsewire.structure.layering import longest_paths

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

Kind = Literal["conv", "max_pool", "avg_pool", "sum", "concat", "skip"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MOST_CHANNELS: Final = 2.0**49

_KIND = {name: KINDS.index("conv" if name in CONVOLUTIONS else name) for name in OPERATIONS}


@dataclass(frozen=True, eq=False)
class JoinedGenomes:
    """Genomes as one graph without edges between them; vertices are counted genome after genome.

    Attributes:
        sizes: how many vertices each genome has.
        owner: per vertex the number of its genome.
        kinds: per vertex the place of its operation in `KINDS`; convolutions of all sizes are one kind.
        channels: per vertex those of its own, 0 where it has none.
        tails: per edge the vertex that it leads from; edges stand in their genomes' order.
        heads: per edge the vertex that it leads to, a higher number.
        levels: per vertex how many edges the longest path from a source to it has; 0 of a source.
    """

    sizes: Whole
    owner: Whole
    kinds: Whole
    channels: Reals
    tails: Whole
    heads: Whole
    levels: Whole

    @property
    def genomes(self) -> int:
        """How many genomes there are."""
        return self.sizes.size

    @property
    def vertices(self) -> int:
        """How many vertices they have in all."""
        return self.owner.size

    def waves(self) -> Iterator[tuple[Whole, Whole, Whole]]:
        """From level 1 on: the vertices of a level, and tails and heads of all edges that lead to them."""
        # Stable, so that what is added up over the edges of a vertex never depends on the genomes beside it.
        places, edges = np.argsort(self.levels, kind="stable"), np.argsort(self.levels[self.heads], kind="stable")
        steps = np.arange(1, self.levels.max(initial=0) + 2)
        places_at = np.searchsorted(self.levels[places], steps)
        edges_at = np.searchsorted(self.levels[self.heads[edges]], steps)
        for step in range(steps.size - 1):
            own = edges[edges_at[step] : edges_at[step + 1]]
            yield places[places_at[step] : places_at[step + 1]], self.tails[own], self.heads[own]


def side_by_side(genomes: Sequence[Genome]) -> JoinedGenomes:
    """The genomes side by side.

    Args:
        genomes: any number of them. More channels than `MOST_CHANNELS`, which no machine holds, count as so many.

    Raises:
        RequestError: one is no genome.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> line = Genome((Vertex("conv3", 8), Vertex("sum")), ((0, 1),))
        >>> joined = side_by_side([line, line])
        >>> joined.owner, joined.kinds, joined.tails, joined.heads, joined.levels
        (array([0, 0, 1, 1]), array([0, 3, 0, 3]), array([0, 2]), array([1, 3]), array([0, 1, 0, 1]))
    """
    sizes = np.array([len(genome.vertices) for genome in genomes], np.int64)
    first = np.cumsum(sizes) - sizes
    vertices = [vertex for genome in genomes for vertex in genome.vertices]
    edges = np.array([edge for genome in genomes for edge in genome.edges], np.int64).reshape(-1, 2)
    edges += np.repeat(first, [len(genome.edges) for genome in genomes])[:, None]
    tails, heads = np.ascontiguousarray(edges.T)
    return JoinedGenomes(
        sizes=sizes,
        owner=np.repeat(np.arange(sizes.size), sizes),
        kinds=np.array([_KIND[operation] for operation, _ in vertices], np.int64),
        channels=np.array([min(channels, MOST_CHANNELS) for _, channels in vertices], np.float64),
        tails=tails,
        heads=heads,
        levels=longest_paths(len(vertices), tails, heads),
    )


def checked_genomes(genomes: Iterable[Genome]) -> tuple[Genome, ...]:
    """The genomes as a tuple.

    Raises:
        RequestError: these are no genomes.

    Example:
        >>> checked_genomes([])
        ()
    """
    if isinstance(genomes, Genome) or not isinstance(genomes, Iterable):
        found = "a single genome" if isinstance(genomes, Genome) else type(genomes).__name__
        raise RequestError(f"genomes: found {found}, expected several: [genome, …]")
    return tuple(checked_genome(f"genomes[{place}]", genome) for place, genome in enumerate(genomes))
