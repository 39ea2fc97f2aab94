"""The lightning paper's Figure 7 as a sweep, against its trials one after another in the usual loop.

    SPARSEWIRE_DATA=… python benchmarks/sweep_throughput.py [--epochs 2] [--repeats 2]

LeNet-300-100 on MNIST, SGD, batches of 100; 100, 1,000 and 10,000 lightnings × strengths 0.01, 0.1 and 1, each
`--repeats` times. Ours is the whole command `sparsewire run lightning.robustness …` on its local workers, one thread
each, start and store included. The usual loop is an nn.Module, torch.optim.SGD and a DataLoader over a TensorDataset,
with torch on all the same cores and the data loaded once; a second one slices tensors in place of the DataLoader. They
take turns trial by trial, so that a slow moment meets both. Prints seconds, ratios and accuracies.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from sparsewire.data import DataSet, mnist
from sparsewire.models.initialize import lightning_
from sparsewire.models.zoo import mlp

NUMBERS, STRENGTHS = (100, 1_000, 10_000), (0.01, 0.1, 1.0)


def usual(data: DataSet, number: int, strength: float, seed: int, epochs: int, loader: bool) -> float:
    """The best test accuracy, in percent."""
    torch.manual_seed(seed)
    model = mlp((784, 300, 100, 10))
    lightning_(model, number, strength, generator=torch.Generator().manual_seed(seed))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    inputs, labels = data.train.inputs, data.train.labels
    best = 0.0
    batches = DataLoader(TensorDataset(inputs, labels), batch_size=100, shuffle=True)
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        slices = ((inputs[part], labels[part]) for part in order.split(100))
        for some, theirs in batches if loader else slices:
            optimizer.zero_grad()
            cross_entropy(model(some), theirs).backward()
            optimizer.step()
        with torch.no_grad():
            best = max(best, float((model(data.test.inputs).argmax(1) == data.test.labels).float().mean()))
    return 100 * best


def ours(store: Path, epochs: int, repeats: int, workers: int) -> float:
    """The seconds of the whole command."""
    grid = [f"-glightnings={','.join(map(str, NUMBERS))}", f"-gstrength={','.join(map(str, STRENGTHS))}"]
    spec = store.with_suffix(".toml")
    spec.write_text(f'experiment = "lightning.robustness"\n[spec]\nepochs = {epochs}\n', encoding="utf-8")
    begin = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "sparsewire",
        "run",
        str(spec),
        *grid,
        "--seeds",
        str(repeats),
        "--store",
        str(store),
    ]
    subprocess.run([*command, "--executor", "local", "--workers", str(workers)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def found(store: Path) -> list[tuple[int, float, int, float]]:
    from sparsewire.lab.store import Store

    with Store.open(store, write=False) as opened:
        return [
            (row.fields["lightnings"], row.fields["strength"], row.seed, row.metrics["best_accuracy"])
            for row in opened.rows("lightning.robustness")
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    data, ratios, plain_ratios = mnist().flat(), [], []
    cells = [(n, s, seed) for seed in range(options.repeats) for n in NUMBERS for s in STRENGTHS]
    torch.set_num_threads(options.workers)
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            mine = ours(Path(folder) / "runs", options.epochs, options.repeats, options.workers)
            rows = found(Path(folder) / "runs")
        loader_seconds = plain_seconds = 0.0
        theirs = []
        for cell in cells:
            begin = time.perf_counter()
            theirs.append(usual(data, *cell, options.epochs, loader=True))
            middle = time.perf_counter()
            usual(data, *cell, options.epochs, loader=False)
            loader_seconds += middle - begin
            plain_seconds += time.perf_counter() - middle
        ratios.append(loader_seconds / mine)
        plain_ratios.append(plain_seconds / mine)
        print(
            f"round {number + 1}: {len(cells)} trials of {options.epochs} epochs: ours {mine:.1f} s, usual loop "
            f"{loader_seconds:.1f} s ({ratios[-1]:.2f} ×), with slices {plain_seconds:.1f} s ({plain_ratios[-1]:.2f} ×)"
        )
        _accuracies(rows, list(zip(cells, theirs, strict=True)))
    print(json.dumps({"ratio": statistics.median(ratios), "ratio with slices": statistics.median(plain_ratios)}))
    return 0


def _accuracies(rows: list[tuple[int, float, int, float]], theirs: list[tuple[tuple[int, float, int], float]]) -> None:
    print(f"{'lightnings':>12}{'strength':>10}{'ours, %':>10}{'usual, %':>10}")
    for number in NUMBERS:
        for strength in STRENGTHS:
            mine = statistics.fmean(value for n, s, _, value in rows if (n, s) == (number, strength))
            other = statistics.fmean(value for (n, s, _), value in theirs if (n, s) == (number, strength))
            print(f"{number:12,}{strength:10g}{mine:10.2f}{other:10.2f}")


if __name__ == "__main__":
    sys.exit(main())
