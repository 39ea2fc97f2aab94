"""How fast the scatter of a network is known, and in how much memory.

    python benchmarks/scatter.py [--seconds 3] [--large]

For each network with random regular patterns: its scatter S, the median time of `scatter` on bool tensors and on CSR
blocks, in the paper's and in the soft form, and that of the equation as it is written (products of dense matrices of
numbers, then sums over windows), all in turns; "×" is how many times longer the latter takes than `scatter` on tensors.
Both are checked to be equal. With `--large` also a million left neurons as CSR blocks, with the memory that it took
beyond the blocks themselves. One thread throughout.
"""

import argparse
import os
import resource
import statistics
import sys
import time
from itertools import pairwise

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sparsewire.analysis.scatter_metric import Scatter, scatter
from sparsewire.execution.measuring import take_turns
from sparsewire.structure.priors import fixed_degree, fixed_degree_edges
from sparsewire.structure.windows import window_count

NETWORKS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "CIFAR 1,8": ((4096, 512, 16), (1, 8)),
    "CIFAR 1,1": ((4096, 512, 16), (1, 1)),
    "CIFAR-100 1,2,32": ((4096, 512, 256, 128), (1, 2, 32)),
    "MNIST conv 1,5": ((3136, 784, 10), (1, 5)),
    "MNIST 112,10": ((784, 224, 10), (112, 10)),
    "Morse 128,8": ((64, 1024, 64), (128, 8)),
    "Morse 512,32": ((64, 1024, 64), (512, 32)),
    "Morse full": ((64, 1024, 64), (1024, 64)),
}
LARGE = ((1_000_000, 1000, 10), (8, 2))


def plainly(patterns: list[Tensor]) -> tuple[float, ...]:
    """The scatter vector by products of whole matrices; groups in a row."""
    matrices = [pattern.numpy().astype(np.float64) for pattern in patterns]
    whole = matrices[0]
    for matrix in matrices[1:]:
        whole = matrix @ whole
    vector = []
    for matrix in [*matrices, whole]:
        for paths in (matrix, matrix.T):
            rows, neurons = paths.shape
            windows = window_count(float(paths.sum() / rows), neurons).windows
            starts = np.searchsorted(np.arange(neurons) * windows // neurons, np.arange(windows))
            vector.append(float((np.add.reduceat(paths, starts, axis=1) >= 1).mean()))
    return tuple(vector)


def line(name: str, patterns: list[Tensor], seconds: float) -> None:
    blocks = [sparse.csr_array(pattern.numpy().astype(np.float32)) for pattern in patterns]
    found = scatter(patterns)
    if not np.allclose(found.vector, plainly(patterns)):
        sys.exit(f"{name}: the two do not agree")
    contenders = {
        "tensors": lambda: scatter(patterns),
        "blocks": lambda: scatter(blocks),
        "soft": lambda: scatter(patterns, soft=True),
        "written": lambda: plainly(patterns),
    }
    times = take_turns(contenders, seconds)
    figures = " | ".join(f"{statistics.median(taken) * 1e3:.2f}" for taken in times.values())
    ratio = statistics.median(one / other for one, other in zip(times["written"], times["tensors"], strict=True))
    print(f"| {name} | {found.minimum:.3f} | {figures} | {ratio:.1f} |")


def large() -> None:
    sizes, fan_outs = LARGE
    generator = torch.Generator().manual_seed(0)
    ends = zip(pairwise(sizes), fan_outs, strict=True)
    blocks = [fixed_degree_edges(*pair, fan_out, generator=generator) for pair, fan_out in ends]
    held = sum(part.nbytes for block in blocks for part in (block.data, block.indices, block.indptr))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for soft in (False, True):
        start = time.perf_counter()
        found: Scatter = scatter(blocks, soft=soft)
        seconds = time.perf_counter() - start
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"\n{'-'.join(map(str, sizes))}, {sum(block.nnz for block in blocks):,} edges, soft={soft}:")
        print(f"{seconds:.2f} s, {more:.0f} MiB more at the peak; the blocks hold {held / 2**20:.0f} MiB\n{found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each network")
    parser.add_argument("--large", action="store_true", help="also a million left neurons")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | S | ms, tensors | ms, CSR | ms, soft | ms, as written | × |\n|" + " --- |" * 7)
    for name, (sizes, fan_outs) in NETWORKS.items():
        generator = torch.Generator().manual_seed(0)
        ends = zip(pairwise(sizes), fan_outs, strict=True)
        line(name, [fixed_degree(*pair, fan_out, generator=generator) for pair, fan_out in ends], options.seconds)
    if options.large:
        large()


if __name__ == "__main__":
    main()
