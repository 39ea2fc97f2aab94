"""What the scores of networks before training cost: processor seconds and memory, beside one gradient of the same data.

    python benchmarks/initial_scores.py [--samples 2000] [--repeats 3] [--rounds 100] [--threads 1] [--batch-size 500]

For LeNet-300-100 (784 inputs) and a network of six convolutions with batch normalisation (3 x 32 x 32): each score in
turns, medians, the ratio to `mean_gradients` in the same turn, and how far the resident memory rises while it runs once
more (Linux). Then SynFlow's rounds to density 0.001, and how many weights of each layer are left by them and by
magnitude in one shot. Inputs are noise: no data is needed.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.initial_scores import Fisher, Grasp, Snip, SynapticFlow
from sparsewire.structure.masks import maskable
from sparsewire.structure.rounds import prune_in_rounds
from sparsewire.structure.score_contract import ModelScore, Question
from sparsewire.structure.select import prune

SHAPES = {"LeNet-300-100": (784,), "six convolutions": (3, 32, 32)}


def network(name: str) -> nn.Module:
    if name == "LeNet-300-100":
        return lenet_300_100()
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if inputs == outputs else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def contenders(name: str, samples: int, size: int, rounds: int) -> dict[str, Callable[[], object]]:
    torch.manual_seed(0)
    model = network(name)
    data = torch.randn(samples, *SHAPES[name]), torch.randint(10, (samples,))

    def score(asked: ModelScore) -> Callable[[], object]:
        return lambda: asked(Question(maskable(model), {}, {}, model=model, data=data))

    return {
        "gradient": lambda: mean_gradients(model, None, data, batch_size=size),
        "snip": score(Snip(batch_size=size)),
        "grasp": score(Grasp(batch_size=size)),
        "fisher": score(Fisher(batch_size=size)),
        "synflow": score(SynapticFlow()),
        "synflow, rounds": lambda: prune_in_rounds(model, score="synflow", density=0.001, data=data, rounds=rounds),
    }


def mebibytes(run: Callable[[], object]) -> float:
    """The largest resident memory while it runs, less that before (Linux)."""
    status, marks = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        marks.write_text("5")  # the peak is now what there is
        before = _kibibytes(status, "VmRSS")
        run()
        return (_kibibytes(status, "VmHWM") - before) / 1024
    except OSError:
        return math.nan


def _kibibytes(status: Path, field: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field + ":"))


def left(masks: dict[str, Tensor]) -> str:
    return ", ".join(str(int(mask.sum())) for mask in masks.values())


def compare(name: str, options: argparse.Namespace) -> None:
    runs = contenders(name, options.samples, options.batch_size, options.rounds)
    seconds: dict[str, list[float]] = {contender: [] for contender in runs}
    for run in contenders(name, 4, 2, 1).values():
        run()  # what is imported and made at a first call is no cost of the score
    for _ in range(options.repeats):
        for contender, run in runs.items():
            start = time.process_time()
            run()
            seconds[contender].append(time.process_time() - start)
    total = sum(weight.numel() for weight in maskable(network(name)).values())
    print(f"\n{name}: {total:,} weights, {options.samples:,} samples\n")
    print("| score | processor s | times one gradient | MiB |\n| --- | --- | --- | --- |")
    for contender, times in seconds.items():
        ratio = statistics.median(t / g for t, g in zip(times, seconds["gradient"], strict=True))
        memory = mebibytes(runs[contender])
        print(f"| {contender} | {statistics.median(times):.3f} | {ratio:.2f} | {max(memory, 0):.0f} |")
    torch.manual_seed(0)
    model = network(name)
    by_flow = prune_in_rounds(model, score=SynapticFlow(SHAPES[name]), density=0.001, rounds=options.rounds)
    by_size = prune(model, score="magnitude", density=0.001)
    print(f"\nleft at density 0.001: by SynFlow {left(dict(by_flow))}; by magnitude {left(dict(by_size))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    for name in SHAPES:
        compare(name, options)


if __name__ == "__main__":
    main()
