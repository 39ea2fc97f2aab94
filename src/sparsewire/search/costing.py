"""What a genome's network would cost: parameters, multiply-adds and the memory of training, without building it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sparsewire.search.genotype import CONVOLUTIONS, Genome, Operation
from sparsewire.search.kept_maps import FLOAT, kept_bytes
from sparsewire.search.shaping import Shape, read_shapes, shapes, stacked
from sparsewire.structure.blocks import whole


class VertexCost(NamedTuple):
    """What one vertex costs.

    Args:
        operation: the vertex' own.
        shape: (channels, height, width) of what it makes.
        parameters: all numbers it learns.
        multiply_adds: multiplications with weights, each with an addition, for one image.
        activation_bytes: of the tensors that it makes and that are kept for the backward pass, for one image.
    """

    operation: Operation
    shape: Shape
    parameters: int
    multiply_adds: int
    activation_bytes: int


@dataclass(frozen=True)
class GenomeCost:
    """What a genome's network costs.

    Args:
        parameters: all numbers that it learns.
        multiply_adds: multiplications with weights, each with an addition, for one image; padding counts as pixels do,
            normalisation, pooling and sums do not count: as in `cost_table`.
        activation_bytes: what training keeps from the forward for the backward pass, for one image in float32, without
            the image itself and the few numbers per channel.
        largest_bytes: of the largest tensor on the way, for one image.
        vertices: one row for each vertex, in order; the sums above have the dense layer besides.
    """

    parameters: int
    multiply_adds: int
    activation_bytes: int
    largest_bytes: int
    vertices: tuple[VertexCost, ...]

    def training_bytes(self, batch: int) -> int:
        """An estimate of the memory that a training step needs.

        Weights, gradients and two moments of an optimizer such as Adam, and for each image what the backward pass
        needs, with three of the largest tensors for what comes and goes. On CIFAR-10's images seven random genomes
        needed 0.7 to 1.15 times as much, beside what Python and torch take themselves.

        Args:
            batch: images in a step, at least 1.
        """
        images = whole("batch", batch, least=1)
        return 4 * FLOAT * self.parameters + images * (self.activation_bytes + 3 * self.largest_bytes)


def genome_cost(genome: Genome, input_shape: Sequence[int], classes: int) -> GenomeCost:
    """What `phenotype(genome, input_shape, classes)` would cost, from its shapes alone.

    Args:
        genome: of any size.
        input_shape: (channels, height, width) of an image, each at least 1.
        classes: how many logits, at least 1.

    Raises:
        RequestError: no genome, a shape that is none, or a number of classes that is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> cost = genome_cost(Genome((Vertex("conv3", 16), Vertex("max_pool")), ((0, 1),)), (3, 32, 32), 10)
        >>> cost.parameters, cost.multiply_adds  # 9 · 3 · 16 + 2 · 16 and 16 · 10 + 10; 9 · 3 · 16 · 32² and 16 · 10
        (634, 442528)
        >>> cost.activation_bytes == 4 * (2 * 16 * 32**2 + 16) + 8 * 16 * 16**2
        True
    """
    made, reads = shapes(genome, input_shape), read_shapes(genome, input_shape)
    features, outputs = sum(made[place][0] for place in genome.sinks), whole("classes", classes, least=1)
    kept = kept_bytes(genome, made, reads)
    rows = tuple(
        VertexCost(vertex.operation, shape, *_learned(vertex.operation, shape[0], maps), activations)
        for vertex, shape, maps, activations in zip(genome.vertices, made, reads, kept, strict=True)
    )
    return GenomeCost(
        sum(row.parameters for row in rows) + (features + 1) * outputs,
        sum(row.multiply_adds for row in rows) + features * outputs,
        sum(kept) + FLOAT * features,
        FLOAT * max(math.prod(shape) for shape in (*made, *map(stacked, reads))),
        rows,
    )


def _learned(operation: Operation, channels: int, maps: Sequence[Shape]) -> tuple[int, int]:
    """The parameters of a vertex, and the multiply-adds with them."""
    if operation in CONVOLUTIONS:
        read, height, width = stacked(maps)
        weights = int(operation.removeprefix("conv")) ** 2 * read * channels
        return weights + 2 * channels, weights * height * width
    if operation != "sum":
        return 0, 0
    projected = [shape for shape in maps if shape[0] != channels]
    return sum(shape[0] * channels for shape in projected), sum(math.prod(shape) * channels for shape in projected)
