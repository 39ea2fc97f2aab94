"""Which maps every vertex of a genome makes: how unequal ones are merged, without building anything."""

from collections.abc import Sequence
from typing import TypeAlias

from sparsewire.errors import RequestError
from sparsewire.search.genotype import CONVOLUTIONS, Genome, checked_genome
from sparsewire.structure.blocks import whole

Shape: TypeAlias = tuple[int, int, int]  # channels, height, width

SMALLEST = 4  # a side of more than this is halved by pooling, one of so many or fewer is kept


def shapes(genome: Genome, input_shape: Sequence[int]) -> tuple[Shape, ...]:
    """The maps that each vertex makes of an image: (channels, height, width), in the vertices' order.

    - A vertex without predecessors reads the image. One with several reads their maps on top of each other, those that
      are larger max-pooled to the smallest height and width; but "sum" takes the largest height, width and number of
      channels among them, see `phenotype`.
    - A convolution makes its own number of channels and keeps height and width; all others keep the channels.
    - "max_pool" and "avg_pool" halve a side of more than 4 (an odd one rounded down) and keep one of 4 or fewer.

    So a side is always one of side, ⌊side / 2⌋, ⌊side / 4⌋, …, and of two of these the larger is pooled to the smaller
    without remainder of a window.

    Args:
        genome: of any size.
        input_shape: (channels, height, width) of an image, each at least 1.

    Raises:
        RequestError: no genome, or a shape that is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> vertices = Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum"), Vertex("concat")
        >>> genome = Genome(vertices, ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3)))
        >>> shapes(genome, (3, 32, 32))
        ((16, 32, 32), (16, 16, 16), (16, 32, 32), (32, 16, 16))

    Source:
        Stier, Darji and Granitzer 2021, section 4.4, which says nothing of unequal shapes. Max pooling before a
        concatenation is Suganuma, Shirakawa and Nagao 2017, section 3.1; the rest is our reading.
    """
    image, made = checked_shape(input_shape), list[Shape]()
    for vertex, before in zip(checked_genome("genome", genome).vertices, genome.predecessors, strict=True):
        maps = [made[place] for place in before] or [image]
        channels, *sides = largest(maps) if vertex.operation == "sum" else stacked(maps)
        if vertex.operation in CONVOLUTIONS:
            channels = vertex.channels
        if vertex.operation in ("max_pool", "avg_pool"):
            sides = [pooled(side) for side in sides]
        made.append((channels, sides[0], sides[1]))
    return tuple(made)


def read_shapes(genome: Genome, input_shape: Sequence[int]) -> tuple[tuple[Shape, ...], ...]:
    """For each vertex the shapes of all that it reads: of its predecessors' maps, or of the image.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> read_shapes(Genome((Vertex("conv3", 8), Vertex("skip")), ((0, 1),)), (3, 5, 5))
        (((3, 5, 5),), ((8, 5, 5),))
    """
    made, image = shapes(genome, input_shape), checked_shape(input_shape)
    return tuple(tuple(made[place] for place in before) or (image,) for before in genome.predecessors)


def stacked(maps: Sequence[Shape]) -> Shape:
    """The shape of maps on top of each other: all channels, the smallest height and width.

    Example:
        >>> stacked([(16, 32, 32), (8, 16, 32)])
        (24, 16, 32)
    """
    channels, heights, widths = zip(*maps, strict=True)
    return sum(channels), min(heights), min(widths)


def largest(maps: Sequence[Shape]) -> Shape:
    """The shape of a sum of maps: the most channels, the largest height and width.

    Example:
        >>> largest([(16, 32, 32), (24, 16, 32)])
        (24, 32, 32)
    """
    channels, heights, widths = zip(*maps, strict=True)
    return max(channels), max(heights), max(widths)


def pooled(side: int) -> int:
    """What pooling makes of a side: half of it, rounded down, while it is more than 4.

    Example:
        >>> [pooled(side) for side in (32, 7, 4, 1)]
        [16, 3, 4, 1]
    """
    return side // 2 if side > SMALLEST else side


def window(side: int, smaller: int) -> int:
    """How many pixels in a row are pooled into one, so that a side becomes a smaller one: a power of two.

    Args:
        side: of a map.
        smaller: the same side halved some times, each rounded down; or as it is.

    Example:
        >>> window(28, 7), window(7, 3), window(4, 4)
        (4, 2, 1)
    """
    pixels = 1
    while side // pixels > smaller:
        pixels *= 2
    return pixels


def checked_shape(input_shape: Sequence[int]) -> Shape:
    """The shape of an image as (channels, height, width).

    Raises:
        RequestError: it has not three whole numbers of at least 1.
    """
    try:
        channels, height, width = input_shape
    except (TypeError, ValueError):
        raise RequestError(
            f"input_shape: found {input_shape!r}, expected (channels, height, width) of an image, such as (3, 32, 32)"
        ) from None
    return (
        whole("input_shape[0], channels", channels, least=1),
        whole("input_shape[1], height", height, least=1),
        whole("input_shape[2], width", width, least=1),
    )
