"""What a SparseOptimizer costs beside the bare optimizer, and beside a whole training step.

    python benchmarks/projection.py [--threads 1] [--density 0.1] [--rounds 40]

Each line is one network and one optimizer: the time of a bare `step` and of a sparse one; their ratio; the ratio of
whole training steps (forward, backward, optimizer) on the given batch; and, for comparison, the first ratio if
gradients and weights were set to zero by `masked_fill_`. The contenders take turns, so that a slow moment of the
machine meets them all, and the least time of each counts.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer

NETWORKS: dict[str, tuple[list[int], int]] = {
    "784-300-100-10, batch 64": ([784, 300, 100, 10], 64),
    "50 × (32, 32), batch 64": ([32] * 51, 64),
    "4 × (2048, 2048), batch 256": ([2048] * 5, 256),
}
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], Optimizer]] = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=1e-4),
    "SGD momentum": lambda weights: torch.optim.SGD(weights, lr=1e-4, momentum=0.9),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=1e-4),
    "Adam fused": lambda weights: torch.optim.Adam(weights, lr=1e-4, fused=True),
}


def network(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def least_seconds(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least time of one call of each, over rounds of some milliseconds in which they take turns."""
    calls, least = {}, dict.fromkeys(contenders, float("inf"))
    for name, action in contenders.items():
        action()
        start = time.perf_counter()
        action()
        calls[name] = max(1, int(0.003 / (time.perf_counter() - start)))
    for _ in range(rounds):
        for name, action in contenders.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                action()
            least[name] = min(least[name], (time.perf_counter() - start) / calls[name])
    return least


def contenders(
    sizes: list[int], batch: int, make: Callable[[list[nn.Parameter]], Optimizer], density: float
) -> dict[str, Callable[[], object]]:
    torch.manual_seed(0)
    model = network(sizes)
    bare = make(list(model.parameters()))
    masks = Masks({name: torch.rand(mask.shape) < density for name, mask in Masks.from_model(model).items()})
    sparse = SparseOptimizer(bare, model, masks)
    inputs, labels = torch.randn(batch, sizes[0]), torch.randint(sizes[-1], (batch,))
    weights, outside = [model.get_parameter(name) for name in masks], [~mask for mask in masks.values()]

    def gradients() -> None:
        model.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()

    def fill(tensors: list[Tensor]) -> None:
        for tensor, mask in zip(tensors, outside, strict=True):
            tensor.masked_fill_(mask, 0)

    def filled() -> None:
        with torch.no_grad():
            fill([weight.grad for weight in weights])
            bare.step()
            fill(weights)

    gradients()
    return {"bare": bare.step, "sparse": sparse.step, "filled": filled, "gradients": gradients}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, threads: {options.threads}, density {options.density}")
    print(f"{'network':28} {'optimizer':13} {'bare':>9} {'sparse':>9}  ratio  whole step  masked_fill_")
    for (network_name, (sizes, batch)), (name, make) in itertools.product(NETWORKS.items(), OPTIMIZERS.items()):
        least = least_seconds(contenders(sizes, batch, make, options.density), options.rounds)
        bare, sparse, rest = least["bare"], least["sparse"], least["gradients"]
        times = f"{bare * 1e6:6.0f} µs {sparse * 1e6:6.0f} µs"
        ratios = sparse / bare, (rest + sparse) / (rest + bare), least["filled"] / bare
        print(f"{network_name:28} {name:13} {times} {ratios[0]:5.2f}x {ratios[1]:9.2f}x {ratios[2]:11.2f}x", flush=True)


if __name__ == "__main__":
    main()
