"""Lots: what the variations draw, and whether what they are asked for can be."""

from collections.abc import Sequence
from typing import TypeVar

import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, OPERATIONS, Bounds, Genome, Operation, Vertex, checked_genome
from sparsewire.search.random_genomes import CHANNELS

Item = TypeVar("Item")


def below(count: int, generator: torch.Generator) -> int:
    """A whole number from 0 to count - 1, all equally probable.

    Example:
        >>> below(1, torch.Generator())
        0
    """
    return int(torch.randint(count, (), generator=generator, device=generator.device))


def one_of(choices: Sequence[Item], generator: torch.Generator) -> Item:
    """One of the choices, all equally probable."""
    return choices[below(len(choices), generator)]


def shuffled(choices: Sequence[Item], generator: torch.Generator) -> list[Item]:
    """The choices in an order that is drawn, all orders equally probable.

    Example:
        >>> sorted(shuffled("abc", torch.Generator().manual_seed(0)))
        ['a', 'b', 'c']
    """
    if len(choices) < 2:
        return list(choices)
    order: list[int] = torch.randperm(len(choices), generator=generator, device=generator.device).tolist()
    return [choices[place] for place in order]


def drawn_vertex(
    generator: torch.Generator, *, channels: Sequence[int] = CHANNELS, besides: Operation | None = None
) -> Vertex:
    """A vertex with one of the operations, all equally probable; a convolution with one of the numbers of channels.

    Args:
        generator: where the draws come from.
        channels: of which a convolution makes one.
        besides: an operation that is not meant.

    Example:
        >>> drawn_vertex(torch.Generator().manual_seed(0), besides="skip") in [Vertex("skip")]
        False
    """
    operation = one_of([one for one in OPERATIONS if one != besides], generator)
    return Vertex(operation, one_of(channels, generator) if operation in CONVOLUTIONS else 0)


def checked_bounds(bounds: object) -> Bounds | None:
    """The bounds themselves, or None: no bounds.

    Raises:
        RequestError: they are none, or nothing is within them.
    """
    if bounds is not None and not isinstance(bounds, Bounds):
        raise RequestError(f"bounds: found {bounds!r}, expected Bounds(depth=(least, most), vertices=most) or None")
    return bounds.checked() if bounds else None


def within(bounds: Bounds | None, argument: str, genome: Genome) -> Genome:
    """The genome itself, where it is within the bounds; None for any size.

    Raises:
        RequestError: it is no genome, or out of bounds: no variation could be sure to bring it back.

    Example:
        >>> within(Bounds(depth=(2, 4)), "a", Genome((Vertex("skip"),), ()))
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: a: found depth 1 and 1 vertices, expected depth 2 to 4 and at most 64 vertices;
            pass bounds that hold it
    """
    checked_genome(argument, genome)
    if bounds and not bounds.holds(genome):
        least, most = bounds.depth
        raise RequestError(
            f"{argument}: found depth {genome.depth} and {len(genome)} vertices, expected depth {least} to {most} and "
            f"at most {bounds.vertices} vertices; pass bounds that hold it"
        )
    return genome
