"""Steps per second of `fit` against the usual loops: LeNet-300-100, batches of 100, plain SGD.

    python benchmarks/fit_speed.py [--rounds 7] [--threads 1 2] [--steps 600]

All loops train the same network on the same synthetic data of MNIST's shape, in turns; each round is one epoch of
`--steps` steps. What counts are the ratios: each is the median over the rounds of two speeds in the same round, so that
a slow moment of the machine meets both.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.masks import Masks
from sparsewire.training.loop import fit

RATE, BATCH = 0.05, 100
Pair = tuple[torch.Tensor, torch.Tensor]


def network() -> nn.Sequential:
    return lenet_300_100(generator=torch.Generator().manual_seed(0))


def by_loader(model: nn.Sequential, data: Pair) -> None:
    """The loop of every tutorial."""
    loader = DataLoader(TensorDataset(*data), BATCH, shuffle=True, generator=torch.Generator().manual_seed(1))
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=RATE), nn.CrossEntropyLoss()
    for inputs, labels in loader:
        optimizer.zero_grad()
        value = loss(model(inputs), labels)
        value.backward()
        optimizer.step()


def by_index(model: nn.Sequential, data: Pair) -> None:
    """The same without a DataLoader, which collates sample by sample."""
    inputs, labels = data
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=RATE), nn.CrossEntropyLoss()
    for chosen in torch.randperm(len(labels), generator=torch.Generator().manual_seed(1)).split(BATCH):
        optimizer.zero_grad()
        value = loss(model(inputs[chosen]), labels[chosen])
        value.backward()
        optimizer.step()


def fitting(make: Callable[..., torch.optim.Optimizer], fused: bool | None, masked: bool) -> Callable[..., None]:
    def run(model: nn.Sequential, data: Pair) -> None:
        masks = None
        if masked:
            g = torch.Generator().manual_seed(2)
            masks = Masks({n: torch.rand(m.shape, generator=g) < 0.1 for n, m in Masks.from_model(model).items()})
        order = torch.Generator().manual_seed(1)
        fit(model, data, optimizer=make, epochs=1, batch_size=BATCH, generator=order, fused=fused, masks=masks)

    return run


def fit_on_loader(model: nn.Sequential, data: Pair) -> None:
    loader = DataLoader(TensorDataset(*data), BATCH, shuffle=True, generator=torch.Generator().manual_seed(1))
    fit(model, loader, optimizer=sgd, epochs=1)


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=RATE)


def momentum(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=RATE, momentum=0.9)


LOOPS: dict[str, Callable[..., None]] = {
    "usual loop, DataLoader": by_loader,
    "usual loop, index gather": by_index,
    "fit": fitting(sgd, None, False),
    "fit given that DataLoader": fit_on_loader,
    "fit, masks of density 0.1": fitting(sgd, None, True),
    "fit, SGD with momentum": fitting(momentum, None, False),
    "fit, fused=False": fitting(sgd, False, False),
}


def measure(data: Pair, rounds: int) -> dict[str, list[float]]:
    """Steps per second of each loop in each round."""
    steps = -(-len(data[1]) // BATCH)
    speeds: dict[str, list[float]] = {name: [] for name in LOOPS}
    for _ in range(rounds):
        for name, loop in LOOPS.items():
            model = network()
            start = time.perf_counter()
            loop(model, data)
            speeds[name].append(steps / (time.perf_counter() - start))
    return speeds


def difference(data: Pair) -> float:
    """How far the weights of `fit` are from those of the usual loop after the same batches, relative to their scale."""
    ours, theirs = network(), network()
    by_index(theirs, data)
    fitting(sgd, True, False)(ours, data)
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    return max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    data = torch.rand(600 * BATCH, 784, generator=generator), torch.randint(10, (600 * BATCH,), generator=generator)
    print(f"weights after 600 steps: {difference(data):.1e} of their scale from the usual loop's")
    some = data[0][: options.steps * BATCH], data[1][: options.steps * BATCH]
    for threads in options.threads:
        torch.set_num_threads(threads)
        measure(some, 1)
        speeds = measure(some, options.rounds)
        print(f"\n{f'{threads} thread(s)':28}{'steps/s':>9}{'of DataLoader':>16}{'of index gather':>18}")
        for name, ours in speeds.items():
            ratios = [
                statistics.median(one / other for one, other in zip(ours, speeds[base], strict=True))
                for base in ("usual loop, DataLoader", "usual loop, index gather")
            ]
            print(f"{name:28}{statistics.median(ours):9.0f}{ratios[0]:14.2f} ×{ratios[1]:16.2f} ×")


if __name__ == "__main__":
    main()
