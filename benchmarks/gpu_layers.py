"""Sparse layers by Triton against dense torch layers on the GPU: the issue's shapes, densities and batches.

    python benchmarks/gpu_layers.py [--rounds 15] [--dtype float32] [--tf32] [--tune]

Both sides run the same plain calls, without autograd: inference is x Wᵀ + b, a training step adds the gradients of x,
of the (live) weights and of the bias. Each round times the sparse and the dense one after the other with CUDA events;
a ratio is the median over the rounds of dense time / sparse time, so above 1 the sparse layer is the faster one. Dense
float32 products are exact unless `--tf32` allows them to be rounded, as ours never are. `--tune` tries other tiles.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from sparsewire.kernels.junctions import Junction, junction_of
from sparsewire.kernels.triton_products import Tile, linear_backward, linear_forward, tile_for

LAYERS = [(784, 300), (4096, 512), (3072, 768), (4096, 4096)]  # inputs, outputs
DENSITIES = [0.5, 0.2, 0.1, 0.05, 0.01]
BATCHES = [1, 32, 256, 4096]
CALLS = 10  # between two events, which resolve about half a microsecond
Run = Callable[[], object]


class Case:
    """One layer with its operands on the GPU, and what is timed of it."""

    def __init__(self, inputs: int, outputs: int, density: float, batch: int, dtype: torch.dtype) -> None:
        generator = torch.Generator("cuda").manual_seed(0)
        mask = torch.rand(outputs, inputs, generator=generator, device="cuda") < density

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device="cuda", dtype=dtype)

        self.junction: Junction = junction_of(mask)
        self.x, self.grad, self.bias = random(batch, inputs), random(batch, outputs), random(outputs)
        self.values = random(self.junction.count)
        self.weight = self.junction.weight_of(self.values)

    def sparse_forward(self, tile: Tile | None = None) -> Tensor:
        """The product x Wᵀ + b by Triton."""
        return linear_forward(self.x, self.values, self.bias, self.junction, tile)

    def sparse_step(self, tile: Tile | None = None) -> object:
        """The same and its three gradients."""
        return self.sparse_forward(tile), linear_backward(self.grad, self.x, self.values, self.junction, tile=tile)

    def dense_forward(self) -> Tensor:
        """The product by torch."""
        return functional.linear(self.x, self.weight, self.bias)

    def dense_step(self) -> object:
        """The same and its three gradients, that of every weight."""
        return self.dense_forward(), self.grad @ self.weight, self.grad.t() @ self.x, self.grad.sum(0)

    def error(self) -> float:
        """How far the sparse output is from the dense one, of its scale."""
        ours, theirs = self.sparse_forward().double(), self.dense_forward().double()
        return float((ours - theirs).abs().max() / theirs.abs().max())


def milliseconds(run: Run) -> float:
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    for _ in range(CALLS):
        run()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after)) / CALLS


def ratio(sparse: Run, dense: Run, rounds: int) -> float:
    milliseconds(sparse), milliseconds(dense)  # the first calls compile and choose an algorithm
    return statistics.median(milliseconds(dense) / milliseconds(sparse) for _ in range(rounds))


def candidates(usual: Tile) -> Iterator[Tile]:
    """Tiles around the usual one: 512 to 8192 products, as many samples and up to four times fewer."""
    for products in (512, 1024, 2048, 4096, 8192):
        for samples in sorted({max(1, usual.samples // part) for part in (1, 2, 4)}):
            for warps in {max(1, products // 1024), max(1, min(8, products // 512))}:
                yield Tile(max(1, products // samples), samples, warps)


def better_tile(case: Case, rounds: int) -> str:
    """The fastest tile for a training step, and how much faster than the usual one it is."""
    usual = tile_for(len(case.x), case.junction.count / case.junction.outputs)
    gains = {
        tile: ratio(lambda tile=tile: case.sparse_step(tile), lambda: case.sparse_step(usual), rounds)
        for tile in candidates(usual)
    }
    best = max(gains, key=gains.__getitem__)
    return f"   best {best} {gains[best]:.2f} × {usual}"


def geometric_mean(numbers: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, numbers)))


def measure(batch: int, options: argparse.Namespace) -> None:
    print(f"\nbatch {batch}\n{'layer':>12}{'density':>9}{'inference':>11}{'step':>9}{'error':>10}")
    for density in DENSITIES:
        ratios = []
        for inputs, outputs in LAYERS:
            case = Case(inputs, outputs, density, batch, getattr(torch, options.dtype))
            pair = (
                ratio(case.sparse_forward, case.dense_forward, options.rounds),
                ratio(case.sparse_step, case.dense_step, options.rounds),
            )
            ratios.append(pair)
            tuned = better_tile(case, options.rounds) if options.tune else ""
            name = f"{inputs}×{outputs}"
            print(f"{name:>12}{density:9.0%}{pair[0]:9.2f} ×{pair[1]:7.2f} ×{case.error():10.1e}{tuned}", flush=True)
        means = [geometric_mean(list(column)) for column in zip(*ratios, strict=True)]
        print(f"{'mean':>12}{density:9.0%}{means[0]:9.2f} ×{means[1]:7.2f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--dtype", choices=["float32", "float64", "bfloat16", "float16"], default="float32")
    parser.add_argument("--tf32", action="store_true", help="let dense float32 products be rounded to 10 bits")
    parser.add_argument("--tune", action="store_true", help="look for better tiles, which takes minutes")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu_layers: no GPU is at hand (torch.cuda.is_available() is False); nothing was measured.")
        return
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.dtype}, dense TF32: {options.tf32}")
    with torch.no_grad():
        for batch in options.batches:
            measure(batch, options)


if __name__ == "__main__":
    main()
