"""Which vertices of two genomes are the same ones, as far as can be seen, and so what was changed."""

from typing import TYPE_CHECKING, Any

from sparsewire.search.genotype import Edge, Genome

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 5  # of looking at neighbours, and then of exchanging pairs

Marks = frozenset[int | Edge]


def changes(before: Genome, after: Genome) -> tuple[Marks, Marks]:
    """What of the one genome is not in the other: vertices as numbers and edges as pairs, of each genome.

    An edge is changed if its ends' matches are not connected so; a vertex if it has no match, if this has another
    operation or other channels, or if none of its edges is left.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> conv, pool, skip, total = Vertex("conv3", 8), Vertex("max_pool"), Vertex("skip"), Vertex("sum")
        >>> before = Genome((conv, pool, conv, total), ((0, 1), (1, 2), (2, 3)))
        >>> after = Genome((conv, pool, skip, conv, total), ((0, 1), (1, 2), (2, 3), (3, 4)))
        >>> [sorted(marks, key=str) for marks in changes(before, after)]
        [[(1, 2)], [(1, 2), (2, 3), 2]]
    """
    forth = matched(before, after)
    back = {image: place for place, image in forth.items()}
    return _changes(before, after, forth), _changes(after, before, back)


def matched(before: Genome, after: Genome) -> dict[int, int]:
    """Vertices of the one genome → vertices of the other, as many as the smaller has.

    The pairs agree in as many operations, channels and edges as is found: pairs that are alike, with alike neighbours,
    by the best assignment, then by exchanges as long as these help. It is a picture's aid: the best is not certain.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> chain = Genome((Vertex("conv3", 8), Vertex("skip"), Vertex("sum")), ((0, 1), (1, 2)))
        >>> matched(chain, Genome((Vertex("conv3", 8), Vertex("sum")), ((0, 1),)))
        {0: 0, 2: 1}
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-_likeness(before, after))
    images: list[int | None] = [None] * len(before)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        images[row] = column
    images = _exchanged(before, after, images)
    return {place: image for place, image in enumerate(images) if image is not None}


def _likeness(before: Genome, after: Genome) -> "NDArray[Any]":
    """How much each vertex of the one resembles each of the other, with its neighbours."""
    import numpy as np

    own = np.array(
        [[_agreement(before, after, one, other) for other in range(len(after))] for one in range(len(before))]
    )
    first, second = (_adjacency(genome) for genome in (before, after))
    found = own
    for _ in range(_ROUNDS):
        near = np.zeros_like(own)
        for one, other in ((first, second), (first.T, second.T)):
            most = np.maximum.outer(one.sum(axis=1), other.sum(axis=1))
            near += one @ found @ other.T / np.maximum(most, 1) ** 2
        found = own + near / 2
    return found


def _agreement(before: Genome, after: Genome, one: int, other: int) -> float:
    first, second = before.vertices[one], after.vertices[other]
    alike = 2.0 if first == second else 1.0 if first.operation == second.operation else 0.0
    return alike - 0.5 * abs(one / len(before) - other / len(after))


def _adjacency(genome: Genome) -> "NDArray[Any]":
    import numpy as np

    matrix = np.zeros((len(genome), len(genome)))
    for tail, head in genome.edges:
        matrix[tail, head] = 1.0
    return matrix


def _exchanged(before: Genome, after: Genome, images: list[int | None]) -> list[int | None]:
    """The images after exchanges of two, or of one for a vertex that nothing was matched with, that agree better."""
    best = _worth(before, after, images)
    for _ in range(_ROUNDS):
        free = [place for place in range(len(after)) if place not in images]
        trials = [(one, other) for other in range(len(images)) for one in range(other)]
        count = len(images)
        padded: list[int | None] = [*images, *free]
        trials += [(one, count + place) for one in range(count) for place in range(len(free))]
        improved = False
        for one, other in trials:
            padded[one], padded[other] = padded[other], padded[one]
            worth = _worth(before, after, padded[:count])
            if worth > best:
                best, improved = worth, True
            else:
                padded[one], padded[other] = padded[other], padded[one]
        images = padded[:count]
        if not improved:
            break
    return images


def _worth(before: Genome, after: Genome, images: list[int | None]) -> float:
    labels = sum(_label(before, after, place, image) for place, image in enumerate(images) if image is not None)
    there = set(after.edges)
    return labels + sum((images[tail], images[head]) in there for tail, head in before.edges)


def _label(before: Genome, after: Genome, one: int, other: int) -> float:
    first, second = before.vertices[one], after.vertices[other]
    return 1.0 * (first == second) + 0.25 * (first.operation == second.operation)


def _changes(genome: Genome, other: Genome, images: dict[int, int]) -> Marks:
    there = set(other.edges)
    kept = {edge for edge in genome.edges if (images.get(edge[0], -1), images.get(edge[1], -1)) in there}
    connected = {end for edge in kept for end in edge}
    vertices = {
        place
        for place, vertex in enumerate(genome.vertices)
        if place not in images
        or other.vertices[images[place]] != vertex
        or (genome.edges and other.edges and place not in connected)
    }
    return frozenset(vertices | (set(genome.edges) - kept))
