"""What a search can look through: how candidates are drawn, varied, described, named and written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import torch

from sparsewire.errors import RequestError
from sparsewire.search.genotype import PAPER_INITIAL, Bounds, Genome

G = TypeVar("G")
_REMEMBERED = 1 << 14


def _all(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Space(Generic[G]):
    """Everything that a search has to know of a kind of genome; nothing else in it looks inside one.

    All are pure functions: what they draw comes from the generator alone, and the genome that they get stays as it is.

    Args:
        draw: a new genome of a generator.
        mutate: another genome near this one.
        crossover: two genomes that mix two; the parents themselves where they cannot be mixed.
        key: one text for all genomes that would behave alike; such are tried once.
        to_text: a genome as one line.
        from_text: the genome of that line; must give one of the same key.
        features: a genome's numbers by name, the same names for all; None: nothing can be foretold.
        allowed: whether a genome may be tried, e.g. whether it costs little enough; others are drawn or varied again.

    Raises:
        RequestError: one of them is no function.

    Example:
        >>> def digit(generator: torch.Generator) -> int:
        ...     return int(torch.randint(1000, (), generator=generator))
        >>> numbers = Space(
        ...     draw=digit,
        ...     mutate=lambda number, generator: number + 1,
        ...     crossover=lambda one, other, generator: (one, other),
        ...     key=str, to_text=str, from_text=int,
        ...     features=lambda number: {"size": float(number)},
        ... )
        >>> numbers.from_text(numbers.to_text(7))
        7
    """

    draw: Callable[[torch.Generator], G]
    mutate: Callable[[G, torch.Generator], G]
    crossover: Callable[[G, G, torch.Generator], tuple[G, G]]
    key: Callable[[G], str]
    to_text: Callable[[G], str]
    from_text: Callable[[str], G]
    features: Callable[[G], Mapping[str, float]] | None = None
    allowed: Callable[[G], bool] = _all

    def __post_init__(self) -> None:
        for name, part in vars(self).items():
            if not callable(part) and not (part is None and name == "features"):
                raise RequestError(f"{name}: found {part!r}, expected a function")


def genomes(
    *,
    depth: tuple[int, int] = PAPER_INITIAL,
    bounds: Bounds | None = None,
    input_channels: int = 3,
    allowed: Callable[[Genome], bool] = _all,
    **drawn: Any,
) -> Space[Genome]:
    """The space of labelled graphs that become convolutional networks.

    Args:
        depth: the least and the largest depth of the genomes that are drawn. The paper's are 6 to 12, and 10 to 36
            where nothing but drawing is done (`PAPER_RANDOM`).
        bounds: within which all stay, drawn or varied, so that they hold `depth`; None: `Bounds()`, wider where deeper,
            shallower or larger genomes are drawn.
        input_channels: of the image, at least 1; the layer masses among the features count them.
        allowed: whether a genome may be tried, e.g. `lambda genome: genome_cost(genome, (3, 32, 32),
            10).multiply_adds < 10**8`.
        drawn: further arguments of `random_genome`, such as `channels`, which mutations draw from, too.

    Raises:
        RequestError: an argument is not what it should be.

    Example:
        >>> space = genomes(depth=(6, 8), channels=(8, 16))
        >>> one = space.draw(torch.Generator().manual_seed(0))
        >>> 6 <= one.depth <= 8, space.from_text(space.to_text(one)).key == one.key
        (True, True)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4.
    """
    from sparsewire.search.genome_files import genome_from_text, genome_text
    from sparsewire.search.measures import features
    from sparsewire.search.random_genomes import CHANNELS, random_genome
    from sparsewire.search.variation import crossover, mutate
    from sparsewire.structure.blocks import whole

    image = whole("input_channels", input_channels, least=1)
    if not callable(allowed):
        raise RequestError(f"allowed: found {allowed!r}, expected a function")
    random_genome(torch.Generator().manual_seed(0), depth=depth, **drawn)  # so that mistakes are told here
    limits, channels = _holding(bounds, depth, drawn), drawn.get("channels", CHANNELS)
    return Space(
        draw=lambda generator: random_genome(generator, depth=depth, **drawn),
        mutate=lambda genome, generator: mutate(genome, generator, bounds=limits, channels=channels),
        crossover=lambda one, other, generator: crossover(one, other, generator, bounds=limits),
        key=lambda genome: genome.key,
        to_text=genome_text,
        from_text=genome_from_text,
        # a search asks for the same genomes' features in every generation
        features=lru_cache(_REMEMBERED)(lambda genome: features(genome, input_channels=image)),
        allowed=lambda genome: limits.holds(genome) and allowed(genome),
    )


def _holding(bounds: Bounds | None, depth: tuple[int, int], drawn: Mapping[str, Any]) -> Bounds:
    """The bounds, checked: of what is drawn, what is out of bounds could never be varied."""
    from sparsewire.search.lots import checked_bounds
    from sparsewire.search.random_genomes import most_vertices

    limits = checked_bounds(bounds)
    if limits is None:
        usual, branches = Bounds(), drawn.get("branches", (1, 4))
        range_of_all = min(usual.depth[0], depth[0]), max(usual.depth[1], depth[1])
        return Bounds(range_of_all, max(usual.vertices, most_vertices(depth, branches)))
    if depth[0] < limits.depth[0] or depth[1] > limits.depth[1] or depth[1] > limits.vertices:
        raise RequestError(f"depth: found {tuple(depth)}, expected what the bounds hold, which are {tuple(limits)}")
    return limits
