"""What makes the networks of random genomes train faster on the CPU, as ratios from one interleaved run.

    python benchmarks/phenotypes.py [--images cifar10|digits] [--genomes 6] [--batch 32] [--threads 1] [--quick]

Prints for each genome its multiply-adds for an image and how often as fast as plain torch (channels first) a training
step (forward, backward, SGD with momentum) is: as `phenotype` builds it, with channels last; the same within
`pages_kept`; the same, computing in bfloat16 where torch's autocast does. Medians of the thread's time over the rounds,
in which the contenders take turns; genomes of more than --most multiply-adds are left out.
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import fairest_clock
from sparsewire.execution.planning import told
from sparsewire.search.building import Phenotype, phenotype
from sparsewire.search.costing import genome_cost
from sparsewire.search.freed_pages import pages_kept
from sparsewire.search.genotype import Genome
from sparsewire.search.random_genomes import random_genome

SHAPES = {"cifar10": (3, 32, 32), "digits": (1, 8, 8)}


class ChannelsFirst(nn.Module):
    """The same network, but maps lie as torch has them by default."""

    def __init__(self, network: Phenotype) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.contiguous_format)

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        network, maps = self.network, []
        for vertex, before in zip(network.vertices, network.reads, strict=True):
            maps.append(vertex([maps[place] for place in before] or [images]))
        return network.head(torch.cat([maps[place].mean((2, 3)) for place in network.sinks], 1))


def step_of(model: nn.Module, shape: tuple[int, ...], batch: int, halved: bool = False) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(batch, *shape, generator=generator), torch.randint(10, (batch,), generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            logits = model(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def ratios(genome: Genome, shape: tuple[int, ...], batch: int, rounds: int) -> list[float]:
    clock = fairest_clock(torch.get_num_threads())
    own = phenotype(genome, shape, 10)
    ways: list[tuple[Callable[[], None], Callable[[], AbstractContextManager[object]]]] = [
        (step_of(ChannelsFirst(phenotype(genome, shape, 10)), shape, batch), nullcontext),
        (step_of(own, shape, batch), nullcontext),
        (step_of(own, shape, batch), pages_kept),
        (step_of(own, shape, batch, halved=True), pages_kept),
    ]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for (step, setting), found in zip(ways, times, strict=True):
            with setting():
                step()  # what the one before left in the caches, and in the heap
                for _ in range(2):
                    start = clock()
                    step()
                    found.append(clock() - start)
    medians = [statistics.median(found) for found in times]
    return [medians[0] / median for median in medians[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", choices=SHAPES, default="cifar10")
    parser.add_argument("--genomes", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--most", type=int, default=40_000_000, help="multiply-adds of a genome for an image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two genomes in a moment")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shape, generator = SHAPES[options.images], torch.Generator().manual_seed(1)
    print(
        told(machine()), "", "| multiply-adds | channels last | pages kept | bfloat16 |", "|" + " --- |" * 4, sep="\n"
    )
    found: list[list[float]] = []
    while len(found) < (2 if options.quick else options.genomes):
        genome = random_genome(generator)
        cost = genome_cost(genome, shape, 10)
        if not options.most // 50 < cost.multiply_adds < options.most:
            continue
        found.append(ratios(genome, shape, options.batch, 1 if options.quick else 3))
        print(f"| {cost.multiply_adds:,} |", " | ".join(f"{ratio:.2f}" for ratio in found[-1]), "|", flush=True)
    print("| median |", " | ".join(f"{statistics.median(column):.2f}" for column in zip(*found, strict=True)), "|")


if __name__ == "__main__":
    main()
