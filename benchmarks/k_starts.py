"""What K-starts costs: the fitness of all masks, and an iteration of Table 1 of the paper on single layers.

    python benchmarks/k_starts.py [--iterations 100] [--rounds 5]

First lines: one product with all masks of a weight beside a loop over them, for several numbers of masks. Last line:
an iteration at batch 1 of the table's five networks side by side, as `initial_pruning.starts` trains them, beside the
same five by `SparseOptimizer` with the rule, one after another. Contenders take turns; the median over the rounds of
the processor's time counts, on one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from sparsewire.data.samples import Samples
from sparsewire.experiments.initial_pruning.single_layer_training import SingleLayers, order_of, train
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules.populations import Population, bernoulli
from sparsewire.training.rules.starts import k_starts

KS = (0, 1, 10, 50, 100)
SHAPE = (10, 784)


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the processor for one call of each."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for action in contenders.values():
        action()
    for _ in range(rounds):
        for name, action in contenders.items():
            start = time.process_time()
            action()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def fitness(k: int, rounds: int, calls: int = 20) -> None:
    masks = bernoulli(torch.ones(SHAPE).bool(), 0.5, k, torch.Generator().manual_seed(0))
    values = torch.randn(masks.shape[1], generator=torch.Generator().manual_seed(1))
    population, rows = Population(masks), list(masks.float())
    found = medians(
        {
            "product": lambda: [population._fitnesses(values) for _ in range(calls)],
            "loop": lambda: [[float((row * values).sum()) for row in rows] for _ in range(calls)],
        },
        rounds,
    )
    ratio = found["loop"] / found["product"]
    print(f"fitness of {k:>3} masks of 7,840: {1e6 * found['product'] / calls:7.1f} µs, a loop {ratio:5.1f} times that")


def start_all(iterations: int) -> tuple[Samples, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    images = Samples(torch.rand(iterations, SHAPE[1], generator=source), torch.arange(iterations) % 10)
    return images, torch.randn(SHAPE, generator=source), order_of(iterations, iterations, 1, source)


def side_by_side(iterations: int) -> None:
    images, weights, order = start_all(iterations)
    frame = torch.ones(SHAPE).bool()
    drawn = [Population(bernoulli(frame, 0.5, k, torch.Generator())) if k else None for k in KS]
    train(SingleLayers(weights, drawn, rate=0.01, output="softmax"), images, order, lambda done: None)


def one_by_one(iterations: int) -> None:
    images, weights, order = start_all(iterations)
    for k in KS:
        layer = nn.Linear(SHAPE[1], SHAPE[0])
        nn.init.zeros_(layer.bias)
        layer.weight.data.copy_(weights)
        rule = k_starts(k=k, generator=torch.Generator()) if k else None
        adam = torch.optim.Adam(layer.parameters(), lr=0.01)
        optimizer = SparseOptimizer(adam, layer, Masks.from_model(layer), rule)
        for batch in order:
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer(images.inputs[batch]), images.labels[batch]).backward()
            optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for k in (10, 50, 100):
        fitness(k, asked.rounds)
    found = medians(
        {"side": lambda: side_by_side(asked.iterations), "one": lambda: one_by_one(asked.iterations)}, asked.rounds
    )
    each = 1e6 * found["side"] / asked.iterations
    print(f"an iteration of five networks: {each:.0f} µs, one by one {found['one'] / found['side']:.1f} times that")


if __name__ == "__main__":
    main()
