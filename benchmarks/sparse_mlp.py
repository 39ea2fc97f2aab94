"""A sparse MLP, whose layers hand activations on in the kernels' own layout, beside its layers one by one.

    python benchmarks/sparse_mlp.py [--threads 1 2] [--sizes 784 1024 1024 10] [--seconds 0.5] [--quick]

The dense network, the sparse one, and the sparse layers of the latter in a plain nn.Sequential take turns in one run; a
ratio is the median over the rounds of the dense network's time / the contender's. All layers but the last are sparse,
with ReLU between them, in float32; a training step is a forward and a backward pass with gradients made anew.
"""

import argparse
import statistics

import torch
from torch import nn

from sparsewire.execution.contenders import pass_of
from sparsewire.execution.convert import sparsify
from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import take_turns
from sparsewire.execution.planning import told
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks

DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.01)
PASSES = ((True, 32), (True, 256), (False, 1), (False, 32), (False, 256))  # (training, batch)


def networks(sizes: list[int], density: float) -> dict[str, nn.Module]:
    generator = torch.Generator().manual_seed(0)
    dense = mlp(sizes, generator=generator)
    *inner, _ = Masks.from_model(dense).items()
    masks = Masks({name: torch.rand(mask.shape, generator=generator) < density for name, mask in inner})
    sparse = sparsify(masks.apply_(dense), masks, "sparse")
    return {"dense": dense, "one call": sparse, "layer by layer": nn.Sequential(*sparse.children())}


def row(found: dict[str, nn.Module], training: bool, batch: int, seconds: float) -> list[str]:
    x = torch.randn(batch, next(iter(found.values()))[0].in_features, generator=torch.Generator().manual_seed(1))
    times = take_turns({name: pass_of(network, x, training) for name, network in found.items()}, seconds)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    dense = times["dense"]
    ratios = [
        statistics.median(a / b for a, b in zip(dense, times[name], strict=True))
        for name in ("one call", "layer by layer")
    ]
    return [f"{median['dense'] * 1e3:.3g}", *(f"{ratio:.2f}" for ratio in ratios), f"{ratios[0] / ratios[1]:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 1024, 1024, 10])
    parser.add_argument("--seconds", type=float, default=0.5, help="for the three contenders of a line together")
    parser.add_argument("--quick", action="store_true", help="two densities, in a moment")
    options = parser.parse_args()
    densities, seconds = ((0.1, 0.01), 0.05) if options.quick else (DENSITIES, options.seconds)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"\n## {'-'.join(map(str, options.sizes))}: {told(machine())}\n")
        print("| pass | density | dense ms | one call | layer by layer | one call / layer by layer |")
        print("| --- | --- | --- | --- | --- | --- |")
        for density in densities:
            found = networks(options.sizes, density)
            for training, batch in PASSES:
                what = f"{'training step' if training else 'inference'}, batch {batch}"
                cells = [what, f"{density:g}", *row(found, training, batch, seconds)]
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
