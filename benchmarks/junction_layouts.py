"""The kernels' time for several ways to lay the live weights of one matrix out: the figures behind `layout_for`.

    python benchmarks/junction_layouts.py [--quick]

For each density: rows by themselves (group 1) or four together (group 4), in blocks of so many inputs. A figure is the
time of a layout / the time of the one that `layout_for` chooses, the median over the rounds in which all take turns;
forward at batch 1, forward and both gradients at batches 32 and 256. One thread. "mean" is the geometric mean.
"""

import argparse
import math
import statistics

import torch
from torch import Tensor

from sparsewire.execution.measuring import Work, fairest_clock, take_turns
from sparsewire.kernels.chain_compute import Layers, compute_backward, compute_forward
from sparsewire.kernels.junctions import Junction, junction_of, layout_for

SHAPES = ((784, 300), (4096, 512), (4096, 4096))
DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.01)
BLOCKS = (384, 768, 1024, 2048, 4096)
BATCHES = (1, 32, 256)


def work(junction: Junction, batch: int) -> Work:
    g = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g)

    layers = Layers((junction,), ("identity",))
    x, values, grad = draw(batch, junction.inputs), draw(junction.count), draw(batch, junction.outputs)

    def forward() -> None:
        compute_forward(x, (values,), (None,), layers, keep=False)

    def both() -> None:
        forward()
        compute_backward(grad, x, x[:0], (values,), layers, True, [True], [False])

    return forward if batch == 1 else both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest layer at one density, in a moment")
    parser.add_argument("--seconds", type=float, default=0.5, help="for all layouts of one batch together")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shapes, densities = (SHAPES[:1], DENSITIES[2:3]) if options.quick else (SHAPES, DENSITIES)
    print("| layer | density | group | block | batch 1 | batch 32 | batch 256 | mean |\n|" + " --- |" * 8)
    for inputs, outputs in shapes:
        for density in densities:
            mask = torch.rand(outputs, inputs, generator=torch.Generator().manual_seed(1)) < density
            chosen = layout_for(outputs, inputs, int(mask.count_nonzero()))
            blocks = {-(-inputs // max(1, round(inputs / block))) for block in BLOCKS}
            layouts = dict.fromkeys([chosen, *((block, group) for group in (1, 4) for block in sorted(blocks))])
            junctions = {layout: junction_of(mask, *layout) for layout in layouts}
            rows: dict[tuple[int, int], list[float]] = {layout: [] for layout in layouts}
            for batch in BATCHES:
                works = {str(layout): work(junction, batch) for layout, junction in junctions.items()}
                times = take_turns(works, options.seconds, fairest_clock(1))
                for layout in layouts:
                    pairs = zip(times[str(layout)], times[str(chosen)], strict=True)
                    rows[layout].append(statistics.median(a / b for a, b in pairs))
            for (block, group), ratios in rows.items():
                mean = math.exp(statistics.fmean(map(math.log, ratios)))
                cells = " | ".join(f"{ratio:.2f}" for ratio in (*ratios, mean))
                mark = " (chosen)" * ((block, group) == chosen)
                print(f"| {inputs}×{outputs} | {density:g} | {group} | {block}{mark} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
