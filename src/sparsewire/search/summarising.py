"""A genome on one page: what each vertex does, makes and costs."""

from collections.abc import Sequence

from sparsewire.search.costing import GenomeCost, genome_cost
from sparsewire.search.genotype import Genome
from sparsewire.search.shaping import checked_shape

_HEADS = ("vertex", "operation", "from", "maps", "parameters", "mult-adds", "kept")
_LEFT = 4  # columns of words
_LISTED = 8  # vertices that one row names; of more it says how many


def summary(genome: Genome, input_shape: Sequence[int], classes: int) -> str:
    """A page about the network of a genome: its vertices with shapes and costs, and the sums.

    Args:
        genome: of any size.
        input_shape: (channels, height, width) of an image, each at least 1.
        classes: how many logits, at least 1.

    Returns:
        Lines without an end of line after the last. "mult-adds" are for one image; "kept" is the memory of what waits
        for the backward pass, for one image. → marks what is classified.

    Raises:
        RequestError: no genome, a shape that is none, or a number of classes that is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (0, 2), (1, 2)))
        >>> print(summary(genome, (3, 32, 32), 10))
        3 vertices, 3 edges, depth 3; images of 3 × 32 × 32, 10 classes
        <BLANKLINE>
        vertex  operation  from   maps          parameters  mult-adds      kept
        0       conv3      image  16 × 32 × 32         464    442,368   128 KiB
        1       max_pool   0      16 × 16 × 16           0          0    32 KiB
        2 →     sum        0 1    16 × 32 × 32           0          0       0 B
                linear     2      10                   170        160      64 B
                                                       634    442,528   160 KiB
        <BLANKLINE>
        a training step of 100 images needs about 34.4 MiB
    """
    shape, cost = checked_shape(input_shape), genome_cost(genome, input_shape, classes)
    counts = f"{_counted(len(genome), 'vertex', 'vertices')}, {_counted(len(genome.edges), 'edge', 'edges')}"
    images = " × ".join(map(str, shape))
    title = f"{counts}, depth {genome.depth}; images of {images}, {_counted(classes, 'class', 'classes')}"
    memory = f"a training step of 100 images needs about {_size(cost.training_bytes(100))}"
    return "\n".join([title, "", *_aligned([_HEADS, *_rows(genome, cost, classes)]), "", memory])


def _rows(genome: Genome, cost: GenomeCost, classes: int) -> list[tuple[str, ...]]:
    rows = []
    for place, (vertex, before) in enumerate(zip(cost.vertices, genome.predecessors, strict=True)):
        number = f"{place} →" if place in genome.sinks else str(place)
        read, maps = _listed(before) or "image", " × ".join(map(str, vertex.shape))
        rows.append((number, str(vertex.operation), read, maps, *_costs(*vertex[2:])))
    totals = (cost.parameters, cost.multiply_adds, cost.activation_bytes)
    parts = [sum(column) for column in zip(*(vertex[2:] for vertex in cost.vertices), strict=True)]
    head = [total - part for total, part in zip(totals, parts, strict=True)]
    rows.append(("", "linear", _listed(genome.sinks), str(classes), *_costs(*head)))
    return [*rows, ("", "", "", "", *_costs(*totals))]


def _costs(parameters: int, multiply_adds: int, activation_bytes: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{multiply_adds:,}", _size(activation_bytes)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place < _LEFT else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} GiB" if count < 999.5 else f"{count:,.0f} GiB"


def _listed(places: Sequence[int]) -> str:
    more = f" +{len(places) - _LISTED}" if len(places) > _LISTED else ""
    return " ".join(map(str, places[:_LISTED])) + more


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
