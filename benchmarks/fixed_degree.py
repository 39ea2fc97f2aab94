"""How fast regular patterns are drawn, beside the plain sampler that fills one right neuron after another.

    python benchmarks/fixed_degree.py [--rounds 5] [--requests 10000] [--million]

First the contenders in turns, at the given junctions: `fixed_degree`; the plain sampler in plain Python, as one would
write it down from its description; and the same with numpy for each row, by the old `RandomState.choice` and the new
`Generator.choice`. Printed are median milliseconds, and the ratio to `fixed_degree` of the medians, all on one thread.
SPARSEWIRE_NATIVE=0 measures `fixed_degree` without the native library. Then how many of so many random requests are
regular, refused, or neither (there must be none). With --million the edges of a junction of a million left neurons with
fan-out 8: seconds, and bytes of memory at the peak for each edge, in a process of its own.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.priors import fixed_degree, fixed_degree_edges

JUNCTIONS = [(4096, 512, 8), (4096, 4096, 64), (1024, 1024, 512), (2000, 2000, 500), (4096, 4096, 2048)]


def plain(n_in: int, n_out: int, fan_out: int, source: random.Random) -> list[list[int]]:
    """Right neurons in turn draw left ones that have edges to give; who has as many as rows are left is forced."""
    fan_in = n_in * fan_out // n_out
    quota = [fan_out] * n_in
    pattern = [[0] * n_in for _ in range(n_out)]
    for row in range(n_out):
        forced = [left for left in range(n_in) if quota[left] == n_out - row]
        free = [left for left in range(n_in) if 0 < quota[left] < n_out - row]
        for left in forced + source.sample(free, fan_in - len(forced)):
            pattern[row][left] = 1
            quota[left] -= 1
    return pattern


def by_rows(
    n_in: int, n_out: int, fan_out: int, source: np.random.RandomState | np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The same, each row by numpy."""
    quota = np.full(n_in, fan_out)
    pattern = np.zeros((n_out, n_in), np.bool_)
    for row in range(n_out):
        forced = np.flatnonzero(quota == n_out - row)
        free = np.flatnonzero((quota > 0) & (quota < n_out - row))
        drawn = source.choice(free, n_in * fan_out // n_out - forced.size, replace=False)
        chosen = np.concatenate([forced, drawn])
        pattern[row, chosen] = True
        quota[chosen] -= 1
    return pattern


def side_by_side(junction: tuple[int, int, int], rounds: int) -> None:
    generator, source = torch.Generator().manual_seed(0), random.Random(0)
    old, new = np.random.RandomState(0), np.random.default_rng(0)
    contenders: dict[str, Callable[[], object]] = {
        "fixed_degree": lambda: fixed_degree(*junction, generator=generator),
        "plain Python": lambda: plain(*junction, source),
        "numpy, old": lambda: by_rows(*junction, old),
        "numpy, new": lambda: by_rows(*junction, new),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):  # the first round warms up
        for name, draw in contenders.items():
            start = time.perf_counter()
            draw()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    ours = medians["fixed_degree"]
    cells = [f"{name} {median * 1e3:.2f} ms ({median / ours:.1f}x)" for name, median in medians.items()]
    print(f"{'-'.join(map(str, junction[:2]))}, fan-out {junction[2]}: " + ", ".join(cells), flush=True)


def requests(count: int) -> None:
    source, generator = random.Random(0), torch.Generator().manual_seed(0)
    regular = refused = 0
    for number in range(count):
        n_in, n_out = source.randint(1, 64), source.randint(1, 64)
        fan_out = source.randint(1, 70)
        if number % 2:  # else few divide
            n_in = n_out * source.randint(1, 4)
        try:
            pattern = fixed_degree(n_in, n_out, fan_out, generator=generator)
        except RequestError as error:
            named = "the nearest regular request" in str(error)
            refused += named and (fan_out > n_out or n_in * fan_out % n_out != 0)
        else:
            fans = set(pattern.sum(0).tolist()), set(pattern.sum(1).tolist())
            regular += fans == ({fan_out}, {n_in * fan_out // n_out})
    neither = count - regular - refused
    print(f"{count} random requests: {regular} regular, {refused} refused with the nearest named, {neither} neither")


def kibibytes(line: str) -> int:
    """A line of Linux's account of this process: VmRSS = memory now, VmHWM = at the peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0])


def million(n_out: int) -> None:
    generator = torch.Generator().manual_seed(0)
    fixed_degree_edges(1000, 500, 8, generator=generator)
    before = kibibytes("VmRSS")
    start = time.perf_counter()
    block = fixed_degree_edges(1_000_000, n_out, 8, generator=generator)
    seconds = time.perf_counter() - start
    grown = (kibibytes("VmHWM") - before) * 1024
    print(f"1000000-{n_out}, fan-out 8: {block.nnz} edges, {seconds:.2f} s, {grown / block.nnz:.1f} bytes an edge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--right", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.right:
        million(options.right)
        return
    for junction in JUNCTIONS:
        side_by_side(junction, options.rounds)
    requests(options.requests)
    for n_out in (1_000_000, 500_000, 1000) if options.million else ():
        subprocess.run([sys.executable, __file__, "--right", str(n_out)], check=True)


if __name__ == "__main__":
    main()
