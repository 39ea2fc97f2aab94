"""LeNet-300-100 on MNIST, batches of 100, one thread: what training costs at each density, and to what accuracy.

    python benchmarks/lenet_speed.py [--rounds 5] [--steps 300] [--epochs 0] [--optimizers sgd adam] [--replicas 1 4 16]

Steps per second of `fit` against the plain torch loop over tensors, all in turns, in ratios of the same round, so that
a slow moment of the machine meets both. With `--epochs` both are trained that long, and their accuracies and times
stand side by side; the sparse networks have random masks, or are lottery tickets of the dense one. MNIST is read where
SPARSEWIRE_DATA says; without it the samples are noise, good for speed alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear

from sparsewire.data.images import mnist
from sparsewire.errors import SparsewireError
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sequences import SparseSequential
from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.judging import evaluate
from sparsewire.training.loop import fit
from sparsewire.training.replicas import replicate

Pair = tuple[torch.Tensor, torch.Tensor]
BATCH, DENSITIES = 100, (1.0, 0.5, 0.2, 0.1, 0.05, 0.01)
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
}


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masks_at(density: float, seed: int = 0) -> Masks:
    """Random masks; the last layer, which has 1,000 of the 266,200 weights, keeps all."""
    source, full = drawn(seed), Masks.from_model(lenet_300_100())
    return Masks({n: torch.rand(m.shape, generator=source) < density if len(m) > 10 else m for n, m in full.items()})


def sparse_network(density: float, seed: int = 0) -> nn.Sequential:
    first, second, _ = masks_at(density, seed).values()
    source = drawn(seed)
    layers = SparseLinear(784, 300, first, generator=source), SparseLinear(300, 100, second, generator=source)
    return SparseSequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), nn.Linear(100, 10))


def plain_epochs(model: nn.Module, data: Pair, optimizer: torch.optim.Optimizer, epochs: int = 1) -> None:
    """The loop that everybody writes, without a DataLoader, which would only make it slower."""
    inputs, labels = data
    for epoch in range(epochs):
        for chosen in torch.randperm(len(labels), generator=drawn(epoch)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()


def plain_loop(model: nn.Module, data: Pair, make: Callable[..., torch.optim.Optimizer]) -> None:
    plain_epochs(model, data, make(model.parameters()))


class Masked(nn.Linear):
    """The usual way to train under a mask: the weight is multiplied by it at every call."""

    mask: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """X (W ⊙ M)ᵀ + b."""
        return linear(x, self.weight * self.mask, self.bias)


def masked_network(density: float) -> nn.Sequential:
    masks = iter(masks_at(density).values())
    layers = [Masked(784, 300), nn.ReLU(), Masked(300, 100), nn.ReLU(), Masked(100, 10)]
    for layer in layers:
        if isinstance(layer, Masked):
            layer.mask = next(masks).float()
    return nn.Sequential(*layers)


def ways(name: str, replicas: list[int]) -> dict[str, tuple[int, Callable[[Pair], object]]]:
    """What is compared: how many networks each trains, and how on one pass over the data."""
    make, found = OPTIMIZERS[name], {}
    found["plain loop, dense"] = 1, lambda data: plain_loop(lenet_300_100(), data, make)
    found["plain loop, weight × mask"] = 1, lambda data: plain_loop(masked_network(0.1), data, make)
    found["fit, dense"] = 1, lambda data: fit(lenet_300_100(), data, optimizer=make, epochs=1)
    for density in DENSITIES[1:]:
        masks = masks_at(density)
        found[f"fit, masks, density {density:g}"] = (
            1,
            lambda data, masks=masks: fit(masks.apply_(lenet_300_100()), data, optimizer=make, epochs=1, masks=masks),
        )
    for density in DENSITIES:
        found[f"fit, sparse layers, density {density:g}"] = (
            1,
            lambda data, density=density: fit(sparse_network(density), data, optimizer=make, epochs=1),
        )
    for count in replicas:
        found[f"replicate {count}, density 0.1"] = (
            count,
            lambda data, count=count: replicate(
                [sparse_network(0.1, seed) for seed in range(count)], data, optimizer=make, epochs=1
            ),
        )
    return found


def measure(found: dict[str, tuple[int, Callable[[Pair], object]]], data: Pair, rounds: int) -> dict[str, list[float]]:
    """Steps per second of each way in each round, all networks together."""
    steps = -(-len(data[1]) // BATCH)
    speeds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, (networks, run) in found.items():
            start = time.perf_counter()
            run(data)
            speeds[name].append(networks * steps / (time.perf_counter() - start))
    return speeds


def ticket(trained: nn.Sequential, density: float, seed: int) -> nn.Sequential:
    """The first weights where the trained ones are largest: a lottery ticket (Frankle and Carbin, 2019)."""
    fresh = lenet_300_100(generator=drawn(seed))
    masks = prune(trained, score="magnitude", density=density, scope="blind")
    named = fresh.named_children()
    layers = [
        SparseLinear.from_dense(child, masks[f"{name}.weight"]) if isinstance(child, nn.Linear) else child
        for name, child in named
    ]
    return SparseSequential(*layers)


def race(train: Pair, test: Pair, epochs: int, name: str, seeds: int = 3) -> None:
    """Prints accuracies and times of so many epochs, in turns; the sparsest also get half as many epochs more."""
    make: Callable[..., torch.optim.Optimizer] = OPTIMIZERS[name]
    found: dict[str, list[tuple[float, float]]] = {}
    print(f"\n{f'{epochs} epochs, {name}, {seeds} seeds':44}{'mean accuracy':>16}{'seconds':>10}{'of dense':>12}")

    def timed(key: str, model: nn.Sequential, run: Callable[[torch.optim.Optimizer], object]) -> None:
        optimizer, start = make(model.parameters()), time.perf_counter()
        run(optimizer)
        seconds = time.perf_counter() - start
        found.setdefault(key, []).append((evaluate(model, test).accuracy, seconds))

    for seed in range(seeds):
        dense = lenet_300_100(generator=drawn(seed))
        timed("plain loop, dense", dense, lambda optimizer, model=dense: plain_epochs(model, train, optimizer, epochs))
        for density in (0.2, 0.1, 0.05):
            tickets = {"random": (sparse_network(density, seed), epochs)}
            tickets["tickets"] = ticket(dense, density, seed), epochs
            if density == 0.05:
                tickets[f"tickets, {3 * epochs // 2} epochs"] = ticket(dense, density, seed), 3 * epochs // 2
            for sort, (model, length) in tickets.items():
                timed(
                    f"fit, density {density:g}, {sort}",
                    model,
                    lambda optimizer, model=model, length=length: fit(model, train, optimizer=optimizer, epochs=length),
                )
    base = statistics.median(seconds for _, seconds in found["plain loop, dense"])
    for key, runs in sorted(found.items(), reverse=True):
        seconds = statistics.median(seconds for _, seconds in runs)
        accuracy = statistics.mean(accuracy for accuracy, _ in runs)
        print(f"{key:44}{100 * accuracy:14.2f} %{seconds:10.1f}{base / seconds:10.2f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimizers", nargs="+", default=["sgd", "adam"], choices=OPTIMIZERS)
    parser.add_argument("--replicas", type=int, nargs="*", default=[1, 4, 16])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        train, test = (tuple(part.flat()) for part in (mnist().train, mnist().test))
    except SparsewireError:
        train, test = (
            (torch.rand(60000, 784, generator=drawn(0)), torch.randint(10, (60000,), generator=drawn(1))),
            None,
        )
    some = train[0][: options.steps * BATCH], train[1][: options.steps * BATCH]
    for name in options.optimizers if options.rounds else ():
        found = ways(name, options.replicas)
        measure(found, some, 1)
        speeds = measure(found, some, options.rounds)
        print(f"\n{name + f', {options.threads} thread(s)':40}{'networks × steps/s':>20}{'of plain dense':>18}")
        for key, ours in speeds.items():
            ratio = statistics.median(one / other for one, other in zip(ours, speeds["plain loop, dense"], strict=True))
            print(f"{key:40}{statistics.median(ours):20.0f}{ratio:16.2f} ×")
    if options.epochs and test is not None:
        for name in options.optimizers:
            race(train, test, options.epochs, name)


if __name__ == "__main__":
    main()
