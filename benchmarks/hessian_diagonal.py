"""How fast the Hessian's diagonal of LeNet-300-100 is known, against one backward pass for each weight.

    python benchmarks/hessian_diagonal.py [--images 10000] [--rounds 3] [--weights 4] [--threads 1] [--trained 0]

Times in turns, medians: `hessian_diagonal` (exact, by the Gauss-Newton form); one vector of Hutchinson's estimate; and
the plain way, a backward pass of the gradient for each weight on all images at once. The last is timed on a sample of
weights and multiplied by their number (266,200), with the first pass, which makes the gradient, counted once. The
sampled entries are compared with those of `hessian_diagonal`, too. Images are MNIST's test images where SPARSEWIRE_DATA
says, noise otherwise; with `--trained N` the network is trained for N epochs before.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.data.images import mnist
from sparsewire.errors import SparsewireError
from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.evidence.curvature import HessianDiagonal, hessian_diagonal
from sparsewire.training.loop import fit

Data = tuple[Tensor, Tensor]


def images(count: int) -> tuple[Data, Data | None]:
    """What is scored, and what to train on."""
    try:
        data = mnist()
    except SparsewireError:
        source = torch.Generator().manual_seed(0)
        return (torch.rand(count, 784, generator=source), torch.randint(10, (count,), generator=source)), None
    train = (data.train.inputs.flatten(1), data.train.labels)
    return (data.test.inputs.flatten(1)[:count], data.test.labels[:count]), train


def one_by_one(model: nn.Module, data: Data, sample: list[tuple[int, int]]) -> tuple[float, float, list[float]]:
    """Seconds for the gradient, seconds for each weight, and the entries; a sample is (which weight, its place)."""
    weights = [weight for weight in model.parameters() if weight.dim() == 2]
    start = time.perf_counter()
    gradients = torch.autograd.grad(cross_entropy(model(data[0]), data[1]), weights, create_graph=True)
    made, entries = time.perf_counter(), []
    for layer, place in sample:
        [second] = torch.autograd.grad(gradients[layer].flatten()[place], weights[layer], retain_graph=True)
        entries.append(float(second.flatten()[place]))
    return made - start, (time.perf_counter() - made) / len(sample), entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", type=int, default=4, help="of each layer, for the plain way")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--trained", type=int, default=0, metavar="EPOCHS")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model, (data, train) = nn.Sequential(nn.Flatten(), lenet_300_100()), images(options.images)
    if options.trained and train:
        fit(model, train, optimizer=lambda p: torch.optim.SGD(p, lr=0.1), epochs=options.trained)
    weights = [weight for weight in model.parameters() if weight.dim() == 2]
    total, source = sum(weight.numel() for weight in weights), torch.Generator().manual_seed(1)
    exact, estimate, plain, ratios, worst = [], [], [], [], 0.0
    for _ in range(options.rounds):
        sample = [
            (layer, int(torch.randint(weight.numel(), (), generator=source)))
            for layer, weight in enumerate(weights)
            for _ in range(options.weights)
        ]
        start = time.perf_counter()
        found: HessianDiagonal = hessian_diagonal(model, None, data)
        exact.append(time.perf_counter() - start)
        start = time.perf_counter()
        hessian_diagonal(model, None, data, method="hutchinson", samples=1, generator=source)
        estimate.append(time.perf_counter() - start)
        first, each, entries = one_by_one(model, data, sample)
        plain.append(first + each * total)
        ratios.append(plain[-1] / exact[-1])
        diagonals = list(found.values())
        for (layer, place), entry in zip(sample, entries, strict=True):
            error = abs(float(diagonals[layer].flatten()[place]) - entry) / float(diagonals[layer].max())
            worst = max(worst, error)
    kind = "MNIST" if train else "noise"
    print(f"{total:,} weights, {len(data[1]):,} images of {kind}, {options.threads} thread(s): {found}")
    print("| way | seconds | times hessian_diagonal |\n| --- | --- | --- |")
    print(f"| hessian_diagonal | {statistics.median(exact):.2f} | 1 |")
    print(f"| one vector of the estimate | {statistics.median(estimate):.2f} | "
          f"{statistics.median(e / x for e, x in zip(estimate, exact, strict=True)):.1f} |")  # fmt: skip
    print(f"| one backward pass a weight, from {len(sample)} of them | {statistics.median(plain):,.0f} | "
          f"{statistics.median(ratios):,.0f} |")  # fmt: skip
    print(f"largest difference of a sampled entry, over the layer's largest: {worst:.1e}")


if __name__ == "__main__":
    main()
