"""From a genome to a network: one module for each vertex, and a dense layer on the means of the last maps."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.models.zoo.layers import linear
from sparsewire.search.costing import genome_cost
from sparsewire.search.genotype import Genome
from sparsewire.search.shaping import read_shapes, shapes
from sparsewire.search.vertex_modules import module_of
from sparsewire.structure.blocks import checked_generator

_MOST = 2**30  # parameters, 4 GiB; concatenations of concatenations double the channels each time


def phenotype(
    genome: Genome, input_shape: Sequence[int], classes: int, *, generator: torch.Generator | None = None
) -> nn.Module:
    """The convolutional network that a genome stands for: images in, logits out.

    - A vertex without predecessors reads the image. One with several reads their maps on top of each other, the larger
      ones max-pooled to the smallest height and width.
    - conv3, conv5, conv7: convolution with as many zeros around as keep height and width, no biases; batch
      normalisation; ReLU.
    - max_pool, avg_pool: windows of 2 with stride 2 along a side of more than 4; of 3 with stride 1 along one of 4 or
      fewer, which so stays; pixels outside count for nothing.
    - sum: all are brought to the most channels by 1×1 convolutions without biases (those that have as many stay as they
      are) and to the largest height and width by zeros below and to the right, and added.
    - concat, skip: what they read. With several predecessors they are the same, as they are with one.
    - The mean over height and width of the maps of all vertices without successors, in order, is what the last dense
      layer gets.

    On the CPU maps lie with their channels last, which trains faster there; results are the same up to rounding. On
    another device the weights' own layout decides, which is the same until `.to(memory_format=…)` changes it. Training
    within `pages_kept` is faster again where maps are large.

    Args:
        genome: of any size; see `check_limits` for what it costs.
        input_shape: (channels, height, width) of an image, each at least 1.
        classes: how many logits, at least 1.
        generator: where the weights are drawn from, U(−1/√fan_in, 1/√fan_in); None: one with seed 0. The global seed
            is not touched.

    Returns:
        A module (batch, channels, height, width) → (batch, classes); parameters are named
        vertices.3.convolution.weight, vertices.3.norm.weight, vertices.5.projections.0.weight, …, head.weight.

    Raises:
        RequestError: no genome, a shape that is none, a number of classes that is none, or more than 2³⁰ parameters.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (0, 2), (1, 2)))
        >>> model = phenotype(genome, (3, 32, 32), 10)
        >>> model(torch.zeros(2, 3, 32, 32)).shape, sum(each.numel() for each in model.parameters())
        (torch.Size([2, 10]), 634)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4: the operations. It says nothing of normalisation, strides,
        merging, the image's place and several sinks. Blocks and pooling are as in Suganuma, Shirakawa and Nagao 2017,
        section 3.1; the zeros are as in deepstruct's DeepCellDAN.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    count = genome_cost(genome, input_shape, classes).parameters
    if count > _MOST:
        raise RequestError(f"genome: found one of {count:,} parameters, expected at most {_MOST:,}; see check_limits")
    return Phenotype(genome, input_shape, classes, checked_generator(generator))


class Phenotype(nn.Module):
    """The network of a genome, see `phenotype`, which checks what this takes as it is.

    Attributes:
        genome: what it was built from.
        vertices: a module for each vertex, which takes the list of the maps that it reads.
        head: the dense layer on the means of the sinks' maps.
    """

    def __init__(self, genome: Genome, input_shape: Sequence[int], classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.genome = genome
        self.reads, self.sinks = genome.predecessors, genome.sinks
        last = {place: reader for reader, before in enumerate(self.reads) for place in before}
        # Nobody reads these after a vertex: where no gradient needs them either, their memory is free again.
        self.done = tuple(tuple(p for p, reader in last.items() if reader == here) for here in range(len(genome)))
        self.vertices = nn.ModuleList(
            module_of(vertex, maps, generator)
            for vertex, maps in zip(genome.vertices, read_shapes(genome, input_shape), strict=True)
        )
        features = sum(shapes(genome, input_shape)[place][0] for place in self.sinks)
        self.head = linear(features, classes, generator=generator)
        self.vertices.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def forward(self, images: Tensor) -> Tensor:
        """The logits, (batch, classes)."""
        if images.device.type == "cpu":
            images = images.contiguous(memory_format=torch.channels_last)
        maps: dict[int, Tensor] = {}
        means: list[Tensor] = []
        for place, vertex in enumerate(self.vertices):
            maps[place] = vertex([maps[before] for before in self.reads[place]] or [images])
            for before in self.done[place]:
                del maps[before]
            if place in self.sinks:
                means.append(maps.pop(place).mean((2, 3)))
        logits: Tensor = self.head(means[0] if len(means) == 1 else torch.cat(means, 1))
        return logits
