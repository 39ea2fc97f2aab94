"""Which tensors a genome's network keeps from the forward for the backward pass, known without building it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sparsewire.search.genotype import CONVOLUTIONS, Genome
from sparsewire.search.shaping import Shape, stacked

FLOAT = 4  # bytes of a number in float32
INDEX = 8  # bytes of the place of a maximum

_IMAGE = -1


class _Map(NamedTuple):
    """A tensor that a vertex makes or hands on.

    Args:
        maker: the vertex that made it; `_IMAGE` for the image.
        what: which of the maker's tensors it is.
        shape: without the batch.
        is_learned: whether it depends on parameters: without any, no gradient passes, and pooling keeps nothing for it.
    """

    maker: int
    what: str
    shape: Shape
    is_learned: bool


_Kept = dict[tuple[int, str], int]  # (maker, what) → bytes


def kept_bytes(genome: Genome, made: Sequence[Shape], reads: Sequence[Sequence[Shape]]) -> tuple[int, ...]:
    """For each vertex, how many bytes of what it makes wait for the backward pass, for one image in float32.

    - A convolution keeps what it reads; the normalisation what comes out of that; ReLU its own result.
    - Pooling, also before a concatenation, keeps what it reads, and the place of each maximum.
    - A 1×1 convolution before a sum keeps what it reads. Sums, zeros around maps, concatenations and means do not.

    A tensor that several keep is there once; what no gradient passes is not kept. The image is not counted.

    Args:
        genome: whose network it is.
        made: `shapes` of it.
        reads: `read_shapes` of it.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> vertices = Vertex("conv3", 2), Vertex("skip"), Vertex("avg_pool")
        >>> genome = Genome(vertices, ((0, 1), (1, 2)))
        >>> kept_bytes(genome, [(2, 8, 8), (2, 8, 8), (2, 4, 4)], [[(1, 8, 8)], [(2, 8, 8)], [(2, 8, 8)]])
        (1024, 0, 0)
    """
    kept: _Kept = {}
    maps: list[_Map] = []
    for place, (vertex, before, read) in enumerate(zip(genome.vertices, genome.predecessors, reads, strict=True)):
        given = [maps[one] for one in before] or [_Map(_IMAGE, "made", read[0], False)]
        if vertex.operation == "sum":
            maps.append(_added(place, made[place], given, kept))
            continue
        stack = _stacked(place, given, kept)
        if vertex.operation in CONVOLUTIONS:
            maps.append(_convolved(place, made[place], stack, kept))
        elif vertex.operation in ("max_pool", "avg_pool"):
            maps.append(_pooled(place, made[place], stack, vertex.operation == "max_pool", kept))
        else:
            maps.append(stack)
    return tuple(
        sum(size for (maker, _), size in kept.items() if maker == place) for place in range(len(genome.vertices))
    )


def _keep(kept: _Kept, some: _Map) -> None:
    if some.maker != _IMAGE:
        kept[some.maker, some.what] = FLOAT * math.prod(some.shape)


def _stacked(place: int, given: Sequence[_Map], kept: _Kept) -> _Map:
    if len(given) == 1:
        return given[0]
    shape = stacked([some.shape for some in given])
    for number, some in enumerate(given):
        if some.is_learned and some.shape[1:] != shape[1:]:
            _keep(kept, some)
            kept[place, f"maxima {number}"] = INDEX * some.shape[0] * shape[1] * shape[2]
    return _Map(place, "stack", shape, any(some.is_learned for some in given))


def _convolved(place: int, shape: Shape, stack: _Map, kept: _Kept) -> _Map:
    _keep(kept, stack)
    _keep(kept, _Map(place, "convolved", shape, True))
    made = _Map(place, "made", shape, True)
    _keep(kept, made)
    return made


def _pooled(place: int, shape: Shape, stack: _Map, is_maximum: bool, kept: _Kept) -> _Map:
    if stack.is_learned:
        _keep(kept, stack)
        if is_maximum:
            kept[place, "maxima"] = INDEX * math.prod(shape)
    return _Map(place, "made", shape, stack.is_learned)


def _added(place: int, shape: Shape, given: Sequence[_Map], kept: _Kept) -> _Map:
    if len(given) == 1:
        return given[0]
    projected = [some for some in given if some.shape[0] != shape[0]]
    for some in projected:
        _keep(kept, some)
    return _Map(place, "made", shape, bool(projected) or any(some.is_learned for some in given))
