"""The mask of the largest of very many scores: sparsewire's `keep_top` beside what torch and numpy have.

    python benchmarks/selection_speed.py [--threads 1] [--size 25000000] [--density 0.1] [--rounds 7]

Each line is one way and its median time, and how many times `keep_top` is faster. The contenders take turns, so that a
slow moment of the machine meets them all. `keep_top` gives a mask with an exact count and a rule for ties; the others
give a threshold or indices, from which a mask would still have to be made.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from sparsewire.kernels import native
from sparsewire.kernels.top_k import _keep, _place_by_digits, keep_top


def contenders(scores: Tensor, count: int) -> dict[str, Callable[[], object]]:
    place = scores.numel() - count
    return {
        "keep_top": lambda: keep_top(scores, count),
        "keep_top without C++": lambda: _keep(scores[None], count, _place_by_digits),
        "torch.kthvalue": lambda: torch.kthvalue(scores, place + 1),
        "torch.topk": lambda: torch.topk(scores, count, sorted=False),
        "np.partition": lambda: np.partition(scores.numpy(), place),
    }


def median_seconds(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=25_000_000)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, threads: {options.threads}, C++: {native.is_at_hand()}")
    normal = torch.randn(options.size, generator=torch.Generator().manual_seed(0)).abs()
    pruned = torch.where(normal > 1.6, normal, -torch.inf)  # what is left of an earlier round: 11 %
    for kind, scores, density in (
        ("|normal| scores", normal, options.density),
        ("89 % of them -inf", pruned, options.density / 2),
    ):
        median = median_seconds(contenders(scores, int(density * options.size)), options.rounds)
        print(f"{options.size:,} float32, {kind}, kept {density:.3g}")
        for name, seconds in median.items():
            print(f"  {name:22} {seconds * 1e3:9.2f} ms {seconds / median['keep_top']:7.1f}x", flush=True)


if __name__ == "__main__":
    main()
