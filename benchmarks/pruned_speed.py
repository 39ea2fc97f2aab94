"""From a trained network to a pruned one that is faster, in a file, in another process: LeNet-300-100 and a GRU.

    python benchmarks/pruned_speed.py [--networks lenet gru] [--density 0.1] [--images 10000] [--epochs 2] [--rounds 25]
                                      [--threads 1] [--onnx]

Each network is trained on MNIST (the GRU reads an image row by row), pruned class-blind by magnitude to `--density`,
retrained, turned into its sparse form by a plan that was measured for inference, and saved compact. A fresh process,
which never imports `sparsewire.training`, loads the file and predicts the test images. Printed are accuracies, the
files' sizes, on how many images the two processes differ, and milliseconds of a forward pass, dense and sparse in
turns: medians, and the median of the ratios of one round. With `--onnx` the export is checked by onnxruntime too.

MNIST is read where SPARSEWIRE_DATA says; without it the samples are noise, good for speed alone. A short form, of some
seconds on a quiet machine: `--images 4000 --epochs 1 --rounds 7`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.data.images import mnist
from sparsewire.data.samples import Samples
from sparsewire.errors import SparsewireError
from sparsewire.execution.compact import load_compact, save_compact
from sparsewire.execution.convert import sparsify
from sparsewire.execution.export import export_onnx
from sparsewire.execution.planning import plan
from sparsewire.execution.plans import Plan
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.models.zoo import lenet_300_100
from sparsewire.structure.masks import Masks

BATCHES = (1, 100)
HIDDEN = 256  # of the GRU: 3 · 256 · (28 + 256) weights and its readout


def network(name: str) -> nn.Module:
    drawn = torch.Generator().manual_seed(0)
    if name == "lenet":
        return lenet_300_100(generator=drawn)
    return SequenceClassifier("gru", 28, hidden=HIDDEN, classes=10, layers=1, generator=drawn)


def shaped(name: str, inputs: Tensor) -> Tensor:
    """Rows of pixels, or images as 28 steps of 28 features."""
    return inputs.flatten(1) if name == "lenet" else inputs.reshape(-1, 28, 28)


def samples(count: int) -> tuple[Samples, Samples]:
    try:
        data = mnist()
    except SparsewireError:
        drawn = torch.Generator().manual_seed(1)
        noise = Samples(torch.rand(count, 1, 28, 28, generator=drawn), torch.randint(10, (count,), generator=drawn))
        return noise, noise.take(min(count, 1000))
    return data.train.take(min(count, len(data.train.labels))), data.test


def trained(name: str, density: float, count: int, epochs: int) -> tuple[nn.Module, Masks, Samples]:
    """Trained, pruned and retrained; with its masks and the images to test it with."""
    from sparsewire.structure.select import prune
    from sparsewire.training.judging import evaluate
    from sparsewire.training.loop import fit

    train, test = (Samples(shaped(name, part.inputs), part.labels) for part in samples(count))
    model, drawn = network(name), torch.Generator().manual_seed(2)

    def go_on(masks: Masks | None) -> float:
        fit(
            model, train, optimizer=lambda p: torch.optim.Adam(p, lr=2e-3), epochs=epochs, masks=masks, generator=drawn
        )  # fmt: skip
        return 100 * evaluate(model, test).accuracy

    dense = go_on(None)
    masks = prune(model, score="magnitude", density=density, scope="blind")
    masks.apply_(model)
    before = 100 * evaluate(model, test).accuracy
    after = go_on(masks)
    print(f"\n{name}: {masks}\n  accuracy dense {dense:.2f} %, pruned {before:.2f} %, retrained {after:.2f} %")
    return model.eval(), masks, test


@torch.no_grad()
def race(dense: nn.Module, sparse: nn.Module, inputs: Tensor, rounds: int) -> None:
    """Forward passes in turns."""
    for batch in BATCHES:
        chosen, calls = inputs[:batch], max(1, 200 // batch)
        times: dict[str, list[float]] = {"dense": [], "sparse": []}
        for _ in range(rounds + 1):  # the first round warms up
            for label, model in (("dense", dense), ("sparse", sparse)):
                start = time.perf_counter()
                for _ in range(calls):
                    model(chosen)
                times[label].append(1000 * (time.perf_counter() - start) / calls)
        pairs = list(zip(times["dense"][1:], times["sparse"][1:], strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        one, other = (statistics.median(part) for part in zip(*pairs, strict=True))
        print(f"  batch {batch:>3}: dense {one:.3f} ms, sparse {other:.3f} ms, {ratio:.2f} times as fast")


def predicted_elsewhere(name: str, folder: Path) -> np.ndarray:
    """What a fresh process says of the test images in the folder, from the file and the plan alone."""
    command = [sys.executable, __file__, "--load", str(folder), "--networks", name]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return np.load(folder / "predicted.npy")


@torch.no_grad()
def predict(name: str, folder: Path) -> None:
    """The fresh process."""
    model = network(name)
    _, masks = load_compact(folder / "model.safetensors", model)
    sparse = sparsify(model, masks, Plan.load(folder / "plan.json")).eval()
    logits = sparse(torch.from_numpy(np.load(folder / "inputs.npy")))
    np.save(folder / "predicted.npy", logits.argmax(1).numpy())
    if known := [module for module in sys.modules if module.startswith("sparsewire.training")]:
        raise SystemExit(f"the training code was imported: {known[0]}")


@torch.no_grad()
def show(name: str, asked: argparse.Namespace) -> None:
    dense, masks, test = trained(name, asked.density, asked.images, asked.epochs)
    chosen = plan(dense, masks, batch=BATCHES, training=False)
    sparse = sparsify(dense, masks, chosen).eval()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        chosen.save(folder / "plan.json")
        save_compact(sparse, folder / "model.safetensors")
        torch.save(network(name).state_dict(), folder / "dense.pt")
        np.save(folder / "inputs.npy", test.inputs[:2000].numpy())
        here = sparse(test.inputs[:2000]).argmax(1)
        differ = int((torch.from_numpy(predicted_elsewhere(name, folder)) != here).sum())
        unlike = int((dense(test.inputs[:2000]).argmax(1) != here).sum())
        small, large = ((folder / file).stat().st_size / 1024 for file in ("model.safetensors", "dense.pt"))
        print(f"  file {small:,.0f} KiB, dense {large:,.0f} KiB; a fresh process differs on {differ} of {len(here):,}")
        print(f"  the pruned network with dense layers differs on {unlike}")
        if asked.onnx:
            difference = export_onnx(sparse, test.inputs[:4], folder / "net.onnx")
            print(f"  onnxruntime differs by {difference} of the largest logit")
    race(network(name).eval(), sparse, test.inputs, asked.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=("lenet", "gru"), default=["lenet", "gru"])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.load:
        predict(asked.networks[0], asked.load)
        return
    for name in asked.networks:
        show(name, asked)


if __name__ == "__main__":
    main()
