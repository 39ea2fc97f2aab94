"""Variation: what becomes of genomes from one generation to the next; two mutations and three crossovers."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import torch

from sparsewire.errors import UnknownNameError
from sparsewire.search.bridge_crossing import swapped_behind_bridges
from sparsewire.search.channel_crossing import averaged_channels
from sparsewire.search.genotype import Bounds, Genome
from sparsewire.search.insertion import inserted, replaceable_edges
from sparsewire.search.lots import checked_bounds, shuffled, within
from sparsewire.search.path_crossing import swapped_paths
from sparsewire.search.random_genomes import CHANNELS, checked_channels
from sparsewire.search.relabelling import relabelled
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.priors.random_edges import checked_probability

Crossing = Literal["paths", "bridges", "channels"]
CROSSOVERS: Final[tuple[Crossing, ...]] = get_args(Crossing)

_SWAPS: Final = {"paths": swapped_paths, "bridges": swapped_behind_bridges, "channels": averaged_channels}


def mutate(
    genome: Genome,
    generator: torch.Generator,
    *,
    bounds: Bounds | None = Bounds(),  # noqa: B008 - a frozen value
    insertion: float = 0.5,
    share: float = 0.1,
    depth: int = 2,
    channels: Sequence[int] = CHANNELS,
) -> Genome:
    """A mutant: with probability `insertion` the genome of `inserted`, else that of `relabelled`; never the same again.

    Where no edge may be replaced within the bounds, vertices are relabelled, which is always possible.

    Args:
        genome: what is changed; within the bounds.
        generator: where the draws come from.
        bounds: of depth and size, which the mutant keeps, too; None for any.
        insertion: probability from 0 to 1.
        share: of the vertices that are relabelled, as for `relabelled`.
        depth: of the inserted graph, at least 1.
        channels: of which each new convolution draws one.

    Raises:
        RequestError: an argument is none of these, or the genome is out of bounds.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16),) * 6, tuple((place, place + 1) for place in range(5)))
        >>> mutant = mutate(genome, torch.Generator().manual_seed(0))
        >>> mutant != genome, Bounds().holds(mutant)
        (True, True)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4. Which mutation is taken how often the paper does not say; the
        probability that a candidate mutates at all, 0.5, belongs to the search.
    """
    bounds = checked_bounds(bounds)
    within(bounds, "genome", genome)
    checked_generator(generator)
    depth, choices = whole("depth", depth, least=1), checked_channels(channels)
    probability, part = checked_probability("insertion", insertion), checked_probability("share", share)
    drawn = float(torch.rand((), generator=generator, device=generator.device, dtype=torch.float64))
    if drawn < probability and replaceable_edges(genome, depth, bounds):
        return inserted(genome, generator, depth=depth, channels=choices, bounds=bounds)
    return relabelled(genome, generator, share=part, channels=choices)


def crossover(
    a: Genome,
    b: Genome,
    generator: torch.Generator,
    *,
    kind: Crossing | None = None,
    bounds: Bounds | None = Bounds(),  # noqa: B008 - a frozen value
) -> tuple[Genome, Genome]:
    """Two children of two genomes, of which each has something of both.

    Args:
        a: one parent, within the bounds.
        b: the other.
        generator: where the draws come from.
        kind: "paths" (`swapped_paths`), "bridges" (`swapped_behind_bridges`) or "channels" (`averaged_channels`); None:
            one of them is drawn, all equally probable, and where it changes nothing the next one.
        bounds: of depth and size, which the children keep, too; None for any.

    Returns:
        The children; the parents themselves where no crossover changes anything within the bounds.

    Raises:
        RequestError: an argument is none of these, or a parent is out of bounds.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> a = Genome((Vertex("conv3", 16),) * 6, tuple((place, place + 1) for place in range(5)))
        >>> b = Genome((Vertex("conv3", 64),) * 8, tuple((place, place + 1) for place in range(7)))
        >>> one, other = crossover(a, b, torch.Generator(), kind="channels")
        >>> [vertex.channels for vertex in other.vertices]
        [40, 40, 40, 40, 40, 40, 64, 64]

    Source:
        Stier, Darji and Granitzer 2021, section 4.4, where crossovers exist and their probability is 0.
    """
    bounds = checked_bounds(bounds)
    parents = within(bounds, "a", a), within(bounds, "b", b)
    checked_generator(generator)
    if kind is not None and kind not in CROSSOVERS:
        raise UnknownNameError("crossover", str(kind), CROSSOVERS)
    for one in shuffled(CROSSOVERS, generator) if kind is None else (kind,):
        children = _SWAPS[one](a, b, generator, bounds=bounds)
        if children[0] is not a:
            return children
    return parents
