"""Training with pre-defined sparsity: the same run as sparse layers, under masks, the usual way, and dense.

    python benchmarks/predefined_training.py [--rounds 5] [--steps 200] [--conv-steps 4] [--threads 1]

Networks of the paper (Dey, Huang, Beerel, Chugg 2018), batches of 128, `fit` for so many steps:

    sparse   layers hold live weights only, those that `plan` chose (it is measured first, outside the clock)
    masked   dense weights under masks that `fit` keeps
    usual    the plain torch loop, in which every weight is multiplied by its mask after each step
    dense    no masks, all connections

All take turns in every round; printed are medians of milliseconds a step and of the ratios within a round, "usual",
"masked" and "dense" against "sparse". The inputs are noise: the time does not depend on them.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.data.samples import Samples
from sparsewire.execution.convert import sparsify
from sparsewire.execution.planning import plan
from sparsewire.models.initialize import he_normal_
from sparsewire.models.zoo import conv_mnist, mlp
from sparsewire.structure.masks import Masks
from sparsewire.structure.predefined_masks import predefined
from sparsewire.training.loop import fit

BATCH = 128
Make = Callable[..., torch.optim.Optimizer]
Contender = Callable[[], None]


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)


# Name, network, fan-outs, optimizer, shape of an input, labels.
SUBJECTS: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], Make, tuple[int, ...], int]] = [
    ("Morse 64-1024-64, 12.5 %", lambda: mlp((64, 1024, 64)), (128, 8), sgd, (64,), 64),
    ("Morse 64-1024-64, 25 %", lambda: mlp((64, 1024, 64)), (256, 16), sgd, (64,), 64),
    ("Morse 64-1024-64, 50 %", lambda: mlp((64, 1024, 64)), (512, 32), sgd, (64,), 64),
    ("MNIST 784-224-10, 12.5 %", lambda: mlp((784, 224, 10)), (28, 10), adam, (784,), 10),
    ("MNIST conv+3136-784-10, 2.35 %", conv_mnist, (16, 10), adam, (1, 28, 28), 10),
]


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def usual(model: nn.Module, masks: Masks, data: Samples, make: Make) -> None:
    """The loop that everybody writes."""
    optimizer = make(list(model.parameters()))
    weights = masks.weights_of(model)
    for chosen in torch.randperm(len(data.labels), generator=drawn(0)).split(BATCH):
        optimizer.zero_grad()
        cross_entropy(model(data.inputs[chosen]), data.labels[chosen]).backward()
        optimizer.step()
        with torch.no_grad():
            for name, weight in weights.items():
                weight.mul_(masks[name])


def contenders(model: nn.Module, masks: Masks, data: Samples, make: Make) -> dict[str, Contender]:
    """Each trains a network of its own, once through the data."""
    dense, masked, plain = (copy.deepcopy(model) for _ in range(3))
    masks.apply_(masked)
    masks.apply_(plain)
    sparse = sparsify(masked, masks, plan(masked, masks, batch=BATCH))

    def by_fit(network: nn.Module, held: Masks | None = None) -> Contender:
        return lambda: _ignored(
            fit(network, data, optimizer=make, epochs=1, batch_size=BATCH, masks=held, generator=drawn(0))
        )

    return {
        "sparse": by_fit(sparse),
        "masked": by_fit(masked, masks),
        "usual": lambda: usual(plain, masks, data, make),
        "dense": by_fit(dense),
    }


def measured(rivals: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in every round; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds + 1):
        for name, rival in rivals.items():
            start = time.perf_counter()
            rival()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _ignored(_: object) -> None:
    return None


def main() -> None:
    """Reads the arguments, prints a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of a network of connected layers in a round")
    parser.add_argument("--conv-steps", type=int, default=4, help="of the convolutional network")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    names = ("sparse", "masked", "usual", "dense")
    print(f"{'ms a step':32}" + "".join(f"{name:>9}" for name in names) + "   against sparse: masked   usual   dense")
    for name, build, fan_outs, make, shape, classes in SUBJECTS:
        count = BATCH * (arguments.conv_steps if len(shape) > 1 else arguments.steps)
        source = drawn(1)
        data = Samples(
            torch.rand((count, *shape), generator=source), torch.randint(classes, (count,), generator=source)
        )
        model = he_normal_(build(), generator=source)
        rivals = contenders(model, predefined(model, fan_outs=fan_outs, generator=source), data, make)
        seconds = measured(rivals, arguments.rounds)
        times = "".join(f"{1e3 * BATCH / count * statistics.median(seconds[each]):9.2f}" for each in names)
        ratios = "".join(
            f"{statistics.median(a / b for a, b in zip(seconds[each], seconds['sparse'], strict=True)):8.2f}"
            for each in names[1:]
        )
        print(f"{name:32}{times}{'':17}{ratios}")


if __name__ == "__main__":
    main()
