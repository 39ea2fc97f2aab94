"""How long it takes to make Morse frames and Reber strings and to load CIFAR-10, beside the plain ways.

    python benchmarks/data_speed.py [--threads 1] [--per-class 5000] [--rounds 5] [--cifar FOLDER]

Morse: `morse` makes all frames at once; the plain loop makes one frame after another, as the authors' script does (here
2,000 of them, their time scaled up). Reber: 2,000 different valid strings, beside one random walk after another until
there are so many; and the paper's whole set of 25,000, true and false, encoded. CIFAR-10, where FOLDER holds its binary
files: `cifar10` beside numpy's shortest way to the same tensors. Each line is one way, its median time, how many times
that of sparsewire it takes, and, for the loaders, the most memory that its process held. The contenders take turns.
"""

import argparse
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sparsewire.data import MORSE, MORSE_DIFFICULT, REBER, cifar10, morse, reber_set, unique_strings

_LOOPED = 2000
_STRINGS = 2000


def plain_loop(count: int, noise: float) -> np.ndarray:
    """Frames made one by one; with the difficult set's noise, lengths and beginnings unless the noise is 0."""
    random, codes, frames = np.random.default_rng(0), list(MORSE.values()), np.zeros((count, 64))
    shortest = 3 if noise else 4
    for at in range(count):
        parts: list[np.ndarray] = []
        for mark in codes[at % 64]:
            length = random.integers(1, 4) if mark == "." else random.integers(shortest, 10)
            parts += [random.normal(12, 1.34, length), np.zeros(random.integers(1, 4))]
        code = np.concatenate(parts[:-1])
        start = random.integers(0, 65 - len(code)) if noise else 0
        frames[at, start : start + len(code)] = code
        frames[at] += random.normal(0, noise, 64)
    return np.round(np.clip(frames, 0, 16) / 16, 3)


def walk_after_walk(count: int) -> list[str]:
    """Different strings of Reber's grammar: random walks of at least 11 letters, each kept once."""
    chance, found = random.Random(0), {}
    ways = {state: [edge[1:] for edge in REBER.edges if edge[0] == state] for state in range(REBER.end)}
    while len(found) < count:
        state, text = REBER.start, ""
        while state != REBER.end:
            letter, state = chance.choice(ways[state])
            text += letter
        if len(text) >= 11:
            found[text] = None
    return list(found)


def plain_load(folder: Path) -> list[torch.Tensor]:
    files = [*(folder / f"data_batch_{batch}.bin" for batch in range(1, 6)), folder / "test_batch.bin"]
    rows = [np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files]
    parts = np.concatenate(rows[:5]), rows[5]
    return [torch.from_numpy(part[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)) for part in parts]


def loaded(way: str, folder: Path) -> None:
    """Loads once in this process, and prints seconds and the growth of its memory in MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    _ = cifar10(folder) if way == "cifar10" else plain_load(folder)
    seconds = time.perf_counter() - start
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def in_turns(actions: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, tuple[float, float]]:
    """The medians of (seconds, MB) of each action."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            found[name].append(action())
    return {name: tuple(map(statistics.median, zip(*runs, strict=True))) for name, runs in found.items()}


def seconds_of(action: Callable[[], object], scale: float = 1.0) -> Callable[[], tuple[float, float]]:
    def run() -> tuple[float, float]:
        start = time.perf_counter()
        action()
        return (time.perf_counter() - start) * scale, 0.0

    return run


def in_a_process(way: str, folder: str, threads: int) -> Callable[[], tuple[float, float]]:
    def run() -> tuple[float, float]:
        command = [
            sys.executable,
            str(Path(__file__).resolve()),
            "--one",
            way,
            "--cifar",
            folder,
            "--threads",
            str(threads),
        ]
        seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return float(seconds), float(megabytes)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--per-class", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cifar", metavar="FOLDER")
    parser.add_argument("--one", choices=["cifar10", "numpy"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        return loaded(options.one, Path(options.cifar))
    print(f"torch {torch.__version__}, threads: {options.threads}")
    frames, generator = 64 * options.per_class, torch.Generator().manual_seed(0)
    for kind, more, noise in (("baseline", {}, 0.0), ("difficult", MORSE_DIFFICULT, 4.0)):
        ways = {
            "morse": seconds_of(lambda more=more: morse(options.per_class, generator=generator, **more)),
            "plain loop": seconds_of(lambda noise=noise: plain_loop(_LOOPED, noise), frames / _LOOPED),
        }
        tell(f"{frames:,} Morse frames, {kind}", in_turns(ways, options.rounds))
    ways = {
        "strings": seconds_of(lambda: unique_strings(REBER, _STRINGS, generator=generator)),
        "walks": seconds_of(lambda: walk_after_walk(_STRINGS)),
        "whole set": seconds_of(lambda: reber_set(generator=generator)),
    }
    tell(f"{_STRINGS:,} different valid Reber strings, and the set of 25,000", in_turns(ways, options.rounds))
    if options.cifar:
        ways = {way: in_a_process(way, options.cifar, options.threads) for way in ("cifar10", "numpy")}
        tell("CIFAR-10 from its binary files", in_turns(ways, options.rounds))
    return None


def tell(title: str, median: dict[str, tuple[float, float]]) -> None:
    print(title)
    first = next(iter(median.values()))[0]
    for name, (seconds, megabytes) in median.items():
        memory = f" {megabytes:6.0f} MB" if megabytes else ""
        print(f"  {name:12} {seconds * 1e3:10.1f} ms {seconds / first:7.1f}x{memory}", flush=True)


if __name__ == "__main__":
    main()
