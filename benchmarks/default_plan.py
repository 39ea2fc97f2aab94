"""Whether the default plan ever chooses sparse where dense would have been faster, at batches not measured as well.

    python benchmarks/default_plan.py [--threads 1] [--seconds 0.1] [--quick]

The plan of every layer is measured anew, as for a machine that it has never met. Where it says dense, the layer is
torch's own and there is nothing to compare. Where it says sparse, both forms take turns at every batch size; a ratio
is the median over the rounds of the dense layer's time / the sparse one's.
"""

import argparse
import itertools
import statistics
from collections.abc import Sequence

import torch
from torch import nn

from sparsewire.execution.contenders import layers, measured, pass_of
from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import fairest_clock, take_turns
from sparsewire.execution.planning import plan_by, told
from sparsewire.execution.subjects import Subject

SHAPES = ((300, 100), (512, 512), (784, 300), (1024, 1024), (3072, 768), (4096, 512), (512, 4096), (4096, 4096))
DENSITIES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.01)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 256, 1024)
PROMISED = 0.97


def runs_sparse(shape: tuple[int, int], density: float, training: bool) -> bool:
    layer = nn.utils.skip_init(nn.Linear, *shape)
    mask = torch.rand(shape[::-1], generator=torch.Generator().manual_seed(0)) < density
    return plan_by(measured, layer, {"weight": mask}, training=training).runs_sparse("weight")


def ratios(
    shape: tuple[int, int], density: float, training: bool, batches: Sequence[int], seconds: float
) -> list[float]:
    subject = Subject("Linear", shape[::-1], bias=True, density=density, dtype="float32", device="cpu")
    dense, sparse = layers(subject, torch.Generator().manual_seed(0))
    clock, found = fairest_clock(torch.get_num_threads()), []
    for batch in batches:
        x = torch.randn(batch, shape[0], generator=torch.Generator().manual_seed(1))
        works = {"dense": pass_of(dense, x, training), "sparse": pass_of(sparse, x, training)}
        times = take_turns(works, seconds, clock)
        found.append(statistics.median(a / b for a, b in zip(times["dense"], times["sparse"], strict=True)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=0.1, help="for one comparison")
    parser.add_argument("--quick", action="store_true", help="one layer at two densities, in a moment")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes, densities = (SHAPES[:1], (0.5, 0.05)) if options.quick else (SHAPES, DENSITIES)
    print(told(machine()), "", f"| | layer | density | {' | '.join(map(str, BATCHES))} |", sep="\n")
    print("|" + " --- |" * (3 + len(BATCHES)))
    found = []
    for training, shape, density in itertools.product((True, False), shapes, densities):
        name = f"{'training' if training else 'inference'} | {shape[0]}×{shape[1]} | {density:g}"
        if not runs_sparse(shape, density, training):
            print(f"| {name} | dense{' |' * len(BATCHES)}", flush=True)
            continue
        row = ratios(shape, density, training, BATCHES, options.seconds)
        found += [(ratio, f"{name} | batch {batch}") for ratio, batch in zip(row, BATCHES, strict=True)]
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in row)} |", flush=True)
    slower = sorted(one for one in found if one[0] < PROMISED)
    print(f"\nsparse was chosen in {len(found)} cases; in {len(slower)} of them it is slower than {PROMISED} of dense")
    print(*(f"{ratio:.2f}: {name}" for ratio, name in slower), sep="\n")


if __name__ == "__main__":
    main()
