"""Sparse convolutions beside torch's dense ones, as ratios from one interleaved run.

    python benchmarks/convolutions.py [--threads 1] [--seconds 0.4] [--quick]

A ratio is the median over the rounds of the dense layer's time / the sparse one's, for a forward pass without autograd
and for a training step (forward, backward, gradients made anew), float32, "same" padding.
"""

import argparse
import statistics
from typing import NamedTuple

import torch
from torch import nn

from sparsewire.execution.contenders import pass_of
from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import fairest_clock, take_turns
from sparsewire.execution.planning import told

DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.01)


class Shape(NamedTuple):
    """Of a layer and its images."""

    channels: int
    outputs: int
    kernel: int
    batch: int
    side: int
    stride: int = 1

    def __str__(self) -> str:
        way = f", stride {self.stride}" * (self.stride > 1)
        images = f"{self.batch} images of {self.side} × {self.side}"
        return f"{self.channels} → {self.outputs}, {self.kernel} × {self.kernel}{way}, {images}"


SHAPES = (
    Shape(3, 64, 3, 8, 32),
    Shape(64, 64, 3, 8, 32),
    Shape(64, 128, 3, 8, 32, 2),
    Shape(128, 128, 3, 8, 16),
    Shape(256, 256, 3, 32, 8),
    Shape(512, 512, 3, 8, 7),
    Shape(256, 512, 1, 8, 16),
)


def ratios(shape: Shape, density: float, seconds: float) -> list[float]:
    g = torch.Generator().manual_seed(0)
    dense = nn.Conv2d(shape.channels, shape.outputs, shape.kernel, shape.stride, padding=shape.kernel // 2)
    mask = torch.rand(dense.weight.shape, generator=g) < density
    x = torch.randn(shape.batch, shape.channels, shape.side, shape.side, generator=g)
    sparse, found = SparseConv2d.from_dense(dense, mask), []
    for training in (False, True):
        works = {"dense": pass_of(dense, x, training), "sparse": pass_of(sparse, x, training)}
        times = take_turns(works, seconds, fairest_clock(torch.get_num_threads()))
        found.append(statistics.median(a / b for a, b in zip(times["dense"], times["sparse"], strict=True)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=0.4, help="for one comparison")
    parser.add_argument("--quick", action="store_true", help="one layer at one density, in a moment")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes, densities = (SHAPES[:1], (0.1,)) if options.quick else (SHAPES, DENSITIES)
    print(told(machine()), "", f"| inference / training | {' | '.join(f'{d:g}' for d in densities)} |", sep="\n")
    print("|" + " --- |" * (1 + len(densities)))
    for shape in shapes:
        cells = ["{:.2f} / {:.2f}".format(*ratios(shape, density, options.seconds)) for density in densities]
        print(f"| {shape} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
