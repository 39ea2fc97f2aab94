"""Kills a training with SIGKILL at random moments and takes it up again until it ends; compares every bit.

    python benchmarks/training_kills.py --kills 200

Prints, for each way of training, how many kills it took, how many of them fell into the writing of a checkpoint, how
many checkpoints were unreadable or passed over, and whether weights, the optimizer's memory, masks and metrics are the
bits of a training that nobody touched. TMPDIR is on another file system than the store where there is one.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from sparsewire.data import digits
from sparsewire.lab.executors.contract import Order
from sparsewire.lab.experiment import Experiment, Trial
from sparsewire.lab.spec import Spec, canonical
from sparsewire.lab.storage.artefacts import read_arrays
from sparsewire.lab.storage.parcels import read_parcel
from sparsewire.lab.trials.work import do
from sparsewire.models import initialize
from sparsewire.models.zoo import mlp
from sparsewire.structure import schedules
from sparsewire.structure.select import prune
from sparsewire.training import rules
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer

Way = Literal["dense", "masked", "gradual", "dropout"]
WAYS: tuple[Way, ...] = ("dense", "masked", "gradual", "dropout")


class KillSpec(Spec):
    """One network, trained in one way."""

    experiment: Literal["kills"] = "kills"
    way: Way = "masked"
    hidden: tuple[int, ...] = (300, 100)
    epochs: int = 12


def train(spec: KillSpec, trial: Trial) -> None:
    """Trains, and keeps all that a training has."""
    data = digits().flat()
    model: nn.Module = mlp((64, *spec.hidden, 10))
    initialize.glorot_uniform_(model, generator=trial.generator("weights"))
    if spec.way == "dropout":
        model.insert(1, nn.Dropout(0.2))  # type: ignore[operator]
    inner = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer: torch.optim.Optimizer = inner
    if spec.way != "dense":
        density = 1.0 if spec.way == "gradual" else 0.2
        masks = prune(model, score="random", density=density, generator=trial.generator("masks"))
        rule = rules.gradual(schedules.cubic(0.1, until=300), every=7) if spec.way == "gradual" else None
        optimizer = SparseOptimizer(inner, model, masks, rule)
    history = fit(
        model, data.train, optimizer=optimizer, epochs=spec.epochs, batch_size=50, validation=data.test,
        generator=trial.generator("order"), checkpoints=trial.checkpoints(),
        on_epoch=lambda epoch, _, now: trial.record("accuracy", now.validation[-1].accuracy, epoch),
    )  # fmt: skip
    trial.record("loss", history.loss[-1])
    tensors: dict[str, Tensor] = {f"weight {name}": value for name, value in model.state_dict().items()}
    names = {id(weight): name for name, weight in model.named_parameters()}
    for weight, memory in inner.state.items():
        tensors |= {f"memory {names[id(weight)]} {key}": value for key, value in memory.items()}
    if isinstance(optimizer, SparseOptimizer):
        tensors |= {f"mask {name}": mask for name, mask in optimizer.masks.items()}
    trial.keep("everything", tensors)


EXPERIMENT = Experiment(
    "kills",
    "A training that is killed",
    "none",
    KillSpec,
    lambda scale: [KillSpec()],
    {},
    train,
    lambda outcomes: None,  # type: ignore[arg-type, return-value]
)


def work(root: Path, spec: KillSpec, seed: int, every: float) -> None:
    """Does the trial, from wherever it was."""
    torch.set_num_threads(1)
    receipt = do(EXPERIMENT, Order("kills", canonical(spec), seed, str(root), every=every))
    if receipt.state != "done":
        raise SystemExit(f"the trial ended as {receipt}")


def in_child(call: Callable[[], None], notes: Path) -> int:
    """A child's process number; a fork, as importing torch takes seconds."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        with notes.open("a") as file, contextlib.redirect_stderr(file), warnings.catch_warnings():
            warnings.simplefilter("always")
            call()
            status = 0
    except BaseException as error:  # noqa: BLE001 - told by the status and the notes
        with notes.open("a") as file:
            print(f"ERROR {type(error).__name__}: {error}", file=file)
    finally:
        os._exit(status)


def found(root: Path) -> tuple[dict[str, float], dict[str, bytes]]:
    """The metrics and the arrays of the one parcel in a spool."""
    [folder] = (root / "spool").glob("*.trial")
    parcel = read_parcel(folder, folder)
    from sparsewire.lab.storage.artefacts import Artefact

    [(name, sha)] = parcel.artefacts.items()
    arrays = read_arrays(Artefact(folder / "artefacts" / f"{name}.safetensors", sha))
    numbers = {**parcel.metrics, **{f"{name} curve": repr(curve) for name, curve in parcel.curves.items()}}
    return numbers, {key: array.tobytes() for key, array in arrays.items()}  # type: ignore[return-value]


def killed(root: Path, spec: KillSpec, kills: int, longest: float, every: float) -> dict[str, int]:
    """Kills the training so many times, then lets it end; what was counted."""
    counts = {"kills": 0, "in a save": 0, "errors": 0, "passed over": 0, "rounds": 0}
    notes = root / "notes.txt"
    while counts["kills"] < kills:
        counts["rounds"] += 1
        shutil.rmtree(root / "spool", ignore_errors=True)
        while True:
            process = in_child(partial(work, root, spec, 0, every), notes)
            if counts["kills"] < kills:
                end = time.monotonic() + random.uniform(0, longest)
                status = None
                while status is None and time.monotonic() < end:
                    done, code = os.waitpid(process, os.WNOHANG)
                    status = code if done else None
                    time.sleep(0.0005)
                if status is None:
                    os.kill(process, signal.SIGKILL)
                    _, status = os.waitpid(process, 0)
            else:
                _, status = os.waitpid(process, 0)
            if os.WIFSIGNALED(status):
                counts["kills"] += 1
                counts["in a save"] += any(root.glob("work/*/checkpoints/*/.*.part"))
                continue
            counts["errors"] += status != 0
            break
        if status:
            break
    text = notes.read_text()
    counts["passed over"] = text.count("passed over")
    if counts["errors"]:
        print(text, file=sys.stderr)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=8, help="over all ways of training (the issue's number: 200)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--longest", type=float, default=0.6, help="seconds until a kill, at most")
    options = parser.parse_args()
    random.seed(options.seed)
    shared = Path("/dev/shm")
    if shared.is_dir() and shared.stat().st_dev != Path(tempfile.gettempdir()).stat().st_dev:
        os.environ["TMPDIR"] = str(shared)  # after the store's folder was made elsewhere
    worst, every_ways = 0, [0.0, 0.05]
    print(f"{'way':10}{'every':>7}{'kills':>7}{'in a save':>11}{'unreadable':>12}{'passed over':>13}  bits")
    share = -(-options.kills // (len(options.ways) * len(every_ways)))
    for way in options.ways:
        spec = KillSpec(way=way)
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as whole:
            whole_root = Path(whole)
            os.waitpid(in_child(partial(work, whole_root, spec, 0, 1e9), whole_root / "notes.txt"), 0)
            expected = found(whole_root)
        for every in every_ways:
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                counts = killed(Path(folder), spec, share, options.longest, every)
                same = not counts["errors"] and found(Path(folder)) == expected
            worst |= not same or counts["errors"] > 0
            print(
                f"{way:10}{every:7.2f}{counts['kills']:7}{counts['in a save']:11}{counts['errors']:12}"
                f"{counts['passed over']:13}  {'equal' if same else 'DIFFERENT'}",
                flush=True,
            )
    return worst


if __name__ == "__main__":
    sys.exit(main())
