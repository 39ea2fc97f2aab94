"""Linear filter ensembles on LeNet-300-100 in three ways: the seconds of a repeat, and who is how many times faster.

    python benchmarks/filter_ensembles.py [--threads 2] [--iterations 2] [--rounds 2] [--ensembles 1000] [--slow 50]
    python benchmarks/filter_ensembles.py --repeat        # a whole repeat, 49 iterations, and its seconds

The network is random, 784-300-100-10, and so are the 1000 samples: the time depends on neither. The contenders score
both hidden layers by the same masks, of 1000 ensembles each:

    full      the whole network from the pixels for every ensemble, with the mask as a layer
    cached    the activations up to the mask computed once, then a loop over the ensembles
    ours      `ensemble_losses`

and each is checked to find the same losses. They run in turns, at sizes spread evenly over a repeat's 49 iterations
(--iterations of them, the middle of equal parts), so that the sum stands for the whole repeat. Of the two slow ones
only --slow ensembles of a layer run, and their time is multiplied: they are loops, whose every turn costs the same.
These loops use plain torch and its cross-entropy. Printed are medians over the rounds: seconds by the clock and of the
processors, the second of which a busy machine disturbs less, and the ratios of both.
"""

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.models.initialize import normal_
from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.evidence.ensemble_losses import ensemble_losses
from sparsewire.structure.evidence.unit_masks import unit_masks
from sparsewire.training.dense_supermasks import dense_supermask, lfe
from sparsewire.training.dense_supermasks_cutting import without_units

ITERATIONS, REMOVED = 49, {"0": 6, "2": 2}


def smaller(model: nn.Sequential, iteration: int) -> nn.Sequential:
    kept = {name: torch.arange(len(model[int(name)].weight) - iteration * gone) for name, gone in REMOVED.items()}
    return without_units(model, kept)  # type: ignore[return-value]


@torch.no_grad()
def full(model: nn.Sequential, layer: str, masks: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """With mask layers behind the hidden layers, as the paper describes it."""
    place, losses = int(layer) + 2, []
    for mask in masks.to(inputs):
        hidden = model[:place](inputs) * mask
        losses.append(cross_entropy(model[place:](hidden), labels))
    return torch.stack(losses)


@torch.no_grad()
def cached(model: nn.Sequential, layer: str, masks: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    place = int(layer) + 2
    hidden, rest = model[:place](inputs), model[place:]
    return torch.stack([cross_entropy(rest(hidden * mask), labels) for mask in masks.to(inputs)])


def ours(model: nn.Sequential, layer: str, masks: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    return ensemble_losses(model, layer, masks, (inputs, labels))


def compare(options: argparse.Namespace, model: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    generator = torch.Generator().manual_seed(1)
    turns = [int((part + 0.5) * ITERATIONS / options.iterations) for part in range(options.iterations)]
    draws = ("count", "pairs")
    names = ("full", "cached", *(f"ours, {draw}" for draw in draws))
    spent: dict[str, list[Tensor]] = {name: [] for name in names}
    for _ in range(options.rounds):
        sums = {name: torch.zeros(2, dtype=torch.float64) for name in names}
        for turn, layer, draw in ((turn, layer, draw) for turn in turns for layer in REMOVED for draw in draws):
            network = smaller(model, turn)
            units = len(network[int(layer)].weight)
            masks = unit_masks(units, options.ensembles, generator=generator, draw=draw)
            start = clocks()
            found = ours(network, layer, masks, *data)
            sums[f"ours, {draw}"] += clocks() - start
            some = masks[: options.slow]
            for name, way in (("full", full), ("cached", cached)) if draw == "count" else ():
                start = clocks()
                expected = way(network, layer, some, *data)
                sums[name] += (clocks() - start) * len(masks) / len(some)
                torch.testing.assert_close(found[: len(some)].float(), expected, rtol=1e-4, atol=1e-4)
        for name, own in sums.items():
            spent[name].append(own * ITERATIONS / len(turns))
    print(f"{options.ensembles} ensembles, 1000 samples, both layers; iterations {turns} stand for {ITERATIONS}")
    medians = {name: torch.stack(found).median(0).values for name, found in spent.items()}
    for name, own in medians.items():
        ratios = (f"{slow} takes {pair(medians[slow] / own)} times as long" for slow in ("full", "cached"))
        print(f"  {name:12} a repeat takes {pair(own)} s (clock, processors); {', '.join(ratios)}")


def clocks() -> Tensor:
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


def pair(numbers: Tensor) -> str:
    return f"{numbers[0]:.1f}, {numbers[1]:.1f}"


def repeat(options: argparse.Namespace, model: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    for draw in ("count", "pairs"):
        start, busy = time.perf_counter(), time.process_time()
        score = lfe(ensembles=options.ensembles, draw=draw)
        for _ in dense_supermask(model, data, removed=REMOVED, score=score, generator=torch.Generator().manual_seed(2)):
            pass
        spent, busy = time.perf_counter() - start, time.process_time() - busy
        print(f"  a whole repeat, {draw}: {spent:.1f} s, of the processors {busy:.1f} s; at most 60 s wanted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ensembles", type=int, default=1000)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--repeat", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    model = normal_(lenet_300_100(), 0.1, generator=generator)
    data = torch.rand(1000, 784, generator=generator), torch.randint(10, (1000,), generator=generator)
    print(f"torch {torch.__version__}, threads: {options.threads}")
    (repeat if options.repeat else compare)(options, model, data)


if __name__ == "__main__":
    main()
