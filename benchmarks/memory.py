"""Peak memory of training one large layer: sparse, masked and dense, beside what it should be.

    python benchmarks/memory.py [--size 4096] [--density 0.01] [--batch 32] [--steps 3]

Each contender trains in a process of its own: a linear layer of size × size in float32 for a few steps of forward,
backward and optimizer. Shown is the most memory that the process held in these steps, less what it held before the
layer was built (after the imports and two steps of a tiny layer, which load the libraries), beside

    sparse:  live weights × (value + gradient + index + optimizer memory) + activations and their gradients
    dense:   weights × (value + gradient + optimizer memory) + the same

in which SGD with momentum remembers one number a weight and Adam two. What an optimizer or a kernel needs only while it
works comes on top: torch's Adam takes up to two more numbers a weight.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import skip_init

from sparsewire.execution.linear import SparseLinear

OPTIMIZERS: dict[str, tuple[Callable[[list[nn.Parameter]], torch.optim.Optimizer], int]] = {
    "SGD with momentum": (lambda weights: torch.optim.SGD(weights, lr=1e-3, momentum=0.9), 1),
    "Adam": (lambda weights: torch.optim.Adam(weights, lr=1e-3), 2),
}
KINDS = ("sparse", "dense")
MIB = 1 << 20


def mask_of(size: int, density: float) -> torch.Tensor:
    mask = torch.empty(size, size, dtype=torch.bool)
    return mask.bernoulli_(density, generator=torch.Generator().manual_seed(0))


def held() -> int:
    """Bytes that this process holds now."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def most() -> int:
    """The most bytes that it held since the last `forget`."""
    status = Path("/proc/self/status").read_text()
    found = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if found is None else int(found))


def forget() -> None:
    """Lets the most begin at what is held now, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the most that was held before cannot be forgotten: numbers may be too high", file=sys.stderr)


def train(
    layer: nn.Module, make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], batch: int, steps: int
) -> None:
    optimizer = make(list(layer.parameters()))
    x = torch.ones(batch, layer.in_features, requires_grad=True)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()


def work(kind: str, optimizer: str, size: int, density: float, batch: int, steps: int) -> None:
    """In a process of its own: prints the bytes of building the layer, and of training it."""
    make, _ = OPTIMIZERS[optimizer]
    small = torch.ones(8, 8, dtype=torch.bool)
    train(SparseLinear(8, 8, small) if kind == "sparse" else nn.Linear(8, 8), make, 2, 2)
    gc.collect()
    before = held()
    if kind == "sparse":
        layer: nn.Module = SparseLinear(size, size, mask_of(size, density))
    else:
        layer = skip_init(nn.Linear, size, size)
        for weight in layer.parameters():
            nn.init.normal_(weight, 0, 0.01, generator=torch.Generator().manual_seed(0))
    gc.collect()
    forget()
    train(layer, make, batch, steps)
    index = sum(junction.bytes for junction in layer.junctions.values()) if kind == "sparse" else 0
    print(json.dumps({"bytes": most() - before, "live": next(layer.parameters()).numel(), "index": index}))


def expected(kind: str, found: dict[str, int], numbers: int, size: int, batch: int) -> int:
    weights = (found["live"] + size) * 4 * (2 + numbers)  # value, gradient, what the optimizer remembers
    activations = 4 * batch * size * 6  # x, y, y², and the gradients of these three
    return weights + activations + (found["index"] if kind == "sparse" else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--density", type=float, default=0.01)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = options.size, options.density, options.batch, options.steps
    if options.work:
        work(*options.work, *shape)
        return
    print(f"{options.size} × {options.size}, density {options.density:g}, batch {options.batch}, float32\n")
    print("| optimizer | layer | live weights | peak MiB | expected MiB | of dense |")
    print("| --- | --- | --- | --- | --- | --- |")
    sizes = [f"--{name}={getattr(options, name)}" for name in ("size", "density", "batch", "steps")]
    for optimizer, (_, numbers) in OPTIMIZERS.items():
        lines = {}
        for kind in reversed(KINDS):
            command = [sys.executable, __file__, "--work", kind, optimizer, *sizes]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
            lines[kind] = json.loads(told)
        for kind, found in lines.items():
            share = f"{found['bytes'] / lines['dense']['bytes']:.3f}"
            wanted = expected(kind, found, numbers, options.size, options.batch) / MIB
            cells = [optimizer, kind, f"{found['live']:,}", f"{found['bytes'] / MIB:.1f}", f"{wanted:.1f}", share]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
