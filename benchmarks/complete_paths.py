"""How fast the share of edges on complete paths is found for every k of a LeNet-300-100 (266,200 edges).

    python benchmarks/complete_paths.py [draws]

Compares `complete_path_fraction` for all k at once with a fresh vectorised boolean search at each of 300 random k,
checks that both agree, and times the Monte Carlo of Figure 3 of Pircher, Haspel and Schlücker: 250 draws (or as many as
given) for each of five initialisations. One thread throughout.
"""

import math
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from sparsewire.analysis.paths import complete_path_fraction

SIZES = (784, 300, 100, 10)
EDGES = sum(n_in * n_out for n_in, n_out in pairwise(SIZES))
FRESH = 300

SCALES: dict[str, tuple[str, Callable[[int, int], float]]] = {
    "Glorot uniform": ("uniform", lambda n_in, n_out: math.sqrt(6 / (n_in + n_out))),
    "He uniform": ("uniform", lambda n_in, n_out: math.sqrt(6 / n_in)),
    "Glorot normal": ("normal", lambda n_in, n_out: math.sqrt(2 / (n_in + n_out))),
    "LeCun normal": ("normal", lambda n_in, n_out: math.sqrt(1 / n_in)),
    "normal, std 0.1": ("normal", lambda n_in, n_out: 0.1),
}


def draw(name: str, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """One state dict of freshly drawn weights."""
    kind, scale = SCALES[name]
    weights = {}
    for layer, (n_in, n_out) in enumerate(pairwise(SIZES)):
        weight = torch.empty(n_out, n_in)
        size = scale(n_in, n_out)
        if kind == "uniform":
            weight.uniform_(-size, size, generator=generator)
        else:
            weight.normal_(0, size, generator=generator)
        weights[f"{layer}.weight"] = weight
    return weights


def ranks_of(model: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """The ranks by a plain stable sort: the fresh search gets them for nothing."""
    order = np.argsort(-np.concatenate([weight.abs().numpy().ravel() for weight in model.values()]), kind="stable")
    ranks = np.empty(order.size, np.uint32)
    ranks[order] = np.arange(1, order.size + 1)
    ends = np.cumsum([weight.numel() for weight in model.values()])[:-1]
    return [part.reshape(weight.shape) for part, weight in zip(np.split(ranks, ends), model.values(), strict=True)]


def fresh(ranks: list[np.ndarray], k: int) -> float:
    """The share for one k: a forward and a backward boolean sweep over the k strongest edges."""
    active = [rank <= k for rank in ranks]
    forward = [np.ones(SIZES[0], bool)]
    for edges in active:
        forward.append((edges & forward[-1]).any(axis=1))
    backward = [np.ones(SIZES[-1], bool)]
    for edges in reversed(active):
        backward.append((edges & backward[-1][:, None]).any(axis=0))
    backward.reverse()
    return sum(int((e & forward[i] & backward[i + 1][:, None]).sum()) for i, e in enumerate(active)) / k


def seconds(function: Callable[[], object], repeats: int) -> list[float]:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return taken


def against_fresh_search() -> None:
    model = draw("Glorot uniform", torch.Generator().manual_seed(0))
    every = np.arange(1, EDGES + 1)
    at_once = float(np.median(seconds(lambda: complete_path_fraction(model, every), 21)))
    shares = complete_path_fraction(model, every)
    ranks = ranks_of(model)
    # Half of them where the share changes, so that the check of equality is worth something.
    rng = np.random.default_rng(0)
    tried = np.concatenate([rng.integers(1, EDGES + 1, FRESH // 2), rng.integers(10_000, 20_000, FRESH // 2)])
    found: list[float] = []
    each = float(np.median([seconds(lambda k=k: found.append(fresh(ranks, k)), 1)[0] for k in tried]))
    equal = found == shares[tried - 1].tolist()
    print(f"all {EDGES:,} k at once (median of 21):                    {at_once * 1e3:9.2f} ms")
    print(f"one k afresh (median of {FRESH} random k, ranks given):     {each * 1e3:9.3f} ms")
    print(f"all k afresh, extrapolated from these {FRESH}:              {each * EDGES:9.1f} s")
    print(f"equal at these {FRESH} k: {equal}; at once is {each * EDGES / at_once:,.0f} times faster (extrapolated)")
    if not equal:
        sys.exit("the two do not agree")


def monte_carlo(draws: int) -> None:
    every = np.arange(1, EDGES + 1)
    shown = (1000, 10_000, 12_500, 13_000, 14_000, 20_000)
    print(f"\n{draws} draws each, mean share on complete paths at k =", *(f"{k:>7,}" for k in shown))
    total = 0.0
    for name in SCALES:
        generator = torch.Generator().manual_seed(1)
        mean = np.zeros(EDGES)
        start = time.perf_counter()
        for _ in range(draws):
            mean += complete_path_fraction(draw(name, generator), every) / draws
        taken = time.perf_counter() - start
        total += taken
        values = " ".join(f"{mean[k - 1]:7.3f}" for k in shown)
        print(f"{name:<16} {taken:6.2f} s, {taken / draws * 1e3:6.2f} ms a draw           {values}")
    print(f"together {total:.1f} s on one thread, drawing the weights included")


def main() -> None:
    torch.set_num_threads(1)
    against_fresh_search()
    monte_carlo(int(sys.argv[1]) if len(sys.argv) > 1 else 250)


if __name__ == "__main__":
    main()
