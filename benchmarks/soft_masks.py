"""How long a step of learning masks takes, beside a step of learning weights and the plain way.

    python benchmarks/soft_masks.py [--sizes 784 300 100 10] [--batch 128] [--seconds 5] [--device cpu] [--mnist EPOCHS]

For one network and one batch, in turns: a step of SGD on the dense weights by autograd; of `edge_popup` at half of the
weights; the same written plainly, with a sort of all scores for each mask; and of `zhou`, drawn and expected. Printed
are the medians in milliseconds and, as medians of the rounds' ratios, how many times a dense step each is. One thread.
With `--mnist` instead the accuracy of both on MNIST, whose files `SPARSEWIRE_DATA` names, epoch by epoch.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from sparsewire.data.images import mnist
from sparsewire.execution.measuring import take_turns
from sparsewire.models.zoo import mlp
from sparsewire.training.soft import Coins, SoftMask, SoftNetwork, TopScores, edge_popup, zhou
from sparsewire.training.soft.top_scores import kept_counts


class Plainly(torch.autograd.Function):
    """The mask of the highest scores by sorting all of them."""

    @staticmethod
    def forward(ctx: object, scores: Tensor, kept: int) -> Tensor:
        """Ones where scores are among the highest."""
        order = scores.flatten().sort().indices
        mask = torch.zeros_like(scores)
        mask.flatten()[order[scores.numel() - kept :]] = 1
        return mask

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        """Straight through."""
        return gradients[0], None


class PlainNetwork(nn.Module):
    """Edge-popup as it is written in a few lines."""

    def __init__(self, model: nn.Module, counts: dict[str, int]) -> None:
        super().__init__()
        self.model, self.counts = model, counts
        weights = dict(model.named_parameters())
        self.scores = nn.ParameterList(nn.Parameter(torch.randn_like(weights[name])) for name in counts)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs."""
        tensors = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        for (name, kept), scores in zip(self.counts.items(), self.scores, strict=True):
            tensors[name] = tensors[name] * Plainly.apply(scores.abs(), kept)  # type: ignore[no-untyped-call]
        outputs: Tensor = functional_call(self.model, tensors, (inputs,))
        return outputs


def stepper(network: nn.Module, learned: list[nn.Parameter], inputs: Tensor, labels: Tensor) -> Callable[[], object]:
    optimizer = torch.optim.SGD(learned, lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return step


def on_mnist(sizes: list[int], epochs: int) -> None:
    digits = mnist().flat()
    for name, find, rate in (("edge-popup", popped, 0.1), ("zhou", tossed, 0.1)):
        generator = torch.Generator().manual_seed(0)
        model = mlp(sizes, generator=generator)
        begin = time.process_time()
        found = find(
            model, digits.train, generator=generator, init="signed_constant", epochs=epochs, batch_size=128,
            rate=partial(annealed, rate, epochs), validation=digits.test,
        )  # fmt: skip
        print(f"{name}, {'-'.join(map(str, sizes))}: {found}, in {time.process_time() - begin:.1f} s of one core")
        print(found.history)


def annealed(rate: float, epochs: int, epoch: int) -> float:
    return rate / 2 * (1 + math.cos(math.pi * epoch / epochs))


popped = partial(
    edge_popup, density=0.5, scaled=True, optimizer=lambda scores: torch.optim.SGD(scores, lr=0.1, momentum=0.9)
)
tossed = partial(zhou, optimizer=lambda scores: torch.optim.Adam(scores, lr=0.1))


def timings(sizes: list[int], batch: int, seconds: float, device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    model = mlp(sizes, generator=generator).to(device)
    inputs = torch.rand(batch, sizes[0], generator=generator).to(device)
    labels = torch.randint(sizes[-1], (batch,), generator=generator).to(device)
    counts = kept_counts({n: p for n, p in model.named_parameters() if n.endswith("weight")}, 0.5)
    plain = PlainNetwork(model, counts)
    soft: dict[str, SoftMask] = {
        "edge-popup": TopScores(counts), "zhou, drawn": Coins(), "zhou, expected": Coins(sampled=False)
    }  # fmt: skip
    networks = {name: SoftNetwork(model, method, generator=generator) for name, method in soft.items()}
    work = {
        "weights": stepper(model, list(model.parameters()), inputs, labels),
        "edge-popup, plainly": stepper(plain, list(plain.scores), inputs, labels),
    } | {name: stepper(one, list(one.scores.parameters()), inputs, labels) for name, one in networks.items()}
    times = take_turns(work, seconds)
    print("| a step of | ms | × a step of weights |\n| --- | --- | --- |")
    for name, taken in times.items():
        ratio = statistics.median(one / other for one, other in zip(taken, times["weights"], strict=True))
        print(f"| {name} | {statistics.median(taken) * 1e3:.2f} | {ratio:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 300, 100, 10])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mnist", type=int, metavar="EPOCHS", help="accuracies instead of times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.mnist is not None:
        on_mnist(options.sizes, options.mnist)
    else:
        timings(options.sizes, options.batch, options.seconds, options.device)


if __name__ == "__main__":
    main()
